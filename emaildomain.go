package usher

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

// domains maps and judges domain names: idna.Lookup, and no label empty or
// longer than DNS can hold.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// specialUse are the domains to which no mail can go (RFC 6761 and IANA's
// registry of special-use names), but for those kept for examples.
var specialUse = []string{"arpa", "invalid", "local", "localhost", "onion", "test"}

// parseDomain returns the part behind the @ in its Unicode form, which is how it
// is stored and compared, and as DNS knows it.
func parseDomain(domain string) (name, ascii string, err error) {
	if strings.HasPrefix(domain, "[") {
		return "", "", emailFault("A bracketed IP address after the @-sign is not allowed here.")
	}
	invalid := func(c rune) bool { return c < utf8.RuneSelf && !isHostByte(c) && c != '.' }
	if bad := strings.Map(keep(invalid), norm.NFKC.String(domain)); bad != "" {
		return "", "", emailFault("The part after the @-sign contains invalid characters: " + spell(bad) + ".")
	}
	if err := checkVisible(domain); err != nil {
		return "", "", err
	}
	if err := checkLabels(strings.ReplaceAll(norm.NFKC.String(domain), "\u3002", ".")); err != nil {
		return "", "", err
	}
	ascii, err = domains.ToASCII(domain)
	if err != nil {
		return "", "", emailFault("The part after the @-sign is invalid.")
	}
	name, err = domains.ToUnicode(ascii)
	if err != nil || strings.ContainsFunc(name, isNoDomainRune) || slices.ContainsFunc(strings.Split(name, "."), isOutOfContext) {
		return "", "", emailFault("The part after the @-sign is invalid.")
	}
	return name, ascii, checkTopLevel(ascii)
}

func checkLabels(domain string) error {
	switch {
	case strings.HasPrefix(domain, "."):
		return emailFault("An email address cannot have a period immediately after the @-sign.")
	case strings.HasSuffix(domain, "."):
		return emailFault("An email address cannot end with a period.")
	case strings.HasPrefix(domain, "-"):
		return emailFault("An email address cannot have a hyphen immediately after the @-sign.")
	case strings.HasSuffix(domain, "-"):
		return emailFault("An email address cannot end with a hyphen.")
	case strings.Contains(domain, ".."):
		return emailFault("An email address cannot have two periods in a row.")
	case strings.Contains(domain, ".-") || strings.Contains(domain, "-."):
		return emailFault("An email address cannot have a period and a hyphen next to each other.")
	case len(domain) > 4*maxEmail:
		return emailFault("The email address is too long after the @-sign.")
	}
	for label := range strings.SplitSeq(domain, ".") {
		if len(label) > 3 && label[2:4] == "--" && !strings.EqualFold(label[:2], "xn") {
			return emailFault("An email address cannot have two letters followed by two dashes immediately after the @-sign or after a period, except Punycode.")
		}
	}
	return nil
}

func checkTopLevel(ascii string) error {
	switch last := ascii[len(ascii)-1]; {
	case !strings.Contains(ascii, "."):
		return emailFault("The part after the @-sign is not valid. It should have a period.")
	case last >= '0' && last <= '9':
		return emailFault("The part after the @-sign is not valid. It is not within a valid top-level domain.")
	}
	if slices.ContainsFunc(specialUse, func(d string) bool { return strings.HasSuffix(ascii, "."+d) }) {
		return emailFault("The part after the @-sign is a special-use or reserved name that cannot be used with email.")
	}
	return nil
}

// isNoDomainRune tells whether IDNA 2008 (RFC 5892) keeps c out of domain names,
// which UTS 46 does not: symbols and punctuation.
func isNoDomainRune(c rune) bool {
	if c < utf8.RuneSelf {
		return false // checked by then
	}
	return !unicode.In(c, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune("\u00b7\u0375\u05f3\u05f4\u0f0b\u3007\u30fb", c) ||
		strings.ContainsRune("\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b", c)
}

// isOutOfContext tells whether a label has a character that it may have only beside
// certain others, or not beside them (RFC 5892, appendix A).
func isOutOfContext(label string) bool {
	runes := []rune(" " + label + " ")
	has := func(tables ...*unicode.RangeTable) bool {
		return slices.ContainsFunc(runes, func(c rune) bool { return unicode.In(c, tables...) })
	}
	for i, c := range runes {
		switch c {
		case '\u00b7': // as in Catalan
			if runes[i-1] != 'l' || runes[i+1] != 'l' {
				return true
			}
		case '\u0375':
			if !unicode.Is(unicode.Greek, runes[i+1]) {
				return true
			}
		case '\u05f3', '\u05f4':
			if !unicode.Is(unicode.Hebrew, runes[i-1]) {
				return true
			}
		case '\u30fb':
			if !has(unicode.Hiragana, unicode.Katakana, unicode.Han) {
				return true
			}
		}
	}
	return strings.ContainsAny(label, "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669") &&
		strings.ContainsAny(label, "\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7\u06f8\u06f9")
}

func isHostByte(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}
