package usher_test

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

// A new address takes effect when whoever reads its mail says so, and not before;
// the old address is told (G5, G6, B11, ASVS 6.3.7).
func TestS_G5_ConfirmedEmailChange(t *testing.T) {
	t.Parallel()
	x := newFlows(t)
	ann := x.add(t, "Ann@example.com")
	header := x.signedIn(t, "cookie", "ann@example.com")
	a := x.patchEmail(t, header, " New@Example.com ")
	if u := a.wantUser(t, 200); u.Email != "Ann@example.com" || !u.IsVerified {
		t.Errorf("PATCH answers %s", a.body)
	}
	sameUser(t, "asking for another address", x.stored(t, ann.ID), ann)
	x.login(t, "jwt", "ann@example.com")
	x.send(t, "POST", "/auth/jwt/login", loginForm("new@example.com", goodPassword)).want(t, 400)
	token := x.mailed(t, usher.MailConfirmEmail, "New@example.com")
	if got := x.sent(t); !slices.Equal(got, []string{"confirm_email New@example.com"}) {
		t.Errorf("mails %q", got)
	}
	a = x.confirm(t, token)
	if u := a.wantUser(t, 200); u.ID != ann.ID || u.Email != "New@example.com" || !u.IsVerified {
		t.Errorf("confirming answers %s", a.body)
	}
	if a.header.Values("Set-Cookie") != nil {
		t.Errorf("confirming signs in: %s", a.everything())
	}
	messages := x.mails(t)
	if len(messages) != 1 || messages[0].Kind != usher.MailEmailChanged || messages[0].Email != "Ann@example.com" || messages[0].Data["new_email"] != "New@example.com" || messages[0].UserID != ann.ID {
		t.Errorf("mails %+v, want one to the old address", messages)
	}
	x.login(t, "jwt", "new@example.com")
	x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", goodPassword)).want(t, 400)
	x.wantAlive(t, "the session", header, true)
	x.confirm(t, token).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
	for _, method := range []string{"GET", "HEAD", "PATCH"} {
		x.send(t, method, "/auth/confirm-email?token="+token, nil).want(t, 405)
	}
	// The own address in another spelling is no new one.
	x.sent(t)
	if u := x.patchEmail(t, header, "NEW@example.com").wantUser(t, 200); u.Email != "NEW@example.com" || !u.IsVerified {
		t.Errorf("the own address in capitals: %+v", u)
	}
	if got := x.sent(t); len(got) != 0 {
		t.Errorf("mails %q", got)
	}
}

// Asking for an address that is taken is answered as any other, with the same
// work, and its owner is told (B2). The rest of the change takes effect.
func TestS_B2_TakenAddressLooksFree(t *testing.T) {
	t.Parallel()
	for _, rest := range []map[string]any{{}, {"first_name": "Ann"}, {"password": "another password"}} {
		answers, works := []string{}, []string{}
		for _, address := range []string{"new@example.com", "BOB@example.com", "inactive@example.com"} {
			x := newFlows(t)
			ann := x.add(t, "ann@example.com", func(u *User) { u.ID = "01936d5c-0000-7000-8000-000000000001" })
			x.add(t, "Bob@example.com")
			x.add(t, "inactive@example.com", asInactive)
			header := x.signedIn(t, "cookie", "ann@example.com")
			body := map[string]any{"email": address, "current_password": goodPassword}
			for name, value := range rest {
				body[name] = value
			}
			tr := x.trace(t, func() answer { return x.send(t, "PATCH", "/users/me", body, header) })
			answers, works = append(answers, tr.answer), append(works, fmt.Sprint(tr.hashes, tr.calls, tr.mails))
			want := map[string]string{"new@example.com": "confirm_email new@example.com", "BOB@example.com": "already_registered Bob@example.com", "inactive@example.com": "already_registered inactive@example.com"}[address]
			if got := x.sent(t); !slices.Contains(got, want) {
				t.Errorf("%s: mails %q, want %q", address, got, want)
			}
			got := x.stored(t, ann.ID)
			if got.Email != "ann@example.com" || !got.IsVerified || (rest["first_name"] != nil) != (got.FirstName != nil) || (rest["password"] != nil) != (got.HashedPassword != ann.HashedPassword) {
				t.Errorf("%s with %v made %+v", address, rest, got)
			}
		}
		if answers[1] != answers[0] || answers[2] != answers[0] {
			t.Errorf("with %v the answers differ: %q", rest, answers)
		}
		if works[1] != works[0] || works[2] != works[0] {
			t.Errorf("with %v the work differs: %q", rest, works)
		}
	}
	// Who takes the address in the meantime keeps it, and the answer is that of
	// any bad link.
	x := newFlows(t)
	ann := x.add(t, "ann@example.com")
	token := x.emailToken(t, x.signedIn(t, "jwt", "ann@example.com"), "wanted@example.com")
	x.add(t, "Wanted@example.com")
	x.confirm(t, token).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
	sameUser(t, "a link for an address that is taken by now", x.stored(t, ann.ID), ann)
}

// What ends a link to a new address (G4, G5).
func TestS_G4_EmailTokensEnd(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		steps  []step
		status int
	}{
		"nothing":                     {nil, 200},
		"another field":               {steps(change(usher.Change[User]{Set: func(u *User) { u.Plan = "gold" }})), 200},
		"the address in another case": {steps(change(usher.Change[User]{Email: new("ANN@example.com")})), 200},
		"a sign-in":                   {steps(func(t testing.TB, x *flows, _ usher.ID) { x.login(t, "jwt", "ann@example.com") }), 200},
		"asked for once more": {steps(func(t testing.TB, x *flows, u usher.ID) {
			must(0, x.auth.RequestEmailChange(t.Context(), u, "third@example.com"))
		}), 200},
		"inactive":                     {steps(deactivate), 400},
		"inactive and active again":    {steps(deactivate, activate), 400},
		"the address moved":            {steps(moveTo("other@example.com")), 400},
		"the address moved and back":   {steps(moveTo("other@example.com"), moveTo("ann@example.com")), 400},
		"the address moved there":      {steps(moveTo("new@example.com")), 400},
		"the password changed":         {steps(change(usher.Change[User]{Password: new("another password")})), 400},
		"the password reset by a link": {steps(resetByLink), 400},
		"the user deleted":             {steps(deleteUser), 400},
		"almost an hour":               {steps(wait(time.Hour - 10*time.Second)), 200},
		"an hour":                      {steps(wait(time.Hour + time.Second)), 400},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFlows(t)
			ann := x.add(t, "ann@example.com")
			token := x.emailToken(t, x.signedIn(t, "jwt", "ann@example.com"), "new@example.com")
			for _, step := range test.steps {
				step(t, x, ann.ID)
			}
			before := x.dump(t)
			a := x.confirm(t, token).want(t, test.status)
			if test.status == 400 {
				a.wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
				if x.dump(t) != before {
					t.Error("a refused link changes something")
				}
			}
		})
	}
}

// A mail that waits, or whose server makes it wait, is no way around: its link is
// for the user as he was when it was asked for (G4, CVE-2026-32700).
func TestS_G4_WaitingMailsEnd(t *testing.T) {
	t.Parallel()
	for kind, ask := range map[usher.MessageKind]func(t testing.TB, x *flows){
		usher.MailReset:  func(t testing.TB, x *flows) { x.resetToken(t, "ann@example.com") },
		usher.MailVerify: func(t testing.TB, x *flows) { x.verifyToken(t, "ann@example.com") },
		usher.MailConfirmEmail: func(t testing.TB, x *flows) {
			x.patchEmail(t, x.signedIn(t, "jwt", "ann@example.com"), "new@example.com").want(t, 200)
		},
	} {
		for name, test := range map[string]struct {
			steps []step
			due   bool
		}{
			"nothing":                      {nil, true},
			"another field":                {steps(change(usher.Change[User]{Set: func(u *User) { u.Plan = "gold" }})), true},
			"the address moved":            {steps(moveTo("other@example.com")), false},
			"the address moved and back":   {steps(moveTo("other@example.com"), moveTo("ann@example.com")), false},
			"the password changed":         {steps(change(usher.Change[User]{Password: new("another password")})), false},
			"the password reset by a link": {steps(resetByLink), false},
			"inactive":                     {steps(deactivate), false},
			"inactive and active again":    {steps(deactivate, activate), false},
			"the user deleted":             {steps(deleteUser), false},
		} {
			x := newFlows(t)
			ann := x.add(t, "ann@example.com", asUnverified)
			ask(t, x)
			messages := x.mails(t)
			waiting := messages[len(messages)-1]
			if waiting.Kind != kind {
				t.Fatalf("the mail is %+v", waiting)
			}
			for _, step := range test.steps {
				step(t, x, ann.ID)
			}
			token, err := x.auth.NewToken(t.Context(), waiting)
			if test.due && (err != nil || token == "") || !test.due && !errors.Is(err, usher.ErrNotFound) {
				t.Errorf("%s, %s: token %q, %v", kind, name, token, err)
			}
		}
	}
	x := newFlows(t) // and nobody is told to prove what he has proved
	ann := x.add(t, "ann@example.com", asUnverified)
	x.verifyToken(t, "ann@example.com")
	x.update(t, ann.ID, usher.Change[User]{IsVerified: new(true)})
	if _, err := x.auth.NewToken(t.Context(), x.mails(t)[0]); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("a link for a verified user: %v", err)
	}
}

// With the option a new address takes effect at once, unverified, and is proved by
// its own link only (G5, F32).
func TestInsecureUnconfirmedEmailChange(t *testing.T) {
	t.Parallel()
	x := newFlows(t, configured(func(c *usher.Config[User]) { c.InsecureUnconfirmedEmailChange = true }))
	ann := x.add(t, "ann@example.com")
	header := x.signedIn(t, "jwt", "ann@example.com")
	if u := x.patchEmail(t, header, "one@example.com").wantUser(t, 200); u.Email != "one@example.com" || u.IsVerified {
		t.Errorf("PATCH answers %+v", u)
	}
	one := x.mailed(t, usher.MailVerify, "one@example.com")
	if got := x.sent(t); !slices.Equal(got, []string{"email_changed ann@example.com", "verify one@example.com"}) {
		t.Errorf("mails %q", got)
	}
	x.patchEmail(t, header, "two@example.com").want(t, 200)
	two := x.mailed(t, usher.MailVerify, "two@example.com")
	x.verify(t, one).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
	if got := x.stored(t, ann.ID); got.Email != "two@example.com" || got.IsVerified {
		t.Errorf("the user is %+v", got)
	}
	x.verify(t, two).want(t, 200)
	x.add(t, "taken@example.com")
	x.patchEmail(t, header, "Taken@example.com").wantDetail(t, 400, "UPDATE_USER_EMAIL_ALREADY_EXISTS")
	// Beside a change in the midst.
	for range 8 {
		x.update(t, ann.ID, usher.Change[User]{Email: new("one@example.com")})
		token := x.mailed(t, usher.MailVerify, "one@example.com")
		atOnce(2, func(i int) {
			if i == 0 {
				x.verify(t, token)
			} else {
				x.patchEmail(t, header, "unproved@example.com").want(t, 200)
			}
		})
		if got := x.stored(t, ann.ID); got.Email != "unproved@example.com" || got.IsVerified {
			t.Errorf("the user is %+v", got)
		}
	}
}

// Asking for another address needs the current password, as every change of it
// (A8); what else the request says happens with the question or not at all (P10).
func TestS_A8_AskingForAnotherAddress(t *testing.T) {
	t.Parallel()
	x := newFlows(t)
	ann := x.add(t, "ann@example.com")
	header := x.signedIn(t, "cookie", "ann@example.com")
	type m = map[string]any
	before := x.dump(t)
	x.send(t, "PATCH", "/users/me", m{"email": "new@example.com"}, header).wantInvalid(t, "body.current_password")
	x.send(t, "PATCH", "/users/me", m{"email": "new@example.com", "current_password": "wrong"}, header).wantDetail(t, 400, "UPDATE_USER_BAD_CURRENT_PASSWORD")
	x.send(t, "PATCH", "/users/me", m{"email": "new@example.com", "current_password": goodPassword, "password": "short"}, header).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", "Password should be at least 8 characters")
	// It is judged by the new address, as where that takes effect at once (DEFECTS J).
	x.send(t, "PATCH", "/users/me", m{"email": " new@Example.com", "current_password": goodPassword, "password": "xNEW@example.comx"}, header).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", "Password should not contain e-mail")
	x.send(t, "PATCH", "/users/me", m{"email": "x", "current_password": goodPassword}, header).wantInvalid(t, "body.email")
	x.store.fail("AddMessage", errOutage)
	x.send(t, "PATCH", "/users/me", m{"email": "new@example.com", "current_password": goodPassword, "first_name": "Ann"}, header).want(t, 503)
	if x.dump(t) != before {
		t.Error("a refused request changes something")
	}
	x.send(t, "PATCH", "/users/me", m{"email": "new@example.com", "current_password": goodPassword, "password": "another password"}, header).want(t, 503)
	sameUser(t, "a request whose mail could not be stored", x.stored(t, ann.ID), ann)
	x.store.fail("AddMessage", nil)
	// All of it at once: the link is for the user as he is then.
	x.send(t, "PATCH", "/users/me", m{"email": "new@example.com", "current_password": goodPassword, "password": "another password", "first_name": "Ann"}, header).want(t, 200)
	token := x.mailed(t, usher.MailConfirmEmail, "new@example.com")
	if got := x.sent(t); !slices.Equal(got, []string{"password_changed ann@example.com", "confirm_email new@example.com"}) {
		t.Errorf("mails %q", got)
	}
	x.confirm(t, token).want(t, 200)
	if got := x.stored(t, ann.ID); got.Email != "new@example.com" || *got.FirstName != "Ann" {
		t.Errorf("the user is %+v", got)
	}
	x.send(t, "POST", "/auth/jwt/login", loginForm("new@example.com", "another password")).want(t, 200)
	if _, err := x.auth.UserByEmail(t.Context(), "ann@example.com"); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("the old address: %v", err)
	}
	var invalid *usher.ValidationError
	if err := x.auth.RequestEmailChange(t.Context(), ann.ID, "x"); !errors.As(err, &invalid) {
		t.Errorf("RequestEmailChange to what is no address: %v", err)
	}
	if err := x.auth.RequestEmailChange(t.Context(), usher.NewID(), "x@example.com"); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("RequestEmailChange of nobody: %v", err)
	}
}

// A proof of the old password is worth nothing once it has changed, here too
// (F31).
func TestF31_AskingBesideAChange(t *testing.T) {
	t.Parallel()
	x := newFlows(t, configured(func(c *usher.Config[User]) { c.InsecureKeepSessions = true })) // the proof dies, the token lives
	ann := x.add(t, "ann@example.com")
	header := x.signedIn(t, "jwt", "ann@example.com")
	x.store.at("InTx", func() { x.update(t, ann.ID, usher.Change[User]{Password: new("the new password")}) })
	x.patchEmail(t, header, "eve@example.com").wantDetail(t, 400, "UPDATE_USER_BAD_CURRENT_PASSWORD")
	for _, m := range x.sent(t) {
		if strings.HasPrefix(m, "confirm_email") {
			t.Errorf("mailed %s", m)
		}
	}
	// The upgrade of a hash in the midst is no such change.
	for name, hash := range oldHashes(t) {
		email := strings.ReplaceAll(name, " ", "-") + "@example.com"
		x.add(t, email, func(u *User) { u.HashedPassword = hash })
		u, err := x.auth.UserByEmail(t.Context(), email)
		if err != nil {
			t.Fatal(err)
		}
		token := must(x.jwt.WriteToken(t.Context(), &usher.Authentication{UserID: u.ID}))
		x.store.at("InTx", func() { x.login(t, "jwt", email) })
		if x.patchEmail(t, carrying("jwt", token), "new-"+email).want(t, 200); t.Failed() {
			t.Fatal(name)
		}
		x.store.at("InTx", func() {})
		// Nor is it one for the link.
		current, err := x.db.UserByID(t.Context(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		old := *current
		old.HashedPassword = hash
		if err := x.db.UpdateUser(t.Context(), current, &old); err != nil {
			t.Fatal(err)
		}
		link := x.mailed(t, usher.MailConfirmEmail, "new-"+email)
		x.store.at("InTx", func() { x.login(t, "jwt", email) })
		if x.confirm(t, link).want(t, 200); t.Failed() {
			t.Fatal(name)
		}
	}
}

// The hooks of an update see the new address when it takes effect, and may veto.
func TestHooksOfAConfirmedEmailChange(t *testing.T) {
	t.Parallel()
	var changes, members []string
	x := newFlows(t, configured(func(c *usher.Config[User]) {
		c.Hooks.BeforeUpdate = func(_ context.Context, before, after *User) error {
			if before.Email != after.Email {
				changes = append(changes, before.Email+" to "+after.Email)
			}
			if strings.HasSuffix(after.Email, "@banned.example") {
				return &usher.Error{Status: 403, Code: "BANNED"}
			}
			return nil
		}
		c.Hooks.AfterUpdate = func(_ context.Context, u *User, m []string) {
			members = append(members, u.Email+" "+strings.Join(m, ","))
		}
	}))
	ann := x.add(t, "ann@example.com")
	header := x.signedIn(t, "jwt", "ann@example.com")
	token := x.emailToken(t, header, "ann@banned.example")
	x.confirm(t, token).wantDetail(t, 403, "BANNED")
	sameUser(t, "a vetoed change", x.stored(t, ann.ID), ann)
	x.confirm(t, x.emailToken(t, header, "ann@good.example")).want(t, 200)
	if want := []string{"ann@example.com to ann@banned.example", "ann@example.com to ann@good.example"}; !slices.Equal(changes, want) {
		t.Errorf("BeforeUpdate saw %q, want %q", changes, want)
	}
	if len(members) == 0 || members[len(members)-1] != "ann@good.example email" {
		t.Errorf("AfterUpdate saw %q", members)
	}
}
