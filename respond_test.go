package usher_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"usher"
)

// F3, DEFECTS J: a 401 has WWW-Authenticate if some backend is bearer, and it says
// invalid_token exactly when a bearer token was sent.
func TestS_F3_Challenge(t *testing.T) {
	t.Parallel()
	bearer := usher.Backend{Name: "bearer", Transport: usher.Bearer{}, Strategy: hs256()}
	cookie := usher.Backend{Name: "cookie", Transport: usher.Cookie{}, Strategy: hs256()}
	plain := usher.Backend{Name: "plain", Transport: inHeader("A"), Strategy: tokens{}}
	off := signed(plainHeader, claims())
	const nothing, sent = "Bearer", `Bearer error="invalid_token"`
	for _, test := range []struct {
		name     string
		backends []usher.Backend
		headers  []string
		want     string
	}{
		{"bearer, nothing sent", []usher.Backend{bearer}, nil, nothing},
		{"bearer, junk sent", []usher.Backend{bearer}, []string{"Authorization", "Bearer junk"}, sent},
		{"bearer, a token of nobody", []usher.Backend{bearer}, []string{"Authorization", "Bearer " + off}, sent},
		{"bearer, no token", []usher.Backend{bearer}, []string{"Authorization", "Bearer"}, nothing},
		{"bearer, Basic sent", []usher.Backend{bearer}, []string{"Authorization", "Basic eDp4"}, nothing},
		{"bearer, cookie sent", []usher.Backend{bearer}, []string{"Cookie", "__Host-usher=x"}, nothing},
		{"both, cookie sent", []usher.Backend{cookie, bearer}, []string{"Cookie", "__Host-usher=x"}, nothing},
		{"both, bearer sent", []usher.Backend{cookie, bearer}, []string{"Authorization", "Bearer junk"}, sent},
		{"both, both sent", []usher.Backend{cookie, bearer}, []string{"Authorization", "Bearer junk", "Cookie", "__Host-usher=x"}, sent},
		{"both, nothing sent", []usher.Backend{cookie, bearer}, nil, nothing},
		{"cookie, nothing sent", []usher.Backend{cookie}, nil, ""},
		{"cookie, cookie sent", []usher.Backend{cookie}, []string{"Cookie", "__Host-usher=x"}, ""},
		{"cookie, bearer sent", []usher.Backend{cookie}, []string{"Authorization", "Bearer junk"}, ""},
		{"own transport", []usher.Backend{plain}, []string{"A", "x"}, ""},
		{"own transport and bearer", []usher.Backend{plain, bearer}, []string{"A", "x"}, nothing},
	} {
		auth := newAuth(t, newMemory(), func(c *usher.Config[User]) { c.Backends = test.backends })
		answer := ask(auth.Require()(okHandler), requestWith("GET", test.headers...))
		if got := answer.Header["Www-Authenticate"]; answer.StatusCode != http.StatusUnauthorized || strings.Join(got, "|") != test.want {
			t.Errorf("%s: %d, WWW-Authenticate %q, want 401 and %q", test.name, answer.StatusCode, got, test.want)
		}
		if body := bodyOf(t, answer); body != `{"detail":"Unauthorized"}` { // F4
			t.Errorf("%s: %s", test.name, body)
		}
	}
	// An inactive user is nobody, in the same words; a 403 has no challenge.
	store := newMemory()
	u := store.add(t, person(t, "ann@example.com"))
	auth := newAuth(t, store, func(c *usher.Config[User]) { c.Backends = []usher.Backend{bearer} })
	token := signed(plainHeader, claims("sub", `"`+string(u.ID)+`"`))
	if answer := ask(auth.Require(usher.Superuser)(okHandler), withBearer(t, token)); answer.StatusCode != http.StatusForbidden || answer.Header.Get("WWW-Authenticate") != "" {
		t.Errorf("403: %d, %v", answer.StatusCode, answer.Header)
	}
	inactive := *u
	inactive.IsActive = false
	if err := store.UpdateUser(t.Context(), u, &inactive); err != nil {
		t.Fatal(err)
	}
	if answer := ask(auth.Require()(okHandler), withBearer(t, token)); answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("WWW-Authenticate") != sent {
		t.Errorf("inactive: %d, %v", answer.StatusCode, answer.Header)
	}
}

func TestOnError(t *testing.T) {
	t.Parallel()
	var seen []*usher.Error
	x := newTrio(t, func(c *usher.Config[User]) {
		c.Backends = append(c.Backends, usher.Backend{Name: "bearer", Transport: usher.Bearer{}, Strategy: tokens{}})
		c.OnError = func(w http.ResponseWriter, _ *http.Request, err *usher.Error) {
			seen = append(seen, err)
			w.WriteHeader(err.Status)
			fmt.Fprintf(w, "<h1>%s</h1>", err.Code)
		}
	})
	for _, test := range []struct {
		request   *http.Request
		status    int
		body      string
		challenge string
		retry     string
	}{
		{requestWith("GET"), 401, "<h1>Unauthorized</h1>", "Bearer", ""},
		{requestWith("GET", "A", "ann"), 403, "<h1>Forbidden</h1>", "", ""},
		{requestWith("GET", "A", "outage"), 503, "<h1>Service Unavailable</h1>", "", "5"},
	} {
		answer := ask(x.Require(usher.Superuser)(okHandler), test.request)
		if got := bodyOf(t, answer); answer.StatusCode != test.status || got != test.body || answer.Header.Get("WWW-Authenticate") != test.challenge || answer.Header.Get("Retry-After") != test.retry {
			t.Errorf("%d %s %v, want %+v", answer.StatusCode, got, answer.Header, test)
		}
	}
	if len(seen) != 3 || !errors.Is(seen[0], usher.ErrUnauthorized) || !errors.Is(seen[1], usher.ErrForbidden) || !errors.Is(seen[2], errOutage) {
		t.Errorf("OnError got %v", seen)
	}
	if !strings.Contains(x.log.String(), errOutage.Error()) {
		t.Errorf("the outage is not logged: %s", x.log)
	}
}
