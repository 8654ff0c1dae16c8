package usher_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// wantCleared checks that an answer to a logout makes the browser forget the
// cookie of a cookie backend, with the attributes that set it (D5), and touches
// no cookie of a bearer backend.
func (a answer) wantCleared(t testing.TB, backend string) answer {
	t.Helper()
	got := a.header.Values("Set-Cookie")
	if !isCookie(backend) {
		if got != nil {
			t.Errorf("logout of %s sets %q", backend, got)
		}
		return a
	}
	if want := cookieName(backend) + "=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax"; len(got) != 1 || got[0] != want {
		t.Errorf("logout of %s sets %q, want %q", backend, got, want)
	}
	return a
}

// Logging out through any backend's route ends the session that authenticated
// the request (DESIGN rule 5; recordings logout.every-backend and
// logout.wrong-router), and no other. A JWT lives on: that is its known limit.
// What was ended is never good again (C5).
func TestDefect_E_LogoutThroughAnyRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	s.add(t, "ann@example.com")
	for _, from := range allBackends {
		for _, through := range allBackends {
			name := from + " through " + through
			header, other := s.signedIn(t, from, "ann@example.com"), s.signedIn(t, from, "ann@example.com")
			a := s.send(t, "POST", "/auth/"+through+"/logout", nil, header)
			a.want(t, 204).wantSecureHeaders(t).wantCleared(t, through)
			if a.body != "" {
				t.Errorf("%s: body %q", name, a.body)
			}
			s.wantAlive(t, name+": the token", header, isJWT(from))
			s.wantAlive(t, name+": another session", other, true)
			again := s.send(t, "POST", "/auth/"+through+"/logout", nil, header)
			if isJWT(from) {
				again.want(t, 204).wantCleared(t, through)
			} else {
				again.wantDetail(t, 401, "Unauthorized")
			}
			if t.Failed() {
				t.Fatal(name)
			}
		}
	}
}

// A request with two credentials logs out both the one that authenticated it
// and the one that the route's transport carries; no 204 leaves a session alive
// (DESIGN rule 5; DEFECTS E, logout.two-credentials).
func TestDefect_E_LogoutWithTwoCredentials(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	s.add(t, "ann@example.com")
	s.add(t, "bob@example.com")
	for _, first := range allBackends {
		for _, second := range allBackends {
			if !isCookie(first) && !isCookie(second) || cookieName(first) == cookieName(second) && isCookie(first) && isCookie(second) {
				continue // they travel in the same place
			}
			for _, owner := range []string{"ann@example.com", "bob@example.com"} {
				name := fmt.Sprintf("%s and %s's %s", first, owner, second)
				one, two := s.signedIn(t, first, "ann@example.com"), s.signedIn(t, second, owner)
				s.send(t, "POST", "/auth/"+second+"/logout", nil, one, two).want(t, 204).wantCleared(t, second)
				s.wantAlive(t, name+": what the route carries", two, isJWT(second))
				// The first in the order of the configuration authenticated it.
				decided := slices.Index(allBackends, first) < slices.Index(allBackends, second)
				s.wantAlive(t, name+": the first", one, isJWT(first) || !decided)
				if t.Failed() {
					t.FailNow()
				}
			}
		}
	}
}

// A second token that is not good fails no logout.
func TestLogoutBesideGarbage(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add(t, "ann@example.com")
	for _, garbage := range []string{"x", strings.Repeat("A", 43), "a.b.c"} {
		header := s.signedIn(t, "bearer-db", "ann@example.com")
		s.send(t, "POST", "/auth/cookie/logout", nil, header, "Cookie: ck_db="+garbage).want(t, 204).wantCleared(t, "cookie")
		s.wantAlive(t, "beside "+garbage, header, false)
	}
	for _, backend := range plainBackends {
		for _, header := range []string{"X-None: 1", carrying(backend, "garbage"), carrying(backend, strings.Repeat("A", 43))} {
			a := s.send(t, "POST", "/auth/"+backend+"/logout", nil, header).wantDetail(t, 401, "Unauthorized")
			if a.header.Get("WWW-Authenticate") == "" || a.header.Values("Set-Cookie") != nil {
				t.Errorf("%s with %s: %v", backend, header, a.header)
			}
		}
	}
}

// An inactive user, and one who is not verified where that is required, cannot
// even log out (recording login.requires-verification).
func TestLogoutRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) { c.RequireVerified = true }))
	for _, test := range []struct {
		email  string
		change func(*User)
		status int
		detail string
	}{
		{"ann@example.com", func(u *User) { u.IsActive = false }, 401, "Unauthorized"},
		{"bob@example.com", func(u *User) { u.IsVerified = false }, 403, "Forbidden"},
	} {
		before := s.add(t, test.email)
		header := s.signedIn(t, "cookie", test.email)
		after := *before
		test.change(&after)
		if err := s.db.UpdateUser(t.Context(), before, &after); err != nil {
			t.Fatal(err)
		}
		a := s.send(t, "POST", "/auth/cookie/logout", nil, header).wantDetail(t, test.status, test.detail)
		if a.header.Values("Set-Cookie") != nil {
			t.Errorf("a refused logout sets %q", a.header.Values("Set-Cookie"))
		}
	}
}

// A logout that could not be done is a 503 that leaves the cookie: the browser
// can try again, and nobody takes a live session for an ended one (P2).
func TestP2_LogoutWhileTheStoreIsAway(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"bearer-db", "cookie"} {
		for _, through := range plainBackends {
			t.Run(backend+" through "+through, func(t *testing.T) {
				t.Parallel()
				store := &failing{err: errOutage}
				s := newSite(t, func(_ testing.TB, s *site, c *usher.Config[User]) {
					store.SessionStore = s.db
					for i := range c.Backends[2:] {
						c.Backends[2+i].Strategy = usher.Sessions{Store: store, Lifetime: sessionLifetime}
					}
				})
				s.add(t, "ann@example.com")
				header := s.signedIn(t, backend, "ann@example.com")
				for _, method := range []string{"DestroySession", ""} {
					store.set(true, method)
					s.send(t, "POST", "/auth/"+through+"/logout", nil, header).wantUnavailable(t)
					store.set(false, method)
					s.wantAlive(t, "after a logout that failed", header, true)
				}
				s.send(t, "POST", "/auth/"+through+"/logout", nil, header).want(t, 204).wantCleared(t, through)
				s.wantAlive(t, "after the logout", header, false)
			})
		}
	}
}

// A request that is being served while its session is ended cannot bring it
// back, neither by what it does afterwards nor by recording its use (C6,
// CVE-2025-46336).
func TestS_C6_RequestInFlightAcrossLogout(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"bearer-db", "cookie", "redis", "cookie-redis"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			store := &paused{}
			clock := ushertest.NewClock(time.Now())
			s := newSite(t, append(backendOptions(backend), func(_ testing.TB, s *site, c *usher.Config[User]) {
				for i, b := range c.Backends {
					if sessions, ok := b.Strategy.(usher.Sessions); ok && isRedis(b.Name) == isRedis(backend) {
						store.SessionStore = sessions.Store
						sessions.Store, sessions.IdleTimeout, sessions.Now = store, time.Hour, clock.Now
						c.Backends[i].Strategy = sessions
					}
				}
			})...)
			s.add(t, "ann@example.com")
			entered, leave := make(chan struct{}), make(chan struct{})
			mux := http.NewServeMux()
			s.auth.Mount(mux)
			mux.Handle("GET /slow", s.auth.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				entered <- struct{}{}
				<-leave
				fmt.Fprint(w, s.auth.CurrentUser(r.Context()).Email)
			})))
			s.listen(t, mux)

			header := s.signedIn(t, backend, "ann@example.com")
			slow := make(chan answer)
			go func() {
				a, err := s.try(t.Context(), "GET", "/slow", nil, header)
				if err != nil {
					t.Error(err)
				}
				slow <- a
			}()
			<-entered
			s.send(t, "POST", "/auth/"+backend+"/logout", nil, header).want(t, 204)
			s.wantAlive(t, "beside the slow request", header, false)
			close(leave)
			if a := <-slow; a.status != 200 || a.body != "ann@example.com" {
				t.Errorf("the request in flight: %d %s", a.status, a.body)
			}
			s.wantAlive(t, "after the slow request", header, false)

			// Its use is due to be recorded, and the session ends just before.
			header = s.signedIn(t, backend, "ann@example.com")
			clock.Advance(20 * time.Minute)
			logout := func() { s.send(t, "POST", "/auth/"+backend+"/logout", nil, header).want(t, 204) }
			store.read.Store(&logout)
			s.wantAlive(t, "ended while it was read", header, false)
			s.wantAlive(t, "afterwards", header, false)
			if n := s.sessionRows(t); n != 0 {
				t.Errorf("%d rows of sessions are left", n)
			}
		})
	}
}

// No request that starts after the answer to a logout succeeds (F30, P2), and of
// many logouts at once none fails.
func TestF30_LogoutBesideManyRequests(t *testing.T) {
	t.Parallel()
	for _, backend := range []string{"bearer-db", "cookie-redis"} {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, backendOptions(backend)...)
			s.add(t, "ann@example.com")
			for range 3 {
				header := s.signedIn(t, backend, "ann@example.com")
				var ended atomic.Bool
				atOnce(20, func(i int) {
					if i%10 == 0 {
						a, err := s.try(t.Context(), "POST", "/auth/"+backend+"/logout", nil, header)
						if err != nil || a.status != 204 && a.status != 401 {
							t.Errorf("logout beside another: %d %s %v", a.status, a.body, err)
						}
						ended.Store(true)
						return
					}
					for range 10 {
						over := ended.Load()
						a, err := s.try(t.Context(), "GET", "/users/me", nil, header)
						if err != nil || a.status != 200 && a.status != 401 || over && a.status == 200 {
							t.Errorf("beside a logout (over: %v): %d %s %v", over, a.status, a.body, err)
						}
					}
				})
				s.wantAlive(t, "afterwards", header, false)
			}
		})
	}
}

// Safe methods change nothing, and every method that a route does not have is a
// 405 with the right Allow (D9, recording http.methods).
func TestS_D9_Methods(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	u := s.add(t, "ann@example.com", asSuperuser)
	header := s.signedIn(t, "cookie", "ann@example.com")
	id := string(u.ID)
	routes := map[string][]string{
		"/auth/jwt/login": {"POST"}, "/auth/jwt/logout": {"POST"}, "/auth/cookie/login": {"POST"}, "/auth/cookie/logout": {"POST"},
		"/auth/register": {"POST"}, "/users/me": {"GET", "PATCH", "DELETE"}, "/users": {"GET"}, "/users/me/sessions": {"GET", "DELETE"}, "/users/me/sessions/x": {"DELETE"},
		"/users/" + id: {"GET", "PATCH", "DELETE"}, "/users/" + id + "/sessions": {"GET", "DELETE"}, "/users/" + id + "/sessions/x": {"DELETE"},
	}
	for path, allowed := range routes {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "LOGOUT", "post"} {
			if slices.Contains(allowed, method) {
				continue
			}
			a := s.send(t, method, path, nil, header).want(t, 405).wantSecureHeaders(t)
			if got := strings.Split(a.header.Get("Allow"), ", "); !slices.Equal(got, allowed) {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, allowed)
			}
			if want := map[bool]string{true: "", false: `{"detail":"Method Not Allowed"}`}[method == "HEAD"]; a.body != want {
				t.Errorf("%s %s: body %s", method, path, a.body)
			}
		}
	}
	s.wantAlive(t, "after all that", header, true)
	s.send(t, "POST", "/auth/cookie/logout/", nil, header).want(t, 307)
	s.wantAlive(t, "after a redirect", header, true)
	for _, path := range []string{"/", "/auth", "/auth/nope/login", "/auth/jwt/", "/users/" + id + "/sessions/x/y", "/AUTH/JWT/LOGIN", "/auth%2Fjwt%2Flogin"} {
		s.send(t, "POST", path, loginForm("ann@example.com", goodPassword), header).wantDetail(t, 404, "Not Found").wantSecureHeaders(t)
	}
	for _, path := range []string{"/x/../auth/cookie/logout", "//auth/cookie/logout", "/auth/cookie/./logout"} { // D13
		s.send(t, "POST", path, nil, append(crossSite()["cross-site"], header)...).wantDetail(t, 404, "Not Found")
	}
	s.wantAlive(t, "after the unclean paths", header, true)
}
