package usher_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usher"
	"usher/password"
)

// newUser is what somebody asks for who registers.
func newUser(email string) *User { return &User{User: usher.User{Email: email}} }

// wantCode checks that err is a refusal with this code, and returns it.
func wantCode(t testing.TB, err error, code string) *usher.Error {
	t.Helper()
	var refusal *usher.Error
	if !errors.As(err, &refusal) || refusal.Code != code {
		t.Fatalf("error %v, want %s", err, code)
	}
	return refusal
}

// Of many registrations of one address in several spellings at the same moment
// one succeeds; the others are told that the user exists; there is one row
// (DEFECTS A: accounts that brick each other; F28, P3).
func TestDefect_A_RegisterOneAddress(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	var welcomes atomic.Int32
	auth, err := usher.New(usher.Config[User]{
		Store: s.db, Passwords: s.hasher, Logger: s.log.Logger(), Backends: []usher.Backend{{Name: "db", Transport: usher.Bearer{}, Strategy: s.db.Sessions(0)}},
		Hooks: usher.Hooks[User]{AfterRegister: func(context.Context, *User) { welcomes.Add(1) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	spellings := []string{"josé@bücher.example", "JOSÉ@BÜCHER.example", "jose\u0301@xn--bcher-kva.example", "ｊｏｓé@bücher.example"}
	errs := make([]error, 64)
	atOnce(len(errs), func(i int) {
		instance := []*usher.Auth[User]{auth, s.auth}[i%2] // two programs on one database
		errs[i] = instance.Register(t.Context(), newUser(spellings[i/2%4]), goodPassword)
	})
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
		} else if !errors.Is(err, usher.ErrUserExists) {
			t.Errorf("error %v, want ErrUserExists", err)
		}
	}
	if won != 1 {
		t.Errorf("%d registrations succeeded, want 1", won)
	}
	if welcomes.Load() > 1 {
		t.Errorf("%d welcomes", welcomes.Load())
	}
	only := s.only(t)
	for _, spelling := range spellings {
		if u, err := s.auth.UserByEmail(t.Context(), spelling); err != nil || u.ID != only.ID {
			t.Errorf("UserByEmail(%q): %v, %v", spelling, u, err)
		}
	}
	for _, none := range []string{"", "x", "josé@bücher.example,x", "\xff", "nobody@example.com", strings.Repeat("a", 1<<20)} {
		if _, err := s.auth.UserByEmail(t.Context(), none); !errors.Is(err, usher.ErrNotFound) {
			t.Errorf("UserByEmail(%.20q): %v, want ErrNotFound", none, err)
		}
	}
}

// Register makes an ordinary account whatever the caller's struct says, and
// CreateUser keeps the flags.
func TestRegisterAndCreateUser(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	template := User{User: usher.User{IsSuperuser: true, IsVerified: true, IsActive: false, HashedPassword: "planted"}, Plan: "gold"}
	u := template
	u.Email, u.ID = " Ann@example.com ", "00000000-0000-4000-8000-000000000000"
	if err := s.auth.Register(t.Context(), &u, goodPassword); err != nil {
		t.Fatal(err)
	}
	got := s.stored(t, u.ID)
	if got.ID == "00000000-0000-4000-8000-000000000000" || got.Email != "Ann@example.com" || !got.IsActive || got.IsSuperuser || got.IsVerified || got.Plan != "gold" || !isCurrent(got.HashedPassword) || got.CreatedAt.IsZero() {
		t.Errorf("Register made %+v", got)
	}
	u = template
	u.Email, u.ID = "root@example.com", ""
	if err := s.auth.CreateUser(t.Context(), &u, goodPassword); err != nil {
		t.Fatal(err)
	}
	if got := s.stored(t, u.ID); got.IsActive || !got.IsSuperuser || !got.IsVerified || !isCurrent(got.HashedPassword) {
		t.Errorf("CreateUser made %+v", got)
	}
	for _, address := range []string{"", "x", "a@b", "Ann <a@example.com>", "a@example.com\n", "a@example.com,b@example.com", "a＠b@example.com"} {
		var invalid *usher.ValidationError
		if err := s.auth.Register(t.Context(), newUser(address), goodPassword); !errors.As(err, &invalid) {
			if address != "a@example.com\n" { // white space around it is tidied
				t.Errorf("Register(%q): %v, want a *ValidationError", address, err)
			}
		}
	}
}

// Updates at the same moment lose nothing: a conflict is tried again on what the
// other has made.
func TestUpdateUserLosesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.add(t, "ann@example.com", func(u *User) { u.IsVerified = false }).ID
	name := "Ann"
	changes := []usher.Change[User]{
		{Email: new("new@example.com")},
		{Password: new("another password")},
		{IsSuperuser: new(true)},
		{Set: func(u *User) { u.Plan = "gold" }},
		{Set: func(u *User) { u.FirstName = &name }},
		{Set: func(u *User) { u.Notes = "note" }},
		{Set: func(u *User) { u.Score = 7 }},
	}
	atOnce(len(changes), func(i int) {
		if _, err := s.auth.UpdateUser(t.Context(), id, changes[i]); err != nil {
			t.Errorf("change %d: %v", i, err)
		}
	})
	got := s.stored(t, id)
	if got.Email != "new@example.com" || !got.IsSuperuser || got.Plan != "gold" || got.FirstName == nil || *got.FirstName != name || got.Notes != "note" || got.Score != 7 {
		t.Errorf("after all of them: %+v", got)
	}
	s.send(t, "POST", "/auth/jwt/login", loginForm("new@example.com", "another password")).want(t, 200)
}

// A conflict is tried again, but not for ever, and the new password is hashed
// once only.
func TestUpdateUserRetriesConflicts(t *testing.T) {
	t.Parallel()
	for conflicts, want := range map[int]error{0: nil, 1: nil, 4: nil, 5: usher.ErrConflict, 1000: usher.ErrConflict} {
		t.Run(fmt.Sprint(conflicts), func(t *testing.T) {
			t.Parallel()
			store := newMemory()
			passwords := newWeakPasswords()
			left := conflicts
			auth := newAuth(t, store, func(c *usher.Config[User]) {
				c.Passwords = passwords
				c.Store = conflicting{store, &left}
			})
			u := store.add(t, person(t, "ann@example.com"))
			got, err := auth.UpdateUser(t.Context(), u.ID, usher.Change[User]{Password: new("another password"), Set: func(u *User) { u.Score++ }})
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Fatalf("error %v, want %v", err, want)
			}
			if n := passwords.Hashes(); n != 1 {
				t.Errorf("%d hashes, want 1", n)
			}
			if want != nil {
				if refusal := wantCode(t, err, "Service Unavailable"); refusal.Status != 503 {
					t.Errorf("status %d", refusal.Status)
				}
			} else if got.Score != u.Score+1 {
				t.Errorf("score %d: Set has to be applied to what is stored, once", got.Score)
			}
		})
	}
}

// conflicting is a user store whose first updates meet somebody else's.
type conflicting struct {
	*memory
	left *int
}

func (c conflicting) UpdateUser(ctx context.Context, before, after *User) error {
	if *c.left > 0 {
		*c.left--
		return usher.ErrConflict
	}
	return c.memory.UpdateUser(ctx, before, after)
}

// What UpdateUser and DeleteUser answer.
func TestUpdateAndDeleteUserErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "bob@example.com")
	ctx := t.Context()
	for _, id := range []usher.ID{"", "x", usher.NewID(), "\x00", usher.ID(strings.Repeat("a", 1<<20))} {
		if _, err := s.auth.UpdateUser(ctx, id, usher.Change[User]{}); !errors.Is(err, usher.ErrNotFound) {
			t.Errorf("UpdateUser(%.20q): %v, want ErrNotFound", id, err)
		}
		if err := s.auth.DeleteUser(ctx, id); !errors.Is(err, usher.ErrNotFound) {
			t.Errorf("DeleteUser(%.20q): %v, want ErrNotFound", id, err)
		}
		if _, err := s.auth.UserByID(ctx, id); !errors.Is(err, usher.ErrNotFound) {
			t.Errorf("UserByID(%.20q): %v, want ErrNotFound", id, err)
		}
	}
	_, err := s.auth.UpdateUser(ctx, ann.ID, usher.Change[User]{Email: new("BOB@example.com")})
	if !errors.Is(err, usher.ErrEmailExists) {
		t.Errorf("taken address: %v", err)
	}
	var invalid *usher.ValidationError
	if _, err := s.auth.UpdateUser(ctx, ann.ID, usher.Change[User]{Email: new("x")}); !errors.As(err, &invalid) {
		t.Errorf("bad address: %v", err)
	}
	_, err = s.auth.UpdateUser(ctx, ann.ID, usher.Change[User]{Password: new("short"), Set: func(u *User) { u.Plan = "gold" }})
	if refusal := wantCode(t, err, "UPDATE_USER_INVALID_PASSWORD"); refusal.Reason != "Password should be at least 8 characters" || refusal.Status != 400 {
		t.Errorf("bad password: %+v", refusal)
	}
	sameUser(t, "a refused change", s.stored(t, ann.ID), ann)
	// An id is taken in every spelling, and given back in the canonical one.
	got, err := s.auth.UpdateUser(ctx, usher.ID(strings.ToUpper(string(ann.ID))), usher.Change[User]{})
	if err != nil || got.ID != ann.ID {
		t.Errorf("by an id in capitals: %v, %v", got, err)
	}
	if err := s.auth.DeleteUser(ctx, usher.ID("{"+string(ann.ID)+"}")); err != nil {
		t.Error(err)
	}
	if err := s.auth.DeleteUser(ctx, ann.ID); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("twice: %v", err)
	}
	cancelled, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.auth.Register(cancelled, newUser("cat@example.com"), goodPassword); err == nil || errors.Is(err, usher.ErrNotFound) {
		t.Errorf("with a cancelled context: %v", err)
	}
}

// Of many deletions of one user one succeeds.
func TestDeleteUserOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	id := s.add(t, "ann@example.com").ID
	s.login(t, "cookie", "ann@example.com")
	var won atomic.Int32
	atOnce(16, func(int) {
		switch err := s.auth.DeleteUser(t.Context(), id); {
		case err == nil:
			won.Add(1)
		case !errors.Is(err, usher.ErrNotFound):
			t.Error(err)
		}
	})
	if won.Load() != 1 || s.sessionRows(t) != 0 {
		t.Errorf("%d deletions succeeded, %d sessions left", won.Load(), s.sessionRows(t))
	}
}

// A Before hook vetoes before anything has changed; an *Error and a
// *ValidationError are the answer, anything else is an outage, and so is a
// panic. No After hook runs then, and no After hook can undo anything.
func TestHooksVeto(t *testing.T) {
	t.Parallel()
	vetoes := map[string]struct {
		err  error
		want func(error) bool
	}{
		"an *Error":           {&usher.Error{Status: 402, Code: "PAY_FIRST"}, func(err error) bool { return errors.Is(err, &usher.Error{Status: 402, Code: "PAY_FIRST"}) }},
		"a *ValidationError":  {usher.Invalid("plan", "unknown"), func(err error) bool { var v *usher.ValidationError; return errors.As(err, &v) }},
		"any other error":     {errOutage, func(err error) bool { return errors.Is(err, errOutage) }},
		"InvalidPassword":     {usher.InvalidPassword("too common"), func(err error) bool { return err != nil }},
		"a panic, with a nil": {nil, func(err error) bool { return err != nil && strings.Contains(err.Error(), "panicked") }},
	}
	for name, veto := range vetoes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var mu sync.Mutex
			on, after := false, 0
			refuse := func() error {
				mu.Lock()
				defer mu.Unlock()
				if on && veto.err == nil {
					panic("hook")
				}
				if on {
					return veto.err
				}
				return nil
			}
			count := func() { mu.Lock(); after++; mu.Unlock() }
			s := newSite(t, configured(func(c *usher.Config[User]) {
				c.Hooks = usher.Hooks[User]{
					BeforeLogin:    func(context.Context, *User, *usher.Authentication) error { return refuse() },
					BeforeRegister: func(context.Context, *User) error { return refuse() },
					BeforeUpdate:   func(context.Context, *User, *User) error { return refuse() },
					BeforeDelete:   func(context.Context, *User) error { return refuse() },
					AfterLogin:     func(context.Context, *User, usher.Authentication) { count(); panic("after") },
					AfterRegister:  func(context.Context, *User) { count(); panic("after") },
					AfterUpdate:    func(context.Context, *User, []string) { count(); panic("after") },
					AfterDelete:    func(context.Context, *User) { count(); panic("after") },
				}
			}))
			ctx := t.Context()
			ann := s.add(t, "ann@example.com")
			flows := map[string]func() error{
				"login": func() error {
					_, _, err := s.auth.Login(ctx, "cookie", "ann@example.com", goodPassword, usher.Client{})
					return err
				},
				"register": func() error { return s.auth.Register(ctx, newUser("bob@example.com"), goodPassword) },
				"update": func() error {
					_, err := s.auth.UpdateUser(ctx, ann.ID, usher.Change[User]{Password: new("another password"), Set: func(u *User) { u.Plan = "gold" }})
					return err
				},
				"delete": func() error { return s.auth.DeleteUser(ctx, ann.ID) },
			}
			header := s.signedIn(t, "cookie", "ann@example.com")
			mu.Lock()
			on, after = true, 0
			mu.Unlock()
			before := s.hasher.Hashes()
			for flow, run := range flows {
				if err := run(); !veto.want(err) {
					t.Errorf("%s: error %v", flow, err)
				}
			}
			if after != 0 {
				t.Errorf("%d After hooks ran", after)
			}
			if n := s.hasher.Hashes() - before; n != 1 { // the login's
				t.Errorf("%d hashes, want that of the login", n)
			}
			s.wantAlive(t, "the session of before", header, true)
			sameUser(t, "a veto", s.only(t), ann)
			if n := s.sessionRows(t); n != 1 {
				t.Errorf("%d sessions, want 1", n)
			}
			mu.Lock()
			on = false
			mu.Unlock()
			for _, flow := range []string{"login", "register", "update", "delete"} {
				if err := flows[flow](); err != nil {
					t.Errorf("%s without a veto: %v", flow, err)
				}
			}
			if after != len(flows) {
				t.Errorf("%d After hooks ran, want %d", after, len(flows))
			}
		})
	}
}

// When the gate is busy an account flow fails without a trace, and says how soon
// to try again (F20, P10, DEFECTS C).
func TestF20_AccountsWhileTheGateIsBusy(t *testing.T) {
	t.Parallel()
	s := newSite(t, narrowGate)
	ann := s.add(t, "ann@example.com")
	ctx, done := t.Context(), s.occupyGate(t)
	_, _, loginErr := s.auth.Login(ctx, "jwt", "ann@example.com", goodPassword, usher.Client{})
	_, updateErr := s.auth.UpdateUser(ctx, ann.ID, usher.Change[User]{Password: new("another password"), Email: new("new@example.com")})
	for flow, err := range map[string]error{"login": loginErr, "update": updateErr, "register": s.auth.Register(ctx, newUser("bob@example.com"), goodPassword)} {
		var busy *password.BusyError
		if refusal := wantCode(t, err, "Service Unavailable"); refusal.Status != 503 || refusal.RetryAfter < time.Second || refusal.RetryAfter > time.Minute || !errors.As(err, &busy) {
			t.Errorf("%s: %+v", flow, refusal)
		}
	}
	s.wantBusyUntilNow(t, done)
	sameUser(t, "a refused change", s.only(t), ann)
	if strings.Contains(s.log.String(), "another password") {
		t.Error("the log repeats the password")
	}
}
