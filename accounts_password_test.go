package usher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"usher"
)

// ValidatePassword sees every new password, after the policy, and its reason is
// the client's answer (A7).
func TestS_A7_ValidatePassword(t *testing.T) {
	t.Parallel()
	var seen []string
	s := newSite(t, configured(func(c *usher.Config[User]) {
		c.Hooks.ValidatePassword = func(_ context.Context, u *User, password string) error {
			seen = append(seen, u.Email+" "+password)
			if strings.Contains(password, "feeble") {
				return usher.InvalidPassword("too common")
			}
			return nil
		}
	}))
	ctx := t.Context()
	err := s.auth.Register(ctx, newUser("ann@example.com"), "feeble one")
	if refusal := wantCode(t, err, "REGISTER_INVALID_PASSWORD"); refusal.Reason != "too common" || refusal.Status != 400 {
		t.Errorf("refusal %+v", refusal)
	}
	u := newUser("ann@example.com")
	if err := s.auth.Register(ctx, u, goodPassword); err != nil {
		t.Fatal(err)
	}
	_, err = s.auth.UpdateUser(ctx, u.ID, usher.Change[User]{Password: new("feeble one"), Email: new("new@example.com")})
	wantCode(t, err, "UPDATE_USER_INVALID_PASSWORD")
	wantCode(t, s.auth.Register(ctx, newUser("cat@example.com"), "short"), "REGISTER_INVALID_PASSWORD") // the policy's
	want := []string{"ann@example.com feeble one", "ann@example.com " + goodPassword, "new@example.com feeble one"}
	if fmt.Sprint(seen) != fmt.Sprint(want) {
		t.Errorf("the hook saw %q, want %q", seen, want)
	}
}

// The policy counts code points, takes everything, and has bounds (A1, A2, A3,
// A4).
func TestS_A1_A4_PasswordPolicy(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) { c.PasswordPolicy = usher.PasswordPolicy{MinLength: 15} }))
	ctx := t.Context()
	for i, test := range []struct {
		password string
		reason   string // empty: good
	}{
		{strings.Repeat("x", 14), "Password should be at least 15 characters"},
		{strings.Repeat("x", 15), ""},
		{strings.Repeat("😀", 14), "Password should be at least 15 characters"}, // 56 bytes
		{strings.Repeat("😀", 15), ""},
		{strings.Repeat("é", 14), "Password should be at least 15 characters"}, // 28 bytes
		{strings.Repeat(" ", 15), ""},
		{strings.Repeat("1", 15), ""},
		{"a b a b a b a b", ""},
		{"пароль-密码-كلمة السر", ""},
		{strings.Repeat("\x00", 15), ""},
		{strings.Repeat("x", 64), ""},
		{strings.Repeat("x", 256), ""},
		{strings.Repeat("x", 1024), ""},
		{strings.Repeat("😀", 256), ""}, // 1024 bytes
		{strings.Repeat("x", 1025), "Password should be at most 1024 bytes"},
		{strings.Repeat("😀", 257), "Password should be at most 1024 bytes"},
		{"", "Password should be at least 15 characters"},
	} {
		email := fmt.Sprintf("user%d@example.com", i)
		err := s.auth.Register(ctx, newUser(email), test.password)
		if test.reason != "" {
			if refusal := wantCode(t, err, "REGISTER_INVALID_PASSWORD"); refusal.Reason != test.reason {
				t.Errorf("password %d: %q, want %q", i, refusal.Reason, test.reason)
			}
			continue
		}
		if err != nil {
			t.Errorf("password %d: %v", i, err)
			continue
		}
		s.send(t, "POST", "/auth/jwt/login", loginForm(email, test.password)).want(t, 200)
	}
}

// A password is verified exactly as it was given: no trimming, no folding, no
// cutting, no normalisation, and a NUL is a character (A3, A5).
func TestS_A5_PasswordsAreExact(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	long := strings.Repeat("0123456789", 7) + "ab" // 72 bytes
	passwords := []string{
		"pass word", " pass word", "pass word ", "Pass word", "pass\tword", "pass\u00a0word", "pass\x00word", "pass word\x00", "pass\x00other", "pass word\r\n",
		"caf\u00e9 caf\u00e9", "cafe\u0301 cafe\u0301", "\ufb01ne as silk", "fine as silk",
		long, long + "c", long + "d", long[:71] + "x", strings.Repeat("x", 1023), strings.Repeat("x", 1024), strings.Repeat("x", 1023) + "y",
		"\x00\x00\x00\x00\x00\x00\x00\x00", "\x00\x00\x00\x00\x00\x00\x00\x00\x00",
	}
	for i, plain := range passwords {
		email := fmt.Sprintf("user%d@example.com", i)
		if err := s.auth.Register(t.Context(), newUser(email), plain); err != nil {
			t.Fatalf("%q: %v", plain, err)
		}
		for _, other := range append([]string{plain + strings.Repeat("x", 1100), plain + "\x00"}, passwords...) {
			_, authn, err := s.auth.Login(t.Context(), "jwt", email, other, usher.Client{})
			if ok := err == nil; ok != (other == plain) {
				t.Errorf("password %q with %q: %v", plain, other, err)
			}
			if (authn.Token != "") != (err == nil) {
				t.Errorf("error %v and the token %q", err, authn.Token)
			}
			if err != nil && !errors.Is(err, usher.ErrBadCredentials) {
				t.Errorf("error %v, want ErrBadCredentials", err)
			}
		}
	}
	// Also over HTTP, in every form.
	email := fmt.Sprintf("user%d@example.com", 6)
	for _, body := range []any{loginForm(email, "pass\x00word"), map[string]any{"username": email, "password": "pass\x00word"}} {
		s.send(t, "POST", "/auth/jwt/login", body).want(t, 200)
	}
	s.send(t, "POST", "/auth/jwt/login", multi("username", email, "password", "pass\x00word"), "Content-Type: multipart/form-data; boundary=X").want(t, 200)
}

// Two users with the same password have different hashes (A11).
func TestS_A11_SaltsAreFresh(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	seen := map[string]bool{}
	for i := range 50 {
		u := newUser(fmt.Sprintf("user%d@example.com", i))
		if err := s.auth.Register(t.Context(), u, goodPassword); err != nil {
			t.Fatal(err)
		}
		seen[u.HashedPassword] = true
	}
	if len(seen) != 50 {
		t.Errorf("50 users have %d hashes", len(seen))
	}
}

// An account without a password lets nobody in, with whatever password (A14).
func TestS_A14_AccountWithoutPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := newUser("ann@example.com")
	u.IsActive = true
	if err := s.auth.CreateUserWithoutPassword(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	for _, plain := range []string{"", " ", "!", "\x00", "null", u.HashedPassword, goodPassword, strings.Repeat("x", 2000)} {
		if _, _, err := s.auth.Login(t.Context(), "jwt", "ann@example.com", plain, usher.Client{}); !errors.Is(err, usher.ErrBadCredentials) {
			t.Errorf("with %.20q: %v, want ErrBadCredentials", plain, err)
		}
	}
}
