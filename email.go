package usher

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxEmail      = 254  // RFC 5321 §4.5.3.1.3, in bytes
	maxEmailInput = 2048 // in characters, as FastAPI Users
)

// sameInAnyCase are the mailboxes that RFC 2142 names. They are stored in lower case,
// as by FastAPI Users.
var sameInAnyCase = strings.Fields("info marketing sales support abuse noc security postmaster hostmaster usenet news webmaster www uucp ftp")

// EmailKey returns the normal form of an e-mail address, under which it is
// unique and looked up: NFKC, then case-folded, the domain in its Unicode form.
// The key of a key is the key itself. The error says what is wrong with the
// address.
func EmailKey(address string) (string, error) {
	_, key, err := parseEmail(address)
	return key, err
}

// searchKey returns how the keys begin of addresses that begin like s.
func searchKey(s string) string {
	if key, err := EmailKey(s); err == nil {
		return key
	}
	user, domain, found := strings.Cut(norm.NFKC.String(s), "@")
	if !found {
		return foldCase(user)
	}
	return foldCase(user) + "@" + strings.ToLower(domain)
}

// parseEmail returns the address as it is stored and shown (as typed, but for
// surrounding space and the spelling of the domain) and its key. What is
// accepted, and the sentences, are those of FastAPI Users' email-validator,
// except that nothing but a bare address is taken. The key is checked again
// after normalising, so that no character can turn into an @ or a comma behind
// the check.
func parseEmail(address string) (stored, key string, err error) {
	if utf8.RuneCountInString(address) > maxEmailInput {
		return "", "", emailFault("Length must not exceed 2048 characters")
	}
	if !utf8.ValidString(address) {
		return "", "", emailFault("The email address is not text.")
	}
	user, domain, err := splitEmail(norm.NFC.String(strings.TrimSpace(address)))
	if err != nil {
		return "", "", err
	}
	if err := checkEmailUser(user); err != nil {
		return "", "", err
	}
	domain, ascii, err := parseDomain(domain)
	if err != nil {
		return "", "", err
	}
	folded := foldCase(norm.NFKC.String(user)) // not the domain: straße.example and strasse.example are two
	if err := checkEmailUser(folded); err != nil {
		return "", "", err
	}
	if over := max(len(user)+len(ascii), len(folded)+len(domain)) + 1 - maxEmail; over > 0 {
		return "", "", emailFault("The email address is too long " + tooMany(over) + ".")
	}
	if lower := strings.ToLower(user); slices.Contains(sameInAnyCase, lower) {
		user = lower
	}
	return user + "@" + domain, folded + "@" + domain, nil
}

func splitEmail(address string) (user, domain string, err error) {
	user, domain, found := strings.Cut(address, "@")
	switch {
	case strings.Contains(user, "<") || strings.HasPrefix(user, `"`) && strings.Contains(domain, "<"):
		return "", "", emailFault("A display name and angle brackets around the email address are not permitted here.")
	case !found && strings.Contains(user, "\uff20"):
		return "", "", emailFault(`The email address has the "full-width" at-sign (@) character instead of a regular at-sign.`)
	case !found:
		return "", "", emailFault("An email address must have an @-sign.")
	case user == "":
		return "", "", emailFault("There must be something before the @-sign.")
	case strings.HasPrefix(user, `"`):
		return "", "", emailFault("Quoting the part before the @-sign is not allowed here.")
	case domain == "":
		return "", "", emailFault("There must be something after the @-sign.")
	}
	return user, domain, nil
}

// checkEmailUser checks the part before the @: RFC 5322's dot-atom, and beyond
// ASCII whatever is visible (RFC 6531 §3.3).
func checkEmailUser(user string) error {
	invalid := func(c rune) bool { return c < utf8.RuneSelf && !isAtext(c) && c != '.' }
	if bad := strings.Map(keep(invalid), user); bad != "" {
		return emailFault("The email address contains invalid characters before the @-sign: " + spell(bad) + ".")
	}
	if err := checkVisible(user); err != nil {
		return err
	}
	switch {
	case strings.HasSuffix(user, "."):
		return emailFault("An email address cannot have a period immediately before the @-sign.")
	case strings.HasPrefix(user, "."):
		return emailFault("An email address cannot start with a period.")
	case strings.Contains(user, ".."):
		return emailFault("An email address cannot have two periods in a row.")
	}
	return nil
}

// checkVisible refuses characters that cannot be seen or that merge with what
// stands before them.
func checkVisible(s string) error {
	unsafe := func(c rune) bool { return !unicode.In(c, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S) }
	bad := strings.Map(keep(unsafe), s)
	if first, _ := utf8.DecodeRuneInString(s); unicode.Is(unicode.M, first) {
		bad = string(first) + bad
	}
	if bad != "" {
		return emailFault("The email address contains unsafe characters: " + spell(bad) + ".")
	}
	return nil
}

func keep(f func(rune) bool) func(rune) rune {
	return func(c rune) rune {
		if f(c) {
			return c
		}
		return -1
	}
}

// spell names characters for an error, in the words of Unicode where a reader would
// see nothing.
func spell(bad string) string {
	var names []string
	for _, c := range bad {
		name := "'" + string(c) + "'"
		switch {
		case invisible[c] != "":
			name = invisible[c]
		case c == '\'':
			name = `"'"`
		case c == '\\':
			name = `'\\'`
		case !unicode.IsPrint(c):
			name = fmt.Sprintf("U+%04X", c)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(slices.Compact(names), ", ")
}

// invisible are the characters that get into addresses with copy and paste.
var invisible = map[rune]string{
	' ': "SPACE", '\u00a0': "NO-BREAK SPACE", '\u00ad': "SOFT HYPHEN", '\u3000': "IDEOGRAPHIC SPACE",
	'\u200b': "ZERO WIDTH SPACE", '\u200c': "ZERO WIDTH NON-JOINER", '\u200d': "ZERO WIDTH JOINER",
	'\u200e': "LEFT-TO-RIGHT MARK", '\u200f': "RIGHT-TO-LEFT MARK", '\u2028': "LINE SEPARATOR", '\u2029': "PARAGRAPH SEPARATOR",
	'\u202a': "LEFT-TO-RIGHT EMBEDDING", '\u202b': "RIGHT-TO-LEFT EMBEDDING", '\u202c': "POP DIRECTIONAL FORMATTING",
	'\u202d': "LEFT-TO-RIGHT OVERRIDE", '\u202e': "RIGHT-TO-LEFT OVERRIDE", '\u2060': "WORD JOINER", '\ufeff': "ZERO WIDTH NO-BREAK SPACE",
}

// tooMany says by how much something is too long.
func tooMany(characters int) string {
	if characters == 1 {
		return "(1 character too many)"
	}
	return fmt.Sprintf("(%d characters too many)", characters)
}

// isAtext tells whether c is one of RFC 5322's atext.
func isAtext(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", c)
}

// emailFault is a sentence for the person who typed the address.
type emailFault string

func (f emailFault) Error() string { return string(f) }

// foldCase removes the difference of case. Cherokee letters are lowered first,
// because cases.Fold does not fold them, it swaps their cases.
func foldCase(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.Is(unicode.Cherokee, c) {
			return unicode.ToLower(c)
		}
		return c
	}, s)
	return norm.NFKC.String(cases.Fold().String(s))
}
