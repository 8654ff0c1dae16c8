package usher

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
)

const (
	maxEmail     = 254 // RFC 5321 §4.5.3.1.3, in bytes
	maxEmailUser = 64  // RFC 5321 §4.5.3.1.1
)

// domains judges and normalises domain names: idna.Lookup, and no label empty or
// longer than DNS can hold.
var domains = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.VerifyDNSLength(true))

// EmailKey returns the normal form of an e-mail address, under which it is
// unique and looked up: NFKC, then case-folded, the domain in its Unicode form.
// The error says what is wrong with the address.
func EmailKey(address string) (string, error) {
	_, key, err := parseEmail(address)
	return key, err
}

// parseEmail returns the address as it is stored and shown (as typed, but for
// surrounding space and the spelling of the domain) and its key. The address is
// checked after it was normalised, so that no character can turn into an @ or a
// comma behind the check.
func parseEmail(address string) (stored, key string, err error) {
	if len(address) > 4*maxEmail || !utf8.ValidString(address) {
		return "", "", emailFault("The email address is too long or not text.")
	}
	address = strings.TrimSpace(address)
	folded := norm.NFKC.String(cases.Fold().String(norm.NFKC.String(address)))
	user, domain, found := strings.Cut(folded, "@")
	switch {
	case !found:
		return "", "", emailFault("An email address must have an @-sign.")
	case strings.Contains(domain, "@"):
		return "", "", emailFault("An email address can have only one @-sign.")
	case user == "":
		return "", "", emailFault("There must be something before the @-sign.")
	case domain == "":
		return "", "", emailFault("There must be something after the @-sign.")
	case len(user) > maxEmailUser:
		return "", "", emailFault("The email address is too long before the @-sign.")
	}
	if strings.HasPrefix(user, ".") || strings.HasSuffix(user, ".") || strings.Contains(user, "..") {
		return "", "", emailFault("An email address cannot begin or end with a period, or have two periods in a row, before the @-sign.")
	}
	for _, c := range user {
		if !isEmailUserRune(c) {
			return "", "", emailFault("The email address contains invalid characters before the @-sign.")
		}
	}
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(ascii, ".") || strings.HasSuffix(ascii, ".") {
		return "", "", emailFault("The part after the @-sign is not a valid domain name.")
	}
	if len(user)+1+len(ascii) > maxEmail {
		return "", "", emailFault("The email address is too long.")
	}
	domain, err = idna.Lookup.ToUnicode(ascii)
	if err != nil {
		return "", "", emailFault("The part after the @-sign is not a valid domain name.")
	}
	typed, _, found := strings.Cut(norm.NFC.String(address), "@")
	if !found {
		return "", "", emailFault("An email address must have an @-sign.")
	}
	return typed + "@" + domain, user + "@" + domain, nil
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

// isEmailUserRune tells whether c may stand before the @: RFC 5322's atext and
// the period, or a letter, mark or digit beyond ASCII (RFC 6531 §3.3).
func isEmailUserRune(c rune) bool {
	if c < utf8.RuneSelf {
		return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune(".!#$%&'*+-/=?^_`{|}~", c)
	}
	return unicode.In(c, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S)
}
