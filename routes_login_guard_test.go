package usher_test

import (
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"usher"
	"usher/password"
)

// busyHash is a hash that takes about half a second: 16 MiB × 32 passes.
const busyHash = "$argon2id$v=19$m=16384,t=32,p=1$c29tZXNvbWVzb21lc29tZQ$YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXoxMjM0NTY"

// narrowGate gives a site a gate for one hash at a time, before which nobody
// waits for long.
func narrowGate(t testing.TB, s *site, c *usher.Config[User]) {
	t.Helper()
	var err error
	s.hasher, err = password.New(password.Config{
		Params: password.Params{Memory: 8, Time: 1, Lanes: 1}, Parallel: 1, QueueTimeout: 5 * time.Millisecond, InsecureAllowWeak: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Passwords = s.hasher
}

// occupyGate keeps a narrow gate busy until done is closed.
func (s *site) occupyGate(t testing.TB) (done chan struct{}) {
	t.Helper()
	before, done := s.hasher.Hashes(), make(chan struct{})
	go func() {
		defer close(done)
		if _, err := s.hasher.Verify(t.Context(), busyHash, "x"); err != nil {
			t.Error(err)
		}
	}()
	for s.hasher.Hashes() == before {
		time.Sleep(time.Millisecond)
	}
	return done
}

// wantBusyUntilNow checks that the gate has been busy up to now, and waits for its
// end.
func (s *site) wantBusyUntilNow(t testing.TB, done chan struct{}) {
	t.Helper()
	select {
	case <-done:
		t.Fatal("the gate was not busy for the length of the test")
	default:
		<-done
	}
}

// While the gate is busy, everything that needs a hash is refused at once with a
// 503, the same for known and unknown accounts; what needs none goes on (F20,
// P9, DEFECTS C).
func TestF20_BusyGate(t *testing.T) {
	t.Parallel()
	s := newSite(t, narrowGate)
	s.add(t, "ann@example.com")
	s.add(t, "bob@example.com", asInactive)
	s.add(t, "cat@example.com", func(u *User) { u.HashedPassword = "" })
	session := s.signedIn(t, "bearer-db", "ann@example.com")

	before, done := s.hasher.Hashes(), s.occupyGate(t)
	start := time.Now()
	var answers []string
	for _, email := range []string{"ann@example.com", "bob@example.com", "cat@example.com", "nobody@example.com", "not an address"} {
		for _, plain := range []string{goodPassword, "wrong"} {
			a := s.send(t, "POST", "/auth/jwt/login", loginForm(email, plain)).wantUnavailable(t)
			answers = append(answers, withoutDate(a))
		}
	}
	if different := slices.Compact(answers); len(different) != 1 {
		t.Errorf("the refusals differ: %q", different)
	}
	s.send(t, "POST", "/auth/register", map[string]any{"email": "new@example.com", "password": goodPassword}).wantUnavailable(t)
	s.send(t, "PATCH", "/users/me", map[string]any{"password": "another password", "current_password": goodPassword}, session).wantUnavailable(t)
	if took := time.Since(start) / 12; took > 100*time.Millisecond {
		t.Errorf("a refusal takes %v, want at most 100 ms", took)
	}
	s.wantAlive(t, "a session beside the flood", session, true)
	s.wantBusyUntilNow(t, done)
	if got := s.hasher.Hashes() - before; got != 1 {
		t.Errorf("%d hashes were computed, want the one that was running", got)
	}
	s.login(t, "jwt", "ann@example.com")
	if _, err := s.auth.UserByEmail(t.Context(), "new@example.com"); err == nil {
		t.Error("a refused registration made an account")
	}
}

// crossSite are requests that a browser sends for another site, and sameSite
// such as it sends for the site itself or another program sends.
func crossSite() map[string][]string {
	return map[string][]string{
		"cross-site":                    {"Sec-Fetch-Site: cross-site", "Origin: https://evil.example"},
		"cross-site without an origin":  {"Sec-Fetch-Site: cross-site"},
		"same-site is another origin":   {"Sec-Fetch-Site: same-site", "Origin: https://other.example.com"},
		"old browser, other origin":     {"Origin: https://evil.example"},
		"old browser, null origin":      {"Origin: null"},
		"old browser, other port":       {"Origin: http://127.0.0.1:1"},
		"old browser, host as a prefix": {"Origin: http://127.0.0.1.evil.example"},
		"an unknown Sec-Fetch-Site":     {"Sec-Fetch-Site: sideways"},
	}
}

func sameSite(s *site) map[string][]string {
	return map[string][]string{
		"same origin":              {"Sec-Fetch-Site: same-origin", "Origin: " + s.url},
		"typed in":                 {"Sec-Fetch-Site: none"},
		"old browser, same origin": {"Origin: " + s.url},
		"no browser":               {},
		"trusted origin":           {"Sec-Fetch-Site: cross-site", "Origin: https://app.example.com"},
	}
}

func trusting(c *usher.Config[User]) { c.TrustedOrigins = []string{"https://app.example.com"} }

// No other site can sign a browser in with an account of its own choice, not
// even without a cookie on the request (D8, DEFECTS E); it costs no hash to
// refuse it. A bearer login sets nothing in the browser and needs no guard.
func TestS_D8_LoginAndRegisterCrossSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(trusting))
	s.add(t, "ann@example.com")
	body := func() any { return loginForm("ann@example.com", goodPassword) }
	for name, headers := range crossSite() {
		before := s.hasher.Hashes()
		for _, backend := range plainBackends {
			a := s.send(t, "POST", "/auth/"+backend+"/login", body(), headers...)
			if !isCookie(backend) {
				a.want(t, 200)
				before++
				continue
			}
			a.wantDetail(t, 403, "CROSS_ORIGIN_REQUEST").wantSecureHeaders(t)
			if a.header.Values("Set-Cookie") != nil {
				t.Errorf("%s: %s sets a cookie", name, backend)
			}
			s.send(t, "POST", "/auth/"+backend+"/login", `{"username":"ann@example.com","password":"`+goodPassword+`"}`, append(headers, "Content-Type: application/json")...).want(t, 403)
		}
		s.send(t, "POST", "/auth/register", map[string]any{"email": "eve@example.com", "password": goodPassword}, headers...).wantDetail(t, 403, "CROSS_ORIGIN_REQUEST")
		if n := s.hasher.Hashes() - before; n != 0 {
			t.Errorf("%s: %d hashes for refused requests", name, n)
		}
	}
	if _, err := s.auth.UserByEmail(t.Context(), "eve@example.com"); err == nil {
		t.Error("a cross-site registration made an account")
	}
	i := 0
	for _, headers := range sameSite(s) {
		for _, backend := range plainBackends {
			if a := s.send(t, "POST", "/auth/"+backend+"/login", body(), headers...); a.token(backend) == "" {
				t.Errorf("login with %q: %d %s", headers, a.status, a.body)
			}
		}
		i++
		s.send(t, "POST", "/auth/register", map[string]any{"email": "new" + strconv.Itoa(i) + "@example.com", "password": goodPassword}, headers...).want(t, 201)
	}
}

// Without a cookie backend nothing is ambient, and register needs no guard.
func TestRegisterCrossSiteWithoutCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) { c.Backends = c.Backends[:1] }))
	s.send(t, "POST", "/auth/register", map[string]any{"email": "ann@example.com", "password": goodPassword}, crossSite()["cross-site"]...).want(t, 201)
}

// A cookie authenticates no state-changing request that another site caused,
// on any route; a bearer token, which no site can make a browser send, does; and
// reading is allowed (D7, D11; DEFECTS E, recording http.cors-preflight).
func TestS_D7_EveryRouteCrossSite(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(trusting))
	u := s.add(t, "ann@example.com", asSuperuser)
	victim := s.add(t, "victim@example.com")
	cookie := s.signedIn(t, "cookie", "ann@example.com")
	s.login(t, "cookie", "victim@example.com")
	sessions, err := s.auth.ListSessions(t.Context(), victim.ID)
	if err != nil {
		t.Fatal(err)
	}
	patch := map[string]any{"first_name": "Eve"}
	tests := []struct {
		method, path string
		body         any
	}{
		{"POST", "/auth/cookie/logout", nil},
		{"POST", "/auth/jwt/logout", nil},
		{"PATCH", "/users/me", patch},
		{"PATCH", "/users/" + string(victim.ID), patch},
		{"DELETE", "/users/" + string(victim.ID), nil},
		{"DELETE", "/users/me/sessions", nil},
		{"DELETE", "/users/me/sessions/" + sessions[0].ID, nil},
		{"DELETE", "/users/" + string(victim.ID) + "/sessions", nil},
		{"DELETE", "/users/" + string(victim.ID) + "/sessions/" + sessions[0].ID, nil},
	}
	for name, headers := range crossSite() {
		for _, test := range tests {
			a := s.send(t, test.method, test.path, test.body, append(headers, cookie)...)
			if a.wantDetail(t, 403, "CROSS_ORIGIN_REQUEST").wantSecureHeaders(t); t.Failed() {
				t.Fatalf("%s: %s %s", name, test.method, test.path)
			}
			if got := a.header.Get("Access-Control-Allow-Origin"); got != "" { // D11
				t.Errorf("Access-Control-Allow-Origin %q", got)
			}
		}
		s.send(t, "GET", "/users/me", nil, append(headers, cookie)...).want(t, 200)
		// Without a cookie there is nobody, rather than somebody refused.
		s.send(t, "PATCH", "/users/me", patch, headers...).want(t, 401)
		a := s.send(t, "OPTIONS", "/users/me", nil, append(headers, "Access-Control-Request-Method: PATCH")...).want(t, http.StatusMethodNotAllowed)
		if got := a.header.Get("Access-Control-Allow-Origin"); got != "" {
			t.Errorf("preflight answers Access-Control-Allow-Origin %q", got)
		}
	}
	if got := s.stored(t, victim.ID); got.FirstName != nil {
		t.Error("a refused request changed the victim")
	}
	if got, err := s.auth.ListSessions(t.Context(), victim.ID); err != nil || len(got) != 1 {
		t.Errorf("a refused request ended the victim's session: %v, %v", got, err)
	}
	s.wantAlive(t, "the cookie", cookie, true)
	for name, headers := range sameSite(s) {
		for _, test := range tests {
			fresh := s.signedIn(t, "cookie", "ann@example.com")
			if a := s.send(t, test.method, test.path, test.body, append(headers, fresh)...); a.status == 403 || a.status == 401 {
				t.Errorf("%s: %s %s: %d %s", name, test.method, test.path, a.status, a.body)
			}
		}
	}
	for _, headers := range crossSite() {
		bearer := s.signedIn(t, "bearer-db", "ann@example.com")
		s.send(t, "PATCH", "/users/me", patch, append(headers, bearer)...).want(t, 200)
	}
	if got := s.stored(t, u.ID); got.FirstName == nil {
		t.Error("the positive control changed nothing")
	}
}
