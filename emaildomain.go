package usher

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const (
	maxDomain = 253 // in bytes, of what DNS has
	maxLabel  = 63
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
	// U+1E9E is the capital of ß since Unicode 15.1, and no ss.
	ascii, err = domains.ToASCII(strings.ReplaceAll(domain, "\u1e9e", "\u00df"))
	if err := checkLengths(ascii); err != nil { // ascii is also there if it is too long for DNS
		return "", "", err
	}
	if err != nil {
		return "", "", emailFault("The part after the @-sign is invalid.")
	}
	name, err = domains.ToUnicode(ascii)
	if err != nil {
		return "", "", emailFault("The part after the @-sign is invalid.")
	}
	if bad := notIDNA2008(name); bad != "" {
		if strings.EqualFold(domain, ascii) {
			return "", "", emailFault("The part after the @-sign is not valid IDNA (" + bad + ").")
		}
		return "", "", emailFault("The part after the @-sign is invalid (" + bad + ").")
	}
	return name, ascii, checkTopLevel(ascii)
}

// checkLengths says what DNS (RFC 1035 §2.3.4) has no room for.
func checkLengths(ascii string) error {
	if over := len(ascii) - maxDomain; over > 0 {
		return emailFault("The email address is too long after the @-sign " + tooMany(over) + ".")
	}
	for label := range strings.SplitSeq(ascii, ".") {
		if over := len(label) - maxLabel; over > 0 {
			return emailFault("After the @-sign, periods cannot be separated by so many characters " + tooMany(over) + ".")
		}
	}
	return nil
}

func checkLabels(domain string) error {
	switch {
	case strings.HasSuffix(domain, "."):
		return emailFault("An email address cannot end with a period.")
	case strings.HasPrefix(domain, "."):
		return emailFault("An email address cannot have a period immediately after the @-sign.")
	case strings.Contains(domain, ".."):
		return emailFault("An email address cannot have two periods in a row.")
	case strings.HasSuffix(domain, "-"):
		return emailFault("An email address cannot end with a hyphen.")
	case strings.HasPrefix(domain, "-"):
		return emailFault("An email address cannot have a hyphen immediately after the @-sign.")
	case strings.Contains(domain, ".-") || strings.Contains(domain, "-."):
		return emailFault("An email address cannot have a period and a hyphen next to each other.")
	case len(domain) > 4*maxEmail:
		return emailFault("The email address is too long after the @-sign.")
	}
	for label := range strings.SplitSeq(domain, ".") {
		if r := []rune(label); len(r) > 3 && string(r[2:4]) == "--" && !strings.EqualFold(string(r[:2]), "xn") {
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

// notIDNA2008 names a character that RFC 5892 does not allow, or not where it is, in a
// domain. UTS 46 allows more: symbols, punctuation, the parts of old Hangul.
func notIDNA2008(domain string) string {
	for label := range strings.SplitSeq(domain, ".") {
		runes := []rune(label)
		for i, c := range runes {
			switch {
			case c < utf8.RuneSelf: // checked by then
			case unicode.In(c, unicode.Me, oldHangul), strings.ContainsRune(excepted, c), strings.ContainsRune(arabicDigits+moreArabicDigits, c) && mixesDigits(label),
				!unicode.In(c, unicode.L, unicode.M, unicode.Nd) && !isAllowedAt(runes, i):
				return fmt.Sprintf("Codepoint U+%04X at position %d of '%s' not allowed", c, i+1, label)
			}
		}
	}
	return ""
}

// isAllowedAt judges the characters that are neither letters, marks nor digits (RFC
// 5892 appendix A and §2.6).
func isAllowedAt(label []rune, i int) bool {
	next := func(in *unicode.RangeTable) bool { return i+1 < len(label) && unicode.Is(in, label[i+1]) }
	before := func(in *unicode.RangeTable) bool { return i > 0 && unicode.Is(in, label[i-1]) }
	switch label[i] {
	case '\u00b7': // between two l, in Catalan
		return i > 0 && i+1 < len(label) && label[i-1] == 'l' && label[i+1] == 'l'
	case '\u0375':
		return next(unicode.Greek)
	case '\u05f3', '\u05f4':
		return before(unicode.Hebrew)
	case '\u30fb':
		return slices.ContainsFunc(label, func(c rune) bool { return unicode.In(c, unicode.Hiragana, unicode.Katakana, unicode.Han) })
	case '\u0f0b', '\u3007':
		return true
	}
	return false
}

// mixesDigits tells whether a label has both kinds of Arabic digits (RFC 5892 appendix
// A.8 and A.9).
func mixesDigits(label string) bool {
	return strings.ContainsAny(label, arabicDigits) && strings.ContainsAny(label, moreArabicDigits)
}

const (
	arabicDigits     = "\u0660\u0661\u0662\u0663\u0664\u0665\u0666\u0667\u0668\u0669"
	moreArabicDigits = "\u06f0\u06f1\u06f2\u06f3\u06f4\u06f5\u06f6\u06f7\u06f8\u06f9"
)

// excepted are letters and marks that RFC 5892 §2.6 disallows all the same.
const excepted = "\u0640\u07fa\u302e\u302f\u3031\u3032\u3033\u3034\u3035\u303b"

// oldHangul are letters of which syllables were made (RFC 5892 §2.9).
var oldHangul = &unicode.RangeTable{R16: []unicode.Range16{{0x1100, 0x11ff, 1}, {0xa960, 0xa97c, 1}, {0xd7b0, 0xd7fb, 1}}}

func isHostByte(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-'
}
