package usher_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"usher"
)

// Changing the password or the address needs the current password (A8); nothing
// else does, and superusers change others without.
func TestS_A8_CurrentPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	s.add(t, "oauth@example.com", func(u *User) { u.HashedPassword = hashOf(t, goodPassword) })
	header, admin := s.signedIn(t, "cookie", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	type m = map[string]any
	for _, change := range []m{{"password": "another password"}, {"email": "new@example.com"}, {"email": "Ann@example.com"}, {"password": "another password", "email": "new@example.com", "first_name": "Eve"}} {
		with := func(current any) m {
			body := m{"current_password": current}
			for name, value := range change {
				body[name] = value
			}
			return body
		}
		before := s.hasher.Hashes()
		s.send(t, "PATCH", "/users/me", change, header).wantInvalid(t, "body.current_password")
		s.send(t, "PATCH", "/users/me", with(nil), header).wantInvalid(t, "body.current_password")
		s.send(t, "PATCH", "/users/me", with(1), header).wantInvalid(t, "body.current_password")
		s.send(t, "PATCH", "/users/me", with([]any{goodPassword}), header).wantInvalid(t, "body.current_password")
		if n := s.hasher.Hashes() - before; n != 0 {
			t.Errorf("%d hashes for what is no password", n)
		}
		for _, wrong := range []string{"", "wrong", strings.ToUpper(goodPassword), " " + goodPassword, goodPassword + "\x00", strings.Repeat("x", 1025), ann.HashedPassword} {
			before := s.hasher.Hashes()
			s.send(t, "PATCH", "/users/me", with(wrong), header).wantDetail(t, 400, "UPDATE_USER_BAD_CURRENT_PASSWORD")
			if n := s.hasher.Hashes() - before; n != 1 {
				t.Errorf("%d hashes for a wrong password, want 1", n)
			}
		}
		sameUser(t, "a refused change", s.stored(t, ann.ID), ann)
		if t.Failed() {
			t.FailNow()
		}
	}
	// The session is no proof, and a password in another member is none.
	s.send(t, "PATCH", "/users/me", m{"password": "another password", "old_password": goodPassword}, header).wantInvalid(t, "body.current_password")
	s.send(t, "PATCH", "/users/me", m{"first_name": "Ann"}, header).want(t, 200)
	s.send(t, "PATCH", "/users/me", m{"first_name": "Ann", "email": "ann@example.com", "id": ann.ID, "is_verified": true}, header).want(t, 200) // all as it was
	s.send(t, "PATCH", "/users/me", m{"first_name": "Ann", "current_password": "wrong"}, header).want(t, 200)                                   // of no use there
	s.send(t, "PATCH", "/users/me", m{"password": "another password", "email": "new@example.com", "current_password": goodPassword}, header).wantUser(t, 200)
	s.send(t, "POST", "/auth/jwt/login", loginForm("new@example.com", "another password")).want(t, 200)
	s.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "another password")).want(t, 400)

	// Whoever has no password has none to prove (A14).
	oauth := s.signedIn(t, "jwt", "oauth@example.com")
	u, err := s.auth.UserByEmail(t.Context(), "oauth@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, none := range []string{"", "!"} {
		now := s.stored(t, u.ID)
		after := *now
		after.HashedPassword = none
		if err := s.db.UpdateUser(t.Context(), now, &after); err != nil {
			t.Fatal(err)
		}
		for _, current := range []string{"", "!", goodPassword} {
			s.send(t, "PATCH", "/users/me", m{"password": "another password", "current_password": current}, oauth).wantDetail(t, 400, "UPDATE_USER_BAD_CURRENT_PASSWORD")
		}
	}
	s.send(t, "PATCH", "/users/"+string(u.ID), m{"password": "set by a superuser", "email": "oauth2@example.com"}, admin).want(t, 200)
	s.send(t, "POST", "/auth/jwt/login", loginForm("oauth2@example.com", "set by a superuser")).want(t, 200)
}

// The policy has a name (docs/compatibility.md).
func TestInsecureUpdateWithoutPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) { c.InsecureUpdateWithoutPassword = true }))
	s.add(t, "ann@example.com")
	header := s.signedIn(t, "cookie", "ann@example.com")
	s.send(t, "PATCH", "/users/me", map[string]any{"password": "another password", "email": "new@example.com", "current_password": "wrong"}, header).want(t, 200)
	s.send(t, "POST", "/auth/jwt/login", loginForm("new@example.com", "another password")).want(t, 200)
}

// A proof of the old password is worth nothing once the password has changed: of
// two changes at once one wins, and a change that was acknowledged is not undone
// by another that began before it (F31, P2).
func TestF31_ChangeBesideAChange(t *testing.T) {
	t.Parallel()
	for _, change := range []map[string]any{{"password": "eve's password"}, {"email": "eve@example.com"}} {
		var store *meddling
		s := newSite(t, configured(func(c *usher.Config[User]) {
			c.InsecureKeepSessions = true // the token lives, the proof does not
			store = &meddling{UserStore: c.Store}
			c.Store = store
		}))
		ann := s.add(t, "ann@example.com")
		eve := s.signedIn(t, "jwt", "ann@example.com") // knows the old password, and has a token
		changed := func() {
			if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{Password: new("the new password")}); err != nil {
				t.Error(err)
			}
		}
		store.before.Store(&changed)
		change["current_password"] = goodPassword
		s.send(t, "PATCH", "/users/me", change, eve).wantDetail(t, 400, "UPDATE_USER_BAD_CURRENT_PASSWORD")
		s.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "the new password")).want(t, 200)
	}
	// The upgrade of a hash in the midst is no such change.
	for name, hash := range oldHashes(t) {
		var store *meddling
		s := newSite(t, configured(func(c *usher.Config[User]) {
			store = &meddling{UserStore: c.Store}
			c.Store = store
		}))
		s.add(t, "ann@example.com", func(u *User) { u.HashedPassword = hash })
		token, err := s.jwt.WriteToken(t.Context(), &usher.Authentication{UserID: s.only(t).ID})
		if err != nil {
			t.Fatal(err)
		}
		upgraded := func() { s.login(t, "jwt", "ann@example.com") }
		store.before.Store(&upgraded)
		a := s.send(t, "PATCH", "/users/me", map[string]any{"password": "another password", "current_password": goodPassword}, carrying("jwt", token))
		if a.want(t, 200); t.Failed() {
			t.Fatal(name)
		}
		s.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "another password")).want(t, 200)
	}
}

// A new address is not verified, whoever sets it, unless a superuser says so
// with it; the same address in another case is not new (DEFECTS J, recording
// users.patch, KNOWN-FLAWS 99).
func TestDefect_J_ChangeOfAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	header, admin := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	me := func(email string) answer {
		t.Helper()
		return s.send(t, "PATCH", "/users/me", map[string]any{"email": email, "current_password": goodPassword}, header)
	}
	path := "/users/" + string(ann.ID)
	for _, own := range []string{"Ann@Example.com", "ANN@example.com", " ann@example.com", "ＡＮＮ@example.com", "ann@example.com"} {
		if u := me(own).wantUser(t, 200); !u.IsVerified {
			t.Errorf("own address as %q is not verified any more", own)
		}
		if u := s.send(t, "PATCH", path, map[string]any{"email": own}, admin).wantUser(t, 200); !u.IsVerified {
			t.Errorf("own address as %q, set by a superuser, is not verified any more", own)
		}
	}
	if u := me("ANN@example.com").wantUser(t, 200); u.Email != "ANN@example.com" {
		t.Errorf("address %q, want it as typed", u.Email)
	}
	if u := me("new@example.com").wantUser(t, 200); u.IsVerified || u.Email != "new@example.com" {
		t.Errorf("new address: %+v", u)
	}
	if u := me("new@example.com").wantUser(t, 200); u.IsVerified {
		t.Error("the same address again is verified")
	}
	if u := s.send(t, "PATCH", path, map[string]any{"email": "admin1@example.com", "is_verified": true}, admin).wantUser(t, 200); !u.IsVerified {
		t.Error("new address with is_verified is not verified")
	}
	if u := s.send(t, "PATCH", path, map[string]any{"email": "admin2@example.com"}, admin).wantUser(t, 200); u.IsVerified {
		t.Error("new address set by a superuser is verified")
	}
	if u := me("admin2@example.com").wantUser(t, 200); u.IsVerified {
		t.Error("setting the address again verifies it")
	}
	s.wantAlive(t, "a JWT of the user", header, true)
	s.login(t, "jwt", "admin2@example.com")
}

// An address that is taken in any spelling is refused, at register and on both
// PATCH routes (B12, recording register.duplicate).
func TestS_B12_TakenAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add(t, "josé@bücher.example")
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	header, admin := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	ann = s.stored(t, ann.ID)
	for _, taken := range []string{
		"josé@bücher.example", "JOSÉ@BÜCHER.EXAMPLE", "jose\u0301@bücher.example", "ｊｏｓé@bücher.example", " josé@bücher.example ", "josé@xn--bcher-kva.example", "JOSE\u0301@XN--BCHER-KVA.EXAMPLE",
	} {
		s.send(t, "POST", "/auth/register", map[string]any{"email": taken, "password": goodPassword}).wantDetail(t, 400, "REGISTER_USER_ALREADY_EXISTS")
		s.send(t, "PATCH", "/users/me", map[string]any{"email": taken, "first_name": "x", "current_password": goodPassword}, header).wantDetail(t, 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
		s.send(t, "PATCH", "/users/"+string(ann.ID), map[string]any{"email": taken, "is_superuser": true}, admin).wantDetail(t, 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
		s.login(t, "jwt", taken)
		if t.Failed() {
			t.Fatalf("%q", taken)
		}
	}
	sameUser(t, "a refused change", s.stored(t, ann.ID), ann)
}

// The policy's reasons, on every way to set a password; nothing else of the
// request is saved (recordings register.password and me.patch; DEFECTS J: the
// rule about the address looks at the new one and at no case).
func TestPasswordReasons(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	header, admin := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	ann = s.stored(t, ann.ID)
	const (
		short = "Password should be at least 8 characters"
		long  = "Password should be at most 1024 bytes"
		email = "Password should not contain e-mail"
	)
	for _, test := range []struct{ password, reason string }{
		{"", short}, {"1234567", short}, {strings.Repeat("😀", 7), short}, {"e\u0301e\u0301e\u0301e", short},
		{strings.Repeat("x", 1025), long}, {strings.Repeat("😀", 257), long}, {strings.Repeat("x", 60000), long},
		{"new@example.com", email}, {"xNEW@Example.COMx", email},
	} {
		s.send(t, "POST", "/auth/register", map[string]any{"email": "new@example.com", "password": test.password}).wantReason(t, "REGISTER_INVALID_PASSWORD", test.reason)
		body := map[string]any{"password": test.password, "email": "new@example.com", "first_name": "Eve", "current_password": goodPassword}
		s.send(t, "PATCH", "/users/me", body, header).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", test.reason)
		s.send(t, "PATCH", "/users/"+string(ann.ID), body, admin).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", test.reason)
	}
	sameUser(t, "a refused change", s.stored(t, ann.ID), ann)
	// The old address may be in it once it is old.
	s.send(t, "PATCH", "/users/me", map[string]any{"password": "xann@example.com", "email": "new@example.com", "current_password": goodPassword}, header).want(t, 200)
}

// Ten users who all want one new address at the same moment: one gets it, and
// nobody a 500 (DEFECTS A).
func TestDefect_A_TenUsersOneAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var headers []string
	for i := range 10 {
		email := fmt.Sprintf("user%d@example.com", i)
		s.add(t, email)
		headers = append(headers, s.signedIn(t, "jwt", email))
	}
	spellings := []string{"Wanted@example.com", "wanted@Example.com", "ｗanted@example.com"}
	answers := make([]answer, len(headers))
	atOnce(len(headers), func(i int) {
		var err error
		answers[i], err = s.try(t.Context(), "PATCH", "/users/me", map[string]any{"email": spellings[i%3], "current_password": goodPassword}, headers[i])
		if err != nil {
			t.Error(err)
		}
	})
	won := 0
	for _, a := range answers {
		if a.status == 200 {
			won++
		} else {
			a.wantDetail(t, 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
		}
	}
	if won != 1 {
		t.Errorf("%d users have the address, want 1", won)
	}
	s.login(t, "jwt", "wanted@example.com")
}

// Fifty registrations of one address in several spellings: one 201, the others
// the answer of any duplicate, one row, one welcome (DEFECTS A, F28, P3).
func TestDefect_A_FiftyRegistrations(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	spellings := []string{"josé@example.com", "JOSÉ@Example.com", "jose\u0301@example.com", "ｊｏｓé@example.com"}
	answers := make([]string, 50)
	atOnce(len(answers), func(i int) {
		a, err := s.try(t.Context(), "POST", "/auth/register", map[string]any{"email": spellings[i%4], "password": goodPassword})
		if err != nil {
			t.Error(err)
		}
		if answers[i] = withoutDate(a); a.status == 201 {
			answers[i] = "created"
		}
	})
	slices.Sort(answers)
	want := withoutDate(s.send(t, "POST", "/auth/register", map[string]any{"email": spellings[0], "password": goodPassword}).want(t, 400))
	if got := slices.Compact(slices.Clone(answers)); len(got) != 2 || got[0] != want || got[1] != "created" || answers[len(answers)-2] == "created" {
		t.Errorf("answers %q, want one 201 and the others %s", got, want)
	}
	if users, err := s.db.ListUsers(t.Context(), usher.UserQuery{Limit: 10}); err != nil || len(users) != 1 {
		t.Errorf("%d rows, %v, want 1", len(users), err)
	}
	for _, spelling := range spellings {
		s.login(t, "jwt", spelling)
	}
}
