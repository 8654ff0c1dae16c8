package ushertest

import (
	"reflect"
	"slices"
	"strings"
	"time"

	"usher"
)

// The parts of TestSessionStore about one call after the other.

func (s *sessionSuite) roundTrip() {
	full := func(change func(*usher.Session)) usher.Session {
		x := s.session(s.newUser())
		x.CreatedAt = s.start.Add(-49*time.Hour - 123456789*time.Nanosecond)
		x.LastSeenAt = s.start.Add(-time.Minute - 987654321*time.Nanosecond)
		x.ExpiresAt = s.start.Add(time.Hour + 111222333*time.Nanosecond)
		x.AuthTime = s.start.Add(-48*time.Hour - 444555666*time.Nanosecond)
		x.Methods, x.Scopes = []string{"pwd", "otp", "mfa"}, []string{"read", "write:all"}
		x.Data = map[string]any{
			"device": "phone", "trusted": true, "score": 0.25, "count": float64(1 << 40), "nothing": nil,
			"": "empty name", "nested": map[string]any{"list": []any{"a", 1.5, map[string]any{"b": false}}, "none": []any{}},
		}
		if change != nil {
			change(&x)
		}
		return x
	}
	for what, x := range map[string]usher.Session{
		"every field": full(nil),
		"no more than needed": full(func(x *usher.Session) {
			x.Methods, x.Scopes, x.IP, x.UserAgent, x.Data = nil, nil, "", "", nil
		}),
		"scopes, but none": full(func(x *usher.Session) { x.Scopes = []string{} }),
		"long":             full(func(x *usher.Session) { x.UserAgent = strings.Repeat("Mozilla/5.0 ", 8<<10/12) + "end" }),
		"not ASCII": full(func(x *usher.Session) {
			x.UserAgent, x.Methods, x.Scopes = "Ünïcode/日本 (🎉; e\u0301)", []string{"méthode"}, []string{"ключ"}
			x.Data = map[string]any{"名前": "Zoë 🎈", "quotes": `'"\` + "`" + `; -- %s $1 ?`, "lines": "a\r\n\tb\u2028"}
		}),
		"IPv6":     full(func(x *usher.Session) { x.IP = "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff" }),
		"IPv6zone": full(func(x *usher.Session) { x.IP = "fe80::1%enp0s31f6" }),
	} {
		token := s.keep(x)
		got, user, err := s.store.ReadSession(s.ctx, token)
		if err != nil {
			s.Errorf("%s: ReadSession: %v", what, err)
			continue
		}
		s.same(what+": ReadSession", got, x)
		s.sameUser(what, user, x.UserID)
		if list := s.listed(x.UserID); len(list) == 1 {
			s.same(what+": ListSessions", list[0], x)
		} else {
			s.Errorf("%s: ListSessions: %d sessions, want 1", what, len(list))
		}
	}
}

// sameUser checks what may come with a session: nothing, or its user as a *U.
func (s *sessionSuite) sameUser(what string, user any, id usher.ID) {
	s.Helper()
	if user == nil {
		return
	}
	v := reflect.ValueOf(user)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		s.Errorf("%s: ReadSession: the user is a %T, want nil or a pointer to the user type", what, user)
		return
	}
	if got := v.Elem().FieldByName("ID"); !got.IsValid() || got.Interface() != id {
		s.Errorf("%s: ReadSession: the user is another than %s, whose session it is", what, id)
	}
}

// copies: what goes in and what comes out belongs to the caller.
func (s *sessionSuite) copies() {
	vandalise := func(x usher.Session) {
		x.Methods[0], x.Scopes[0], x.Data["key"] = "vandal", "vandal", "vandal"
		x.Data["nested"].(map[string]any)["key"] = "vandal"
	}
	original := func() usher.Session {
		x := s.session("")
		x.Methods, x.Scopes = []string{"pwd"}, []string{"read"}
		x.Data = map[string]any{"key": "value", "nested": map[string]any{"key": "value"}}
		return x
	}
	given := original()
	given.UserID = s.newUser()
	want := original()
	want.ID, want.UserID = given.ID, given.UserID
	token := s.keep(given)
	vandalise(given)
	got := s.read("after the caller changed what it gave", token)
	s.same("after the caller changed what it gave", got, want)
	if s.Failed() {
		return
	}
	vandalise(got)
	s.same("after a reader changed what it got", s.read("", token), want)
	for _, x := range s.listed(want.UserID) {
		vandalise(x)
	}
	s.same("after a reader changed the list it got", s.read("", token), want)
}

func (s *sessionSuite) notFound() {
	user, stranger := s.newUser(), s.newUser()
	live, x := s.create(user)
	for _, what := range []string{"a token that never was", "a token that was destroyed"} {
		token, _ := s.token(user)
		if what == "a token that was destroyed" {
			token, _ = s.create(user)
			wantError(s.T, "DestroySession", s.store.DestroySession(s.ctx, token), nil)
		}
		s.gone(what, token)
		wantError(s.T, what+": TouchSession", s.store.TouchSession(s.ctx, token, s.start, s.start.Add(time.Hour)), usher.ErrNotFound)
		s.gone(what+", touched", token)
		wantError(s.T, what+": DestroySession", s.store.DestroySession(s.ctx, token), usher.ErrNotFound)
	}
	almost := live
	almost[len(almost)-1] ^= 1
	s.gone("the hash but for its last bit", almost)
	s.gone("the zero hash", usher.TokenHash{})

	wantError(s.T, "RevokeSession of no session", s.store.RevokeSession(s.ctx, user, newSessionID()), usher.ErrNotFound)
	wantError(s.T, "RevokeSession by a stranger", s.store.RevokeSession(s.ctx, stranger, x.ID), usher.ErrNotFound)
	wantError(s.T, "RevokeSession by a user without sessions who does not exist", s.store.RevokeSession(s.ctx, usher.NewID(), x.ID), usher.ErrNotFound)
	s.lists("a user who never signed in", stranger)
	s.lists("no such user", usher.NewID())
	s.revokes("a user who never signed in", stranger, "", 0)
	s.same("after all that", s.read("after all that", live), x)
	s.lists("after all that", user, x)
}

func (s *sessionSuite) hostileIDs() {
	user := s.newUser()
	token, x := s.create(user)
	patterns := append(hostile(), x.ID+"*", x.ID+"' --", x.ID+"\x00", x.ID[:len(x.ID)-1]+"?", x.ID[:8]+"%")
	for _, id := range patterns {
		what := "session id " + shorten(id)
		wantError(s.T, what+": RevokeSession", s.store.RevokeSession(s.ctx, user, id), usher.ErrNotFound)
		s.read(what, token)

		what = "user id " + shorten(id)
		wantError(s.T, what+": RevokeSession", s.store.RevokeSession(s.ctx, usher.ID(id), x.ID), usher.ErrNotFound)
		s.revokes(what, usher.ID(id), "", 0)
		s.lists(what, usher.ID(id))
		s.read(what, token)
		if s.Failed() {
			return
		}
	}
	for _, keep := range patterns[1:] { // the first is "", which keeps none for good reason
		s.revokes("keep "+shorten(keep), user, keep, 1)
		s.gone("keep "+shorten(keep), token)
		token, _ = s.create(user)
	}
}

func (s *sessionSuite) list() {
	user, stranger := s.newUser(), s.newUser()
	s.lists("before the first", user)
	var want []usher.Session // newest first
	var oldest usher.TokenHash
	for i := range 12 {
		x := s.session(user)
		x.CreatedAt = s.start.Add(time.Duration(i-12) * time.Minute)
		x.ExpiresAt = s.start.Add(time.Duration(2+i*7%12) * time.Hour) // in another order
		token := s.keep(x)
		if i == 0 {
			oldest = token
		}
		want = slices.Insert(want, 0, x)
		s.create(stranger)
	}
	inOrder := func(what string) {
		s.Helper()
		if got := sessionIDs(s.listed(user)); !slices.Equal(got, sessionIDs(want)) {
			s.Errorf("%s: ListSessions: %q, want the user's own, newest first: %q", what, got, sessionIDs(want))
		}
	}
	inOrder("a user's sessions")
	wantError(s.T, "TouchSession", s.store.TouchSession(s.ctx, oldest, s.start.Add(time.Minute), s.start.Add(99*time.Hour)), nil)
	inOrder("after the oldest was used")
}

func (s *sessionSuite) touch() {
	user := s.newUser()
	other, untouched := s.create(user)
	token, x := s.create(user)
	for _, expires := range []time.Duration{30 * time.Minute, 72 * time.Hour, time.Hour} {
		x.LastSeenAt, x.ExpiresAt = x.LastSeenAt.Add(time.Minute+123*time.Millisecond), s.start.Add(expires)
		wantError(s.T, "TouchSession", s.store.TouchSession(s.ctx, token, x.LastSeenAt, x.ExpiresAt), nil)
		wantError(s.T, "TouchSession with the same times", s.store.TouchSession(s.ctx, token, x.LastSeenAt, x.ExpiresAt), nil)
		s.same("after TouchSession: ReadSession", s.read("after TouchSession", token), x)
		for _, listed := range s.listed(user) {
			if listed.ID == x.ID {
				s.same("after TouchSession: ListSessions", listed, x)
			}
		}
	}
	s.same("another session", s.read("another session", other), untouched)
	s.lists("after TouchSession", user, x, untouched)

	wantError(s.T, "DestroySession", s.store.DestroySession(s.ctx, token), nil)
	wantError(s.T, "TouchSession of a destroyed session", s.store.TouchSession(s.ctx, token, s.start, s.start.Add(time.Hour)), usher.ErrNotFound)
	s.gone("destroyed, then touched", token)
	s.lists("destroyed, then touched", user, untouched)
	wantError(s.T, "RevokeSession", s.store.RevokeSession(s.ctx, user, untouched.ID), nil)
	wantError(s.T, "TouchSession of a revoked session", s.store.TouchSession(s.ctx, other, s.start, s.start.Add(time.Hour)), usher.ErrNotFound)
	s.gone("revoked, then touched", other)
	s.lists("revoked, then touched", user)
}

func (s *sessionSuite) destroy() {
	user := s.newUser()
	token, x := s.create(user)
	other, untouched := s.create(user)
	wantError(s.T, "DestroySession", s.store.DestroySession(s.ctx, token), nil)
	s.gone("destroyed", token)
	s.read("another session of the user", other)
	s.lists("destroyed", user, untouched)
	wantError(s.T, "RevokeSession of a destroyed session", s.store.RevokeSession(s.ctx, user, x.ID), usher.ErrNotFound)
}

func (s *sessionSuite) revoke() {
	user, stranger := s.newUser(), s.newUser()
	token, x := s.create(user)
	other, untouched := s.create(user)
	foreign, y := s.create(stranger)
	wantError(s.T, "RevokeSession of somebody else's session", s.store.RevokeSession(s.ctx, user, y.ID), usher.ErrNotFound)
	s.read("somebody else's session", foreign)
	wantError(s.T, "RevokeSession", s.store.RevokeSession(s.ctx, user, x.ID), nil)
	s.gone("revoked", token)
	s.read("another session of the user", other)
	s.lists("revoked", user, untouched)
	s.lists("somebody else", stranger, y)
	wantError(s.T, "RevokeSession again", s.store.RevokeSession(s.ctx, user, x.ID), usher.ErrNotFound)
	wantError(s.T, "DestroySession of a revoked session", s.store.DestroySession(s.ctx, token), usher.ErrNotFound)
}

// revokes calls RevokeSessions and checks the count.
func (s *sessionSuite) revokes(what string, user usher.ID, keep string, want int) {
	s.Helper()
	n, err := s.store.RevokeSessions(s.ctx, user, keep)
	if err != nil || n != want {
		s.Errorf("%s: RevokeSessions: %d and error %v, want %d", what, n, err, want)
	}
}

func (s *sessionSuite) revokeAll() {
	user, stranger := s.newUser(), s.newUser()
	foreign, y := s.create(stranger)
	var tokens []usher.TokenHash
	for range 4 {
		token, _ := s.create(user)
		tokens = append(tokens, token)
	}
	kept, x := s.create(user)
	check := func(what string, want ...usher.Session) {
		s.Helper()
		for _, token := range tokens {
			s.gone(what, token)
		}
		s.lists(what, user, want...)
		s.read(what+", somebody else's session", foreign)
	}
	s.revokes("all but one", user, x.ID, 4)
	check("all but one", x)
	s.same("the one that was kept", s.read("the one that was kept", kept), x)
	s.revokes("all but one, again", user, x.ID, 0)
	check("all but one, again", x)

	tokens = append(tokens, kept)
	s.revokes("keeping somebody else's session", user, y.ID, 1)
	check("keeping somebody else's session")

	for range 3 {
		token, _ := s.create(user)
		tokens = append(tokens, token)
	}
	s.revokes("keeping a session that is none", user, newSessionID(), 3)
	check("keeping a session that is none")

	token, _ := s.create(user)
	tokens = append(tokens, token)
	s.revokes("all", user, "", 1)
	check("all")
	s.revokes("all, again", user, "", 0)
	s.lists("somebody else", stranger, y)

	again, z := s.create(user)
	s.read("signed in again", again)
	s.lists("signed in again", user, z)
}
