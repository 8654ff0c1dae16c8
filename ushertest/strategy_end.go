package ushertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"usher"
)

// The parts of TestStrategy about the end of tokens: by the clock, by their
// owner, by the list of sessions.

func (s *strategySuite) expiry() {
	user := s.newUser()
	token, _ := s.signIn(user)
	a := s.good("a new token", token)
	if a.ExpiresAt.IsZero() {
		s.Skip("tokens do not expire")
	}
	s.clock.Set(a.ExpiresAt.Add(-time.Second))
	a = s.good("a second before it expires", token) // and reading may have moved that
	for _, after := range []time.Duration{0, time.Millisecond, time.Second, time.Hour, 10000 * time.Hour} {
		s.clock.Set(a.ExpiresAt.Add(after))
		s.bad(fmt.Sprintf("%v after it expired", after), token)
	}
	if err := s.destroyToken(token); err != nil && !errors.Is(err, usher.ErrInvalidToken) && !errors.Is(err, usher.ErrNotRevocable) {
		s.Errorf("DestroyToken of an expired token: %v", err)
	}
	s.bad("expired and destroyed", token)
	again, _ := s.signIn(user)
	s.good("a token that was written later", again)
}

func (s *strategySuite) destroy() {
	user := s.newUser()
	token, _ := s.signIn(user)
	other, _ := s.signIn(user)
	err := s.destroyToken(token)
	if errors.Is(err, usher.ErrNotRevocable) {
		if _, ok := s.strategy.(usher.SessionManager); ok {
			s.Error("DestroyToken: ErrNotRevocable from a strategy that can revoke sessions")
		}
		s.good("a token that cannot be destroyed", token)
		return
	}
	wantError(s.T, "DestroyToken", err, nil)
	s.bad("a destroyed token", token)
	wantError(s.T, "DestroyToken again", s.destroyToken(token), usher.ErrInvalidToken)
	s.bad("a token destroyed twice", token)
	s.good("the user's other token", other)
	s.clock.Advance(2 * time.Minute)
	s.good("the user's other token, in use", other)
	s.bad("a destroyed token, later", token)
}

func (s *strategySuite) atOnce() {
	user := s.newUser()
	for _, err := range together(callers, func(int) error {
		for range 4 {
			a := usher.Authentication{UserID: user, Methods: []string{"pwd"}, AuthTime: s.clock.Now()}
			token, err := s.strategy.WriteToken(s.ctx, &a)
			if err != nil {
				return err
			}
			if got, err := s.strategy.ReadToken(s.ctx, token); err != nil || got.UserID != user {
				return fmt.Errorf("ReadToken: user %q and error %w", got.UserID, err)
			}
		}
		return nil
	}) {
		wantError(s.T, "WriteToken and ReadToken at once", err, nil)
	}
	// Reading while it ends: both may come first, but the end is the end.
	for range rounds {
		token, _ := s.signIn(user)
		var ended bool
		for i, err := range together(4, func(i int) error {
			if i == 0 {
				return s.destroyToken(token)
			}
			_, err := s.read(token)
			return err
		}) {
			if i == 0 {
				ended = err == nil
			}
			if err != nil && !errors.Is(err, usher.ErrInvalidToken) && !errors.Is(err, usher.ErrNotRevocable) {
				s.Errorf("ReadToken and DestroyToken at once: %v", err)
			}
		}
		if ended {
			s.bad("a token destroyed while it was read", token)
		}
	}
}

// cancelled: who could not know must not say that a token is bad, because the
// client would throw a good one away.
func (s *strategySuite) cancelled() {
	token, _ := s.signIn(s.newUser())
	ctx := cancelled(s.T)
	if _, err := s.strategy.ReadToken(ctx, token); err != nil {
		wantFailure(s.T, "ReadToken", err)
	}
	switch err := s.strategy.DestroyToken(ctx, token); {
	case err == nil:
		s.bad("a destroyed token", token)
	case !errors.Is(err, usher.ErrNotRevocable):
		wantFailure(s.T, "DestroyToken", err)
	}
}

func (s *strategySuite) manager() usher.SessionManager {
	s.Helper()
	manager, ok := s.strategy.(usher.SessionManager)
	if !ok {
		s.Skip("the strategy is no SessionManager")
	}
	return manager
}

// lists checks a user's sessions, newest first.
func (s *strategySuite) lists(what string, user usher.ID, want ...usher.Authentication) {
	s.Helper()
	list, err := s.manager().ListSessions(s.ctx, user)
	wantError(s.T, what+": ListSessions", err, nil)
	ids := []string{}
	for _, a := range want {
		ids = append(ids, a.SessionID)
	}
	if got := sessionIDs(list); !slices.Equal(got, ids) {
		s.Errorf("%s: ListSessions: %q, want %q", what, got, ids)
		return
	}
	for i, x := range list {
		if x.UserID != user || !slices.Equal(x.Methods, want[i].Methods) || !sameSecond(x.AuthTime, want[i].AuthTime) || !sameSecond(x.CreatedAt, want[i].IssuedAt) {
			s.Errorf("%s: ListSessions: %+v, which is not the sign-in %+v", what, x, want[i])
		}
	}
}

func (s *strategySuite) sessions() {
	manager := s.manager()
	user, stranger := s.newUser(), s.newUser()
	s.lists("nobody signed in", user)
	var tokens []string
	var signIns []usher.Authentication // newest first
	for range 4 {
		token, a := s.signIn(user)
		tokens = slices.Insert(tokens, 0, token)
		signIns = slices.Insert(signIns, 0, a)
		if a.SessionID == "" {
			s.Error("WriteToken set no SessionID")
		}
		s.clock.Advance(time.Minute)
	}
	foreign, strangers := s.signIn(stranger)
	s.lists("four times signed in", user, signIns...)
	s.lists("somebody else", stranger, strangers)
	list, _ := manager.ListSessions(s.ctx, user)
	for _, token := range tokens {
		hash := usher.HashToken(token)
		if shown := fmt.Sprintf("%+v", list); strings.Contains(shown, token) || strings.Contains(shown, fmt.Sprintf("%x", hash)) {
			s.Error("ListSessions shows a token or its hash")
		}
	}

	wantError(s.T, "RevokeSession of somebody else's", manager.RevokeSession(s.ctx, user, strangers.SessionID), usher.ErrNotFound)
	wantError(s.T, "RevokeSession of nothing", manager.RevokeSession(s.ctx, user, newSessionID()), usher.ErrNotFound)
	wantError(s.T, "RevokeSession", manager.RevokeSession(s.ctx, user, signIns[1].SessionID), nil)
	s.bad("the token of a revoked session", tokens[1])
	wantError(s.T, "RevokeSession again", manager.RevokeSession(s.ctx, user, signIns[1].SessionID), usher.ErrNotFound)
	wantError(s.T, "DestroyToken of a revoked session", s.destroyToken(tokens[1]), usher.ErrInvalidToken)
	s.good("the token of another session", tokens[0])
	s.lists("one revoked", user, signIns[0], signIns[2], signIns[3])

	wantError(s.T, "DestroyToken", s.destroyToken(tokens[3]), nil)
	s.lists("one signed out", user, signIns[0], signIns[2])

	n, err := manager.RevokeSessions(s.ctx, user, signIns[2].SessionID)
	if err != nil || n != 1 {
		s.Errorf("RevokeSessions of all but one of two: %d and error %v, want 1", n, err)
	}
	s.bad("the token of a revoked session", tokens[0])
	s.good("the token that was kept", tokens[2])
	n, err = manager.RevokeSessions(s.ctx, user, "")
	if err != nil || n != 1 {
		s.Errorf("RevokeSessions of one: %d and error %v, want 1", n, err)
	}
	s.bad("the token of a revoked session", tokens[2])
	s.lists("all revoked", user)
	s.good("somebody else's token", foreign)
	s.lists("somebody else", stranger, strangers)
}

func (s *strategySuite) expiredSessions() {
	s.manager()
	user := s.newUser()
	token, a := s.signIn(user)
	if a.ExpiresAt.IsZero() {
		s.Skip("sessions do not expire")
	}
	s.clock.Set(a.ExpiresAt.Add(time.Second))
	s.bad("an expired token", token)
	s.lists("expired", user)
	_, b := s.signIn(user)
	s.lists("signed in again", user, b)
}
