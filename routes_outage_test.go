package usher_test

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"usher"
)

// fragile is a site whose stores can be taken away: the users, the sessions in
// SQL and those in what stands for Redis.
type fragile struct {
	*site
	users      *failingUsers
	rows, keys *failing
}

func newFragile(t testing.TB, err error) *fragile {
	t.Helper()
	f := &fragile{users: &failingUsers{failing: failing{err: err}}, rows: &failing{err: err}, keys: &failing{err: err, SessionStore: newMemory()}}
	f.site = newSite(t, func(_ testing.TB, s *site, c *usher.Config[User]) {
		f.users.UserStore, f.rows.SessionStore = s.db, s.db
		for i := range c.Backends[2:] {
			c.Backends[2+i].Strategy = usher.Sessions{Store: f.rows, Lifetime: sessionLifetime}
		}
		c.Backends = append(c.Backends, redisPair(f.keys)...)
		c.Store = f.users
	})
	return f
}

// sql takes the database away, or brings it back.
func (f *fragile) sql(away bool) {
	f.users.set(away)
	f.rows.set(away)
}

// The table of DEFECTS H: what each request is answered with one store away.
// Never a 500, and a client never loses a good token.
func TestDefect_H_OneStoreAway(t *testing.T) {
	t.Parallel()
	f := newFragile(t, errOutage)
	f.add(t, "ann@example.com")
	headers := map[string]string{"nobody": "X-None: 1", "garbage": "Authorization: Bearer garbage", "garbage cookie": "Cookie: ck_redis=garbage; ck_db=garbage; ck_jwt=a.b.c",
		"unknown": "Authorization: Bearer " + strings.Repeat("A", 43), "unknown redis cookie": "Cookie: ck_redis=" + strings.Repeat("A", 43), "unknown sql cookie": "Cookie: ck_db=" + strings.Repeat("A", 43)}
	for _, backend := range allBackends {
		headers[backend] = f.signedIn(t, backend, "ann@example.com")
	}
	for _, test := range []struct {
		credential                   string
		redisAway, sqlAway, bothAway int
	}{
		{"nobody", 401, 401, 401},
		// What cannot be a token of a store is never asked of it.
		{"garbage", 401, 401, 401},
		{"garbage cookie", 401, 401, 401},
		// What could be: nobody can know.
		{"unknown", 503, 503, 503},
		{"unknown redis cookie", 503, 401, 503},
		{"unknown sql cookie", 401, 503, 503},
		{"jwt", 200, 503, 503},
		{"cookie-jwt", 200, 503, 503},
		{"bearer-db", 200, 503, 503},
		{"cookie", 200, 503, 503},
		{"redis", 503, 503, 503},
		{"cookie-redis", 503, 503, 503},
	} {
		for _, away := range []struct {
			name       string
			redis, sql bool
			want       int
		}{{"Redis", true, false, test.redisAway}, {"SQL", false, true, test.sqlAway}, {"both", true, true, test.bothAway}} {
			f.keys.set(away.redis)
			f.sql(away.sql)
			for _, request := range []struct {
				request string
				good    int // what becomes of 200
			}{
				{"GET /users/me", 200}, {"PATCH /users/me", 200}, {"GET /users/" + string(usher.NewID()), 403},
				{"DELETE /users/me/sessions/x", map[bool]int{true: 503, false: 404}[away.redis]}, // needs every store
				{"POST /auth/jwt/logout", 204},
			} {
				want := away.want
				if want == 200 {
					want = request.good
				}
				method, path, _ := strings.Cut(request.request, " ")
				a := f.send(t, method, path, map[string]any{}, headers[test.credential])
				if a.status == 503 {
					a.wantUnavailable(t)
				}
				if a.status != want {
					t.Errorf("%s with %s, %s away: %d %s, want %d", request.request, test.credential, away.name, a.status, a.body, want)
				}
			}
			f.keys.set(false)
			f.sql(false)
			if slices.Contains(allBackends, test.credential) { // it has been logged out
				headers[test.credential] = f.signedIn(t, test.credential, "ann@example.com")
			}
		}
	}
}

// Rule 2 of DESIGN §3: a store away is no answer where a later backend knows;
// and an optional route is a 503 too where nobody can know.
func TestDefect_H_LaterBackendKnows(t *testing.T) {
	t.Parallel()
	f := newFragile(t, errOutage)
	f.add(t, "ann@example.com")
	mux := http.NewServeMux()
	f.auth.Mount(mux)
	mux.Handle("GET /optional", f.auth.Optional()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u := f.auth.CurrentUser(r.Context()); u != nil {
			fmt.Fprint(w, u.Email)
		}
	})))
	f.listen(t, mux)
	redis, cookie := f.signedIn(t, "redis", "ann@example.com"), f.signedIn(t, "cookie", "ann@example.com")
	f.rows.set(true) // the sessions, not the users
	f.wantAlive(t, "a Redis token while the rows are away", redis, true)
	if a := f.send(t, "GET", "/optional", nil, redis).want(t, 200); a.body != "ann@example.com" {
		t.Errorf("optional: %q", a.body)
	}
	if !strings.Contains(f.log.String(), "connection refused") {
		t.Error("the outage is not logged")
	}
	f.send(t, "GET", "/optional", nil, cookie).wantUnavailable(t)
	if a := f.send(t, "GET", "/optional", nil, cookie, redis).want(t, 200); a.body != "ann@example.com" {
		t.Errorf("optional, with both: %q", a.body)
	}
	if a := f.send(t, "GET", "/optional", nil, "Authorization: Bearer garbage").want(t, 200); a.body != "" {
		t.Errorf("optional, with garbage: %q", a.body)
	}
	f.rows.set(false)
	f.wantAlive(t, "the cookie when they are back", cookie, true)
}

// Signing in and up with a store away (DEFECTS H): what needs it is a 503, the
// same for known and unknown accounts (P9), and the rest goes on.
func TestDefect_H_FlowsWhileAStoreIsAway(t *testing.T) {
	t.Parallel()
	f := newFragile(t, errOutage)
	f.add(t, "ann@example.com")
	f.add(t, "bob@example.com", asInactive)
	login := func(backend, email, plain string) answer {
		t.Helper()
		return f.send(t, "POST", "/auth/"+backend+"/login", loginForm(email, plain))
	}
	f.keys.set(true)
	for _, backend := range plainBackends {
		if a := login(backend, "ann@example.com", goodPassword); a.token(backend) == "" {
			t.Errorf("Redis away: login through %s: %d %s", backend, a.status, a.body)
		}
	}
	for _, backend := range redisBackends {
		login(backend, "ann@example.com", goodPassword).wantUnavailable(t)
		known, unknown := login(backend, "ann@example.com", "wrong").want(t, 400), login(backend, "nobody@example.com", goodPassword).want(t, 400)
		if withoutDate(known) != withoutDate(unknown) {
			t.Errorf("known and unknown differ: %s %s", withoutDate(known), withoutDate(unknown))
		}
	}
	f.send(t, "POST", "/auth/register", map[string]any{"email": "cat@example.com", "password": goodPassword}).want(t, 201)
	f.send(t, "POST", "/auth/forgot-password", map[string]any{"email": "cat@example.com"}).want(t, 202)
	f.keys.set(false)

	f.sql(true)
	var answers []string
	for _, backend := range allBackends {
		for _, email := range []string{"ann@example.com", "bob@example.com", "nobody@example.com"} {
			for _, plain := range []string{goodPassword, "wrong"} {
				answers = append(answers, withoutDate(login(backend, email, plain).wantUnavailable(t)))
			}
		}
	}
	for _, path := range []string{"/auth/forgot-password", "/auth/request-verify-token", "/auth/register"} {
		for _, email := range []string{"ann@example.com", "bob@example.com", "nobody@example.com"} {
			answers = append(answers, withoutDate(f.send(t, "POST", path, map[string]any{"email": email, "password": goodPassword}).wantUnavailable(t)))
		}
	}
	if different := slices.Compact(answers); len(different) != 1 {
		t.Errorf("the refusals differ: %q", different)
	}
	// What is wrong with a request is said all the same.
	f.send(t, "POST", "/auth/register", map[string]any{"email": "x", "password": goodPassword}).wantInvalid(t, "body.email")
	f.send(t, "POST", "/auth/jwt/login", loginForm("", "")).wantInvalid(t, "body.username", "body.password")
	f.sql(false)
	for _, backend := range allBackends { // recovery needs nothing
		f.wantAlive(t, "a login at once afterwards", f.signedIn(t, backend, "ann@example.com"), true)
	}
	if _, err := f.auth.UserByEmail(t.Context(), "nobody@example.com"); err == nil {
		t.Error("a refused registration made an account")
	}
}

// Whichever method of whichever store fails, and however, every route answers
// with a 2xx, a 4xx or a proper 503 (P6, F8), and works again at once.
func TestP6_EveryRouteWhileEveryMethodFails(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"refused": errOutage, "deadline": context.DeadlineExceeded, "cancelled": context.Canceled, "closed": sql.ErrConnDone, "no rows": sql.ErrNoRows,
		"network": &net.OpError{Op: "read", Net: "tcp", Err: context.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFragile(t, err)
			root := f.add(t, "root@example.com", asSuperuser)
			victim := f.add(t, "victim@example.com")
			path := "/users/" + string(victim.ID)
			type m = map[string]any
			requests := []struct {
				request string
				body    any
			}{
				{"POST /auth/jwt/login", loginForm("root@example.com", goodPassword)}, {"POST /auth/cookie/login", loginForm("root@example.com", goodPassword)}, {"POST /auth/redis/login", loginForm("root@example.com", goodPassword)},
				{"POST /auth/register", m{"email": "new@example.com", "password": goodPassword}},
				{"POST /auth/forgot-password", m{"email": "root@example.com"}}, {"POST /auth/request-verify-token", m{"email": "root@example.com"}},
				{"POST /auth/reset-password", m{"token": "x", "password": goodPassword}}, {"POST /auth/verify", m{"token": "x"}}, {"POST /auth/confirm-email", m{"token": "x"}},
				{"GET /users/me", nil}, {"PATCH /users/me", m{"first_name": "x"}}, {"PATCH /users/me", m{"password": goodPassword, "current_password": goodPassword}},
				{"GET /users/me/sessions", nil}, {"DELETE /users/me/sessions/x", nil}, {"DELETE /users/me/sessions", nil},
				{"GET " + path, nil}, {"GET /users", nil}, {"PATCH " + path, m{"plan": "gold"}}, {"PATCH " + path, m{"is_active": false}}, {"PATCH " + path, m{"is_active": true}},
				{"GET " + path + "/sessions", nil}, {"DELETE " + path + "/sessions/x", nil}, {"DELETE " + path + "/sessions", nil},
				{"POST /auth/jwt/logout", nil}, {"POST /auth/cookie/logout", nil}, {"POST /auth/redis/logout", nil}, {"DELETE /users/" + string(usher.NewID()), nil}, {"DELETE /users/me", m{"current_password": "wrong"}},
			}
			token, err := f.jwt.WriteToken(t.Context(), &usher.Authentication{UserID: root.ID})
			if err != nil {
				t.Fatal(err)
			}
			for _, store := range []interface{ set(bool, ...string) }{f.users, f.rows, f.keys} {
				methods := []string{""}
				if name == "refused" {
					methods = []string{"", "UserByID", "UserByEmail", "CreateUser", "UpdateUser", "DeleteUser", "ListUsers", "CreateSession", "ReadSession", "TouchSession", "DestroySession", "ListSessions", "RevokeSession", "RevokeSessions"}
				}
				for _, method := range methods {
					headers := []string{carrying("jwt", token), f.signedIn(t, "cookie-redis", "root@example.com")}
					store.set(true, method)
					for i, request := range requests {
						verb, path, _ := strings.Cut(request.request, " ")
						a := f.send(t, verb, path, request.body, headers[i%2:]...) // the JWT decides, or there is none
						if a.status == 503 {
							a.wantUnavailable(t)
						} else if a.status >= 500 || a.status < 200 || a.status >= 300 && a.status < 400 {
							t.Errorf("%s with %s of %T away: %d %s", request.request, method, store, a.status, a.body)
						}
					}
					store.set(false, method)
					f.wantAlive(t, fmt.Sprintf("after %s of %T was away", method, store), headers[0], true)
				}
			}
		})
	}
}

// Faults mix nobody up: with one store coming and going, every answer is that of
// the token's own user, or a refusal (P4, KNOWN-FLAWS 114).
func TestP4_EveryAnswerIsTheTokensOwner(t *testing.T) {
	t.Parallel()
	f := newFragile(t, errOutage)
	const users = 8
	type owner struct {
		email   string
		headers []string
	}
	owners := make([]owner, users)
	for i := range owners {
		owners[i].email = fmt.Sprintf("user%d@example.com", i)
		f.add(t, owners[i].email)
		for _, backend := range []string{"jwt", "cookie", "redis"} {
			owners[i].headers = append(owners[i].headers, f.signedIn(t, backend, owners[i].email))
		}
	}
	stop := make(chan struct{})
	var meddler sync.WaitGroup
	meddler.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			store := []interface{ set(bool, ...string) }{f.users, f.rows, f.keys}[i%3]
			store.set(true)
			store.set(false)
		}
	})
	atOnce(users, func(i int) {
		for n := range 40 {
			a, err := f.try(t.Context(), "GET", "/users/me", nil, owners[i].headers[n%3])
			if err != nil {
				t.Error(err)
				return
			}
			if a.status == 200 && !strings.Contains(a.body, `"`+owners[i].email+`"`) || a.status != 200 && a.status != 503 {
				t.Errorf("%s is told: %d %s", owners[i].email, a.status, a.body)
			}
		}
	})
	close(stop)
	meddler.Wait()
}
