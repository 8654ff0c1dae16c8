package usher_test

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"

	"github.com/golang-jwt/jwt/v5"
)

// Registering mails a link to the address, and whoever has it proves the address
// with it: once, and nobody else's, and nothing happens before (G2, G5, G6, C14).
func TestS_G6_Verify(t *testing.T) {
	t.Parallel()
	var verified []string
	x := newFlows(t, configured(func(c *usher.Config[User]) {
		c.Hooks.AfterVerify = func(_ context.Context, u *User) { verified = append(verified, u.Email) }
	}))
	for _, email := range []string{"ann@example.com", "bob@example.com"} {
		x.send(t, "POST", "/auth/register", map[string]any{"email": email, "password": goodPassword}).want(t, 201)
	}
	ann, err := x.auth.UserByEmail(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	before := x.dump(t)
	first, second := x.mailed(t, usher.MailVerify, "ann@example.com"), x.mailed(t, usher.MailVerify, "ann@example.com")
	if x.dump(t) != before {
		t.Error("making a link changes something")
	}
	for _, method := range []string{"GET", "HEAD", "PUT"} { // mail scanners open links (D9)
		x.send(t, method, "/auth/verify?token="+first, nil).want(t, 405)
	}
	a := x.verify(t, first)
	if u := a.wantUser(t, 200); u.ID != ann.ID || !u.IsVerified {
		t.Errorf("verified %s", a.body)
	}
	if a.header.Values("Set-Cookie") != nil {
		t.Errorf("verifying signs in: %s", a.everything())
	}
	for _, again := range []string{first, second} {
		x.verify(t, again).wantDetail(t, 400, "VERIFY_USER_ALREADY_VERIFIED")
	}
	if bob, err := x.auth.UserByEmail(t.Context(), "bob@example.com"); err != nil || bob.IsVerified {
		t.Errorf("bob is verified too: %+v, %v", bob, err)
	}
	if want := []string{"ann@example.com"}; !slices.Equal(verified, want) {
		t.Errorf("AfterVerify ran for %q, want %q", verified, want)
	}
	events := x.events.of(usher.EventVerify)
	if len(events) != 3 || events[0].Err != nil || events[0].UserID != ann.ID || events[1].Err == nil {
		t.Errorf("events %+v", events)
	}
	// Nobody is mailed a link that nobody needs.
	x.sent(t)
	x.send(t, "POST", "/auth/request-verify-token", map[string]any{"email": "ann@example.com"}).want(t, 202)
	if got := x.sent(t); !slices.Equal(got, []string{"none"}) {
		t.Errorf("mailed to a verified user: %q", got)
	}
}

// What ends a link that proves an address (G3, G4, G5, DEFECTS F). One of FastAPI
// Users holds no more than the address, and so ends with that only.
func TestDefect_F_VerifyTokensEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps        []step
		own, foreign int // status
	}{
		"nothing":                      {nil, 200, 200},
		"another field":                {steps(change(usher.Change[User]{Set: func(u *User) { u.Plan = "gold" }})), 200, 200},
		"the address in another case":  {steps(change(usher.Change[User]{Email: new("ANN@example.com")})), 200, 200},
		"inactive":                     {steps(deactivate), 400, 400},
		"inactive and active again":    {steps(deactivate, activate), 400, 200},
		"the address moved":            {steps(moveTo("new@example.com")), 400, 400},
		"the address moved and back":   {steps(moveTo("new@example.com"), moveTo("ann@example.com")), 400, 200},
		"the password changed":         {steps(change(usher.Change[User]{Password: new("another password")})), 400, 200},
		"the password reset by a link": {steps(resetByLink), 400, 200},
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
				token := fastAPIVerify(t, ann)
				if maker == "own" {
					token = x.verifyToken(t, "ann@example.com")
				}
				for _, step := range test.steps {
					step(t, x, ann.ID)
				}
				before := x.dump(t)
				a := x.verify(t, token).want(t, want)
				if want == 400 {
					a.wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
					if x.dump(t) != before {
						t.Error("a refused link changes something")
					}
				} else if !x.stored(t, ann.ID).IsVerified {
					t.Error("not verified")
				}
			})
		}
	}
}

// Links that FastAPI Users has mailed keep working, and nothing that merely looks
// like one does.
func TestVerifyTokensOfFastAPIUsers(t *testing.T) {
	t.Parallel()
	x := newFlows(t, fastAPIUsers)
	ann := x.add(t, "Ann@example.com", asUnverified)
	good := jwt.MapClaims{"sub": string(ann.ID), "email": "Ann@example.com"}
	with := func(name string, value any) jwt.MapClaims {
		changed := jwt.MapClaims{"sub": good["sub"], "email": good["email"], name: value}
		if value == nil {
			delete(changed, name)
		}
		return changed
	}
	for name, claims := range map[string]jwt.MapClaims{
		"no sub": with("sub", nil), "sub of nobody": with("sub", string(usher.NewID())), "sub a number": with("sub", 1), "sub an e-mail": with("sub", "Ann@example.com"),
		"sub blank": with("sub", ""), "no email": with("email", nil), "email blank": with("email", ""), "email another": with("email", "bob@example.com"),
		"email a list": with("email", []string{"Ann@example.com"}), "aud another": with("aud", "fastapi-users:reset"), "aud of access": with("aud", usher.FastAPIUsersAudience),
		"aud empty": with("aud", []string{}), "aud blank": with("aud", ""), "aud null": with("aud", jwt.MapClaims{}), "expired": with("exp", time.Now().Add(-time.Second).Unix()), "exp text": with("exp", "4102444800"),
		"not yet": with("nbf", time.Now().Add(time.Hour).Unix()), "from the future": with("iat", time.Now().Add(time.Hour).Unix()), "another's state": with("jti", "usher:xxx"), "state empty": with("jti", "usher:"),
	} {
		if x.verify(t, fastAPIToken(t, fastAPIVerifySecret, "fastapi-users:verify", claims)).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN"); t.Failed() {
			t.Fatal(name)
		}
	}
	for name, token := range map[string]string{
		"another secret":   fastAPIToken(t, fastAPIResetSecret, "fastapi-users:verify", good),
		"no expiry":        must(jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"aud": "fastapi-users:verify", "sub": good["sub"], "email": good["email"]}).SignedString(fastAPIVerifySecret)),
		"HS512":            must(jwt.NewWithClaims(jwt.SigningMethodHS512, jwt.MapClaims{"aud": "fastapi-users:verify", "exp": time.Now().Add(time.Hour).Unix(), "sub": good["sub"], "email": good["email"]}).SignedString(fastAPIVerifySecret)),
		"no signature":     must(jwt.NewWithClaims(jwt.SigningMethodNone, jwt.MapClaims{"aud": "fastapi-users:verify", "exp": time.Now().Add(time.Hour).Unix(), "sub": good["sub"], "email": good["email"]}).SignedString(jwt.UnsafeAllowNoneSignatureType)),
		"signature cut":    fastAPIVerify(t, ann)[:len(fastAPIVerify(t, ann))-4],
		"with white space": fastAPIVerify(t, ann) + "\n",
	} {
		if x.verify(t, token).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN"); t.Failed() {
			t.Fatal(name)
		}
	}
	for name, claims := range map[string]jwt.MapClaims{
		"exactly FastAPI Users'": good, "the address in another spelling": with("email", "ＡＮＮ@EXAMPLE.com"), "with a jti of somebody else": with("jti", "b5a0"), "with more": with("x", []int{1}),
		"sub in capitals": with("sub", strings.ToUpper(string(ann.ID))),
	} {
		bob := x.stored(t, ann.ID)
		unverified := *bob
		unverified.IsVerified = false
		if err := x.db.UpdateUser(t.Context(), bob, &unverified); err != nil {
			t.Fatal(err)
		}
		if u := x.verify(t, fastAPIToken(t, fastAPIVerifySecret, "fastapi-users:verify", claims)).wantUser(t, 200); u.ID != ann.ID || !u.IsVerified {
			t.Errorf("%s: %+v", name, u)
		}
	}
}

// What changes between the look at the user and the update is looked at again:
// no address is verified that the link does not prove (F32, G5).
func TestF32_VerifyBesideAChange(t *testing.T) {
	t.Parallel()
	for _, maker := range []string{"own", "FastAPI Users'"} {
		for name, test := range map[string]struct {
			change usher.Change[User]
			status int
		}{
			"the address moves":    {usher.Change[User]{Email: new("new@example.com")}, 400},
			"deactivated":          {usher.Change[User]{IsActive: new(false)}, 400},
			"verified by somebody": {usher.Change[User]{IsVerified: new(true)}, 400},
			"made a superuser":     {usher.Change[User]{IsSuperuser: new(true)}, 200},
		} {
			t.Run(name+"/"+maker, func(t *testing.T) {
				t.Parallel()
				x := newFlows(t, fastAPIUsers)
				ann := x.add(t, "ann@example.com", asUnverified)
				token := fastAPIVerify(t, ann)
				if maker == "own" {
					token = x.verifyToken(t, ann.Email)
				}
				x.store.at("InTx", func() { x.update(t, ann.ID, test.change) })
				x.verify(t, token).want(t, test.status)
				got := x.stored(t, ann.ID)
				if got.IsVerified && got.Email != "ann@example.com" {
					t.Errorf("%s is verified", got.Email)
				}
				if got.IsSuperuser != (test.change.IsSuperuser != nil) {
					t.Errorf("the other change is lost: %+v", got)
				}
			})
		}
	}
}
