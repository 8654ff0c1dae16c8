package usher_test

import (
	"context"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// everySignIn signs a user in through every backend and returns the headers by
// backend.
func (s *site) everySignIn(t testing.TB, email string) map[string]string {
	t.Helper()
	headers := map[string]string{}
	for _, backend := range allBackends {
		headers[backend] = s.signedIn(t, backend, email)
	}
	return headers
}

// wantNoRows checks that nothing of a user's sessions is left in any store.
func (s *site) wantNoSessions(t testing.TB, id usher.ID) {
	t.Helper()
	for name, store := range map[string]usher.SessionStore{"SQL": s.db, "Redis": s.redis} {
		if list, err := store.ListSessions(t.Context(), id); err != nil || len(list) != 0 {
			t.Errorf("%s still has %d sessions, %v", name, len(list), err)
		}
	}
}

// A user who is deactivated is out at once, with JWTs too, and his sessions are
// gone for good: re-activation revives none of them (C7, E17, DEFECTS E, recording
// user-deactivated.tokens).
func TestS_C7_DeactivationEndsEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	s.add(t, "bob@example.com")
	admin, bob := s.signedIn(t, "redis", "root@example.com"), s.signedIn(t, "redis", "bob@example.com")
	headers := s.everySignIn(t, "ann@example.com")
	for _, header := range headers { // whatever is cached is warm
		s.wantAlive(t, "before", header, true)
	}
	path := "/users/" + string(ann.ID)
	var got User
	s.send(t, "PATCH", path, map[string]any{"is_active": false}, admin).want(t, 200).json(t, &got)
	if got.IsActive {
		t.Error("the answer says active")
	}
	for backend, header := range headers {
		s.wantAlive(t, backend+", deactivated", header, false)
		s.send(t, "PATCH", "/users/me", map[string]any{"first_name": "x"}, header).wantDetail(t, 401, "Unauthorized")
		s.send(t, "POST", "/auth/"+backend+"/login", loginForm("ann@example.com", goodPassword)).wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS")
	}
	s.wantNoSessions(t, ann.ID)
	s.send(t, "PATCH", path, map[string]any{"is_active": true}, admin).want(t, 200)
	for backend, header := range headers {
		s.wantAlive(t, backend+", active again", header, false)
	}
	s.wantAlive(t, "a new sign-in", s.signedIn(t, "redis", "ann@example.com"), true)
	s.wantAlive(t, "another user", bob, true)
	// Deactivating who is not active, and activating who is, ends nothing.
	again := s.everySignIn(t, "ann@example.com")
	s.send(t, "PATCH", path, map[string]any{"is_active": true, "is_verified": true, "first_name": "Ann"}, admin).want(t, 200)
	for backend, header := range again {
		s.wantAlive(t, backend+" beside other changes", header, true)
	}
}

// A user who was deactivated in the store itself, by another program, is out at
// once too (C7, supabase #2642).
func TestS_C7_DeactivationBehindOurBack(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	ann := s.add(t, "ann@example.com")
	headers := s.everySignIn(t, "ann@example.com")
	for _, header := range headers {
		s.wantAlive(t, "before", header, true)
	}
	after := *ann
	after.IsActive = false
	if err := s.db.UpdateUser(t.Context(), ann, &after); err != nil {
		t.Fatal(err)
	}
	for backend, header := range headers {
		s.wantAlive(t, backend, header, false)
	}
}

// The sessions of a user who was deleted are gone, also from Redis, which knows
// no foreign keys; his JWTs name nobody (C7, DEFECTS E, recording
// user-deleted.tokens).
func TestS_C7_DeletionEndsEverything(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	admin := s.signedIn(t, "cookie", "root@example.com")
	headers := s.everySignIn(t, "ann@example.com")
	path := "/users/" + string(ann.ID)
	if a := s.send(t, "DELETE", path, nil, admin).want(t, 204).wantSecureHeaders(t); a.body != "" {
		t.Errorf("body %q", a.body)
	}
	for backend, header := range headers {
		s.wantAlive(t, backend, header, false)
	}
	s.wantNoSessions(t, ann.ID)
	s.send(t, "DELETE", path, nil, admin).wantDetail(t, 404, "Not Found")
	s.send(t, "GET", path, nil, admin).wantDetail(t, 404, "Not Found")
	s.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", goodPassword)).wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS")
	// The address is free again, and belongs to somebody else.
	var fresh User
	s.send(t, "POST", "/auth/register", map[string]any{"email": "ann@example.com", "password": goodPassword}).want(t, 201).json(t, &fresh)
	if fresh.ID == ann.ID {
		t.Error("a new user has the id of a deleted one")
	}
	for backend, header := range headers {
		s.wantAlive(t, backend+" after the address was taken again", header, false)
	}
	if n := s.sessionRows(t); n != 1 { // the superuser's
		t.Errorf("%d rows of sessions, want 1", n)
	}
}

// A new password ends all sessions but the one that set it, in every store, and
// all JWTs; set by a superuser it ends them all (C8, E17, DEFECTS E).
func TestS_C8_PasswordChangeEndsSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	admin := s.signedIn(t, "cookie", "root@example.com")
	password := goodPassword
	for i, through := range allBackends {
		headers := map[string]string{}
		for _, backend := range allBackends {
			headers[backend] = carrying(backend, s.send(t, "POST", "/auth/"+backend+"/login", loginForm("ann@example.com", password)).token(backend))
		}
		next := "another password " + string(rune('a'+i))
		a := s.send(t, "PATCH", "/users/me", map[string]any{"password": next, "current_password": password}, headers[through]).want(t, 200).wantSecureHeaders(t)
		if a.header.Values("Set-Cookie") != nil {
			t.Errorf("a password change sets %q", a.header.Values("Set-Cookie"))
		}
		for backend, header := range headers {
			s.wantAlive(t, backend+" after a change through "+through, header, backend == through && !isJWT(backend))
		}
		s.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", password)).want(t, 400)
		password = next
	}
	before := carrying("cookie", s.send(t, "POST", "/auth/cookie/login", loginForm("ann@example.com", password)).token("cookie"))
	s.send(t, "PATCH", "/users/"+string(ann.ID), map[string]any{"password": "set by a superuser"}, admin).want(t, 200)
	s.wantAlive(t, "after a superuser's change", before, false)
	s.wantNoSessions(t, ann.ID)
	s.wantAlive(t, "the superuser", admin, true)
	s.send(t, "POST", "/auth/cookie/login", loginForm("ann@example.com", "set by a superuser")).want(t, 204)

	// Other changes end nothing.
	header := carrying("cookie", s.send(t, "POST", "/auth/cookie/login", loginForm("ann@example.com", "set by a superuser")).token("cookie"))
	s.send(t, "PATCH", "/users/"+string(ann.ID), map[string]any{"email": "ann2@example.com", "is_verified": false, "plan": "gold"}, admin).want(t, 200)
	s.wantAlive(t, "after another change", header, true)
}

// The policy has a name (docs/compatibility.md): InsecureKeepSessions is what
// FastAPI Users does. A deactivation ends them all the same.
func TestInsecureKeepSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) { c.InsecureKeepSessions = true }))
	ann := s.add(t, "ann@example.com")
	one, two, jwt := s.signedIn(t, "cookie", "ann@example.com"), s.signedIn(t, "bearer-db", "ann@example.com"), s.signedIn(t, "jwt", "ann@example.com")
	s.send(t, "PATCH", "/users/me", map[string]any{"password": "another password", "current_password": goodPassword}, one).want(t, 200)
	s.wantAlive(t, "another session", two, true)
	s.wantAlive(t, "a JWT", jwt, true)
	if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{IsActive: new(false)}); err != nil {
		t.Fatal(err)
	}
	if n := s.sessionRows(t); n != 0 {
		t.Errorf("%d rows of sessions after a deactivation", n)
	}
	if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{IsActive: new(true)}); err != nil {
		t.Fatal(err)
	}
	s.wantAlive(t, "a JWT of before the deactivation", jwt, false)
}

// If the store of the sessions is away, neither a password change nor a
// deactivation nor a deletion is acknowledged or done: what a user is told to
// have ended has ended (P2, P10).
func TestP2_ChangesWhileTheSessionsAreAway(t *testing.T) {
	t.Parallel()
	store := &failing{err: errOutage}
	s := newSite(t, func(_ testing.TB, _ *site, c *usher.Config[User]) {
		store.SessionStore = newMemory()
		c.Backends = append(c.Backends, redisPair(store)...)
	})
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	admin := s.signedIn(t, "jwt", "root@example.com")
	me, redis := s.signedIn(t, "cookie", "ann@example.com"), s.signedIn(t, "redis", "ann@example.com")
	path := "/users/" + string(ann.ID)
	store.set(true)
	s.send(t, "PATCH", "/users/me", map[string]any{"password": "another password", "current_password": goodPassword}, me).wantUnavailable(t)
	s.wantAlive(t, "the session that asked", me, true)
	s.send(t, "PATCH", "/users/me", map[string]any{"first_name": "Ann"}, me).want(t, 200) // needs no sessions
	// These may have ended sessions where they could: that is the safe side.
	s.send(t, "PATCH", path, map[string]any{"password": "another password"}, admin).wantUnavailable(t)
	s.send(t, "PATCH", path, map[string]any{"is_active": false}, admin).wantUnavailable(t)
	s.send(t, "DELETE", path, nil, admin).wantUnavailable(t)
	store.set(false)
	if got := s.stored(t, ann.ID); !got.IsActive || got.HashedPassword != ann.HashedPassword {
		t.Errorf("a refused change was made: %+v", got)
	}
	s.wantAlive(t, "the session that was away", redis, true)
	s.send(t, "DELETE", path, nil, admin).want(t, 204)
	s.wantAlive(t, "the session that was away", redis, false)
}

// An expired session is not good, not shown, and is deleted by Sweep (C9,
// DEFECTS E).
func TestDefect_E_ExpiredSessions(t *testing.T) {
	t.Parallel()
	clock := ushertest.NewClock(time.Now())
	s := newSite(t, configured(func(c *usher.Config[User]) {
		for i, b := range c.Backends {
			if sessions, ok := b.Strategy.(usher.Sessions); ok {
				sessions.Now = clock.Now
				c.Backends[i].Strategy = sessions
			}
		}
	}))
	ann := s.add(t, "ann@example.com")
	for range 3 {
		s.signedIn(t, "cookie", "ann@example.com")
	}
	old := s.signedIn(t, "bearer-db", "ann@example.com")
	s.wantAlive(t, "before it expires", old, true)
	clock.Advance(sessionLifetime + time.Second)
	s.wantAlive(t, "after it has expired", old, false)
	s.send(t, "POST", "/auth/bearer-db/logout", nil, old).wantDetail(t, 401, "Unauthorized")
	if list := s.mySessions(t, s.signedIn(t, "bearer-db", "ann@example.com")); len(list) != 1 {
		t.Errorf("the list shows %+v", list)
	}
	if n, err := s.auth.Sweep(context.Background()); err != nil || n != 4 {
		t.Errorf("Sweep: %d, %v, want 4", n, err)
	}
	if list, err := s.db.ListSessions(t.Context(), ann.ID); err != nil || len(list) != 1 {
		t.Errorf("left over: %v, %v", list, err)
	}
}
