package usher_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
)

// sessionJSON is a session as clients see it.
type sessionJSON struct {
	ID         string         `json:"id"`
	CreatedAt  time.Time      `json:"created_at"`
	LastSeenAt time.Time      `json:"last_seen_at"`
	ExpiresAt  time.Time      `json:"expires_at"`
	AuthTime   time.Time      `json:"auth_time"`
	Methods    []string       `json:"methods"`
	IP         string         `json:"ip"`
	UserAgent  string         `json:"user_agent"`
	Data       map[string]any `json:"data"`
	Current    bool           `json:"current"`
}

// sessions returns the list at a path.
func (s *site) sessions(t testing.TB, path, header string) (list []sessionJSON) {
	t.Helper()
	s.send(t, "GET", path, nil, header).want(t, 200).wantSecureHeaders(t).json(t, &list)
	return list
}

func (s *site) mySessions(t testing.TB, header string) []sessionJSON {
	t.Helper()
	return s.sessions(t, "/users/me/sessions", header)
}

// noTrace checks that text holds neither a token nor what a store keeps of it.
func noTrace(t testing.TB, where, text, token string) {
	t.Helper()
	hash := sha256.Sum256([]byte(token))
	for what, secret := range map[string]string{
		"the token": token, "the hash in hex": hex.EncodeToString(hash[:]),
		"the hash in base64": base64.StdEncoding.EncodeToString(hash[:]), "the hash in base64url": base64.RawURLEncoding.EncodeToString(hash[:]),
	} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
			t.Errorf("%s holds %s", where, what)
		}
	}
}

// A user sees all his sessions, of whatever backend, each once and the newest
// first, with the one he is using marked; and nothing in the list lets anybody
// in (C10, DEFECTS E).
func TestS_C10_ListOfSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis, configured(func(c *usher.Config[User]) {
		c.Hooks.BeforeLogin = func(_ context.Context, _ *User, a *usher.Authentication) error {
			a.Data["device"] = map[string]any{"name": "phone of " + a.Backend, "push": true}
			return nil
		}
	}))
	ann := s.add(t, "ann@example.com")
	admin := s.add(t, "root@example.com", asSuperuser)
	s.add(t, "bob@example.com")
	s.signedIn(t, "cookie", "bob@example.com")
	tokens := map[string]string{}
	for _, backend := range allBackends {
		tokens[backend] = s.login(t, backend, "ann@example.com")
		time.Sleep(2 * time.Millisecond) // for the order
	}
	wantOrder := []string{"cookie-redis", "redis", "cookie", "bearer-db"} // JWTs are no sessions
	for _, backend := range allBackends {
		a := s.send(t, "GET", "/users/me/sessions", nil, carrying(backend, tokens[backend])).want(t, 200).wantSecureHeaders(t)
		for _, token := range tokens {
			noTrace(t, "the list", a.everything(), token)
		}
		var list []sessionJSON
		a.json(t, &list)
		var order []string
		for _, session := range list {
			device, _ := session.Data["device"].(map[string]any)
			name, _ := device["name"].(string)
			of := strings.TrimPrefix(name, "phone of ")
			order = append(order, of)
			if session.Current != (of == backend) {
				t.Errorf("seen through %s, the session of %s has current %v", backend, of, session.Current)
			}
			if session.ID == "" || session.IP != "127.0.0.1" || session.UserAgent != "Go-http-client/1.1" || !slices.Equal(session.Methods, []string{"pwd"}) ||
				time.Since(session.CreatedAt).Abs() > time.Minute || time.Since(session.LastSeenAt).Abs() > time.Minute || time.Since(session.AuthTime).Abs() > time.Minute ||
				session.ExpiresAt.Sub(session.CreatedAt).Round(time.Second) != sessionLifetime {
				t.Errorf("session of %s: %+v", of, session)
			}
			for _, transport := range allBackends {
				s.wantAlive(t, "the id of a session as a token", carrying(transport, session.ID), false)
			}
		}
		if !slices.Equal(order, wantOrder) {
			t.Errorf("seen through %s: sessions of %q, want %q", backend, order, wantOrder)
		}
		if strings.Contains(a.body, string(ann.ID)) {
			t.Errorf("the list names the user: %s", a.body)
		}
	}
	// A superuser sees the same, with none of them marked.
	list := s.sessions(t, "/users/"+string(ann.ID)+"/sessions", s.signedIn(t, "jwt", "root@example.com"))
	if len(list) != 4 || slices.ContainsFunc(list, func(x sessionJSON) bool { return x.Current }) {
		t.Errorf("a superuser sees %+v", list)
	}
	if list := s.sessions(t, "/users/"+string(admin.ID)+"/sessions", s.signedIn(t, "cookie", "root@example.com")); len(list) != 1 {
		t.Errorf("a superuser sees of his own %+v", list)
	}
	if body := s.send(t, "GET", "/users/me/sessions", nil, s.signedIn(t, "jwt", "root@example.com")).body; strings.Contains(body, `"scopes"`) || strings.Contains(body, "null") {
		t.Errorf("session without scopes: %s", body)
	}
}

// A list is a JSON array even if it is empty.
func TestListOfNoSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.add(t, "ann@example.com")
	if a := s.send(t, "GET", "/users/me/sessions", nil, s.signedIn(t, "jwt", "ann@example.com")).want(t, 200); a.body != "[]" {
		t.Errorf("body %s", a.body)
	}
}

// A user ends his own sessions, one or all others, and nobody else's (C10,
// DEFECTS E).
func TestS_C10_RevokeMySessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	s.add(t, "ann@example.com")
	s.add(t, "bob@example.com")
	bob := s.signedIn(t, "cookie-redis", "bob@example.com")
	bobs := s.mySessions(t, bob)[0].ID
	for _, mine := range []string{"bearer-db", "cookie", "redis", "cookie-redis", "jwt"} {
		for _, other := range []string{"bearer-db", "cookie", "redis", "cookie-redis"} {
			me := s.signedIn(t, mine, "ann@example.com")
			before := s.mySessions(t, me)
			victim := s.signedIn(t, other, "ann@example.com")
			var id string
			for _, session := range s.mySessions(t, me) {
				if !slices.ContainsFunc(before, func(x sessionJSON) bool { return x.ID == session.ID }) {
					id = session.ID
				}
			}
			if a := s.send(t, "DELETE", "/users/me/sessions/"+id, nil, me).want(t, 204).wantSecureHeaders(t); a.body != "" || a.header.Values("Set-Cookie") != nil {
				t.Errorf("answer: %+v", a)
			}
			s.wantAlive(t, other+" ended by "+mine, victim, false)
			s.wantAlive(t, mine+" ending "+other, me, true)
			s.send(t, "DELETE", "/users/me/sessions/"+id, nil, me).wantDetail(t, 404, "Not Found")
		}
	}
	me := s.signedIn(t, "cookie", "ann@example.com")
	for _, id := range []string{bobs, string(usher.NewID()), "x", "%00", "%20", "*", "%FF", strings.Repeat("a", 500), "..%2f" + bobs} {
		a := s.send(t, "DELETE", "/users/me/sessions/"+id, nil, me)
		if a.wantDetail(t, 404, "Not Found"); t.Failed() {
			t.Errorf("id %q", id)
		}
	}
	s.wantAlive(t, "bob's session", bob, true)

	// All but this one.
	var others []string
	for _, backend := range allBackends[2:] {
		others = append(others, s.signedIn(t, backend, "ann@example.com"))
	}
	jwt := s.signedIn(t, "jwt", "ann@example.com")
	s.send(t, "DELETE", "/users/me/sessions", nil, me).want(t, 204).wantSecureHeaders(t)
	for _, header := range others {
		s.wantAlive(t, "another session", header, false)
	}
	s.wantAlive(t, "this session", me, true)
	s.wantAlive(t, "a JWT", jwt, true)
	s.wantAlive(t, "bob's session", bob, true)
	if list := s.mySessions(t, me); len(list) != 1 || !list[0].Current {
		t.Errorf("sessions afterwards: %+v", list)
	}
	// A JWT is no session: seen from it, all sessions are others.
	s.send(t, "DELETE", "/users/me/sessions", nil, jwt).want(t, 204)
	s.wantAlive(t, "the last session", me, false)
	s.send(t, "DELETE", "/users/me/sessions", nil, jwt).want(t, 204)

	// One's own is like another: that is logging out without a route's transport.
	me = s.signedIn(t, "redis", "ann@example.com")
	s.send(t, "DELETE", "/users/me/sessions/"+s.mySessions(t, me)[0].ID, nil, me).want(t, 204)
	s.wantAlive(t, "a session that ended itself", me, false)
}

// A superuser ends one or all sessions of a user (C11).
func TestS_C11_RevokeAUsersSessions(t *testing.T) {
	t.Parallel()
	s := newSite(t, withRedis)
	ann, bob := s.add(t, "ann@example.com"), s.add(t, "bob@example.com")
	root := s.add(t, "root@example.com", asSuperuser)
	admin := s.signedIn(t, "cookie", "root@example.com")
	path := "/users/" + string(ann.ID) + "/sessions"
	var headers []string
	for _, backend := range allBackends[2:] {
		headers = append(headers, s.signedIn(t, backend, "ann@example.com"))
	}
	bobs := s.signedIn(t, "redis", "bob@example.com")
	list := s.sessions(t, path, admin)
	if len(list) != len(headers) {
		t.Fatalf("%d sessions, want %d", len(list), len(headers))
	}
	// The session has to be that user's.
	s.send(t, "DELETE", "/users/"+string(bob.ID)+"/sessions/"+list[0].ID, nil, admin).wantDetail(t, 404, "Not Found")
	s.send(t, "DELETE", path+"/"+s.mySessions(t, bobs)[0].ID, nil, admin).wantDetail(t, 404, "Not Found")
	s.send(t, "DELETE", path+"/"+list[0].ID, nil, admin).want(t, 204)
	if got := s.sessions(t, path, admin); len(got) != len(list)-1 {
		t.Errorf("%d sessions after one was ended, want %d", len(got), len(list)-1)
	}
	s.send(t, "DELETE", path, nil, admin).want(t, 204)
	for _, header := range headers {
		s.wantAlive(t, "a session of the user", header, false)
	}
	if got := s.sessions(t, path, admin); len(got) != 0 {
		t.Errorf("sessions afterwards: %+v", got)
	}
	s.wantAlive(t, "another user's session", bobs, true)
	s.wantAlive(t, "the superuser's session", admin, true)
	// Of himself a superuser ends all, also this one: it is a user's route, not /me.
	s.send(t, "DELETE", "/users/"+string(root.ID)+"/sessions", nil, admin).want(t, 204)
	s.wantAlive(t, "the superuser's session", admin, false)
}

// 401 comes before 403 and that before 404, on every route of sessions (F7).
func TestS_F7_SessionsOfOthers(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	user, admin := s.signedIn(t, "bearer-db", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	id := s.mySessions(t, user)[0].ID
	for _, whose := range []string{string(ann.ID), string(usher.NewID()), "nobody", "%00", "1"} {
		for _, request := range []string{"GET /users/" + whose + "/sessions", "DELETE /users/" + whose + "/sessions", "DELETE /users/" + whose + "/sessions/" + id, "DELETE /users/" + whose + "/sessions/x"} {
			method, path, _ := strings.Cut(request, " ")
			s.send(t, method, path, nil).wantDetail(t, 401, "Unauthorized")
			s.send(t, method, path, nil, "Authorization: Bearer x").wantDetail(t, 401, "Unauthorized")
			s.send(t, method, path, nil, user).wantDetail(t, 403, "Forbidden")
			if whose != string(ann.ID) {
				s.send(t, method, path, nil, admin).wantDetail(t, 404, "Not Found")
			}
		}
	}
	for _, request := range []string{"GET /users/me/sessions", "DELETE /users/me/sessions", "DELETE /users/me/sessions/" + id} {
		method, path, _ := strings.Cut(request, " ")
		s.send(t, method, path, nil).wantDetail(t, 401, "Unauthorized")
	}
	s.wantAlive(t, "the session", user, true)
}

// A list that would not be complete is no list, and what could not be ended is
// not said to be (P2, P5): one store away is a 503.
func TestDefect_H_SessionsWhileOneStoreIsAway(t *testing.T) {
	t.Parallel()
	store := &failing{err: errOutage}
	s := newSite(t, func(_ testing.TB, _ *site, c *usher.Config[User]) {
		store.SessionStore = newMemory()
		c.Backends = append(c.Backends, redisPair(store)...) // stands for Redis
	})
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	me, redis := s.signedIn(t, "cookie", "ann@example.com"), s.signedIn(t, "redis", "ann@example.com")
	redisID := s.mySessions(t, me)[0].ID
	admin := s.signedIn(t, "jwt", "root@example.com")
	path := "/users/" + string(ann.ID) + "/sessions"

	store.set(true)
	for _, request := range []string{"GET /users/me/sessions", "DELETE /users/me/sessions", "DELETE /users/me/sessions/" + redisID} {
		method, path, _ := strings.Cut(request, " ")
		s.send(t, method, path, nil, me).wantUnavailable(t)
	}
	for _, request := range []string{"GET " + path, "DELETE " + path + "/" + redisID, "DELETE " + path} {
		method, path, _ := strings.Cut(request, " ")
		s.send(t, method, path, nil, admin).wantUnavailable(t)
	}
	store.set(false)
	s.wantAlive(t, "the session in the store that was away", redis, true)
	s.send(t, "DELETE", "/users/me/sessions/"+redisID, nil, redis).want(t, 204)
	s.wantAlive(t, "the session in the store that is back", redis, false)

	// One that is found in the store that answers is ended although the other is away.
	me = s.signedIn(t, "cookie", "ann@example.com")
	mine := s.mySessions(t, me)[0].ID
	store.set(true)
	s.send(t, "DELETE", "/users/me/sessions/"+mine, nil, me).want(t, 204)
	store.set(false)
	s.wantAlive(t, "a session that ended itself", me, false)
}

// The session knows from where and with what its user signed in, in text that
// every store takes.
func TestLoginRecordsTheClient(t *testing.T) {
	t.Parallel()
	for _, agent := range []string{"Browser/1.0 (é)", "\xff\xfe\x80", strings.Repeat("é", 400), strings.Repeat("x", 2000), ""} {
		s := newSite(t)
		s.add(t, "ann@example.com")
		header := "User-Agent: " + agent
		token := s.send(t, "POST", "/auth/bearer-db/login", loginForm("ann@example.com", goodPassword), header).want(t, 200).token("bearer-db")
		var sessions []struct {
			IP        string    `json:"ip"`
			UserAgent string    `json:"user_agent"`
			CreatedAt time.Time `json:"created_at"`
		}
		s.send(t, "GET", "/users/me/sessions", nil, carrying("bearer-db", token)).want(t, 200).json(t, &sessions)
		if len(sessions) != 1 || sessions[0].IP != "127.0.0.1" || len(sessions[0].UserAgent) > 600 || time.Since(sessions[0].CreatedAt) > time.Minute {
			t.Errorf("session of the agent %.20q: %+v", agent, sessions)
		}
		if strings.HasPrefix(agent, "Browser") && sessions[0].UserAgent != agent {
			t.Errorf("user agent %q, want %q", sessions[0].UserAgent, agent)
		}
	}
}
