package usher_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/internal/testlog"
	"usher/ushertest"
)

func TestSessionsContract(t *testing.T) {
	t.Parallel()
	for name, settings := range map[string]usher.Sessions{
		"defaults": {}, "idle": {Lifetime: time.Hour, IdleTimeout: 10 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
				s := settings
				s.Store, s.Now = newMemory(), clock.Now
				return s, nil
			})
		})
	}
}

func TestMemoryIsASessionStore(t *testing.T) {
	t.Parallel()
	ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
		m := newMemory()
		return m, func(t *testing.T) usher.ID {
			return m.add(t, User{User: usher.User{Email: string(usher.NewID()) + "@example.com"}}).ID
		}
	})
}

// newSessions returns a strategy over a new store, and its clock.
func newSessions(lifetime, idle time.Duration) (usher.Sessions, *memory, *ushertest.Clock) {
	store, clock := newMemory(), ushertest.NewClock(epoch)
	return usher.Sessions{Store: store, Lifetime: lifetime, IdleTimeout: idle, Now: clock.Now}, store, clock
}

func write(t *testing.T, s usher.Strategy) (string, usher.Authentication) {
	t.Helper()
	a := usher.Authentication{UserID: somebody, Methods: []string{"pwd"}}
	token, err := s.WriteToken(t.Context(), &a)
	if err != nil {
		t.Fatal(err)
	}
	return token, a
}

// C9, DEFECTS E: how long a session lives, used at these moments since it began.
func TestS_C9_Lifetimes(t *testing.T) {
	t.Parallel()
	const s, m, h = time.Second, time.Minute, time.Hour
	for _, test := range []struct {
		name           string
		lifetime, idle time.Duration
		good           []time.Duration // moments of use, in order
		bad            time.Duration   // the first moment it is over
	}{
		{"defaults", 0, 0, nil, 24 * h},
		{"defaults, used", 0, 0, []time.Duration{h, 12 * h, 24*h - 1}, 24 * h},
		{"absolute", h, 0, []time.Duration{h - 1}, h},
		{"idle, never used", 24 * h, 30 * m, nil, 30 * m},
		{"idle, used in time", 24 * h, 30 * m, []time.Duration{30*m - 1}, 60*m - 1},
		{"idle, used often", 24 * h, 30 * m, []time.Duration{20 * m, 40 * m, 60 * m}, 90 * m},
		{"idle, but never beyond the absolute end", h, 30 * m, []time.Duration{20 * m, 40 * m, 59 * m, h - 1}, h},
		{"idle longer than absolute", h, 2 * h, []time.Duration{50 * m}, h},
		{"use within the touch interval is not recorded", 24 * h, 30 * m, []time.Duration{59 * s}, 30 * m},
		{"a short idle timeout is recorded four times as often", h, 40 * s, []time.Duration{10 * s, 40 * s}, 80 * s},
		{"a short idle timeout, too soon", h, 40 * s, []time.Duration{9 * s}, 40 * s},
	} {
		strategy, store, clock := newSessions(test.lifetime, test.idle)
		token, a := write(t, strategy)
		if !a.IssuedAt.Equal(epoch) || a.SessionID == "" || !a.ExpiresAt.After(epoch) {
			t.Errorf("%s: WriteToken leaves %+v", test.name, a)
		}
		for _, at := range test.good {
			clock.Set(epoch.Add(at))
			got, err := strategy.ReadToken(t.Context(), token)
			if err != nil || got.UserID != somebody || got.SessionID != a.SessionID {
				t.Errorf("%s: after %v: %+v, %v", test.name, at, got, err)
			}
			if test.lifetime > 0 && got.ExpiresAt.After(epoch.Add(test.lifetime)) {
				t.Errorf("%s: after %v: expires at %v, beyond the absolute end", test.name, at, got.ExpiresAt)
			}
		}
		clock.Set(epoch.Add(test.bad - 1))
		if list, err := strategy.ListSessions(t.Context(), somebody); err != nil || len(list) != 1 {
			t.Errorf("%s: just before %v: %d sessions listed, %v, want 1", test.name, test.bad, len(list), err)
		}
		clock.Set(epoch.Add(test.bad))
		if got, err := strategy.ReadToken(t.Context(), token); !errors.Is(err, usher.ErrInvalidToken) || got.UserID != "" {
			t.Errorf("%s: after %v: %+v, %v, want %v", test.name, test.bad, got, err, usher.ErrInvalidToken)
		}
		if list, err := strategy.ListSessions(t.Context(), somebody); err != nil || len(list) != 0 {
			t.Errorf("%s: after %v: %d sessions listed, %v, want none", test.name, test.bad, len(list), err)
		}
		if store.sessionCount() != 1 {
			t.Errorf("%s: the store has %d sessions: reading is no sweep", test.name, store.sessionCount())
		}
	}
}

func TestSessionsTouchInterval(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		idle time.Duration
		step time.Duration
		want int // of 12 reads
	}{
		{"every read, far apart", 0, time.Minute, 12},
		{"twice per interval", 0, 30 * time.Second, 6},
		{"often", 0, time.Second, 0},
		{"short idle timeout", 20 * time.Second, time.Second, 2},
	} {
		strategy, store, clock := newSessions(time.Hour, test.idle)
		token, a := write(t, strategy)
		var got usher.Authentication
		for range 12 {
			clock.Advance(test.step)
			var err error
			if got, err = strategy.ReadToken(t.Context(), token); err != nil {
				t.Fatalf("%s: %v", test.name, err)
			}
		}
		if n := store.called("TouchSession"); n != test.want {
			t.Errorf("%s: %d touches, want %d", test.name, n, test.want)
		}
		if test.idle == 0 && !got.ExpiresAt.Equal(a.ExpiresAt) {
			t.Errorf("%s: use moved the end from %v to %v", test.name, a.ExpiresAt, got.ExpiresAt)
		}
		list, err := strategy.ListSessions(t.Context(), somebody)
		if err != nil || len(list) != 1 || test.want == 12 && !list[0].LastSeenAt.Equal(clock.Now()) {
			t.Errorf("%s: listed as %+v, %v, last seen should be %v", test.name, list, err, clock.Now())
		}
	}
}

// A session ends when it was told to, whatever the lifetime of new ones is now.
func TestSessionsKeepTheirEnd(t *testing.T) {
	t.Parallel()
	strategy, _, clock := newSessions(time.Hour, 0)
	token, a := write(t, strategy)
	clock.Advance(10 * time.Minute)
	for _, lifetime := range []time.Duration{24 * time.Hour, time.Minute} {
		strategy.Lifetime = lifetime
		clock.Advance(10 * time.Minute)
		if got, err := strategy.ReadToken(t.Context(), token); err != nil || !got.ExpiresAt.Equal(a.ExpiresAt) {
			t.Errorf("lifetime now %v: %+v, %v, want the end at %v", lifetime, got, err, a.ExpiresAt)
		}
	}
	clock.Set(a.ExpiresAt)
	strategy.Lifetime = 24 * time.Hour
	if _, err := strategy.ReadToken(t.Context(), token); !errors.Is(err, usher.ErrInvalidToken) {
		t.Errorf("at its end: %v, want %v", err, usher.ErrInvalidToken)
	}
}

// A store that can be read but not written still knows who this is.
func TestS_P_TouchOutageStillAuthenticates(t *testing.T) {
	t.Parallel()
	strategy, store, clock := newSessions(time.Hour, 30*time.Minute)
	token, a := write(t, strategy)
	store.fail("TouchSession", errOutage)
	clock.Advance(10 * time.Minute)
	got, err := strategy.ReadToken(t.Context(), token)
	if err != nil || got.UserID != somebody || !got.ExpiresAt.Equal(a.ExpiresAt) {
		t.Errorf("ReadToken: %+v, %v, want the user until %v", got, err, a.ExpiresAt)
	}
	if store.called("TouchSession") != 1 {
		t.Error("the touch was not tried")
	}
	clock.Advance(20 * time.Minute) // idle, as far as anybody knows
	if _, err := strategy.ReadToken(t.Context(), token); !errors.Is(err, usher.ErrInvalidToken) {
		t.Errorf("ReadToken: %v, want %v", err, usher.ErrInvalidToken)
	}
}

// C6: a request in flight does not bring back a session that ends meanwhile.
func TestS_C6_NoResurrection(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(s usher.Sessions, token string, a usher.Authentication) error{
		"destroyed": func(s usher.Sessions, token string, _ usher.Authentication) error {
			return s.DestroyToken(t.Context(), token)
		},
		"revoked": func(s usher.Sessions, _ string, a usher.Authentication) error {
			return s.RevokeSession(t.Context(), somebody, a.SessionID)
		},
		"all revoked": func(s usher.Sessions, _ string, _ usher.Authentication) error {
			_, err := s.RevokeSessions(t.Context(), somebody, "")
			return err
		},
	} {
		strategy, store, clock := newSessions(time.Hour, 0)
		token, a := write(t, strategy)
		clock.Advance(10 * time.Minute)
		store.at("TouchSession", func() {
			if err := end(strategy, token, a); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if got, err := strategy.ReadToken(t.Context(), token); !errors.Is(err, usher.ErrInvalidToken) || got.UserID != "" {
			t.Errorf("%s while it was read: ReadToken: %+v, %v, want %v", name, got, err, usher.ErrInvalidToken)
		}
		if store.sessionCount() != 0 {
			t.Errorf("%s: it is back", name)
		}
		if _, err := strategy.ReadToken(t.Context(), token); !errors.Is(err, usher.ErrInvalidToken) {
			t.Errorf("%s: replay: %v, want %v", name, err, usher.ErrInvalidToken)
		}
	}
}

func TestSessionsSweep(t *testing.T) {
	t.Parallel()
	strategy, store, clock := newSessions(time.Hour, 0)
	for i := range 2500 {
		if i == 2000 {
			clock.Advance(30 * time.Minute)
		}
		write(t, strategy)
	}
	clock.Set(epoch.Add(time.Hour + time.Second))
	if n, err := strategy.Sweep(t.Context()); n != 2000 || err != nil || store.sessionCount() != 500 {
		t.Errorf("Sweep: %d, %v, %d left, want 2000 and 500 left", n, err, store.sessionCount())
	}
	store.fail("SweepSessions", errOutage)
	if n, err := strategy.Sweep(t.Context()); n != 0 || !errors.Is(err, errOutage) {
		t.Errorf("Sweep: %d, %v, want %v", n, err, errOutage)
	}
	store.fail("SweepSessions", nil)
	clock.Advance(24 * time.Hour)
	auth := newAuth(t, store, func(c *usher.Config[User]) {
		c.Backends[0].Strategy, c.Backends[1].Strategy = strategy, hs256()
	})
	if n, err := auth.Sweep(t.Context()); n != 500 || err != nil {
		t.Errorf("Auth.Sweep: %d, %v, want 500", n, err)
	}
}

// Run sweeps at once, and ends with its context; an outage does not end it.
func TestRun(t *testing.T) {
	t.Parallel()
	strategy, store, clock := newSessions(time.Hour, 0)
	write(t, strategy)
	clock.Advance(2 * time.Hour)
	store.fail("SweepSessions", errOutage)
	log := &testlog.Buffer{}
	auth := newAuth(t, store, func(c *usher.Config[User]) {
		c.Backends, c.Logger = []usher.Backend{{Name: "a", Transport: usher.Bearer{}, Strategy: strategy}}, log.Logger()
	})
	// run runs until done says so.
	run := func(done func() bool) {
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { auth.Run(ctx) })
		for start := time.Now(); !done() && time.Since(start) < 10*time.Second; {
			time.Sleep(time.Millisecond)
		}
		cancel()
		running.Wait()
	}
	run(func() bool { return strings.Contains(log.String(), errOutage.Error()) })
	store.fail("SweepSessions", nil)
	run(func() bool { return store.sessionCount() == 0 })
	if store.sessionCount() != 0 || !strings.Contains(log.String(), errOutage.Error()) {
		t.Errorf("%d sessions left, log %s", store.sessionCount(), log)
	}
}

// An outage is not an answer.
func TestS_P5_SessionsOutage(t *testing.T) {
	t.Parallel()
	strategy, store, clock := newSessions(time.Hour, 0)
	token, a := write(t, strategy)
	clock.Advance(time.Minute)
	store.fail("", errOutage)
	_, read := strategy.ReadToken(t.Context(), token)
	_, list := strategy.ListSessions(t.Context(), somebody)
	_, all := strategy.RevokeSessions(t.Context(), somebody, "")
	new, written := strategy.WriteToken(t.Context(), &usher.Authentication{UserID: somebody})
	for what, err := range map[string]error{
		"ReadToken": read, "ListSessions": list, "RevokeSessions": all, "WriteToken": written,
		"DestroyToken": strategy.DestroyToken(t.Context(), token), "RevokeSession": strategy.RevokeSession(t.Context(), somebody, a.SessionID),
	} {
		if !errors.Is(err, errOutage) || errors.Is(err, usher.ErrInvalidToken) || errors.Is(err, usher.ErrNotFound) || errors.Is(err, usher.ErrNotRevocable) {
			t.Errorf("%s: %v, want %v and no answer", what, err, errOutage)
		}
	}
	if new != "" {
		t.Errorf("WriteToken: a token, %q, beside the error", new)
	}
	store.fail("", nil)
	if _, err := strategy.ReadToken(t.Context(), token); err != nil {
		t.Errorf("after the outage: %v", err)
	}
}

func TestSessionsDestroy(t *testing.T) {
	t.Parallel()
	strategy, _, _ := newSessions(time.Hour, 0)
	token, _ := write(t, strategy)
	other, _ := write(t, strategy)
	if err := strategy.DestroyToken(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	if err := strategy.DestroyToken(t.Context(), token); !errors.Is(err, usher.ErrInvalidToken) {
		t.Errorf("again: %v, want %v", err, usher.ErrInvalidToken)
	}
	if _, err := strategy.ReadToken(t.Context(), other); err != nil {
		t.Errorf("the other one: %v", err)
	}
}

func TestSessionsValidate(t *testing.T) {
	t.Parallel()
	if err := (usher.Sessions{Store: newMemory()}).Validate(); err != nil {
		t.Error(err)
	}
	err := usher.Sessions{Lifetime: -1, IdleTimeout: -1}.Validate()
	for _, want := range []string{"Store is nil", "Lifetime is negative", "IdleTimeout is negative"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want %q", err, want)
		}
	}
}
