package oauth

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

var testSecret = []byte("7b1e4f0c9a86d2357e1b4c8f0a93d6e25c7b8d1f")

func testStates(t testing.TB, now func() time.Time) *states {
	t.Helper()
	s, err := newStates(testSecret, time.Hour, now)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestS_H1_State: H1, rows 1, 2, 8, 112.
func TestS_H1_State(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	clock := func() time.Time { return now }
	states := testStates(t, clock)
	sign := func(s state) string {
		t.Helper()
		token, err := states.sign(s)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	signed := func(method jwt.SigningMethod, key any, claims jwt.MapClaims) string {
		t.Helper()
		token, err := jwt.NewWithClaims(method, claims).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	claims := func(changes ...any) jwt.MapClaims {
		c := jwt.MapClaims{"csrftoken": "c", "aud": stateAudience, "exp": now.Unix() + 60, "iss": "/auth/fake"}
		for i := 0; i < len(changes); i += 2 {
			if c[changes[i].(string)] = changes[i+1]; changes[i+1] == nil {
				delete(c, changes[i].(string))
			}
		}
		return c
	}
	good := sign(state{CSRF: "c", Route: "/auth/fake", Subject: "7"})
	for _, test := range []struct {
		name, token, csrf string
		want              error
	}{
		{"good", good, "c", nil},
		{"empty", "", "c", ErrMalformedState},
		{"no cookie", good, "", ErrInvalidState},
		{"another cookie", good, "d", ErrInvalidState},
		{"both empty", sign(state{Route: "/auth/fake"}), "", ErrInvalidState},
		{"another route", sign(state{CSRF: "c", Route: "/auth/other"}), "c", ErrInvalidState},
		{"no route", signed(jwt.SigningMethodHS256, testSecret, claims("iss", nil)), "c", ErrInvalidState},
		{"no csrftoken", signed(jwt.SigningMethodHS256, testSecret, claims("csrftoken", nil)), "c", ErrInvalidState},
		{"csrftoken is a number", signed(jwt.SigningMethodHS256, testSecret, claims("csrftoken", 1)), "1", ErrMalformedState},
		{"another audience", signed(jwt.SigningMethodHS256, testSecret, claims("aud", "fastapi-users:auth")), "c", ErrMalformedState},
		{"no audience", signed(jwt.SigningMethodHS256, testSecret, claims("aud", nil)), "c", ErrMalformedState},
		{"no exp", signed(jwt.SigningMethodHS256, testSecret, claims("exp", nil)), "c", ErrMalformedState},
		{"expired", signed(jwt.SigningMethodHS256, testSecret, claims("exp", now.Unix())), "c", ErrExpiredState},
		{"expired and forged", signed(jwt.SigningMethodHS256, []byte("x"), claims("exp", now.Unix()-9)), "c", ErrMalformedState},
		{"another key", signed(jwt.SigningMethodHS256, []byte("x"), claims()), "c", ErrMalformedState},
		{"HS512", signed(jwt.SigningMethodHS512, testSecret, claims()), "c", ErrMalformedState},
		{"none", signed(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, claims()), "c", ErrMalformedState},
		{"truncated", good[:len(good)-1], "c", ErrMalformedState},
		{"extended", good + "A", "c", ErrMalformedState},
		{"line break", good + "\n", "c", ErrMalformedState},
		{"long", good + strings.Repeat(".", maxState), "c", ErrMalformedState},
	} {
		s, err := states.read(test.token, "/auth/fake", test.csrf)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v, want %v", test.name, err, test.want)
		}
		if test.want == nil && s.Subject != "7" {
			t.Errorf("%s: %+v", test.name, s)
		}
	}
	now = now.Add(time.Hour)
	if _, err := states.read(good, "/auth/fake", "c"); !errors.Is(err, ErrExpiredState) {
		t.Errorf("after an hour: %v", err)
	}
}

// TestS_H2_Verifier: nobody without the secret can make it.
func TestS_H2_Verifier(t *testing.T) {
	t.Parallel()
	states := testStates(t, time.Now)
	s := state{CSRF: newCSRF(), Route: "/auth/fake"}
	verifier, nonce := states.verifier(s), states.nonce(s)
	if raw, err := base64.RawURLEncoding.DecodeString(verifier); err != nil || len(raw) != 32 || len(verifier) != 43 {
		t.Errorf("verifier %q", verifier)
	}
	if verifier == nonce || verifier == s.CSRF {
		t.Error("verifier, nonce and csrf are not three things")
	}
	for name, other := range map[string]state{"route": {CSRF: s.CSRF, Route: "/auth/other"}, "csrf": {CSRF: newCSRF(), Route: s.Route}} {
		if states.verifier(other) == verifier || states.nonce(other) == nonce {
			t.Errorf("another %s has the same verifier or nonce", name)
		}
	}
}

// FuzzState: whatever comes back, nothing panics, and only what was signed passes.
func FuzzState(f *testing.F) {
	now := func() time.Time { return time.Unix(1_767_225_600, 0) }
	states := testStates(f, now)
	good, err := states.sign(state{CSRF: "c", Route: "/auth/fake"})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good, "c")
	f.Add("", "")
	f.Add("..", "c")
	f.Add("eyJhbGciOiJub25lIn0."+strings.Split(good, ".")[1]+".", "c")
	f.Add(strings.Replace(good, ".", "..", 1), "c")
	f.Fuzz(func(t *testing.T, token, csrf string) {
		s, err := states.read(token, "/auth/fake", csrf)
		if err == nil && (token != good || csrf != "c" || s.CSRF != "c") {
			t.Errorf("accepted %q with the cookie %q", token, csrf)
		}
	})
}
