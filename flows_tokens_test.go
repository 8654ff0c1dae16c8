package usher_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"

	"github.com/golang-jwt/jwt/v5"
)

// oneSecret is what a deployment has that signs everything with one secret, as
// FastAPI Users' documentation does: nothing but their purpose tells tokens apart.
func oneSecret(_ testing.TB, s *site, c *usher.Config[User]) {
	c.Secret, c.VerifySecret, c.ResetSecret = nil, linkSecret, linkSecret
	s.jwt.Keys = []usher.Key{usher.SecretKey("", linkSecret)}
}

// A token of one kind is never good as another: every kind at every place, with
// one secret for all (E10, G1, KNOWN-FLAWS 49, 82).
func TestS_E10_EveryTokenForOnePurpose(t *testing.T) {
	t.Parallel()
	x := newFlows(t, oneSecret, configured(func(c *usher.Config[User]) { c.Registration.Closed = true }))
	kinds := map[string]func(t testing.TB, u *User) string{
		"access JWT": func(t testing.TB, u *User) string { return x.login(t, "jwt", u.Email) },
		"session":    func(t testing.TB, u *User) string { return x.login(t, "bearer-db", u.Email) },
		"verify":     func(t testing.TB, u *User) string { return x.verifyToken(t, u.Email) },
		"reset":      func(t testing.TB, u *User) string { return x.resetToken(t, u.Email) },
		"email": func(t testing.TB, u *User) string {
			return x.emailToken(t, x.signedIn(t, "jwt", u.Email), "new"+u.Email)
		},
		"invite": func(t testing.TB, u *User) string {
			return must(x.auth.NewInvitation(t.Context(), "invited"+u.Email, time.Hour))
		},
		"FastAPI Users' verify": func(t testing.TB, u *User) string {
			return fastAPIToken(t, linkSecret, "fastapi-users:verify", jwt.MapClaims{"sub": u.ID, "email": u.Email})
		},
		"FastAPI Users' reset": func(t testing.TB, u *User) string {
			return fastAPIToken(t, linkSecret, "fastapi-users:reset", jwt.MapClaims{"sub": u.ID, "password_fgpt": hashOf(t, u.HashedPassword)})
		},
		// What FastAPI Users signs besides: the state of a sign-in at a provider.
		"FastAPI Users' OAuth state": func(t testing.TB, u *User) string {
			return fastAPIToken(t, linkSecret, "fastapi-users:oauth-state", jwt.MapClaims{"sub": u.ID, "email": u.Email})
		},
		"everything but the purpose": func(t testing.TB, u *User) string {
			return fastAPIToken(t, linkSecret, "somebody else", jwt.MapClaims{"sub": u.ID, "email": u.Email, "password_fgpt": hashOf(t, u.HashedPassword)})
		},
	}
	type m = map[string]any
	places := map[string]struct {
		try      func(t testing.TB, u *User, token string) answer
		accepted []string // the kinds
		status   int      // of a refusal
		code     string
	}{
		"POST /auth/verify":         {func(t testing.TB, _ *User, token string) answer { return x.verify(t, token) }, []string{"verify", "FastAPI Users' verify"}, 400, "VERIFY_USER_BAD_TOKEN"},
		"POST /auth/reset-password": {func(t testing.TB, _ *User, token string) answer { return x.reset(t, token, "the new password") }, []string{"reset", "FastAPI Users' reset"}, 400, "RESET_PASSWORD_BAD_TOKEN"},
		"POST /auth/confirm-email":  {func(t testing.TB, _ *User, token string) answer { return x.confirm(t, token) }, []string{"email"}, 400, "VERIFY_USER_BAD_TOKEN"},
		"POST /auth/register": {func(t testing.TB, u *User, token string) answer {
			return x.send(t, "POST", "/auth/register", m{"email": "invited" + u.Email, "password": goodPassword, "invitation": token})
		}, []string{"invite"}, 400, "REGISTER_BAD_INVITATION"},
		"bearer": {func(t testing.TB, _ *User, token string) answer {
			return x.send(t, "GET", "/users/me", nil, "Authorization: Bearer "+token)
		}, []string{"access JWT", "session"}, 401, "Unauthorized"},
		"cookie of JWTs": {func(t testing.TB, _ *User, token string) answer {
			return x.send(t, "GET", "/users/me", nil, "Cookie: ck_jwt="+token)
		}, []string{"access JWT"}, 401, "Unauthorized"},
		"cookie of sessions": {func(t testing.TB, _ *User, token string) answer {
			return x.send(t, "GET", "/users/me", nil, "Cookie: ck_db="+token)
		}, []string{"session"}, 401, "Unauthorized"},
	}
	used := map[string]bool{}
	for place, p := range places {
		for kind, mint := range kinds {
			u := x.add(t, strings.ToLower(string(usher.NewID()))+"@example.com", asUnverified)
			token := mint(t, u)
			before := x.dump(t)
			a := p.try(t, u, token)
			if slices.Contains(p.accepted, kind) {
				used[kind] = true
				if a.status != 200 && a.status != 201 {
					t.Errorf("%s with %s: %d %s, want it accepted", place, kind, a.status, a.body)
				}
				continue
			}
			a.wantDetail(t, p.status, p.code)
			if x.dump(t) != before {
				t.Errorf("%s with %s changes something", place, kind)
			}
			if t.Failed() {
				t.Fatalf("%s with %s", place, kind)
			}
		}
	}
	if len(used) != len(kinds)-2 {
		t.Errorf("good at some place: %q", slices.Sorted(maps.Keys(used)))
	}
}

// What is no token matches nobody, whatever its type (G7, CVE-2019-16109,
// CVE-2013-0233).
func TestS_G7_BlankTokens(t *testing.T) {
	t.Parallel()
	x := newFlows(t, configured(func(c *usher.Config[User]) { c.Registration.Closed = true }))
	x.add(t, "ann@example.com", asUnverified)
	x.add(t, "blank@example.com", asUnverified, withoutPassword)
	session := x.login(t, "bearer-db", "ann@example.com")
	x.sent(t)
	type m = map[string]any
	for _, route := range []struct {
		path, member string
		body         m
		code         string
		none         string // the code when the member is blank or absent; empty: a 422
	}{
		{"/auth/verify", "token", m{}, "VERIFY_USER_BAD_TOKEN", ""},
		{"/auth/confirm-email", "token", m{}, "VERIFY_USER_BAD_TOKEN", ""},
		{"/auth/reset-password", "token", m{"password": "the new password"}, "RESET_PASSWORD_BAD_TOKEN", ""},
		{"/auth/register", "invitation", m{"email": "eve@example.com", "password": goodPassword}, "REGISTER_BAD_INVITATION", "REGISTER_CLOSED"},
	} {
		before := x.dump(t)
		try := func(value any) answer {
			body := maps.Clone(route.body)
			body[route.member] = value
			return x.send(t, "POST", route.path, body).wantSecureHeaders(t)
		}
		for _, text := range []string{
			" ", "null", "0", "undefined", ".", "..", "...", "a.b.c", "e30.e30.", "e30.e30.e30", "\x00", "\n", "😀", "'", "%00", "../../etc/passwd",
			strings.Repeat("a", 5000), strings.Repeat(".", 5000), strings.Repeat("A", 43), session, "Bearer " + session,
		} {
			if try(text).wantDetail(t, 400, route.code); t.Failed() {
				t.Fatalf("%s with %.20q", route.path, text)
			}
		}
		for _, value := range []any{0, 1, -1, 1.5, true, false, []any{}, []any{""}, []any{nil}, m{}, m{"token": ""}, m{"$ne": ""}} {
			if try(value).wantInvalid(t, "body."+route.member); t.Failed() {
				t.Fatalf("%s with %v", route.path, value)
			}
		}
		absent := x.send(t, "POST", route.path, route.body)
		null := try(nil)
		blank := try("")
		if route.none == "" {
			absent.wantInvalid(t, "body."+route.member)
			null.wantInvalid(t, "body."+route.member)
			blank.wantDetail(t, 400, route.code)
		} else {
			absent.wantDetail(t, 403, route.none)
			null.wantDetail(t, 403, route.none)
			blank.wantDetail(t, 403, route.none)
		}
		if x.dump(t) != before {
			t.Errorf("%s changes something", route.path)
		}
	}
	// And a password that is none, with a good token, sets none.
	token := x.resetToken(t, "ann@example.com")
	before := x.dump(t)
	for _, none := range []any{nil, 0, false, []any{}, m{}} {
		x.send(t, "POST", "/auth/reset-password", m{"token": token, "password": none}).wantInvalid(t, "body.password")
	}
	x.send(t, "POST", "/auth/reset-password", m{"token": token}).wantInvalid(t, "body.password")
	x.reset(t, token, "").want(t, 400)
	if x.dump(t) != before {
		t.Error("no password changes something")
	}
}
