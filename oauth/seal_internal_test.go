package oauth

import (
	"bytes"
	"testing"
)

// TestS_H12_Seal: what is stored opens with its key, for its account and purpose,
// and else not.
func TestS_H12_Seal(t *testing.T) {
	t.Parallel()
	old := Key{ID: "old", Secret: []byte("Q7v!x2Lp9#mZ4rT8wB1nK6cY3hF5jD0s")}
	fresh := Key{ID: "new", Secret: []byte("a0S8d$7fG6h!J5kL4z@X3c%V2b^N1m&Q")}
	sealers := map[string]*sealer{}
	for name, keys := range map[string][]Key{"old": {old}, "new": {fresh, old}, "other": {fresh}, "none": nil, "same id": {{"old", fresh.Secret}}} {
		if err := checkKeys(keys); err != nil {
			t.Fatal(err)
		}
		s, err := newSealer(keys)
		if err != nil {
			t.Fatal(err)
		}
		sealers[name] = s
	}
	f := sealedFor{"access", "fake", "1"}
	sealed := sealers["old"].seal("ya29.secret", f)
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("the token is in clear")
	}
	if again := sealers["old"].seal("ya29.secret", f); bytes.Equal(again, sealed) {
		t.Error("the same token is sealed to the same bytes")
	}
	for _, name := range []string{"old", "new"} { // a rotated key opens on
		if token, err := sealers[name].open(sealed, f); token != "ya29.secret" || err != nil {
			t.Errorf("keys %s: %q, %v", name, token, err)
		}
	}
	for _, name := range []string{"other", "none", "same id"} {
		if token, err := sealers[name].open(sealed, f); err == nil {
			t.Errorf("keys %s open it: %q", name, token)
		}
	}
	for _, other := range []sealedFor{{"refresh", "fake", "1"}, {"access", "other", "1"}, {"access", "fake", "2"}} {
		if _, err := sealers["old"].open(sealed, other); err == nil {
			t.Errorf("opens for %+v", other)
		}
	}
	for i := range sealed {
		broken := bytes.Clone(sealed)
		broken[i] ^= 1
		if _, err := sealers["old"].open(broken, f); err == nil {
			t.Errorf("opens with byte %d changed", i)
		}
		if _, err := sealers["old"].open(sealed[:i], f); err == nil && i > 0 {
			t.Errorf("opens with %d bytes", i)
		}
	}
	if sealers["none"].seal("x", f) != nil || sealers["old"].seal("", f) != nil {
		t.Error("something was sealed without keys, or nothing was")
	}
}

func TestCheckKeys(t *testing.T) {
	t.Parallel()
	good := []byte("Q7v!x2Lp9#mZ4rT8wB1nK6cY3hF5jD0s")
	for name, keys := range map[string][]Key{
		"no id":   {{"", good}},
		"long id": {{"012345678901234567890123456789012", good}},
		"twice":   {{"a", good}, {"a", good}},
		"short":   {{"a", good[:31]}},
		"long":    {{"a", append([]byte("x"), good...)}},
		"weak":    {{"a", bytes.Repeat([]byte("a"), 32)}},
	} {
		if checkKeys(keys) == nil {
			t.Errorf("%s: no fault", name)
		}
	}
}
