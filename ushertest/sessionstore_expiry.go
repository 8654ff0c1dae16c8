package ushertest

import (
	"context"
	"errors"
	"slices"
	"time"

	"usher"
)

// The parts of TestSessionStore about the end of sessions nobody asked to end.

// expiry goes by the real clock: a store may forget by its own.
func (s *sessionSuite) expiry() {
	const soon = time.Second // late enough for a busy machine to prolong one first
	user := s.newUser()
	long, x := s.create(user)
	begun := time.Now()
	prolonged := s.session(user)
	prolonged.ExpiresAt = begun.Add(soon)
	prolongedToken := s.keep(prolonged)
	prolonged.ExpiresAt = s.start.Add(time.Hour)
	wantError(s.T, "TouchSession", s.store.TouchSession(s.ctx, prolongedToken, prolonged.LastSeenAt, prolonged.ExpiresAt), nil)
	brief := s.session(user)
	brief.ExpiresAt = begun.Add(soon)
	briefToken := s.keep(brief)

	time.Sleep(time.Until(begun.Add(soon + soon/4)))
	s.same("a session that lives on", s.read("a session that lives on", long), x)
	s.same("a session that was prolonged", s.read("a session that was prolonged", prolongedToken), prolonged)
	got, _, err := s.store.ReadSession(s.ctx, briefToken)
	if !errors.Is(err, usher.ErrNotFound) {
		wantError(s.T, "an expired session: ReadSession", err, nil)
		s.same("an expired session", got, brief)
	}
	s.lists("beside an expired session", user, x, prolonged)
	if n, err := s.store.RevokeSessions(s.ctx, user, ""); err != nil || n != 2 && n != 3 {
		s.Errorf("RevokeSessions of two live sessions and an expired one: %d and error %v, want 2 or 3", n, err)
	}
	s.gone("revoked", long)
	s.gone("revoked", prolongedToken)
}

func (s *sessionSuite) sweep() {
	user := s.newUser()
	live, x := s.create(user)
	later, y := s.create(user)
	y.ExpiresAt = s.start.Add(3 * time.Hour)
	wantError(s.T, "TouchSession", s.store.TouchSession(s.ctx, later, y.LastSeenAt, y.ExpiresAt), nil)
	var expired []usher.TokenHash
	for i := range 5 {
		z := s.session(user)
		z.CreatedAt, z.ExpiresAt = s.start.Add(-48*time.Hour), s.start.Add(-time.Duration(i+1)*time.Hour)
		expired = append(expired, s.keep(z))
	}
	sweep := func(what string, now time.Time, limit int, want ...int) {
		s.Helper()
		n, err := s.store.SweepSessions(s.ctx, now, limit)
		if err != nil || !slices.Contains(want, n) {
			s.Errorf("SweepSessions %s, at most %d: %d and error %v, want %v", what, limit, n, err, want)
		}
	}
	sweep("before anything expired", s.start.Add(-72*time.Hour), 100, 0)
	n, err := s.store.SweepSessions(s.ctx, s.start, 3)
	if err != nil || n != 3 && n != 0 {
		s.Fatalf("SweepSessions of five, at most 3: %d and error %v, want 3, or 0 from a store that forgets by itself", n, err)
	}
	forgetful := n == 0
	if !forgetful {
		left := 0
		for _, token := range expired {
			if _, _, err := s.store.ReadSession(s.ctx, token); err == nil {
				left++
			}
		}
		if left > 2 {
			s.Errorf("SweepSessions said 3 of 5 are gone, but %d are left", left)
		}
		sweep("the rest", s.start, 3, 2)
		sweep("again", s.start, 3, 0)
	}
	patience := time.Now().Add(2 * time.Second)
	for _, token := range expired {
		for ; forgetful && time.Now().Before(patience); time.Sleep(50 * time.Millisecond) {
			if _, _, err := s.store.ReadSession(s.ctx, token); errors.Is(err, usher.ErrNotFound) {
				break
			}
		}
		s.gone("expired and swept", token)
	}
	s.same("a live session", s.read("a live session", live), x)
	s.lists("after SweepSessions", user, x, y)

	if !forgetful {
		sweep("two hours later", s.start.Add(2*time.Hour), 100, 1)
		s.gone("expired and swept", live)
		s.lists("after SweepSessions two hours later", user, y)
	}
	s.same("a session that was prolonged", s.read("a session that was prolonged", later), y)
}

func (s *sessionSuite) deletedUser() {
	users, ok := s.store.(interface {
		DeleteUser(ctx context.Context, id usher.ID) error
	})
	if !ok {
		s.Skip("the store keeps no users")
	}
	user, stranger := s.newUser(), s.newUser()
	token, _ := s.create(user)
	other, y := s.create(stranger)
	wantError(s.T, "DeleteUser", users.DeleteUser(s.ctx, user), nil)
	s.gone("the user was deleted", token)
	s.lists("the user was deleted", user)
	wantError(s.T, "the user was deleted: TouchSession", s.store.TouchSession(s.ctx, token, s.start, s.start.Add(time.Hour)), usher.ErrNotFound)
	s.read("somebody else's session", other)
	s.lists("somebody else", stranger, y)
}
