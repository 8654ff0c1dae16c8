package usher_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"

	"github.com/golang-jwt/jwt/v5"
)

// A link sets a new password, once. It does not sign in, verify or activate, and
// the user is told (G2, G6, G8, C14, B11).
func TestS_G8_Reset(t *testing.T) {
	t.Parallel()
	var hooks []string
	x := newFlows(t, configured(func(c *usher.Config[User]) {
		c.Hooks.AfterResetPassword = func(_ context.Context, u *User) { hooks = append(hooks, u.Email) }
	}))
	ann := x.add(t, "Ann@example.com", asUnverified, func(u *User) { u.Plan, u.FirstName = "gold", new("Ann") })
	bob := x.add(t, "bob@example.com")
	older, token := x.resetToken(t, "Ann@example.com"), x.resetToken(t, "Ann@example.com")
	if got := x.stored(t, ann.ID); got.HashedPassword != ann.HashedPassword || got.Epoch != ann.Epoch {
		t.Errorf("asking for a link changes the user: %+v", got)
	}
	x.sent(t)
	for _, method := range []string{"GET", "HEAD", "PUT"} {
		x.send(t, method, "/auth/reset-password?token="+token, nil).want(t, 405)
	}
	a := x.reset(t, token, "the new password").want(t, 200).wantSecureHeaders(t)
	if a.body != "null" || a.header.Values("Set-Cookie") != nil {
		t.Errorf("the answer is %s", a.everything())
	}
	got := x.stored(t, ann.ID)
	if got.IsVerified || !got.IsActive || got.IsSuperuser || got.Plan != "gold" || *got.FirstName != "Ann" || got.Email != "Ann@example.com" || got.Epoch <= ann.Epoch {
		t.Errorf("the user is %+v now", got)
	}
	if n := x.sessionRows(t); n != 0 {
		t.Errorf("%d sessions", n)
	}
	x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "the new password")).want(t, 200)
	x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", goodPassword)).want(t, 400)
	sameUser(t, "another's reset", x.stored(t, bob.ID), bob)
	if got := x.sent(t); !slices.Equal(got, []string{"password_changed Ann@example.com"}) {
		t.Errorf("mails %q", got)
	}
	// Once, and an older link is worth nothing either (G4).
	for _, used := range []string{token, older} {
		x.reset(t, used, "an attacker's password").wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN")
	}
	if got := x.sent(t); len(got) != 0 || !slices.Equal(hooks, []string{"Ann@example.com"}) {
		t.Errorf("mails %q, AfterResetPassword for %q", got, hooks)
	}
	x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "the new password")).want(t, 200)
	// A bad password uses nothing up.
	token = x.resetToken(t, "Ann@example.com")
	x.reset(t, token, "short").wantReason(t, "RESET_PASSWORD_INVALID_PASSWORD", "Password should be at least 8 characters")
	x.reset(t, token, "my ann@EXAMPLE.com").wantReason(t, "RESET_PASSWORD_INVALID_PASSWORD", "Password should not contain e-mail")
	x.reset(t, token, "another password").want(t, 200)
}

// What ends a link that sets a password (G3, G4, DEFECTS F).
func TestDefect_F_ResetTokensEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps        []step
		own, foreign int // status
	}{
		"nothing":                      {nil, 200, 200},
		"another field":                {steps(change(usher.Change[User]{Set: func(u *User) { u.Plan = "gold" }, IsSuperuser: new(true)})), 200, 200},
		"verified":                     {steps(change(usher.Change[User]{IsVerified: new(true)})), 200, 200},
		"the address in another case":  {steps(change(usher.Change[User]{Email: new("ANN@example.com")})), 200, 200},
		"inactive":                     {steps(deactivate), 400, 400},
		"inactive and active again":    {steps(deactivate, activate), 400, 200},
		"the address moved":            {steps(moveTo("new@example.com")), 400, 200},
		"the address moved and back":   {steps(moveTo("new@example.com"), moveTo("ann@example.com")), 400, 200},
		"the password changed":         {steps(change(usher.Change[User]{Password: new("another password")})), 400, 400},
		"changed to the same password": {steps(change(usher.Change[User]{Password: new(goodPassword)})), 400, 400},
		"the password reset by a link": {steps(resetByLink), 400, 400},
		"a sign-in":                    {steps(func(t testing.TB, x *flows, _ usher.ID) { x.login(t, "cookie", "ann@example.com") }), 200, 200},
		"the user deleted":             {steps(deleteUser), 400, 400},
		"the user deleted and new":     {steps(deleteUser, registerAgain), 400, 400},
		"almost an hour":               {steps(wait(time.Hour - 10*time.Second)), 200, 200},
		"an hour":                      {steps(wait(time.Hour + time.Second)), 400, 400},
	} {
		for maker, want := range map[string]int{"own": test.own, "FastAPI Users'": test.foreign} {
			t.Run(name+"/"+maker, func(t *testing.T) {
				t.Parallel()
				x := newFlows(t, fastAPIUsers)
				ann := x.add(t, "ann@example.com", asUnverified)
				token := fastAPIReset(t, ann)
				if maker == "own" {
					token = x.resetToken(t, "ann@example.com")
				}
				for _, step := range test.steps {
					step(t, x, ann.ID)
				}
				before := x.dump(t)
				a := x.reset(t, token, "the new password").want(t, want)
				if want == 400 {
					a.wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN")
					if x.dump(t) != before {
						t.Error("a refused link changes something")
					}
					return
				}
				x.send(t, "POST", "/auth/jwt/login", loginForm(x.stored(t, ann.ID).Email, "the new password")).want(t, 200)
				x.reset(t, token, "once more").wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN")
			})
		}
	}
}

// Links that FastAPI Users has mailed keep working; nothing that merely looks
// like one does.
func TestResetTokensOfFastAPIUsers(t *testing.T) {
	t.Parallel()
	x := newFlows(t, fastAPIUsers)
	ann := x.add(t, "ann@example.com")
	other := x.add(t, "bob@example.com")
	fingerprint := hashOf(t, ann.HashedPassword)
	for name, claims := range map[string]jwt.MapClaims{
		"no fingerprint":           {"sub": ann.ID},
		"blank fingerprint":        {"sub": ann.ID, "password_fgpt": ""},
		"fingerprint a number":     {"sub": ann.ID, "password_fgpt": 1},
		"the hash itself":          {"sub": ann.ID, "password_fgpt": ann.HashedPassword},
		"another user":             {"sub": other.ID, "password_fgpt": fingerprint},
		"nobody":                   {"sub": usher.NewID(), "password_fgpt": fingerprint},
		"the password's":           {"sub": ann.ID, "password_fgpt": hashOf(t, goodPassword)},
		"another state":            {"sub": ann.ID, "password_fgpt": "usher:"},
		"another audience":         {"sub": ann.ID, "password_fgpt": fingerprint, "aud": "fastapi-users:verify"},
		"access":                   {"sub": ann.ID, "password_fgpt": fingerprint, "aud": usher.FastAPIUsersAudience},
		"expired":                  {"sub": ann.ID, "password_fgpt": fingerprint, "exp": time.Now().Add(-time.Second).Unix()},
		"of absurd cost":           {"sub": ann.ID, "password_fgpt": "$argon2id$v=19$m=4294967295,t=4294967295,p=255$c2FsdHNhbHQ$aGFzaA"},
		"malformed":                {"sub": ann.ID, "password_fgpt": "$argon2id$"},
		"bcrypt":                   {"sub": ann.ID, "password_fgpt": "$2b$04$BHzQIxVtZiAiBuxIJ3nqXu/n7FDxsekTTCibmA/GkeGmkhMkg882i"},
		"the state as jti, merely": {"sub": ann.ID, "jti": "usher:x"},
	} {
		if x.reset(t, fastAPIToken(t, fastAPIResetSecret, "fastapi-users:reset", claims), "the new password").wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN"); t.Failed() {
			t.Fatal(name)
		}
	}
	wrong := fastAPIToken(t, fastAPIVerifySecret, "fastapi-users:reset", jwt.MapClaims{"sub": ann.ID, "password_fgpt": fingerprint})
	x.reset(t, wrong, "the new password").wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN")
	sameUser(t, "a bad link", x.stored(t, ann.ID), ann)
	x.reset(t, fastAPIReset(t, ann), "the new password").want(t, 200)
	// Somebody without a password may set one, by either kind of link (A14).
	for i, token := range []func(u *User) string{func(u *User) string { return fastAPIReset(t, u) }, func(u *User) string { return x.resetToken(t, u.Email) }} {
		u := x.add(t, fmt.Sprintf("oauth%d@example.com", i), withoutPassword)
		x.reset(t, token(u), "the new password").want(t, 200)
		x.send(t, "POST", "/auth/jwt/login", loginForm(u.Email, "the new password")).want(t, 200)
	}
}

// A sign-in that brings the hash up to date ends no link of usher's own, before
// or in the midst of its use (DEFECTS F). FastAPI Users' are made of the hash.
func TestDefect_F_UpgradeKeepsTheResetToken(t *testing.T) {
	t.Parallel()
	for name, hash := range oldHashes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, midst := range []bool{false, true} {
				x := newFlows(t, fastAPIUsers)
				ann := x.add(t, "ann@example.com", func(u *User) { u.HashedPassword = hash })
				own, foreign := x.resetToken(t, "ann@example.com"), fastAPIReset(t, ann)
				upgrade := func() { x.login(t, "jwt", "ann@example.com") }
				if midst {
					x.store.at("InTx", upgrade)
				} else {
					upgrade()
				}
				x.reset(t, own, "the new password").want(t, 200)
				x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "the new password")).want(t, 200)
				x.reset(t, foreign, "once more").wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN")
			}
		})
	}
}

// With FastAPIUsersResetTokens links go both ways: they hold what FastAPI Users
// looks for, and every request costs one hash, whoever has the address.
func TestFastAPIUsersResetTokens(t *testing.T) {
	t.Parallel()
	x := newFlows(t, fastAPIUsers, configured(func(c *usher.Config[User]) { c.FastAPIUsersResetTokens = true }))
	ann := x.add(t, "ann@example.com")
	token := x.resetToken(t, "ann@example.com")
	claims := jwt.MapClaims{}
	parsed, err := jwt.ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return fastAPIResetSecret, nil }, jwt.WithAudience("fastapi-users:reset"))
	if err != nil || !parsed.Valid {
		t.Fatal(err)
	}
	fingerprint, _ := claims["password_fgpt"].(string)
	if result, err := x.hasher.Verify(t.Context(), fingerprint, ann.HashedPassword); err != nil || !result.OK || claims["sub"] != string(ann.ID) {
		t.Errorf("claims %v: %v", claims, err)
	}
	if _, isText := claims["aud"].(string); !isText {
		t.Errorf("aud is %T, want a string as PyJWT writes it", claims["aud"])
	}
	if own := decoded(t, strings.Split(x.verifyTokenOf(t, "bob@example.com"), ".")[1]); own["aud"] != "fastapi-users:verify" || own["email"] != "bob@example.com" || own["sub"] == nil {
		t.Errorf("a verify token holds %v", own)
	}
	x.reset(t, token, "the new password").want(t, 200)
	x.reset(t, token, "once more").wantDetail(t, 400, "RESET_PASSWORD_BAD_TOKEN")
}

// verifyTokenOf adds an unverified user and returns a link that proves his
// address.
func (x *flows) verifyTokenOf(t testing.TB, address string) string {
	t.Helper()
	x.add(t, address, asUnverified)
	return x.verifyToken(t, address)
}

// A reset ends the sessions of every store that can end them, unless the option
// says otherwise (C8, DEFECTS E).
func TestS_C8_ResetEndsSessions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		backends []string
		options  []siteOption
	}{{plainBackends, nil}, {redisBackends, []siteOption{withRedis}}} {
		for _, keep := range []bool{false, true} {
			t.Run(fmt.Sprint(test.backends, keep), func(t *testing.T) {
				t.Parallel()
				x := newFlows(t, append(test.options, configured(func(c *usher.Config[User]) { c.InsecureKeepSessions = keep }))...)
				x.add(t, "ann@example.com")
				x.add(t, "bob@example.com")
				headers, others := map[string][]string{}, map[string]string{}
				for _, backend := range test.backends {
					for range 3 {
						headers[backend] = append(headers[backend], x.signedIn(t, backend, "ann@example.com"))
					}
					others[backend] = x.signedIn(t, backend, "bob@example.com")
				}
				token := x.resetToken(t, "ann@example.com")
				x.reset(t, token, "short").want(t, 400)
				x.wantAlive(t, "before the reset", headers[test.backends[0]][0], true)
				x.reset(t, token, "the new password").want(t, 200)
				for _, backend := range test.backends {
					for _, header := range headers[backend] {
						x.wantAlive(t, backend, header, keep) // E17: JWTs too
					}
					x.wantAlive(t, backend+" of somebody else", others[backend], true)
				}
			})
		}
	}
}

// A change between the look at the user and the update is not undone (F31).
func TestF31_ResetBesideAChange(t *testing.T) {
	t.Parallel()
	for _, maker := range []string{"own", "FastAPI Users'"} {
		for name, test := range map[string]struct {
			change usher.Change[User]
			status int
			good   string // the password that signs in
		}{
			"the password changes": {usher.Change[User]{Password: new("the user's own")}, 400, "the user's own"},
			"deactivated":          {usher.Change[User]{IsActive: new(false)}, 400, ""},
			"verified":             {usher.Change[User]{IsVerified: new(true)}, 200, "the new password"},
		} {
			t.Run(name+"/"+maker, func(t *testing.T) {
				t.Parallel()
				x := newFlows(t, fastAPIUsers)
				ann := x.add(t, "ann@example.com", asUnverified)
				token := fastAPIReset(t, ann)
				if maker == "own" {
					token = x.resetToken(t, "ann@example.com")
				}
				x.store.at("InTx", func() { x.update(t, ann.ID, test.change) })
				x.reset(t, token, "the new password").want(t, test.status)
				for _, plain := range []string{"the user's own", "the new password"} {
					want := 400
					if plain == test.good {
						want = 200
					}
					x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", plain)).want(t, want)
				}
				if got := x.stored(t, ann.ID); got.IsActive != (test.change.IsActive == nil) || got.IsVerified != (test.change.IsVerified != nil) {
					t.Errorf("the other change is lost: %+v", got)
				}
			})
		}
	}
}
