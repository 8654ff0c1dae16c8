package ushertest

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"usher"
)

// The parts of TestSessionStore about calls that meet, and calls cut short.

func (s *sessionSuite) oneDestroyWins() {
	user := s.newUser()
	for range rounds / 4 {
		token, _ := s.create(user)
		oneWins(s.T, "DestroySession", together(callers, func(int) error { return s.store.DestroySession(s.ctx, token) }), usher.ErrNotFound)
		s.gone("destroyed", token)
	}
	s.lists("destroyed", user)
}

func (s *sessionSuite) oneRevokeWins() {
	user := s.newUser()
	for range rounds / 4 {
		token, x := s.create(user)
		oneWins(s.T, "RevokeSession", together(callers, func(int) error { return s.store.RevokeSession(s.ctx, user, x.ID) }), usher.ErrNotFound)
		s.gone("revoked", token)
	}
	s.lists("revoked", user)

	// Two doors, one session: destroyed by its token, revoked by its id.
	for range rounds / 4 {
		token, x := s.create(user)
		oneWins(s.T, "DestroySession and RevokeSession", together(2, func(i int) error {
			if i == 0 {
				return s.store.DestroySession(s.ctx, token)
			}
			return s.store.RevokeSession(s.ctx, user, x.ID)
		}), usher.ErrNotFound)
		s.gone("destroyed and revoked", token)
	}
	s.lists("destroyed and revoked", user)
}

func (s *sessionSuite) revokeAllRacesItself() {
	user := s.newUser()
	for range rounds / 4 {
		const sessions = 8
		for range sessions {
			s.create(user)
		}
		counts := make([]int, callers)
		for _, err := range together(callers, func(i int) (err error) {
			counts[i], err = s.store.RevokeSessions(s.ctx, user, "")
			return err
		}) {
			wantError(s.T, "RevokeSessions", err, nil)
		}
		total := 0
		for _, n := range counts {
			total += n
		}
		if total != sessions {
			s.Errorf("RevokeSessions by %d at once: together they ended %d sessions, there were %d", callers, total, sessions)
		}
		s.lists("revoked", user)
	}
}

// revokeAllRacesCreates: whichever comes first, a session is either there for
// everybody or for nobody.
func (s *sessionSuite) revokeAllRacesCreates() {
	user := s.newUser()
	for range rounds / 4 {
		const creators, revokers = 6, 2
		var mu sync.Mutex
		created := map[string]usher.TokenHash{}
		ended := 0
		revoke := func() error {
			for range 4 {
				n, err := s.store.RevokeSessions(s.ctx, user, "")
				mu.Lock()
				ended += n
				mu.Unlock()
				if err != nil {
					return err
				}
			}
			return nil
		}
		create := func() error {
			x := s.session(user)
			token, _ := s.token(user)
			if err := s.store.CreateSession(s.ctx, token, x); err != nil {
				return err
			}
			mu.Lock()
			created[x.ID] = token
			mu.Unlock()
			return nil
		}
		var revoking atomic.Int32
		revoking.Store(revokers)
		for _, err := range together(creators+revokers, func(i int) error {
			if i < revokers {
				defer revoking.Add(-1)
				return revoke()
			}
			for n := 0; n == 0 || n < 50 && revoking.Load() > 0; n++ {
				if err := create(); err != nil {
					return err
				}
				time.Sleep(time.Duration(rand.IntN(300)) * time.Microsecond)
			}
			return nil
		}) {
			wantError(s.T, "CreateSession and RevokeSessions at once", err, nil)
		}
		left := s.agree(user, created)
		if ended+left != len(created) {
			s.Errorf("RevokeSessions at once with CreateSession: %d sessions made, %d ended, %d left", len(created), ended, left)
		}
		s.revokes("the rest", user, "", left)
		for _, token := range created {
			s.gone("the rest", token)
		}
		if s.Failed() {
			return
		}
	}
}

// agree checks that exactly the sessions that are listed can be read, and
// returns how many they are.
func (s *sessionSuite) agree(user usher.ID, tokens map[string]usher.TokenHash) int {
	s.Helper()
	listed := sessionIDs(s.listed(user))
	for id, token := range tokens {
		_, _, err := s.store.ReadSession(s.ctx, token)
		switch isListed := slices.Contains(listed, id); {
		case isListed:
			wantError(s.T, "ReadSession of a session that is listed", err, nil)
		default:
			wantError(s.T, "ReadSession of a session that is not listed", err, usher.ErrNotFound)
		}
	}
	return len(listed)
}

// touchRacesDestroy: a request in flight while the user signs out must not
// bring the session back.
func (s *sessionSuite) touchRacesDestroy() {
	user := s.newUser()
	for what, end := range map[string]func(usher.TokenHash, usher.Session) error{
		"DestroySession": func(token usher.TokenHash, _ usher.Session) error { return s.store.DestroySession(s.ctx, token) },
		"RevokeSession": func(_ usher.TokenHash, x usher.Session) error {
			return s.store.RevokeSession(s.ctx, user, x.ID)
		},
		"RevokeSessions": func(usher.TokenHash, usher.Session) error {
			_, err := s.store.RevokeSessions(s.ctx, user, "")
			return err
		},
	} {
		for range rounds {
			token, x := s.create(user)
			errs := together(4, func(i int) error {
				if i == 0 {
					return end(token, x)
				}
				err := s.store.TouchSession(s.ctx, token, s.start.Add(time.Second), s.start.Add(2*time.Hour))
				if errors.Is(err, usher.ErrNotFound) {
					return nil
				}
				return err
			})
			for _, err := range errs {
				wantError(s.T, what+" at once with TouchSession", err, nil)
			}
			s.gone(what+" at once with TouchSession", token)
			s.lists(what+" at once with TouchSession", user)
			if s.Failed() {
				return
			}
		}
	}
}

func (s *sessionSuite) cancelled() {
	user := s.newUser()
	token, x := s.create(user)
	ctx := cancelled(s.T)
	fresh, _ := s.token(user)
	y := s.session(user)
	wantFailure(s.T, "CreateSession", s.store.CreateSession(ctx, fresh, y))
	_, _, err := s.store.ReadSession(ctx, token)
	wantFailure(s.T, "ReadSession", err)
	_, _, err = s.store.ReadSession(ctx, fresh)
	wantFailure(s.T, "ReadSession of no session", err)
	wantFailure(s.T, "TouchSession", s.store.TouchSession(ctx, token, x.LastSeenAt, x.ExpiresAt))
	wantFailure(s.T, "DestroySession", s.store.DestroySession(ctx, token))
	_, err = s.store.ListSessions(ctx, user)
	wantFailure(s.T, "ListSessions", err)
	wantFailure(s.T, "RevokeSession", s.store.RevokeSession(ctx, user, x.ID))
	_, err = s.store.RevokeSessions(ctx, user, "")
	wantFailure(s.T, "RevokeSessions", err)
	s.agree(user, map[string]usher.TokenHash{x.ID: token, y.ID: fresh})
}

// cancelledMidway: a client that hangs up while the store writes leaves a
// session that is wholly there or wholly gone, and what was acknowledged holds.
func (s *sessionSuite) cancelledMidway() {
	user := s.newUser()
	tokens := map[string]usher.TokenHash{}
	for i := range rounds {
		ctx, cancel := context.WithTimeout(s.ctx, time.Duration(rand.IntN(1000))*time.Microsecond)
		x := s.session(user)
		token, _ := s.token(user)
		tokens[x.ID] = token
		created := s.store.CreateSession(ctx, token, x)
		cancel()
		if created == nil {
			s.read("CreateSession said yes", token)
		}

		if i%2 == 0 && created == nil {
			ctx, cancel := context.WithTimeout(s.ctx, time.Duration(rand.IntN(1000))*time.Microsecond)
			var err error
			if i%4 == 0 {
				err = s.store.DestroySession(ctx, token)
			} else {
				err = s.store.RevokeSession(ctx, user, x.ID)
			}
			cancel()
			if err == nil {
				s.gone("the end was acknowledged", token)
			}
			if errors.Is(err, usher.ErrNotFound) {
				s.Errorf("ending a session that is there, cut short: %v", err)
			}
		}
	}
	// A store may go on with a write after the caller has left.
	time.Sleep(50 * time.Millisecond)
	s.revokes("what is left", user, "", s.agree(user, tokens))
	for _, token := range tokens {
		s.gone("revoked", token)
	}
}

func (s *sessionSuite) chosenTokens() {
	store, picky := s.store.(placer)
	if !picky {
		s.Skip("the store holds every token")
	}
	const samples = 32
	total := 0
	for range samples {
		user := s.newUser()
		token, draws := s.token(user)
		total += draws
		for range 3 {
			if !store.HoldsToken(user, token) {
				s.Fatal("HoldsToken agreed to a token and then did not")
			}
		}
	}
	if average := total / samples; average > 1000 {
		s.Errorf("HoldsToken agrees to one in %d tokens, want one in a few hundred", average)
	}
}
