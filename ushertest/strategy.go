package ushertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
)

// TestStrategy proves that a Strategy keeps its contract, and that of a
// SessionManager if it is one.
//
// newStrategy is called for each part of the suite. It returns a strategy that
// goes by the clock, which shows about the present, and a function that makes a
// user; nil if any id will do.
//
//	ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
//		return &usher.JWT{Keys: keys, Now: clock.Now}, nil
//	})
func TestStrategy(t *testing.T, newStrategy func(t *testing.T, clock *Clock) (strategy usher.Strategy, newUser func(t *testing.T) usher.ID)) {
	for _, part := range []struct {
		name string
		test func(*strategySuite)
	}{
		{"round trip", (*strategySuite).roundTrip},
		{"restrictions", (*strategySuite).restrictions},
		{"unique tokens", (*strategySuite).uniqueTokens},
		{"altered tokens", (*strategySuite).alteredTokens},
		{"expiry", (*strategySuite).expiry},
		{"destroy", (*strategySuite).destroy},
		{"at once", (*strategySuite).atOnce},
		{"cancelled context", (*strategySuite).cancelled},
		{"sessions", (*strategySuite).sessions},
		{"expired sessions", (*strategySuite).expiredSessions},
	} {
		t.Run(part.name, func(t *testing.T) {
			// Not on a full second: tokens often count in seconds.
			clock := NewClock(time.Now().Truncate(time.Second).Add(345 * time.Millisecond))
			strategy, newUser := newStrategy(t, clock)
			if newUser == nil {
				newUser = anyUser
			}
			part.test(&strategySuite{T: t, ctx: t.Context(), clock: clock, strategy: strategy, newUser: func() usher.ID { return newUser(t) }})
		})
	}
}

type strategySuite struct {
	*testing.T
	ctx      context.Context
	clock    *Clock
	strategy usher.Strategy
	newUser  func() usher.ID
}

// signIn writes a token for a sign-in that happened a moment ago.
func (s *strategySuite) signIn(user usher.ID) (token string, a usher.Authentication) {
	s.Helper()
	a = usher.Authentication{
		UserID: user, Methods: []string{"pwd", "otp"}, AuthTime: s.clock.Now().Add(-3 * time.Second),
		IP: "192.0.2.1", UserAgent: "test", Generation: 7,
	}
	token, err := s.strategy.WriteToken(s.ctx, &a)
	if err != nil {
		s.Fatalf("WriteToken: %v", err)
	}
	return token, a
}

// read is ReadToken, but a panic is an error.
func (s *strategySuite) read(token string) (a usher.Authentication, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.strategy.ReadToken(s.ctx, token)
}

func (s *strategySuite) destroyToken(token string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return s.strategy.DestroyToken(s.ctx, token)
}

func (s *strategySuite) good(what, token string) usher.Authentication {
	s.Helper()
	a, err := s.read(token)
	if err != nil {
		s.Errorf("%s: ReadToken: %v, want no error", what, err)
	}
	return a
}

func (s *strategySuite) bad(what, token string) {
	s.Helper()
	a, err := s.read(token)
	if !errors.Is(err, usher.ErrInvalidToken) {
		s.Errorf("%s: ReadToken: user %q and error %v, want %v", what, a.UserID, err, usher.ErrInvalidToken)
	}
	if err != nil && a.UserID != "" {
		s.Errorf("%s: ReadToken: user %q beside an error", what, a.UserID)
	}
}

// sameSecond: tokens may count in seconds.
func sameSecond(a, b time.Time) bool { return a.Sub(b).Abs() < time.Second }

func (s *strategySuite) roundTrip() {
	user, other := s.newUser(), s.newUser()
	token, a := s.signIn(user)
	otherToken, b := s.signIn(other)
	s.clock.Advance(time.Millisecond)
	for _, want := range []struct {
		token string
		a     usher.Authentication
		user  usher.ID
	}{{token, a, user}, {otherToken, b, other}, {token, a, user}} {
		got := s.good("a new token", want.token)
		if got.UserID != want.user || want.a.UserID != want.user {
			s.Errorf("ReadToken: user %q, WriteToken left %q, want %q", got.UserID, want.a.UserID, want.user)
		}
		if !slices.Equal(got.Methods, []string{"pwd", "otp"}) {
			s.Errorf("ReadToken: methods %q, want %q", got.Methods, []string{"pwd", "otp"})
		}
		if !sameSecond(got.AuthTime, want.a.AuthTime) {
			s.Errorf("ReadToken: proved at %s, want %s", shorten(got.AuthTime), shorten(want.a.AuthTime))
		}
		if got.Generation != 0 && got.Generation != want.a.Generation {
			s.Errorf("ReadToken: generation %d, want %d, or 0 from a strategy that does not keep it", got.Generation, want.a.Generation)
		}
		if got.Scopes != nil {
			s.Errorf("ReadToken: scopes %q of a sign-in without restriction, want nil", got.Scopes)
		}
		if got.SessionID != want.a.SessionID {
			s.Errorf("ReadToken: session %q, but WriteToken said %q", got.SessionID, want.a.SessionID)
		}
		if !sameSecond(got.ExpiresAt, want.a.ExpiresAt) {
			s.Errorf("ReadToken: expires at %s, but WriteToken said %s", shorten(got.ExpiresAt), shorten(want.a.ExpiresAt))
		}
		if !got.IssuedAt.IsZero() && !sameSecond(got.IssuedAt, s.clock.Now()) {
			s.Errorf("ReadToken: issued at %s, the clock showed %s", shorten(got.IssuedAt), shorten(s.clock.Now()))
		}
		if !got.ExpiresAt.IsZero() && !got.ExpiresAt.After(s.clock.Now()) {
			s.Errorf("ReadToken: a new token expires at %s, the clock shows %s", shorten(got.ExpiresAt), shorten(s.clock.Now()))
		}
	}
	if a.SessionID != "" && a.SessionID == b.SessionID {
		s.Errorf("WriteToken: two sign-ins with the same session id %q", a.SessionID)
	}

	got := s.good("a new token", token)
	if len(got.Methods) > 0 {
		got.Methods[0] = "vandal"
		if again := s.good("a token read twice", token); !slices.Equal(again.Methods, a.Methods) {
			s.Errorf("ReadToken, after a reader changed what it got: methods %q, want %q", again.Methods, a.Methods)
		}
	}
}

// restrictions: nil scopes mean no restriction, so a token that lost its scopes
// could do more than it was written for. Who cannot keep them must not write it.
func (s *strategySuite) restrictions() {
	for _, scopes := range [][]string{{}, {"read"}, {"read", "write:all"}} {
		a := usher.Authentication{UserID: s.newUser(), Methods: []string{"pwd"}, AuthTime: s.clock.Now(), Scopes: scopes}
		token, err := s.strategy.WriteToken(s.ctx, &a)
		if err != nil {
			continue
		}
		if got := s.good("a token with scopes", token); got.Scopes == nil || !slices.Equal(got.Scopes, scopes) {
			s.Errorf("ReadToken: scopes %#v, want %#v", got.Scopes, scopes)
		}
	}
}

func (s *strategySuite) uniqueTokens() {
	user := s.newUser()
	seen := map[string]bool{}
	for range 200 { // at the same moment, for the same user
		token, _ := s.signIn(user)
		if seen[token] {
			s.Fatalf("WriteToken wrote the same token twice: logging one of them out would end the other, or neither")
		}
		seen[token] = true
		if i := strings.IndexFunc(token, func(c rune) bool { return !isToken68(c) }); token == "" || i >= 0 {
			s.Fatalf("WriteToken: %s: want only letters, digits and -._~+/=, which headers and cookies carry unchanged (RFC 6750 §2.1)", shorten(token))
		}
	}
}

// isToken68 knows the alphabet of RFC 9110 §11.2.
func isToken68(c rune) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("-._~+/=", c)
}

func (s *strategySuite) alteredTokens() {
	user := s.newUser()
	token, a := s.signIn(user)
	other, _ := s.signIn(s.newUser())
	problems := 0
	for what, altered := range alterations(token, other) {
		if altered == token || altered == other {
			continue
		}
		if s.Failed() {
			if problems++; problems == 5 {
				s.Fatal("and so on")
			}
		}
		what = fmt.Sprintf("a token with %s", what)
		s.bad(what, altered)
		if err := s.destroyToken(altered); !errors.Is(err, usher.ErrInvalidToken) && !errors.Is(err, usher.ErrNotRevocable) {
			s.Errorf("%s: DestroyToken: error %v, want %v or %v", what, err, usher.ErrInvalidToken, usher.ErrNotRevocable)
		}
	}
	if a.SessionID != "" {
		s.bad("the public session id", a.SessionID)
	}
	s.bad("the user's id", string(user))
	s.good("the token itself", token)
	s.good("another token", other)
}

// alterations are tokens that are almost good, and strings that are none.
func alterations(token, other string) map[string]string {
	all := map[string]string{
		"nothing in it": "", "a space for it": " ", "dots for it": "..", "null for it": "null",
		"a NUL for it": "\x00", "invalid UTF-8 for it": "\xff\xfe\xfd", "a JSON object for it": "{}",
		"1 MiB of letters for it": strings.Repeat("a", 1<<20), "1 MiB of dots for it": strings.Repeat(".", 1<<20),
		"1 MiB behind it":     token + strings.Repeat("A", 1<<20),
		"itself behind it":    token + token,
		"another behind it":   token + other,
		"only its first half": token[:len(token)/2], "only its second half": token[len(token)/2:],
		"its halves swapped":        token[len(token)/2:] + token[:len(token)/2],
		"another token's last half": token[:len(token)/2] + other[min(len(token)/2, len(other)):],
		"capitals only":             strings.ToUpper(token), "small letters only": strings.ToLower(token),
		"a scheme before it": "Bearer " + token, "quotes around it": `"` + token + `"`,
		"its first byte percent-encoded": fmt.Sprintf("%%%02X", token[0]) + token[1:],
	}
	for _, c := range []string{" ", "\n", "\r\n", "\t", "\x00", ".", "=", "==", "a", "A", "*", "%", "é"} {
		all[fmt.Sprintf("%q behind it", c)] = token + c
		all[fmt.Sprintf("%q before it", c)] = c + token
		all[fmt.Sprintf("%q in its middle", c)] = token[:len(token)/2] + c + token[len(token)/2:]
	}
	for i := range len(token) {
		// Every byte of a short token; of a long one, some and both ends.
		if step := max(1, len(token)/64); i%step != 0 && i > 3 && i < len(token)-4 {
			continue
		}
		before, c, after := token[:i], token[i], token[i+1:]
		for how, replacement := range map[string]string{
			"dropped": "", "doubled": string([]byte{c, c}), "its lowest bit flipped": string([]byte{c ^ 1}),
			"its highest bit flipped": string([]byte{c ^ 0x80}), "its case swapped": string([]byte{swapCase(c)}),
			"a NUL for it": "\x00", "a dot for it": ".", "an A for it": "A", "a dash for it": "-",
		} {
			all[fmt.Sprintf("byte %d of %d: %s", i, len(token), how)] = before + replacement + after
		}
	}
	return all
}

func swapCase(c byte) byte {
	if c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
		return c ^ 0x20
	}
	return c
}
