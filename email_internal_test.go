package usher

import (
	"strings"
	"testing"
	"unicode"
)

// What is stored is what was typed, but for the space around it and the spelling
// of the domain, and has the same key.
func TestStoredEmail(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typed, stored string }{
		{"Ann.B+C@Example.COM", "Ann.B+C@example.com"},
		{" \tann@example.com\r\n", "ann@example.com"},
		{"STRAẞE@STRASSE.example", "STRAẞE@strasse.example"},
		{"cafe\u0301@bu\u0308cher.example", "caf\u00e9@b\u00fccher.example"},
		{"a@XN--BCHER-KVA.EXAMPLE", "a@b\u00fccher.example"},
		{"ａ@ｅｘａｍｐｌｅ．com", "ａ@example.com"},
		{"\uab70@example.com", "\uab70@example.com"},
		{"m\u0130ke@example.com", "m\u0130ke@example.com"},
		{"POSTMASTER@example.com", "postmaster@example.com"}, // RFC 2142
		{"Info@Example.com", "info@example.com"},
		{"Info.x@example.com", "Info.x@example.com"},
		{"ＩＮＦＯ@example.com", "ＩＮＦＯ@example.com"},
		{"a@STRA\u1e9eE.example", "a@stra\u00dfe.example"},
		{"a@l\u00b7l.example", "a@l\u00b7l.example"},
		{"a@\u30a2\u30fb\u30a4.example", "a@\u30a2\u30fb\u30a4.example"},
		{"\ufb01@stra\u00dfe.example", "\ufb01@stra\u00dfe.example"},
	} {
		stored, key, err := parseEmail(test.typed)
		if err != nil || stored != test.stored {
			t.Errorf("parseEmail(%+q) = %+q, %v, want %+q", test.typed, stored, err, test.stored)
		}
		again, sameKey, err := parseEmail(stored)
		if err != nil || again != stored || sameKey != key {
			t.Errorf("parseEmail(%+q) = %+q, key %+q, %v, but it was stored under %+q", stored, again, sameKey, err, key)
		}
	}
}

// A search finds what begins so, and takes no ß of a domain for ss.
func TestSearchKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ typed, address string }{
		{"An", "ann@example.com"}, {"ANN@", "ann@example.com"}, {"ann@EXA", "ann@example.com"}, {"ann@example.c", "ann@example.com"}, {" Ann@example.com ", "ann@example.com"},
		{"a@Stra\u00dfe", "a@stra\u00dfe.example"}, {"a@Stra\u00dfe.Exam", "a@stra\u00dfe.example"}, {"a@xn--strae-oqa.example", "a@stra\u00dfe.example"}, {"Stra\u00dfe@", "strasse@example.com"},
	} {
		if key, err := EmailKey(test.address); err != nil || !strings.HasPrefix(key, searchKey(test.typed)) {
			t.Errorf("%q does not find %q, %v: %q", test.typed, test.address, err, searchKey(test.typed))
		}
	}
	if strings.HasPrefix("a@strasse.example", searchKey("a@stra\u00dfe")) {
		t.Error("ß finds ss")
	}
}

func FuzzStoredEmail(f *testing.F) {
	for _, address := range []string{"Ann@Example.COM", "ａ@ｂ．ｃ", "a＠b.c", "a@stra\u00dfe.example", "e\u0301\u0323@x.example", "\u2126@x.example", " a@b.c\n", "a@b.c\r\nBcc: d@e.f"} {
		f.Add(address)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		stored, key, err := parseEmail(typed)
		if err != nil {
			if stored != "" || key != "" {
				t.Errorf("parseEmail(%+q) = %+q, %+q beside %v", typed, stored, key, err)
			}
			return
		}
		if again, sameKey, err := parseEmail(stored); err != nil || again != stored || sameKey != key {
			t.Errorf("parseEmail(%+q) = %+q, %+q, and of that %+q, %+q, %v", typed, stored, key, again, sameKey, err)
		}
		// A mail header takes it as it is.
		if strings.Count(stored, "@") != 1 || strings.ContainsAny(stored, ",;:<>()[]\"\\ ") || strings.ContainsFunc(stored, func(c rune) bool { return unicode.IsControl(c) || unicode.IsSpace(c) }) {
			t.Errorf("parseEmail(%+q) would store %+q", typed, stored)
		}
	})
}
