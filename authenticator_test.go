package usher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"usher"
	"usher/internal/testlog"
)

// tokens is a strategy whose tokens mean what the map says: a
// usher.Authentication, or an error.
type tokens map[string]any

func (s tokens) ReadToken(_ context.Context, token string) (usher.Authentication, error) {
	switch v := s[token].(type) {
	case usher.Authentication:
		return v, nil
	case error:
		return usher.Authentication{UserID: "beside an error"}, v
	}
	return usher.Authentication{}, usher.ErrInvalidToken
}

func (tokens) WriteToken(context.Context, *usher.Authentication) (string, error) { return "token", nil }
func (tokens) DestroyToken(context.Context, string) error                        { return usher.ErrNotRevocable }

// inHeader is a transport of a header of its own. It does not say whether it is
// ambient.
type inHeader string

func (h inHeader) Token(r *http.Request) (string, bool) {
	token := r.Header.Get(string(h))
	return token, token != ""
}

func (h inHeader) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	w.Header().Set(string(h), token)
	return nil
}

func (inHeader) WriteLogout(http.ResponseWriter, *http.Request) error { return nil }

// inScriptHeader is one that only scripts can set.
type inScriptHeader struct{ inHeader }

func (inScriptHeader) Ambient() bool { return false }

// of returns the authentication of a user.
func of(u *User) usher.Authentication { return usher.Authentication{UserID: u.ID} }

// trio is an Auth of three backends, a, b and c, which read the headers A, B and
// C, and its users.
type trio struct {
	*usher.Auth[User]
	store     *memory
	a, b, c   tokens
	ann, bob  *User
	off, gone *User // inactive, deleted
	unproven  *User // not verified
	super     *User
	log       *testlog.Buffer
}

func newTrio(t *testing.T, change ...func(*usher.Config[User])) *trio {
	t.Helper()
	x := &trio{store: newMemory(), a: tokens{}, b: tokens{}, c: tokens{}, log: &testlog.Buffer{}}
	add := func(email string, change func(*User)) *User {
		u := person(t, email)
		if change != nil {
			change(&u)
		}
		return x.store.add(t, u)
	}
	x.ann, x.bob = add("ann@example.com", nil), add("bob@example.com", nil)
	x.off = add("off@example.com", func(u *User) { u.IsActive = false })
	x.unproven = add("unproven@example.com", func(u *User) { u.IsVerified = false })
	x.super = add("super@example.com", func(u *User) { u.IsSuperuser = true })
	x.gone = &User{User: usher.User{ID: usher.NewID(), IsActive: true, IsSuperuser: true, IsVerified: true}}
	x.Auth = newAuth(t, x.store, append([]func(*usher.Config[User]){func(c *usher.Config[User]) {
		c.Logger = x.log.Logger()
		c.Backends = []usher.Backend{
			{Name: "a", Transport: inScriptHeader{"A"}, Strategy: x.a},
			{Name: "b", Transport: inScriptHeader{"B"}, Strategy: x.b},
			{Name: "c", Transport: inScriptHeader{"C"}, Strategy: x.c},
		}
	}}, change...)...)
	for _, s := range []tokens{x.a, x.b, x.c} {
		s["ann"], s["bob"], s["off"], s["gone"], s["unproven"], s["super"] = of(x.ann), of(x.bob), of(x.off), of(x.gone), of(x.unproven), of(x.super)
		s["outage"] = fmt.Errorf("redis: %w", errOutage)
		s["wrapped"] = fmt.Errorf("jwt: %w", usher.ErrInvalidToken)
	}
	return x
}

// carrying returns a request with these headers: "A", "ann", "B", "bob".
func requestWith(method string, headers ...string) *http.Request {
	r := httptest.NewRequest(method, "/", nil)
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// whoami answers with who was found, through which backend.
func (x *trio) whoami() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := x.CurrentUser(r.Context()); u != nil {
			authn, _ := x.CurrentAuthentication(r.Context())
			fmt.Fprintf(w, "%s %s", strings.TrimSuffix(u.Email, "@example.com"), authn.Backend)
			return
		}
		fmt.Fprint(w, "nobody")
	})
}

// want sends a request through the middleware and checks the answer: "ann a", or
// a status.
func (x *trio) want(t *testing.T, middleware func(http.Handler) http.Handler, r *http.Request, want string) *http.Response {
	t.Helper()
	answer := ask(middleware(x.whoami()), r)
	got := bodyOf(t, answer)
	if answer.StatusCode != http.StatusOK {
		got = fmt.Sprint(answer.StatusCode)
	}
	if got != want {
		t.Errorf("%v: %q, want %q", maps.Collect(maps.All(r.Header)), got, want)
	}
	if seconds := answer.Header.Get("Retry-After"); (answer.StatusCode == http.StatusServiceUnavailable) != (seconds != "") { // F8
		t.Errorf("%v: %d with Retry-After %q", r.Header, answer.StatusCode, seconds)
	}
	return answer
}

// DESIGN §3: the backends are asked in order, and the first user decides.
func TestAuthenticatorOrder(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	required, optional := x.Require(), x.Optional()
	for _, test := range []struct {
		headers            []string
		required, optional string
	}{
		{nil, "401", "nobody"},
		{[]string{"A", "ann"}, "ann a", "ann a"},
		{[]string{"C", "ann"}, "ann c", "ann c"},
		{[]string{"A", "ann", "B", "bob"}, "ann a", "ann a"},
		{[]string{"B", "ann", "A", "bob"}, "bob a", "bob a"},
		{[]string{"B", "bob", "C", "ann"}, "bob b", "bob b"},
		{[]string{"A", "junk"}, "401", "nobody"},
		{[]string{"A", "junk", "B", "wrapped", "C", "ann"}, "ann c", "ann c"},
		{[]string{"A", "junk", "B", "junk", "C", "junk"}, "401", "nobody"},

		// The user is gone: the next.
		{[]string{"A", "gone"}, "401", "nobody"},
		{[]string{"A", "gone", "B", "bob"}, "bob b", "bob b"},
		{[]string{"A", "gone", "C", "gone"}, "401", "nobody"},

		// The first user decides, also when he may not.
		{[]string{"A", "off"}, "401", "nobody"},
		{[]string{"A", "off", "B", "bob"}, "401", "nobody"},
		{[]string{"A", "junk", "B", "off", "C", "bob"}, "401", "nobody"},
		{[]string{"A", "ann", "B", "off"}, "ann a", "ann a"},

		// An outage is not an answer, but a later user is.
		{[]string{"A", "outage"}, "503", "503"},
		{[]string{"A", "outage", "B", "junk"}, "503", "503"},
		{[]string{"A", "junk", "C", "outage"}, "503", "503"},
		{[]string{"A", "outage", "B", "outage", "C", "outage"}, "503", "503"},
		{[]string{"A", "outage", "B", "gone"}, "503", "503"},
		{[]string{"A", "outage", "B", "bob"}, "bob b", "bob b"},
		{[]string{"A", "outage", "B", "outage", "C", "ann"}, "ann c", "ann c"},
		{[]string{"A", "ann", "B", "outage"}, "ann a", "ann a"},
		{[]string{"A", "outage", "B", "off"}, "401", "nobody"},
	} {
		x.want(t, required, requestWith("GET", test.headers...), test.required)
		x.want(t, optional, requestWith("POST", test.headers...), test.optional)
	}
}

// P5: an outage that a later backend makes good is logged, one that nobody makes
// good is not told to the client.
func TestS_P5_OutageIsLogged(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	x.want(t, x.Require(), requestWith("GET", "A", "ann", "B", "outage"), "ann a")
	if x.log.String() != "" {
		t.Errorf("logged without an outage: %s", x.log)
	}
	x.want(t, x.Require(), requestWith("GET", "A", "outage", "B", "bob"), "bob b")
	if log := x.log.String(); !strings.Contains(log, "redis: connection refused") || !strings.Contains(log, `"level":"ERROR"`) {
		t.Errorf("the outage is not logged: %q", log)
	}
	answer := ask(x.Require()(okHandler), requestWith("GET", "A", "outage"))
	if body := bodyOf(t, answer); body != `{"detail":"Service Unavailable"}` || answer.Header.Get("WWW-Authenticate") != "" || answer.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("503: %s %v", body, answer.Header)
	}
	if n := strings.Count(x.log.String(), "redis: connection refused"); n != 2 {
		t.Errorf("the outage is logged %d times, want 2: %s", n, x.log)
	}
}

// P5: the same of the user store.
func TestS_P5_UserStoreOutage(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	x.a["carried"] = usher.Authentication{UserID: x.ann.ID, User: x.ann} // loaded with the token
	x.store.fail("UserByID", errOutage)
	for _, middleware := range []func(http.Handler) http.Handler{x.Require(), x.Optional(), x.Require(usher.Superuser), x.Optional(usher.Superuser)} {
		x.want(t, middleware, requestWith("GET", "A", "ann"), "503")
		x.want(t, middleware, requestWith("GET", "A", "ann", "B", "junk"), "503")
	}
	x.want(t, x.Optional(), requestWith("GET", "A", "junk"), "nobody")
	x.want(t, x.Require(), requestWith("GET", "A", "junk"), "401")
	x.want(t, x.Require(), requestWith("GET"), "401")
	x.want(t, x.Require(), requestWith("GET", "A", "carried"), "ann a")
	x.store.fail("UserByID", nil)
	x.want(t, x.Require(), requestWith("GET", "A", "ann"), "ann a")
}

// A user that comes with the token costs no round trip; what is no *User is not
// taken for one.
func TestAuthenticatorUserOfStrategy(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	x.a["carried"] = usher.Authentication{UserID: x.ann.ID, User: x.ann}
	x.want(t, x.Require(), requestWith("GET", "A", "carried"), "ann a")
	if n := x.store.called("UserByID"); n != 0 {
		t.Errorf("UserByID was called %d times for a user that was there", n)
	}
	for name, other := range map[string]any{"nil": nil, "nil *User": (*User)(nil), "another type": &usher.User{ID: x.bob.ID}, "a value": *x.bob, "an id": x.bob.ID} {
		x.a[name] = usher.Authentication{UserID: x.ann.ID, User: other}
		x.want(t, x.Require(), requestWith("GET", "A", name), "ann a")
	}
	if n := x.store.called("UserByID"); n != 5 {
		t.Errorf("UserByID was called %d times, want 5", n)
	}
	x.a["off carried"] = usher.Authentication{UserID: x.ann.ID, User: x.off}
	x.want(t, x.Require(), requestWith("GET", "A", "off carried"), "401")
}

func TestEnabledBackends(t *testing.T) {
	t.Parallel()
	x := newTrio(t, func(c *usher.Config[User]) {
		c.EnabledBackends = func(r *http.Request) []string { return r.Header["Enabled"] }
	})
	for _, test := range []struct {
		enabled []string
		headers []string
		want    string
	}{
		{[]string{"a", "b", "c"}, []string{"A", "ann", "B", "bob"}, "ann a"},
		{[]string{"b"}, []string{"A", "ann", "B", "bob"}, "bob b"},
		{[]string{"c", "b"}, []string{"B", "bob", "C", "ann"}, "bob b"}, // the order is the configuration's
		{[]string{"c"}, []string{"A", "ann", "B", "bob"}, "401"},
		{nil, []string{"A", "ann", "B", "bob", "C", "ann"}, "401"},
		{[]string{"x", ""}, []string{"A", "ann"}, "401"},
		{[]string{"b"}, []string{"A", "outage", "B", "bob"}, "bob b"}, // not even asked
		{[]string{"c"}, []string{"A", "outage"}, "401"},
	} {
		r := requestWith("GET", test.headers...)
		r.Header["Enabled"] = test.enabled
		x.want(t, x.Require(), r, test.want)
	}
	if x.log.String() != "" {
		t.Errorf("a backend that is not enabled was asked: %s", x.log)
	}
}

// ReadToken asks no user store, and Identify yields the inactive.
func TestReadTokenAndIdentify(t *testing.T) {
	t.Parallel()
	x := newTrio(t)
	for _, who := range []string{"ann", "off", "gone"} {
		authn, err := x.ReadToken(requestWith("GET", "A", "junk", "B", who))
		if err != nil || authn.UserID == "" || authn.Backend != "b" || authn.Token != who {
			t.Errorf("ReadToken of %s: %+v, %v", who, authn, err)
		}
	}
	if n := x.store.called("UserByID") + x.store.called("UserByEmail"); n != 0 {
		t.Errorf("ReadToken asked the user store %d times", n)
	}
	for _, test := range []struct {
		headers []string
		err     error
	}{{nil, usher.ErrUnauthorized}, {[]string{"A", "junk"}, usher.ErrUnauthorized}, {[]string{"A", "outage"}, errOutage}} {
		if authn, err := x.ReadToken(requestWith("GET", test.headers...)); !errors.Is(err, test.err) || authn.UserID != "" {
			t.Errorf("ReadToken of %q: %+v, %v, want %v", test.headers, authn, err, test.err)
		}
		if u, authn, err := x.Identify(requestWith("GET", test.headers...)); !errors.Is(err, test.err) || u != nil || authn.UserID != "" {
			t.Errorf("Identify of %q: %+v, %+v, %v, want %v", test.headers, u, authn, err, test.err)
		}
		if u, authn, err := x.Authenticate(requestWith("GET", test.headers...)); !errors.Is(err, test.err) || u != nil || authn.UserID != "" {
			t.Errorf("Authenticate of %q: %+v, %+v, %v, want %v", test.headers, u, authn, err, test.err)
		}
	}
	if u, authn, err := x.Identify(requestWith("GET", "A", "off")); err != nil || u.ID != x.off.ID || authn.UserID != x.off.ID {
		t.Errorf("Identify of the inactive: %+v, %+v, %v", u, authn, err)
	}
	if u, authn, err := x.Authenticate(requestWith("GET", "A", "off")); !errors.Is(err, usher.ErrUnauthorized) || u != nil || authn.UserID != "" {
		t.Errorf("Authenticate of the inactive: %+v, %+v, %v", u, authn, err)
	}
	if u, _, err := x.Identify(requestWith("GET", "A", "gone", "B", "off")); err != nil || u.ID != x.off.ID {
		t.Errorf("Identify behind the deleted: %+v, %v", u, err)
	}
}

// E10: tokens of another kind, though one secret signed them all, authenticate
// nobody, and an access token is none of them.
func TestS_E10_TokenKindsOfOneSecret(t *testing.T) {
	t.Parallel()
	store := newMemory()
	u := person(t, "ann@example.com")
	u.IsVerified = false
	ann := store.add(t, u)
	kinds := map[string]string{}
	auth := newAuth(t, store, func(c *usher.Config[User]) {
		c.VerifySecret, c.ResetSecret = secret, secret
		c.Backends = []usher.Backend{{Name: "jwt", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}}}, c.Backends[0]}
		c.Hooks.AfterRequestVerify = func(_ context.Context, _ *User, token string) { kinds["verify"] = token }
		c.Hooks.AfterForgotPassword = func(_ context.Context, _ *User, token string) { kinds["reset"] = token }
	})
	if err := errors.Join(auth.RequestVerify(t.Context(), ann.Email), auth.ForgotPassword(t.Context(), ann.Email)); err != nil {
		t.Fatal(err)
	}
	for kind, backend := range map[string]string{"access": "jwt", "session": "cookie"} {
		authn, err := auth.SignIn(t.Context(), backend, ann, []string{"pwd"}, usher.Client{})
		if err != nil {
			t.Fatal(err)
		}
		kinds[kind] = authn.Token
	}
	uses := map[string]func(token string) error{
		"access": func(token string) error { _, _, err := auth.Authenticate(withBearer(t, token)); return err },
		"session": func(token string) error {
			_, _, err := auth.Authenticate(requestWith("GET", "Cookie", "__Host-usher="+token))
			return err
		},
		"reset": func(token string) error {
			_, err := auth.ResetPassword(t.Context(), token, "another good password")
			return err
		},
		"verify": func(token string) error { _, err := auth.Verify(t.Context(), token); return err },
	}
	refusals := map[string]error{"access": usher.ErrUnauthorized, "session": usher.ErrUnauthorized, "verify": usher.ErrBadVerifyToken, "reset": usher.ErrBadResetToken}
	if len(kinds) != 4 {
		t.Fatalf("%d kinds of token", len(kinds))
	}
	for kind, token := range kinds {
		for use, f := range uses {
			if kind != use {
				if err := f(token); !errors.Is(err, refusals[use]) {
					t.Errorf("a token of kind %s used as %s: %v, want %v", kind, use, err, refusals[use])
				}
			}
		}
	}
	for _, kind := range []string{"access", "session", "verify", "reset"} { // the diagonal: the positive control
		if kind == "reset" { // verifying has changed the user
			if err := auth.ForgotPassword(t.Context(), ann.Email); err != nil {
				t.Fatal(err)
			}
		}
		if err := uses[kind](kinds[kind]); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
