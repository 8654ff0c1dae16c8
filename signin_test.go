package usher_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"

	"golang.org/x/crypto/bcrypt"
)

// Every sign-in ends in one event that says how.
func TestLoginEvents(t *testing.T) {
	t.Parallel()
	x := newHouse(t, func(c *usher.Config[User]) { c.RequireVerified = true })
	off, unproven := person(t, "off@example.com"), person(t, "unproven@example.com")
	off.IsActive, unproven.IsVerified = false, false
	offID, unprovenID := x.store.add(t, off).ID, x.store.add(t, unproven).ID
	for _, test := range []struct {
		name            string
		email, password string
		backend         string
		fail            string // method of the store
		user            usher.ID
		err             error
	}{
		{"success", "ann@example.com", goodPassword, "cookie", "", x.ann.ID, nil},
		{"success by JWT", "ann@example.com", goodPassword, "jwt", "", x.ann.ID, nil},
		{"wrong password", "ann@example.com", "canary-wrong-password", "bearer", "", x.ann.ID, usher.ErrBadCredentials},
		{"nobody", "canary-nobody@example.com", goodPassword, "bearer", "", "", usher.ErrBadCredentials},
		{"no address", "canary", goodPassword, "bearer", "", "", usher.ErrBadCredentials},
		{"inactive", "off@example.com", goodPassword, "bearer", "", offID, usher.ErrBadCredentials},
		{"not verified", "unproven@example.com", goodPassword, "bearer", "", unprovenID, usher.ErrUserNotVerified},
		{"not verified, wrong password", "unproven@example.com", "canary-wrong-password", "bearer", "", unprovenID, usher.ErrBadCredentials},
		{"the users are away", "ann@example.com", goodPassword, "bearer", "UserByEmail", "", errOutage},
		{"the sessions are away", "ann@example.com", goodPassword, "bearer", "CreateSession", x.ann.ID, errOutage},
		{"no such backend", "ann@example.com", goodPassword, "canary", "", x.ann.ID, nil},
	} {
		if test.fail != "" {
			x.store.fail(test.fail, errOutage)
		}
		_, authn, err := x.Login(t.Context(), test.backend, test.email, test.password, laptop)
		x.store.fail(test.fail, nil)
		if good := strings.HasPrefix(test.name, "success"); (err == nil) != good || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: %v, want %v", test.name, err, test.err)
		} else if good && authn.Token == "" || !good && authn.Token != "" {
			t.Errorf("%s: token %q", test.name, authn.Token)
		}
		events := x.of(usher.EventLogin)
		if len(events) != 1 {
			t.Errorf("%s: %d events, want 1: %+v", test.name, len(events), events)
			continue
		}
		e := events[0]
		if !errors.Is(e.Err, err) && err != nil || (e.Err == nil) != (err == nil) || e.UserID != test.user || e.Backend != test.backend || e.IP != laptop.IP || e.UserAgent != laptop.UserAgent || !e.Time.Equal(epoch) {
			t.Errorf("%s: event %+v", test.name, e)
		}
		if (e.Err == nil) != (e.SessionID != "") && test.name != "the sessions are away" {
			t.Errorf("%s: event of session %q with error %v", test.name, e.SessionID, e.Err)
		}
		if err == nil && e.SessionID != authn.SessionID {
			t.Errorf("%s: event of session %q, want %q", test.name, e.SessionID, authn.SessionID)
		}
	}
	user, authn, err := x.Login(t.Context(), "bearer", "ann@example.com", goodPassword, laptop)
	if err != nil {
		t.Fatal(err)
	}
	for _, outage := range []error{errOutage, nil} {
		x.store.fail("DestroySession", outage)
		x.of(usher.EventLogout)
		err := x.SignOut(t.Context(), user, authn)
		events := x.of(usher.EventLogout)
		if !errors.Is(err, outage) || len(events) != 1 || !errors.Is(events[0].Err, outage) || events[0].UserID != x.ann.ID || events[0].SessionID != authn.SessionID || events[0].Backend != "bearer" {
			t.Errorf("SignOut with %v: %v, events %+v", outage, err, events)
		}
	}
}

// E18: neither events nor logs hold a password, a token or a hash.
func TestS_E18_EventsAndLogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	var all []string
	x := newHouse(t, func(c *usher.Config[User]) {
		record := c.Hooks.OnEvent
		c.Hooks.OnEvent = func(ctx context.Context, e usher.Event) { record(ctx, e); all = append(all, fmt.Sprintf("%+v", e)) }
		c.Secret = secret
		c.Hooks.AfterForgotPassword = func(_ context.Context, _ *User, token string) { all = append(all, "reset token: "+token) }
	})
	secrets := []string{goodPassword, "canary-wrong-password", "canary-new-password", string(secret), "$argon2"}
	for _, backend := range []string{"cookie", "bearer", "jwt"} {
		user, authn, err := x.Login(t.Context(), backend, x.ann.Email, goodPassword, laptop)
		if err != nil {
			t.Fatal(err)
		}
		hash := usher.HashToken(authn.Token)
		secrets = append(secrets, authn.Token, fmt.Sprintf("%x", hash))
		_, _, _ = x.Login(t.Context(), backend, x.ann.Email, "canary-wrong-password", laptop)
		_, _, _ = x.Authenticate(withBearer(t, authn.Token+"x"))
		x.store.fail("", errOutage)
		_, _, _ = x.Login(t.Context(), backend, x.ann.Email, goodPassword, laptop)
		ask(x.Require()(okHandler), withBearer(t, authn.Token))
		_ = x.SignOut(t.Context(), user, authn)
		x.store.fail("", nil)
		if err := x.SignOut(t.Context(), user, authn); err != nil {
			t.Error(err)
		}
		x.post("/auth/"+backend+"/login", loginAnn)
	}
	_ = x.Register(t.Context(), &User{User: usher.User{Email: "bob@example.com"}}, "canary-new-password")
	_ = x.Register(t.Context(), &User{User: usher.User{Email: "bob@example.com"}}, "canary-new-password")
	_ = x.Register(t.Context(), &User{User: usher.User{Email: "carol@example.com"}}, "short12") // too short
	newPassword := "canary-new-password"
	if _, err := x.UpdateUser(t.Context(), x.ann.ID, usher.Change[User]{Password: &newPassword}); err != nil {
		t.Error(err)
	}
	if err := x.ForgotPassword(t.Context(), x.ann.Email); err != nil {
		t.Error(err)
	}
	token := ""
	all = slices.DeleteFunc(all, func(s string) bool {
		found := strings.HasPrefix(s, "reset token: ")
		if found {
			token = strings.TrimPrefix(s, "reset token: ")
		}
		return found
	})
	if token == "" {
		t.Fatal("no reset token")
	}
	secrets = append(secrets, token, "short12")
	_, _ = x.ResetPassword(t.Context(), token+"x", newPassword)
	if _, err := x.ResetPassword(t.Context(), token, newPassword); err != nil {
		t.Error(err)
	}
	text := x.log.String() + strings.Join(all, "\n")
	for _, secret := range secrets {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in the events or the log", secret)
		}
	}
	for _, want := range []string{string(x.ann.ID), "LOGIN_BAD_CREDENTIALS", errOutage.Error(), "usher: login", "usher: logout", "usher: register"} { // the positive control
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in the events or the log", want)
		}
	}
}

// A12: of sixteen sign-ins that find the same old hash one replaces it, and all
// succeed.
func TestS_A12_OneUpgradeWins(t *testing.T) {
	t.Parallel()
	x := newHouse(t)
	old := string(must(bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.MinCost)))
	changed := *x.ann
	changed.HashedPassword = old
	if err := x.store.UpdateUser(t.Context(), x.ann, &changed); err != nil {
		t.Fatal(err)
	}
	before := x.store.called("UpdateUser")
	start := make(chan struct{})
	var done sync.WaitGroup
	for range 16 {
		done.Go(func() {
			<-start
			if _, authn, err := x.Login(context.Background(), "bearer", x.ann.Email, goodPassword, laptop); err != nil || authn.Token == "" {
				t.Errorf("Login: %v", err)
			}
		})
	}
	close(start)
	done.Wait()
	now, err := x.store.UserByID(t.Context(), x.ann.ID)
	if err != nil || !strings.HasPrefix(now.HashedPassword, "$argon2id$") || now.Email != x.ann.Email || !now.IsVerified || now.Epoch != x.ann.Epoch {
		t.Errorf("the user is now %+v, %v", now, err)
	}
	x.mu.Lock()
	won := 0
	for _, e := range x.events {
		if e.Kind == usher.EventPasswordRehash && e.Err == nil {
			won++
		} else if e.Kind == usher.EventPasswordRehash && !errors.Is(e.Err, usher.ErrConflict) {
			t.Errorf("an upgrade failed with %v, want %v", e.Err, usher.ErrConflict)
		}
	}
	x.mu.Unlock()
	if won != 1 || x.store.called("UpdateUser") == before {
		t.Errorf("%d upgrades won, want 1", won)
	}
	if sessions, err := x.ListSessions(t.Context(), x.ann.ID); err != nil || len(sessions) != 16 {
		t.Errorf("%d sessions, %v, want 16", len(sessions), err)
	}
	if _, _, err := x.Login(t.Context(), "bearer", x.ann.Email, goodPassword, laptop); err != nil {
		t.Error(err)
	}
}

// B4: whatever the reason of a failure, it costs one password hash.
func TestS_B4_OneHashPerLogin(t *testing.T) {
	t.Parallel()
	hasher := newWeakPasswords()
	x := newHouse(t, func(c *usher.Config[User]) { c.Passwords, c.RequireVerified = hasher, true })
	for email, change := range map[string]func(*User){
		"off@example.com":      func(u *User) { u.IsActive = false },
		"unproven@example.com": func(u *User) { u.IsVerified = false },
		"oauth@example.com":    func(u *User) { u.HashedPassword = "" },
		"broken@example.com":   func(u *User) { u.HashedPassword = "$argon2id$v=19$m=0" },
	} {
		u := person(t, email)
		change(&u)
		x.store.add(t, u)
	}
	for _, email := range []string{"ann@example.com", "off@example.com", "unproven@example.com", "oauth@example.com", "broken@example.com", "nobody@example.com", "no address", "", strings.Repeat("a", 1<<16)} {
		for _, plain := range []string{goodPassword, "wrong", "", strings.Repeat("x", 5000)} {
			before := hasher.Hashes()
			_, _, err := x.Login(t.Context(), "bearer", email, plain, laptop)
			if n := hasher.Hashes() - before; n != 1 {
				t.Errorf("%.20q with %.20q: %d hashes, want 1 (%v)", email, plain, n, err)
			}
		}
	}
}

// A sign-in that finds the user changed at its end leaves nothing behind.
func TestSignInBesideAChange(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		change func(x *house) error
		err    error
	}{
		{"deactivated", func(x *house) error {
			no := false
			_, err := x.UpdateUser(context.Background(), x.ann.ID, usher.Change[User]{IsActive: &no})
			return err
		}, usher.ErrConflict},
		{"password changed", func(x *house) error {
			p := "another good password"
			_, err := x.UpdateUser(context.Background(), x.ann.ID, usher.Change[User]{Password: &p})
			return err
		}, usher.ErrConflict},
		{"deleted", func(x *house) error { return x.DeleteUser(context.Background(), x.ann.ID) }, usher.ErrBadCredentials},
		{"away", func(x *house) error { x.store.fail("UserByID", errOutage); return nil }, errOutage},
	} {
		x := newHouse(t)
		x.store.at("CreateSession", func() {
			if err := test.change(x); err != nil {
				t.Errorf("%s: %v", test.name, err)
			}
		})
		authn, err := x.SignIn(t.Context(), "bearer", x.ann, []string{"pwd"}, laptop)
		if !errors.Is(err, test.err) || authn.Token != "" {
			t.Errorf("%s: SignIn: %+v, %v, want %v", test.name, authn, err, test.err)
		}
		if n := x.store.sessionCount(); n != 0 {
			t.Errorf("%s: %d sessions are left", test.name, n)
		}
	}
	x := newHouse(t) // the positive control
	if authn, err := x.SignIn(t.Context(), "bearer", x.ann, []string{"pwd"}, laptop); err != nil || authn.Token == "" || authn.ExpiresAt.Sub(epoch) != 24*time.Hour {
		t.Errorf("SignIn: %+v, %v", authn, err)
	}
}
