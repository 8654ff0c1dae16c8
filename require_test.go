package usher_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"usher"
)

func TestRequirements(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	paying := func(u *User, a usher.Authentication) error {
		if u.Plan == "free" || a.Backend != "a" {
			return usher.ErrForbidden
		}
		return nil
	}
	teapot := func(*User, usher.Authentication) error {
		return &usher.Error{Status: http.StatusTeapot, Code: "TEAPOT"}
	}
	broken := func(*User, usher.Authentication) error { return errOutage }
	notFound := func(*User, usher.Authentication) error { return usher.ErrNotFound }
	wrapped := func(*User, usher.Authentication) error { return fmt.Errorf("billing: %w", usher.ErrForbidden) }
	never := func(*User, usher.Authentication) error {
		t.Error("a requirement behind one that failed was asked")
		return nil
	}
	type rule = usher.Requirement[User]
	for _, test := range []struct {
		name  string
		rules []rule
		who   string
		want  string
	}{
		{"none", nil, "unproven", "unproven a"},
		{"verified", []rule{usher.Verified[User]}, "ann", "ann a"},
		{"not verified", []rule{usher.Verified[User]}, "unproven", "403"},
		{"superuser", []rule{usher.Superuser[User]}, "super", "super a"},
		{"no superuser", []rule{usher.Superuser[User]}, "ann", "403"},
		{"both", []rule{usher.Verified[User], usher.Superuser[User]}, "super", "super a"},
		{"inactive before anything else", []rule{never}, "off", "401"},
		{"own", []rule{paying}, "ann", "ann a"},
		{"the first that fails answers", []rule{usher.Verified[User], usher.Superuser[User], never}, "ann", "403"},
		{"own refusal", []rule{teapot, never}, "ann", "418"},
		{"plain error", []rule{broken, never}, "ann", "403"},
		{"ErrNotFound is a plain error", []rule{notFound, never}, "ann", "403"},
		{"wrapped refusal", []rule{wrapped, never}, "ann", "403"},
	} {
		t.Run(test.name, func(t *testing.T) {
			x.want(t, x.Require(test.rules...), requestWith("GET", "A", test.who, "B", "super"), test.want)
			optional := test.want
			if !strings.HasSuffix(optional, " a") {
				optional = "nobody"
			}
			x.want(t, x.Optional(test.rules...), requestWith("GET", "A", test.who, "B", "super"), optional)
		})
	}
	if !strings.Contains(x.log.String(), errOutage.Error()) {
		t.Errorf("the plain error is not logged: %s", x.log)
	}
	answer := ask(x.Require(broken)(okHandler), requestWith("GET", "A", "ann"))
	if body := bodyOf(t, answer); body != `{"detail":"Forbidden"}` { // F4
		t.Errorf("the plain error's answer: %s", body)
	}
}

func TestRequireVerified(t *testing.T) {
	t.Parallel()
	x := newTrio(t, func(c *usher.Config[User]) { c.RequireVerified = true })
	x.want(t, x.Require(), requestWith("GET", "A", "ann"), "ann a")
	x.want(t, x.Require(), requestWith("GET", "A", "unproven", "B", "ann"), "403")
	x.want(t, x.Optional(), requestWith("GET", "A", "unproven", "B", "ann"), "nobody")
	x.want(t, x.Require(), requestWith("GET", "A", "off"), "401")
	if _, _, err := x.Identify(requestWith("GET", "A", "unproven")); err != nil {
		t.Errorf("Identify: %v", err)
	}
}

// The handler finds who, by which token and how; the id is the store's, whatever
// spelling the token has.
func TestCurrentAuthentication(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	id := strings.ToUpper(strings.ReplaceAll(string(x.ann.ID), "-", ""))
	x.b["t"] = usher.Authentication{UserID: usher.ID(id), SessionID: "s1", Methods: []string{"pwd"}, AuthTime: epoch, ExpiresAt: epoch, Scopes: []string{"read"}}
	var got usher.Authentication
	var user *User
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var ok bool
		if got, ok = x.CurrentAuthentication(r.Context()); !ok {
			t.Error("CurrentAuthentication: none")
		}
		user = x.CurrentUser(r.Context())
	})
	ask(x.Require()(handler), requestWith("GET", "B", "t"))
	if user == nil || user.Email != x.ann.Email {
		t.Fatalf("CurrentUser: %+v, want ann", user)
	}
	if got.UserID != x.ann.ID || got.Backend != "b" || got.Token != "t" || got.SessionID != "s1" || !slices.Equal(got.Methods, []string{"pwd"}) || !got.AuthTime.Equal(epoch) || !slices.Equal(got.Scopes, []string{"read"}) {
		t.Errorf("CurrentAuthentication: %+v", got)
	}
	if x.CurrentUser(t.Context()) != nil {
		t.Error("CurrentUser of another context is somebody")
	}
	if a, ok := x.CurrentAuthentication(t.Context()); ok || a.UserID != "" {
		t.Errorf("CurrentAuthentication of another context: %+v, %v", a, ok)
	}
	ask(x.Optional()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if a, ok := x.CurrentAuthentication(r.Context()); ok || x.CurrentUser(r.Context()) != nil {
			t.Errorf("nobody is there, but CurrentAuthentication: %+v", a)
		}
	})), requestWith("GET"))
}

// Two Auths in one program do not take each other's users.
func TestTwoAuths(t *testing.T) {
	t.Parallel()
	users, admins := newTrio(t), newTrio(t)
	var calls int
	handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		calls++
		if u := users.CurrentUser(r.Context()); u == nil || u.ID != users.ann.ID {
			t.Errorf("the user is %+v, want ann", u)
		}
		if a := admins.CurrentUser(r.Context()); a == nil || a.ID != admins.bob.ID {
			t.Errorf("the admin is %+v, want bob", a)
		}
	})
	admins.b["ann"] = of(admins.bob)
	ask(users.Require()(admins.Require()(handler)), requestWith("GET", "B", "ann"))
	if calls != 1 {
		t.Errorf("%d calls, want 1", calls)
	}
	users.want(t, users.Require(), requestWith("GET", "A", "ann"), "ann a")
	ask(users.Require()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if u := admins.CurrentUser(r.Context()); u != nil {
			t.Errorf("a user of one Auth is %+v for the other", u)
		}
	})), requestWith("GET", "A", "ann"))
}
