package usher_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"usher"
)

// hookedFlows are the flows that call each hook.
var hookedFlows = map[string][]string{
	"BeforeLogin":         {"login"},
	"AfterLogin":          {"login"},
	"AfterLogout":         {"logout"},
	"BeforeRegister":      {"register"},
	"DuringRegister":      {"register"},
	"AfterRegister":       {"register"},
	"ValidatePassword":    {"register", "set password", "reset"},
	"BeforeUpdate":        {"update", "set password", "confirm e-mail"},
	"DuringUpdate":        {"update", "set password", "verify", "reset", "confirm e-mail"},
	"AfterUpdate":         {"update", "set password", "confirm e-mail"},
	"AfterRequestVerify":  {"request verify"},
	"AfterForgotPassword": {"forgot password"},
	"AfterVerify":         {"verify"},
	"AfterResetPassword":  {"reset"},
	"BeforeDelete":        {"delete"},
	"DuringDelete":        {"delete"},
	"AfterDelete":         {"delete"},
	"OnEvent":             {"login", "logout", "register", "update", "request verify", "forgot password", "verify", "reset", "delete"},
}

// endsSessions are the flows that end sessions before they begin with the change:
// it shows then if a store of sessions is away. A During hook cannot bring them back.
var endsSessions = []string{"set password", "reset", "delete"}

// hooking is a site with one hook that does something once it is armed, and a flow
// that calls it, of a new user each time.
type hooking struct {
	*flows
	hook, flow string
	beside     *sql.DB // the database as everybody sees it
	routes     http.Handler
	others     string // the header of somebody else
	users      int
	before     string // what everybody else saw before the flow

	mu      sync.Mutex
	handler http.Handler // what the next request goes through
	does    func() error
	called  int
	seen    string // what everybody else saw at the first call
}

// state is what everybody sees in the database.
func (x *hooking) state(t testing.TB) string {
	t.Helper()
	rows := strings.SplitAfter(dump(t, x.beside), "\n")
	return strings.Join(slices.DeleteFunc(rows, func(row string) bool {
		return strings.HasPrefix(row, "sessions.") && strings.HasPrefix(x.hook, "During") && slices.Contains(endsSessions, x.flow)
	}), "")
}

// isAfter tells whether the hook comes after the change.
func (x *hooking) isAfter() bool { return strings.HasPrefix(x.hook, "After") || x.hook == "OnEvent" }

// calls is how often the hook was called since it was armed, and what was seen then.
func (x *hooking) calls() (int, string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.called, x.seen
}

// newHooking installs a hook of whatever type it is.
func newHooking(t testing.TB, hook, flow string) *hooking {
	t.Helper()
	x := &hooking{hook: hook, flow: flow}
	x.flows = newFlows(t, configured(func(c *usher.Config[User]) {
		c.Hooks.OnEvent = nil
		field := reflect.ValueOf(&c.Hooks).Elem().FieldByName(hook)
		field.Set(reflect.MakeFunc(field.Type(), func([]reflect.Value) []reflect.Value {
			err := x.run(t)
			if field.Type().NumOut() == 0 {
				return nil
			}
			result := reflect.New(field.Type().Out(0)).Elem()
			if err != nil {
				result.Set(reflect.ValueOf(err))
			}
			return []reflect.Value{result}
		}))
	}))
	x.beside, x.routes = x.open(t), x.auth.Handler()
	t.Cleanup(func() { x.beside.Close() })
	x.listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		x.mu.Lock()
		h := x.handler
		x.mu.Unlock()
		h.ServeHTTP(w, r)
	}))
	x.disarm()
	x.add(t, "eve@example.com")
	x.others = x.signedIn(t, "jwt", "eve@example.com")
	return x
}

func (x *hooking) run(t testing.TB) error {
	x.mu.Lock()
	does := x.does
	if does != nil {
		if x.called++; x.called == 1 {
			x.seen = x.state(t)
		}
	}
	x.mu.Unlock()
	if does == nil {
		return nil
	}
	return does()
}

// route makes requests go through a handler.
func (x *hooking) route(h http.HandlerFunc) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.handler = h
}

// disarm makes the hook, and the way to it, what they were.
func (x *hooking) disarm() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.handler, x.does, x.called, x.seen = x.routes, nil, 0, ""
}

// arm makes the hook do something from now on.
func (x *hooking) arm(t testing.TB, does func() error) {
	t.Helper()
	before := x.state(t)
	x.mu.Lock()
	defer x.mu.Unlock()
	x.does, x.before = does, before
}

// prepare returns the request of a new user's flow, whose answer has the status.
func (x *hooking) prepare(t testing.TB) (request func(context.Context) (answer, error), status int) {
	t.Helper()
	x.disarm()
	x.users++
	name := fmt.Sprintf("%d@example.com", x.users)
	email := "ann" + name
	x.add(t, email, func(u *User) { u.IsVerified = x.flow != "verify" && x.flow != "request verify" })
	header := x.signedIn(t, "cookie", email)
	send := func(status int, method, path string, body any) (func(context.Context) (answer, error), int) {
		return func(ctx context.Context) (answer, error) { return x.try(ctx, method, path, body, header) }, status
	}
	type m = map[string]any
	switch x.flow {
	case "login":
		return send(204, "POST", "/auth/cookie/login", loginForm(email, goodPassword))
	case "logout":
		return send(204, "POST", "/auth/cookie/logout", nil)
	case "register":
		return send(201, "POST", "/auth/register", registering("bob"+name))
	case "update":
		return send(200, "PATCH", "/users/me", m{"first_name": "Ann"})
	case "set password":
		return send(200, "PATCH", "/users/me", m{"password": "another password", "current_password": goodPassword})
	case "confirm e-mail":
		return send(200, "POST", "/auth/confirm-email", m{"token": x.emailToken(t, header, "new"+name)})
	case "request verify":
		return send(202, "POST", "/auth/request-verify-token", m{"email": email})
	case "forgot password":
		return send(202, "POST", "/auth/forgot-password", m{"email": email})
	case "verify":
		return send(200, "POST", "/auth/verify", m{"token": x.verifyToken(t, email)})
	case "reset":
		return send(200, "POST", "/auth/reset-password", m{"token": x.resetToken(t, email), "password": "another password"})
	case "delete":
		return send(204, "DELETE", "/users/me", m{"current_password": goodPassword})
	}
	t.Fatalf("no flow %q", x.flow)
	return nil, 0
}

// Every hook that vetoes, panics, is slow, or is slow when nobody waits any more:
// nothing is half done, nothing is lost, and no answer is a 500. What a Before hook
// vetoes has not happened, and what an After hook is told of has: others see it, and
// it is not told when it is taken back. With -v it prints the table.
func TestEveryHook(t *testing.T) {
	t.Parallel()
	for i := range reflect.TypeFor[usher.Hooks[User]]().NumField() {
		hook := reflect.TypeFor[usher.Hooks[User]]().Field(i).Name
		if len(hookedFlows[hook]) == 0 {
			t.Errorf("no flow calls %s", hook)
		}
		for _, flow := range hookedFlows[hook] {
			t.Run(hook+" of "+flow, func(t *testing.T) {
				t.Parallel()
				x := newHooking(t, hook, flow)
				boom := func() error { panic("broken hook") }
				veto, panics, sees := "cannot", 0, "as it was"
				if x.isAfter() {
					panics, sees = x.goesOn(t, boom), "committed"
				} else {
					panics = x.isRefused(t, boom, 503)
					veto = fmt.Sprint(x.isRefused(t, func() error { return fmt.Errorf("hook: %w", &usher.Error{Status: 409, Code: "VETO"}) }, 409))
					x.isRefused(t, func() error { return errOutage }, 503)
				}
				slow := x.goesOn(t, func() error { // others are served meanwhile
					x.send(t, "GET", "/users/me", nil, x.others).want(t, 200)
					return nil
				})
				t.Logf("%-19s %-15s veto: %-6s panic: %d  slow: %d  sees: %-9s  client gone: %-8s  taken back: %s", hook, flow, veto, panics, slow, sees,
					x.clientLeaves(t), x.isTakenBack(t))
			})
		}
	}
}

// isRefused runs a flow that is not to happen, and returns how it is answered.
func (x *hooking) isRefused(t *testing.T, does func() error, want int) int {
	t.Helper()
	request, _ := x.prepare(t)
	x.arm(t, does)
	a := must(request(t.Context())).want(t, want)
	if calls, _ := x.calls(); calls == 0 || x.state(t) != x.before || strings.Contains(a.body, "hook") || strings.Contains(a.body, errOutage.Error()) {
		t.Errorf("refused after %d calls with %s:\n%s\nbecame\n%s", calls, a.body, x.before, x.state(t))
	}
	return a.status
}

// goesOn runs a flow that happens all the same, and returns how it is answered.
func (x *hooking) goesOn(t *testing.T, does func() error) int {
	t.Helper()
	request, status := x.prepare(t)
	x.arm(t, does)
	a := must(request(t.Context())).want(t, status)
	if calls, seen := x.calls(); calls == 0 || x.state(t) == x.before || (seen != x.before) != x.isAfter() {
		t.Errorf("after %d calls\n%s\nbecame\n%s\nthe hook saw\n%s", calls, x.before, x.state(t), seen)
	}
	return a.status
}

// clientLeaves returns what becomes of a flow whose client goes away while the hook
// is called.
func (x *hooking) clientLeaves(t *testing.T) string {
	t.Helper()
	request, _ := x.prepare(t)
	left := make(chan func(), 1)
	x.route(func(w http.ResponseWriter, r *http.Request) {
		ctx, leave := context.WithCancel(r.Context())
		defer leave()
		left <- leave
		x.routes.ServeHTTP(w, r.WithContext(ctx))
	})
	var once sync.Once
	x.arm(t, func() error {
		once.Do(func() { (<-left)() })
		return nil
	})
	a := must(request(t.Context()))
	if calls, _ := x.calls(); a.status == 500 || calls == 0 || (x.state(t) != x.before) != x.isAfter() {
		t.Errorf("the client is gone: %d %s after %d calls\n%s\nbecame\n%s", a.status, a.body, calls, x.before, x.state(t))
	}
	return map[bool]string{false: "not done", true: "done"}[x.isAfter()]
}

// isTakenBack runs a flow in a transaction of the application that is taken back,
// and returns whether the hook is called.
func (x *hooking) isTakenBack(t *testing.T) string {
	t.Helper()
	request, status := x.prepare(t)
	x.route(func(w http.ResponseWriter, r *http.Request) {
		recorded := httptest.NewRecorder()
		err := x.auth.InTx(r.Context(), func(ctx context.Context) error {
			x.routes.ServeHTTP(recorded, r.WithContext(ctx))
			return errOutage
		})
		if !errors.Is(err, errOutage) {
			t.Errorf("InTx: %v", err)
		}
		w.WriteHeader(recorded.Code)
		_, _ = io.Copy(w, recorded.Body)
	})
	x.arm(t, func() error { return nil })
	a := must(request(t.Context())).want(t, status)
	if calls, _ := x.calls(); (calls == 0) != x.isAfter() || x.state(t) != x.before {
		t.Errorf("taken back: %d %s after %d calls\n%s\nbecame\n%s", a.status, a.body, calls, x.before, x.state(t))
	}
	return map[bool]string{false: "called", true: "not called"}[x.isAfter()]
}
