package usher_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"

	"usher"
)

// What ends all sign-ins ends JWTs too, and nothing else does: nobody is signed
// out by a new address, or by a way to sign in that comes or goes (E17, C5, C7,
// C8, G10).
func TestS_E17_WhatEndsJWTs(t *testing.T) {
	t.Parallel()
	nothing := func(context.Context) error { return nil }
	changes := func(c usher.Change[User]) func(*site, *User) error {
		return func(s *site, u *User) error {
			_, err := s.auth.UpdateUser(t.Context(), u.ID, c)
			return err
		}
	}
	for name, test := range map[string]struct {
		change      func(*site, *User) error
		lives, kept bool // without and with InsecureKeepSessions
	}{
		"nothing":              {func(*site, *User) error { return nil }, true, true},
		"the same address":     {changes(usher.Change[User]{Email: new("ANN@example.com")}), true, true},
		"another address":      {changes(usher.Change[User]{Email: new("new@example.com")}), true, true},
		"a flag":               {changes(usher.Change[User]{IsVerified: new(false), IsSuperuser: new(true)}), true, true},
		"another field":        {changes(usher.Change[User]{Set: func(u *User) { u.Plan = "gold" }}), true, true},
		"the password":         {changes(usher.Change[User]{Password: new("another password")}), false, true},
		"password and address": {changes(usher.Change[User]{Password: new("another password"), Email: new("new@example.com")}), false, true},
		"deactivated and back": {func(s *site, u *User) error {
			return errors.Join(changes(usher.Change[User]{IsActive: new(false)})(s, u), changes(usher.Change[User]{IsActive: new(true)})(s, u))
		}, false, false},
		"another way to sign in": {func(s *site, u *User) error { _, err := s.auth.ChangeSignIn(t.Context(), u, nothing); return err }, true, true},
		"claimed":                {func(s *site, u *User) error { _, err := s.auth.ClaimUser(t.Context(), u, nothing); return err }, false, false},
		"sessions revoked":       {func(s *site, u *User) error { _, err := s.auth.RevokeSessions(t.Context(), u.ID, ""); return err }, true, true},
	} {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprint(name, keep), func(t *testing.T) {
				t.Parallel()
				s := newSite(t, configured(func(c *usher.Config[User]) { c.InsecureKeepSessions = keep }))
				ann := s.add(t, "ann@example.com", asUnverified)
				s.add(t, "bob@example.com")
				one, two, bob := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "cookie-jwt", "ann@example.com"), s.signedIn(t, "jwt", "bob@example.com")
				s.wantAlive(t, "before", one, true) // and the cache is warm
				if err := test.change(s, ann); err != nil {
					t.Fatal(err)
				}
				alive := test.lives || keep && test.kept
				s.wantAlive(t, "a bearer", one, alive)
				s.wantAlive(t, "a cookie", two, alive)
				s.wantAlive(t, "of somebody else", bob, true)
				authn, err := s.auth.SignIn(t.Context(), "jwt", s.stored(t, ann.ID), []string{"pwd"}, usher.Client{})
				if err != nil {
					t.Fatal(err)
				}
				s.wantAlive(t, "a new one", carrying("jwt", authn.Token), true)
			})
		}
	}
}

// Each generation ends the one before it, and none comes back.
func TestS_E17_Generations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	var tokens []string
	for i := range 3 {
		authn, err := s.auth.SignIn(t.Context(), "jwt", s.stored(t, ann.ID), []string{"pwd"}, usher.Client{})
		if err != nil || authn.Generation != int64(i+1) {
			t.Fatalf("generation %d, %v, want %d", authn.Generation, err, i+1)
		}
		for _, old := range tokens {
			s.wantAlive(t, "an old token", carrying("jwt", old), false)
		}
		s.wantAlive(t, "the new token", carrying("jwt", authn.Token), true)
		tokens = append(tokens, authn.Token)
		if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{Password: new(fmt.Sprintf("password %d", i))}); err != nil {
			t.Fatal(err)
		}
	}
}

// A token that does not say its generation lives until it expires: FastAPI
// Users' own, those of other programs with the same key, a strategy of one's own.
func TestTokensWithoutGeneration(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	foreign := carrying("jwt", must(s.jwt.WriteToken(t.Context(), &usher.Authentication{UserID: ann.ID})))
	s.wantAlive(t, "before", foreign, true)
	if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{Password: new("another password")}); err != nil {
		t.Fatal(err)
	}
	s.wantAlive(t, "after a password change", foreign, true)
	for jti, want := range map[string]int64{
		"g7.x": 7, "g12.": 12, "": 0, "7.x": 0, "g7": 0, "gg7.x": 0, "g0.x": 0, "g-1.x": 0, "g+7.x": 0, "g07.x": 0, "g9223372036854775808.x": 0,
	} {
		if a := accepts(t, "jti "+jti, hs256(), signed(plainHeader, claims("jti", strconv.Quote(jti)))); a.Generation != want {
			t.Errorf("jti %q: generation %d, want %d", jti, a.Generation, want)
		}
	}
}

// A JWT that has ended does not stand before a session that has not.
func TestEndedJWTBesideASession(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	jwt := s.signedIn(t, "jwt", "ann@example.com")
	if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{Password: new("another password")}); err != nil {
		t.Fatal(err)
	}
	session := carrying("cookie", s.send(t, "POST", "/auth/cookie/login", loginForm("ann@example.com", "another password")).token("cookie"))
	s.send(t, "GET", "/users/me", nil, jwt, session).want(t, 200)
	s.send(t, "GET", "/users/me", nil, jwt).want(t, 401)
}
