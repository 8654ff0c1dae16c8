package usher_test

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"usher"
)

// B12: an address has one key in all its spellings.
func TestS_B12_EmailKeySameAddress(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, key string
		spellings []string
	}{
		{"case", "ann.b+c@example.com", []string{"ann.b+c@example.com", "Ann.B+C@Example.COM", "ANN.B+C@EXAMPLE.COM"}},
		{"space around", "a@example.com", []string{" a@example.com", "a@example.com\t", "\r\na@example.com\r\n", "\u00a0a@example.com\u2003"}},
		{"full width", "ab@example.com", []string{"ａｂ@ｅｘａｍｐｌｅ.ｃｏｍ", "AB@example．com", "ab@example。com", "ab@example｡com"}},
		{"composed and decomposed", "caf\u00e9@b\u00fccher.example", []string{"caf\u00e9@b\u00fccher.example", "cafe\u0301@bu\u0308cher.example", "CAFE\u0301@BU\u0308CHER.EXAMPLE"}},
		{"two marks in any order", "q\u0323\u0307@example.com", []string{"q\u0307\u0323@example.com", "q\u0323\u0307@example.com"}},
		{"punycode", "a@b\u00fccher.example", []string{"a@b\u00fccher.example", "a@xn--bcher-kva.example", "a@XN--BCHER-KVA.EXAMPLE", "a@Xn--Bcher-Kva.example"}},
		{"punycode of ß, which is not ss", "a@stra\u00dfe.example", []string{"a@stra\u00dfe.example", "A@Stra\u00dfe.Example", "a@xn--strae-oqa.example"}},
		{"punycode of final sigma, which is not sigma", "a@\u03b2\u03cc\u03bb\u03bf\u03c2.example", []string{"a@\u03b2\u03cc\u03bb\u03bf\u03c2.example", "a@xn--nxasmm1c.example"}},
		{"characters in their context", "a@col\u00b7legi.example", []string{"a@col\u00b7legi.example", "A@COL\u00b7LEGI.example"}},
		{"katakana middle dot", "a@\u30a2\u30fb\u30a2.example", []string{"a@\u30a2\u30fb\u30a2.example"}},
		{"ligature", "fi@example.com", []string{"\ufb01@example.com", "FI@example.com"}},
		{"long s and Kelvin", "sk@example.com", []string{"\u017fk@example.com", "s\u212a@example.com"}},
		{"sharp s in front", "strasse@example.com", []string{"stra\u00dfe@example.com", "STRA\u1e9eE@example.com", "STRASSE@example.com"}},
		{"Greek sigmas in front", "\u03c3\u03c3\u03c3@example.com", []string{"\u03a3\u03c3\u03c2@example.com", "\u03c3\u03c3\u03c3@example.com"}},
		{"Cherokee", "\u13a0\u13f3@example.com", []string{"\u13a0\u13f3@example.com", "\uab70\u13fb@example.com"}},
	} {
		for _, address := range test.spellings {
			key, err := usher.EmailKey(address)
			if err != nil || key != test.key {
				t.Errorf("%s: EmailKey(%+q) = %+q, %v, want %+q", test.name, address, key, err, test.key)
			}
		}
	}
}

// CVE-2019-19844: addresses that only look alike, or that a sloppy comparison
// takes for each other, have different keys. Those that fold together on purpose
// are above: lookup and uniqueness then share the key, and mail goes to the
// stored address.
func TestS_B12_EmailKeyLookAlikesDiffer(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, a, b string }{
		{"dotless i", "mike@example.com", "m\u0131ke@example.com"},
		{"I with dot", "mike@example.com", "m\u0130ke@example.com"},
		{"Cyrillic a", "ann@example.com", "\u0430nn@example.com"},
		{"Greek omicron", "bob@example.com", "b\u03bfb@example.com"},
		{"Cyrillic domain", "a@apple.example", "a@\u0430\u0440\u0440\u04cf\u0435.example"},
		{"dotless i in a domain", "a@mail.example", "a@ma\u0131l.example"},
		{"accent", "jose@example.com", "jos\u00e9@example.com"},
		{"sharp s in a domain", "a@strasse.example", "a@stra\u00dfe.example"},
		{"final sigma in a domain", "a@\u03b2\u03cc\u03bb\u03bf\u03c3.example", "a@\u03b2\u03cc\u03bb\u03bf\u03c2.example"},
		{"plus tag", "ann@example.com", "ann+x@example.com"},
		{"dots", "ann.b@example.com", "annb@example.com"},
		{"subdomain", "a@example.com", "a@mail.example.com"},
		{"percent escape", "a@example.com", "%61@example.com"},
	} {
		a, errA := usher.EmailKey(test.a)
		b, errB := usher.EmailKey(test.b)
		if errA != nil || errB != nil || a == b {
			t.Errorf("%s: EmailKey(%+q) = %+q, %v; EmailKey(%+q) = %+q, %v; want two keys", test.name, test.a, a, errA, test.b, b, errB)
		}
	}
}

func TestS_B12_EmailKeyRefused(t *testing.T) {
	t.Parallel()
	const good = "a@example.com"
	if _, err := usher.EmailKey(good); err != nil {
		t.Fatalf("EmailKey(%q): %v", good, err)
	}
	long := strings.Repeat("d", 60)
	for _, test := range []struct{ name, address string }{
		{"empty", ""},
		{"space", " "},
		{"no @", "example.com"},
		{"only @", "@"},
		{"nothing before the @", "@example.com"},
		{"nothing behind the @", "a@"},
		{"full-width @", "a＠example.com"},
		{"two @", "a@b@example.com"},
		{"full-width @ and @", "a＠evil.example@example.com"}, // CVE-2026-73420
		{"@ and full-width @", "a@evil.example＠example.com"},
		{"small @ and @", "a\ufe6bevil.example@example.com"},
		{"CR LF", "a@example.com\r\nBcc: b@example.com"},
		{"CR LF before the @", "a\r\nb@example.com"},
		{"LF", "a\n@example.com"},
		{"LF in the domain", "a@exa\nmple.com"},
		{"line separator", "a\u2028b@example.com"},
		{"next line", "a\u0085b@example.com"},
		{"tab", "a\tb@example.com"},
		{"NUL", "a\x00@example.com"},
		{"NUL in the domain", "a@example.com\x00.example"},
		{"DEL", "a\x7f@example.com"},
		{"comma list", "a@example.com,b@example.com"}, // CVE-2022-35924
		{"comma", "a,b@example.com"},
		{"full-width comma", "a，b@example.com"},
		{"semicolon list", "a@example.com;b@example.com"},
		{"colon", "a:b@example.com"},
		{"space inside", "a b@example.com"},
		{"space from a diaeresis", "a\u00a8@example.com"}, // NFKC: space and U+0308
		{"ideographic space inside", "a\u3000b@example.com"},
		{"display name", "Ann <a@example.com>"},
		{"angle brackets", "<a@example.com>"},
		{"quoted", `"a"@example.com`},
		{"quoted @", `"e@attacker.example"@example.com`},
		{"backslash", `a\b@example.com`},
		{"comment", "a(x)@example.com"},
		{"comment in the domain", "a@example.com (x)"},
		{"mailto", "mailto:a@example.com"},
		{"dot first", ".a@example.com"},
		{"dot last", "a.@example.com"},
		{"two dots", "a..b@example.com"},
		{"two dots of one character", "a\u2025b@example.com"}, // NFKC: two full stops
		{"no dot in the domain", "a@localhost"},
		{"dot first in the domain", "a@.example.com"},
		{"dot last in the domain", "a@example.com."},
		{"two dots in the domain", "a@example..com"},
		{"ideographic dots in the domain", "a@example。。com"},
		{"only a dot", "a@."},
		{"hyphen first in a label", "a@-example.com"},
		{"hyphen last in a label", "a@example-.com"},
		{"hyphens at 3 and 4", "a@ab--cd.com"},
		{"bad punycode", "a@xn--a.com"},
		{"punycode of ASCII", "a@xn--example-.com"},
		{"middle dot between others than l", "a@col\u00b7egi.example"},
		{"middle dot at the end", "a@col\u00b7.example"},
		{"Greek sign without Greek", "a@\u0375a.example"},
		{"Hebrew sign without Hebrew", "a@a\u05f3.example"},
		{"katakana middle dot without Japanese", "a@a\u30fbb.example"},
		{"two kinds of Arabic digits", "a@\u0627\u0661\u06f1.example"},
		{"tatweel", "a@\u0627\u0640\u0628.example"},
		{"underscore in the domain", "a@exa_mple.com"},
		{"address literal", "a@[127.0.0.1]"},
		{"IPv6 literal", "a@[IPv6:::1]"},
		{"port", "a@example.com:25"},
		{"path", "a@example.com/x"},
		{"percent in the domain", "a@example%2ecom"},
		{"zero width space", "a\u200b@example.com"},
		{"zero width joiner in the domain", "a@exa\u200dmple.com"},
		{"right-to-left override", "a\u202e@example.com"},
		{"byte order mark", "a\ufeff@example.com"},
		{"unassigned", "a\u0378@example.com"},
		{"private use", "a\ue000@example.com"},
		{"invalid UTF-8", "a\xff@example.com"},
		{"surrogate", "a\xed\xa0\x80@example.com"},
		{"middle dot between others than l", "a@x\u00b7y.example"}, // RFC 5892 appendix A
		{"katakana middle dot among Latin", "a@x\u30fby.example"},
		{"Greek numeral sign before Latin", "a@\u0375x.example"},
		{"old Hangul", "a@x\u1100.example"},
		{"enclosing mark", "a@x\u0488.example"},
		{"hyphens at 3 and 4, beyond ASCII", "a@\u0915\u094d--x.example"},
		{"label of 64", "a@" + strings.Repeat("d", 64) + ".com"},
		{"255 in all", strings.Repeat("l", 64) + "@" + long + "." + long + "." + long + ".aaaa.cc"},
		{"255 and more in the normal form", strings.Repeat("\u334d", 30) + "@example.com"}, // four characters each
		{"1 MiB", strings.Repeat("a", 1<<20) + "@example.com"},
		{"1 MiB of @", strings.Repeat("@", 1<<20)},
	} {
		if key, err := usher.EmailKey(test.address); err == nil {
			t.Errorf("%s: EmailKey(%+.80q) = %+q, want an error", test.name, test.address, key)
		} else if key != "" || err.Error() == "" {
			t.Errorf("%s: EmailKey(%+.80q) = %+q, %q, want no key and a reason", test.name, test.address, key, err)
		}
	}
}

// Clients show these sentences, which are FastAPI Users' (recording email.corpus).
func TestEmailSentences(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d", 60)
	for address, want := range map[string]string{
		"a@.":                                   "An email address cannot end with a period.",
		".@example.com":                         "An email address cannot have a period immediately before the @-sign.",
		"a@-.com-":                              "An email address cannot end with a hyphen.",
		"a@example.com (x)":                     "The part after the @-sign contains invalid characters: '(', ')', SPACE.",
		`a\"@example.com`:                       `The email address contains invalid characters before the @-sign: '"', '\\'.`,
		"a@ex'mple.com":                         `The part after the @-sign contains invalid characters: "'".`,
		"a\u00a0b@example.com":                  "The email address contains unsafe characters: NO-BREAK SPACE.",
		"a\u200b\u202eb@example.com":            "The email address contains unsafe characters: RIGHT-TO-LEFT OVERRIDE, ZERO WIDTH SPACE.",
		"a\u0378b@example.com":                  "The email address contains unsafe characters: U+0378.",
		"a@x\U0001f48c.com":                     "The part after the @-sign is invalid (Codepoint U+1F48C at position 2 of 'x\U0001f48c' not allowed).",
		"a@xn--ls8h.com":                        "The part after the @-sign is not valid IDNA (Codepoint U+1F4A9 at position 1 of '\U0001f4a9' not allowed).",
		"a@" + strings.Repeat("d", 65) + ".com": "After the @-sign, periods cannot be separated by so many characters (2 characters too many).",
		"a@" + strings.Repeat(long+".", 4) + strings.Repeat("d", 20) + ".com":   "The email address is too long after the @-sign (15 characters too many).",
		strings.Repeat("l", 64) + "@" + strings.Repeat(long+".", 3) + "aaaa.cc": "The email address is too long (1 character too many).",
	} {
		if _, err := usher.EmailKey(address); err == nil || err.Error() != want {
			t.Errorf("EmailKey(%+q): %v, want %s", address, err, want)
		}
	}
}

func TestEmailKeyLongest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("d", 60)
	address := strings.Repeat("l", 64) + "@" + long + "." + long + "." + long + ".aaa.cc" // 254
	if len(address) != 254 {
		t.Fatalf("%d bytes", len(address))
	}
	if key, err := usher.EmailKey(address); err != nil || key != address {
		t.Errorf("EmailKey = %q, %v, want the address", key, err)
	}
	if _, err := usher.EmailKey("a@" + strings.Repeat("d", 63) + ".com"); err != nil {
		t.Errorf("label of 63: %v", err)
	}
}

// Every letter, mark and symbol (of Han, Hangul and the invisible ones a few):
// what has a key has a stable one.
func TestS_B12_EmailKeyIsItsOwnKey(t *testing.T) {
	t.Parallel()
	for c := range rune(0x20000) {
		if many := unicode.In(c, unicode.Han, unicode.Hangul) || !unicode.IsGraphic(c); many && c%61 != 0 || !utf8.ValidRune(c) {
			continue
		}
		for _, address := range []string{"a" + string(c) + "\u0301@b.example", "a@b" + string(c) + "b.example"} {
			checkEmailKey(t, address)
		}
	}
}

// checkEmailKey checks what is true of every address.
func checkEmailKey(t *testing.T, address string) {
	t.Helper()
	key, err := usher.EmailKey(address)
	if err != nil {
		return
	}
	if again, err := usher.EmailKey(key); err != nil || again != key {
		t.Errorf("EmailKey(%+q) = %+q, whose key is %+q, %v", address, key, again, err)
	}
	user, domain, _ := strings.Cut(key, "@")
	if user == "" || !strings.Contains(domain, ".") || strings.ContainsAny(domain, "@,;:<>()[]\"\\ ") || strings.ContainsAny(user, "@,;:<>()[]\"\\ ") {
		t.Errorf("EmailKey(%+q) = %+q, which is no bare address", address, key)
	}
	if strings.ContainsFunc(key, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }) {
		t.Errorf("EmailKey(%+q) = %+q with a control character or a space", address, key)
	}
	for _, spelling := range []string{strings.ToUpper(key), " " + address + "\n"} {
		// Not every letter survives the way to upper case and back (ı, İ and
		// digraphs do not), so only ASCII has to.
		if spelling != strings.ToValidUTF8(spelling, "") || !isASCII(key) || len(spelling) > 1000 {
			continue
		}
		if other, err := usher.EmailKey(spelling); err != nil || other != key {
			t.Errorf("EmailKey(%+q) = %+q, but EmailKey(%+q) = %+q, %v", address, key, spelling, other, err)
		}
	}
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c > unicode.MaxASCII })
}

func FuzzEmailKey(f *testing.F) {
	for _, address := range []string{
		"ann@example.com", "Ann@Example.COM", "ａ＠ｂ．ｃ", "a@stra\u00dfe.example", "a@xn--strae-oqa.example", "\uab70@example.com",
		"e\u0301\u0323@example.com", "\u0345\u0301a@example.com", "a@\u0627\u0644.example", "a@xn--a.example", "\u1e9e@example.com",
		"a@\u05d0-1.example", "a@\u0e33\u0e33.example", "\ufdfa@example.com", "a..b@example.com", "a@b@c", "\"a\"@example.com", "\xff@example.com",
	} {
		f.Add(address)
	}
	f.Fuzz(checkEmailKey)
}
