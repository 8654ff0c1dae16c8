package ushertest

import (
	"context"
	"crypto/rand"
	"errors"
	"testing"
	"time"

	"usher"
)

// TestOneTimeStore proves that a OneTimeStore keeps its contract.
//
// newStore is called for each part of the suite and returns an empty store. If
// the store has a method SweepUsedTokens, as a SessionStore has SweepSessions,
// it is tested too.
//
// The suite waits for a second by the real clock.
func TestOneTimeStore(t *testing.T, newStore func(t *testing.T) usher.OneTimeStore) {
	for _, part := range []struct {
		name string
		test func(*oneTimeSuite)
	}{
		{"used once", (*oneTimeSuite).usedOnce},
		{"every token for itself", (*oneTimeSuite).everyToken},
		{"expiry", (*oneTimeSuite).expiry},
		{"sweep", (*oneTimeSuite).sweep},
		{"cancelled context", (*oneTimeSuite).cancelled},
		{"one use wins", (*oneTimeSuite).oneUseWins},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(&oneTimeSuite{T: t, ctx: t.Context(), store: newStore(t), start: time.Now()})
		})
	}
}

type oneTimeSuite struct {
	*testing.T
	ctx   context.Context
	store usher.OneTimeStore
	start time.Time // real, because some stores forget by their own clock
}

// use uses a token that expires so long after the start.
func (s *oneTimeSuite) use(what string, token usher.TokenHash, lifetime time.Duration, want error) {
	s.Helper()
	wantError(s.T, "UseOnce of "+what, s.store.UseOnce(s.ctx, token, s.start.Add(lifetime)), want)
}

func newTokenHash() usher.TokenHash { return usher.HashToken(rand.Text()) }

func (s *oneTimeSuite) usedOnce() {
	token := newTokenHash()
	s.use("a new token", token, time.Hour, nil)
	s.use("a used token", token, time.Hour, usher.ErrAlreadyUsed)
	s.use("a used token that is to live longer", token, 1000*time.Hour, usher.ErrAlreadyUsed)
	s.use("a used token that is to live longer", token, time.Hour, usher.ErrAlreadyUsed)
}

// everyToken: tokens that differ in one bit are different tokens.
func (s *oneTimeSuite) everyToken() {
	tokens := []usher.TokenHash{{}, newTokenHash()}
	for i := range len(usher.TokenHash{}) {
		var zeros usher.TokenHash
		random := tokens[1]
		zeros[i] ^= 1
		random[i] ^= 0x80
		tokens = append(tokens, zeros, random)
	}
	for _, want := range []error{nil, usher.ErrAlreadyUsed} {
		for _, token := range tokens {
			s.use("one of many tokens", token, time.Hour, want)
		}
	}
}

func (s *oneTimeSuite) expiry() {
	const soon = time.Second
	brief, long, shortened := newTokenHash(), newTokenHash(), newTokenHash()
	s.use("a token", brief, soon, nil)
	s.use("a token", long, time.Hour, nil)
	s.use("a token", shortened, time.Hour, nil)
	s.use("a used token that is to end sooner", shortened, soon, usher.ErrAlreadyUsed)
	time.Sleep(time.Until(s.start.Add(soon + soon/4)))
	if err := s.store.UseOnce(s.ctx, brief, s.start.Add(time.Hour)); err != nil {
		wantError(s.T, "UseOnce of an expired token", err, usher.ErrAlreadyUsed)
	}
	s.use("a used token beside an expired one", long, time.Hour, usher.ErrAlreadyUsed)
	s.use("a used token that was to end sooner", shortened, time.Hour, usher.ErrAlreadyUsed)
}

func (s *oneTimeSuite) sweep() {
	sweeper, ok := s.store.(interface {
		SweepUsedTokens(ctx context.Context, now time.Time, limit int) (int, error)
	})
	if !ok {
		s.Skip("the store has no SweepUsedTokens")
	}
	sweep := func(what string, after time.Duration, limit, want int) {
		s.Helper()
		if n, err := sweeper.SweepUsedTokens(s.ctx, s.start.Add(after), limit); err != nil || n != want {
			s.Errorf("SweepUsedTokens %s, at most %d: %d and error %v, want %d", what, limit, n, err, want)
		}
	}
	live := newTokenHash()
	s.use("a token", live, 3*time.Hour, nil)
	var expired []usher.TokenHash
	for range 5 {
		expired = append(expired, newTokenHash())
		s.use("a token", expired[len(expired)-1], time.Hour, nil)
	}
	sweep("before anything expired", 0, 100, 0)
	sweep("of five", 2*time.Hour, 3, 3)
	sweep("of the rest", 2*time.Hour, 3, 2)
	sweep("again", 2*time.Hour, 3, 0)
	s.use("a used token that lives on", live, 3*time.Hour, usher.ErrAlreadyUsed)
	for _, token := range expired {
		s.use("a token that was swept", token, 5*time.Hour, nil)
	}
	sweep("of the first", 4*time.Hour, 100, 1)
}

func (s *oneTimeSuite) cancelled() {
	ctx, token, used := cancelled(s.T), newTokenHash(), newTokenHash()
	s.use("a token", used, time.Hour, nil)
	wantUnknown(s.T, "UseOnce of a used token", s.store.UseOnce(ctx, used, s.start.Add(time.Hour)))
	wantUnknown(s.T, "UseOnce", s.store.UseOnce(ctx, token, s.start.Add(time.Hour)))
	// Nobody knows whether that was the first use; but there is one at most.
	if err := s.store.UseOnce(s.ctx, token, s.start.Add(time.Hour)); err != nil {
		wantError(s.T, "UseOnce after one that failed", err, usher.ErrAlreadyUsed)
	}
	s.use("a token after one use that failed and one more", token, time.Hour, usher.ErrAlreadyUsed)
}

func (s *oneTimeSuite) oneUseWins() {
	for range rounds {
		token := newTokenHash()
		oneWins(s.T, "UseOnce", together(callers, func(int) error {
			return s.store.UseOnce(s.ctx, token, s.start.Add(time.Hour))
		}), usher.ErrAlreadyUsed)
	}
}

// wantUnknown is wantFailure for calls that have answers of their own.
func wantUnknown(t *testing.T, what string, err error) {
	t.Helper()
	wantFailure(t, what, err)
	for _, answer := range []error{usher.ErrAlreadyUsed, usher.ErrOAuthAccountTaken} {
		if errors.Is(err, answer) {
			t.Errorf("%s with a cancelled context: error %v, want one that says that nobody knows", what, err)
		}
	}
}
