package usher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"usher"
	"usher/internal/testlog"
	"usher/ushertest"
)

// house is an Auth over sessions ("cookie" and "bearer") and JWTs ("jwt") with
// one user, ann, and what it logs and tells.
type house struct {
	*usher.Auth[User]
	store  *memory
	ann    *User
	clock  *ushertest.Clock
	log    *testlog.Buffer
	mu     sync.Mutex
	events []usher.Event
}

func newHouse(t testing.TB, change ...func(*usher.Config[User])) *house {
	t.Helper()
	x := &house{store: newMemory(), clock: ushertest.NewClock(epoch), log: &testlog.Buffer{}}
	x.ann = x.store.add(t, person(t, "Ann@example.com"))
	x.Auth = newAuth(t, x.store, append([]func(*usher.Config[User]){func(c *usher.Config[User]) {
		sessions := usher.Sessions{Store: x.store, Now: x.clock.Now}
		c.Backends = []usher.Backend{
			{Name: "cookie", Transport: usher.Cookie{}, Strategy: sessions},
			{Name: "bearer", Transport: usher.Bearer{}, Strategy: sessions},
			{Name: "jwt", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}, Now: x.clock.Now}},
		}
		c.Logger, c.Now = x.log.Logger(), x.clock.Now
		c.Hooks.OnEvent = func(_ context.Context, e usher.Event) {
			x.mu.Lock()
			defer x.mu.Unlock()
			x.events = append(x.events, e)
		}
	}}, change...)...)
	return x
}

// of returns the events of a kind so far, and forgets all.
func (x *house) of(kind usher.EventKind) (events []usher.Event) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, e := range x.events {
		if e.Kind == kind {
			events = append(events, e)
		}
	}
	x.events = nil
	return events
}

var laptop = usher.Client{IP: "192.0.2.1", UserAgent: "laptop"}

// post sends a form to a route.
func (x *house) post(path string, form string) *http.Response {
	r := httptest.NewRequest("POST", path, strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return ask(x.Handler(), r)
}

const loginAnn = "username=ann@example.com&password=correct+horse+battery+staple"

// A BeforeLogin that vetoes leaves no session and no token; so does one that
// breaks.
func TestBeforeLoginVeto(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		hook   func() error
		status int
		body   string
		cause  error
	}{
		{"refusal", func() error { return &usher.Error{Status: 402, Code: "PAYMENT_DUE"} }, 402, `{"detail":"PAYMENT_DUE"}`, &usher.Error{Status: 402, Code: "PAYMENT_DUE"}},
		{"refusal with a reason", func() error { return &usher.Error{Status: 400, Code: "BANNED", Reason: "spam"} }, 400, `{"detail":{"code":"BANNED","reason":"spam"}}`, &usher.Error{Status: 400, Code: "BANNED"}},
		{"wrapped refusal", func() error { return fmt.Errorf("billing: %w", usher.ErrForbidden) }, 403, `{"detail":"Forbidden"}`, usher.ErrForbidden},
		{"field", func() error { return usher.Invalid("username", "is on holiday") }, 422, `is on holiday`, nil},
		{"plain error", func() error { return errOutage }, 503, `{"detail":"Service Unavailable"}`, errOutage},
		{"an error of some store", func() error { return usher.ErrNotFound }, 503, `{"detail":"Service Unavailable"}`, usher.ErrNotFound},
		{"a conflict of some store", func() error { return usher.ErrConflict }, 503, `{"detail":"Service Unavailable"}`, usher.ErrConflict},
		{"panic", func() error { panic("broken hook") }, 503, `{"detail":"Service Unavailable"}`, nil},
		{"nil dereference", func() error { return errors.New((*User)(nil).Email) }, 503, `{"detail":"Service Unavailable"}`, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var calls int
			x := newHouse(t, func(c *usher.Config[User]) {
				c.Hooks.BeforeLogin = func(context.Context, *User, *usher.Authentication) error { calls++; return test.hook() }
				c.Hooks.AfterLogin = func(context.Context, *User, usher.Authentication) { t.Error("AfterLogin runs") }
			})
			for _, backend := range []string{"cookie", "bearer", "jwt"} {
				x.of("") // forget those of the last turn
				u, authn, err := x.Login(t.Context(), backend, x.ann.Email, goodPassword, laptop)
				if err == nil || u != nil || authn.Token != "" || authn.UserID != "" {
					t.Errorf("Login: %+v, %+v, %v", u, authn, err)
				}
				if test.cause != nil && !errors.Is(err, test.cause) {
					t.Errorf("Login: %v, want %v", err, test.cause)
				}
				if authn, err := x.SignIn(t.Context(), backend, x.ann, []string{"otp"}, laptop); err == nil || authn.Token != "" {
					t.Errorf("SignIn: %+v, %v", authn, err)
				}
				events := x.of(usher.EventLogin)
				if len(events) != 2 || events[0].Err == nil || events[1].Err == nil || events[0].UserID != x.ann.ID {
					t.Errorf("%d events, want two failures of ann: %+.300v", len(events), events)
				}
				answer := x.post("/auth/"+backend+"/login", loginAnn)
				if body := bodyOf(t, answer); answer.StatusCode != test.status || !strings.Contains(body, test.body) || strings.Contains(body, "hook") || answer.Header.Get("Set-Cookie") != "" {
					t.Errorf("%s: %d %s %v, want %d %s", backend, answer.StatusCode, body, answer.Header, test.status, test.body)
				}
			}
			if x.store.called("CreateSession") != 0 || calls != 9 {
				t.Errorf("%d sessions were created, BeforeLogin ran %d times, want 0 and 9", x.store.called("CreateSession"), calls)
			}
			if test.name == "panic" && !strings.Contains(x.log.String(), "broken hook") {
				t.Errorf("the panic is not logged: %s", x.log)
			}
		})
	}
}

// An After hook that panics changes nothing.
func TestAfterHooksPanic(t *testing.T) {
	t.Parallel()
	var calls []string
	x := newHouse(t, func(c *usher.Config[User]) {
		boom := func(name string) { calls = append(calls, name); panic("boom in " + name) }
		c.Hooks.AfterLogin = func(context.Context, *User, usher.Authentication) { boom("AfterLogin") }
		c.Hooks.AfterLogout = func(context.Context, *User, usher.Authentication) { boom("AfterLogout") }
		c.Hooks.AfterRegister = func(context.Context, *User) { boom("AfterRegister") }
		c.Hooks.AfterUpdate = func(context.Context, *User, []string) { boom("AfterUpdate") }
		c.Hooks.AfterDelete = func(context.Context, *User) { boom("AfterDelete") }
		c.Hooks.OnEvent = func(_ context.Context, e usher.Event) { boom("OnEvent") }
	})
	answer := x.post("/auth/cookie/login", loginAnn)
	if answer.StatusCode != http.StatusNoContent || len(answer.Cookies()) != 1 || x.store.sessionCount() != 1 {
		t.Fatalf("login: %d %v, %d sessions", answer.StatusCode, answer.Header, x.store.sessionCount())
	}
	r := httptest.NewRequest("POST", "/auth/cookie/logout", nil)
	r.AddCookie(answer.Cookies()[0])
	if answer := ask(x.Handler(), r); answer.StatusCode != http.StatusNoContent || x.store.sessionCount() != 0 {
		t.Errorf("logout: %d, %d sessions", answer.StatusCode, x.store.sessionCount())
	}
	u := &User{User: usher.User{Email: "bob@example.com"}}
	if err := x.Register(t.Context(), u, goodPassword); err != nil {
		t.Errorf("Register: %v", err)
	}
	if _, err := x.UpdateUser(t.Context(), u.ID, usher.Change[User]{Set: func(u *User) { u.Plan = "x" }}); err != nil {
		t.Errorf("UpdateUser: %v", err)
	}
	if err := x.DeleteUser(t.Context(), u.ID); err != nil {
		t.Errorf("DeleteUser: %v", err)
	}
	for _, name := range []string{"AfterLogin", "AfterLogout", "AfterRegister", "AfterUpdate", "AfterDelete", "OnEvent"} {
		if !slices.Contains(calls, name) || !strings.Contains(x.log.String(), "boom in "+name) || !strings.Contains(x.log.String(), `"hook":"`+name+`"`) {
			t.Errorf("%s: ran %v, log %s", name, calls, x.log)
		}
	}
}

// What the other Before hooks veto has not happened.
func TestBeforeHooksVeto(t *testing.T) {
	t.Parallel()
	veto := &usher.Error{Status: 409, Code: "VETO"}
	for name, hook := range map[string]func() error{"refusal": func() error { return veto }, "plain": func() error { return errOutage }, "panic": func() error { panic("broken hook") }} {
		x := newHouse(t, func(c *usher.Config[User]) {
			c.Hooks.BeforeRegister = func(context.Context, *User) error { return hook() }
			c.Hooks.BeforeUpdate = func(context.Context, *User, *User) error { return hook() }
			c.Hooks.BeforeDelete = func(context.Context, *User) error { return hook() }
		})
		plan := usher.Change[User]{Set: func(u *User) { u.Plan = "x" }}
		_, update := x.UpdateUser(t.Context(), x.ann.ID, plan)
		for what, err := range map[string]error{
			"Register": x.Register(t.Context(), &User{User: usher.User{Email: "bob@example.com"}}, goodPassword),
			"Update":   update,
			"Delete":   x.DeleteUser(t.Context(), x.ann.ID),
		} {
			var refusal *usher.Error
			if !errors.As(err, &refusal) || refusal.Status != map[string]int{"refusal": 409, "plain": 503, "panic": 503}[name] {
				t.Errorf("%s of %s: %v", name, what, err)
			}
		}
		users, err := x.store.ListUsers(t.Context(), usher.UserQuery{Limit: 10})
		if err != nil || len(users) != 1 || users[0].Plan != "" {
			t.Errorf("%s: users %+v, %v, want ann as she was", name, users, err)
		}
		if n := x.store.called("UpdateUser") + x.store.called("DeleteUser"); n != 0 {
			t.Errorf("%s: the store was changed %d times", name, n)
		}
	}
}

// The application's own fields of a session.
func TestBeforeLoginData(t *testing.T) {
	t.Parallel()
	x := newHouse(t, func(c *usher.Config[User]) {
		c.Hooks.BeforeLogin = func(_ context.Context, u *User, a *usher.Authentication) error {
			if u.Email != "Ann@example.com" || a.UserID != u.ID || a.IP != laptop.IP || a.Token != "" || !slices.Equal(a.Methods, []string{"pwd"}) {
				t.Errorf("BeforeLogin got %+v, %+v", u, a)
			}
			a.Data["device"] = "phone"
			a.Data["trusted"] = true
			return nil
		}
	})
	_, authn, err := x.Login(t.Context(), "bearer", "ANN@EXAMPLE.COM", goodPassword, laptop)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"device": "phone", "trusted": true}
	if sessions, err := x.ListSessions(t.Context(), x.ann.ID); err != nil || len(sessions) != 1 || !maps.Equal(sessions[0].Data, want) || sessions[0].IP != laptop.IP || sessions[0].UserAgent != laptop.UserAgent {
		t.Errorf("sessions %+v, %v, want data %v", sessions, err, want)
	}
	if _, again, err := x.Authenticate(withBearer(t, authn.Token)); err != nil || !maps.Equal(again.Data, want) || !again.AuthTime.Equal(epoch) {
		t.Errorf("%+v, %v, want data %v", again, err, want)
	}
}
