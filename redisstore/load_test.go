//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/redisstore"
)

// rounds is how often a fault is repeated: USHER_TEST_ROUNDS times, or once.
func rounds() int {
	n, _ := strconv.Atoi(os.Getenv("USHER_TEST_ROUNDS"))
	return max(n, 1)
}

// load is people who sign in, use their sessions and sign out, and a ledger of
// what they were told. A session is in neither map if nobody knows its fate.
type load struct {
	t     testing.TB
	store *redisstore.Store
	quit  chan struct{}
	all   sync.WaitGroup

	mu          sync.Mutex
	live, ended map[usher.TokenHash]usher.Session
	lost        int // sessions that nobody ended
	undone      int // sessions that live although somebody was told they are ended
	succeeded   int
	failed      int
	lastFailure time.Time
	lastError   error
}

// slowest is how long a call may take whatever happens: the store's own three
// seconds, and some for a busy machine.
const slowest = 5 * time.Second

func startLoad(t testing.TB, store *redisstore.Store, users []usher.ID) *load {
	l := &load{
		t: t, store: store, quit: make(chan struct{}),
		live: map[usher.TokenHash]usher.Session{}, ended: map[usher.TokenHash]usher.Session{},
	}
	for _, user := range users {
		l.all.Go(func() { l.visit(user) })
	}
	t.Cleanup(l.stop)
	return l
}

func newUsers(n int) (users []usher.ID) {
	for range n {
		users = append(users, usher.NewID())
	}
	return users
}

// visit is what one user does, one thing after the other.
func (l *load) visit(user usher.ID) {
	var mine, past []usher.TokenHash // live and not, as far as he knows
	ctx := context.Background()
	for {
		select {
		case <-l.quit:
			return
		case <-time.After(2 * time.Millisecond):
		}
		token, session := newToken(l.store, user), newSession(user)
		if l.call("CreateSession", func() error { return l.store.CreateSession(ctx, token, session) }) == nil {
			mine = append(mine, token)
			l.book(token, &session, nil)
		}
		for range min(len(mine), 3) {
			l.read(mine[rand.IntN(len(mine))])
		}
		for range min(len(past), 3) {
			l.read(past[rand.IntN(len(past))])
		}
		l.call("ListSessions", func() error {
			sessions, err := l.store.ListSessions(ctx, user)
			for _, s := range sessions {
				if s.UserID != user {
					l.t.Errorf("P4: the sessions of %s have one of %s", user, s.UserID)
				}
			}
			return err
		})
		switch rand.IntN(4) {
		case 0: // sign out
			if len(mine) > 0 {
				last := len(mine) - 1
				l.end("DestroySession", mine[last:], func() error { return l.store.DestroySession(ctx, mine[last]) })
				mine, past = mine[:last], append(past, mine[last])
			}
		case 1:
			if len(mine) > 0 {
				first, _, _ := l.known(mine[0])
				l.end("RevokeSession", mine[:1], func() error { return l.store.RevokeSession(ctx, user, first.ID) })
				mine, past = mine[1:], append(past, mine[0])
			}
		case 2:
			if len(mine) > 10 {
				keep := mine[len(mine)-1]
				kept, _, _ := l.known(keep)
				l.end("RevokeSessions", mine[:len(mine)-1], func() error {
					_, err := l.store.RevokeSessions(ctx, user, kept.ID)
					return err
				})
				mine, past = []usher.TokenHash{keep}, append(past, mine[:len(mine)-1]...)
			}
		}
	}
}

// read reads a session, which must be the right one or none.
func (l *load) read(token usher.TokenHash) {
	want, live, ended := l.known(token)
	var got usher.Session
	err := l.call("ReadSession", func() (err error) {
		got, _, err = l.store.ReadSession(context.Background(), token)
		return err
	})
	switch {
	case errors.Is(err, usher.ErrNotFound) && live:
		l.count(&l.lost)
		l.book(token, nil, nil)
	case err == nil && ended:
		l.count(&l.undone)
		l.book(token, nil, nil)
	}
	if err == nil && (live || ended) && (got.ID != want.ID || got.UserID != want.UserID) {
		l.t.Errorf("P4: session %s of %s, want %s of %s", got.ID, got.UserID, want.ID, want.UserID)
	}
}

// end ends sessions and books it if it was acknowledged.
func (l *load) end(what string, tokens []usher.TokenHash, f func() error) {
	sessions := make([]usher.Session, len(tokens))
	for i, token := range tokens {
		sessions[i], _, _ = l.known(token)
		l.book(token, nil, nil)
	}
	switch err := l.call(what, f); {
	case err == nil:
		for i, token := range tokens {
			l.book(token, nil, &sessions[i])
		}
	case errors.Is(err, usher.ErrNotFound) && sessions[0].ID != "":
		l.count(&l.lost)
	}
}

// call calls f and keeps its time and whether it was answered; that there is no
// such session is an answer.
func (l *load) call(what string, f func() error) error {
	began := time.Now()
	err := f()
	if took := time.Since(began); took > slowest {
		l.t.Errorf("P6: %s took %v", what, took)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err == nil || errors.Is(err, usher.ErrNotFound) {
		l.succeeded++
	} else {
		l.failed, l.lastFailure, l.lastError = l.failed+1, time.Now(), err
	}
	return err
}

func (l *load) book(token usher.TokenHash, live, ended *usher.Session) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.live, token)
	if live != nil {
		l.live[token] = *live
	}
	if ended != nil {
		l.ended[token] = *ended
	}
}

func (l *load) known(token usher.TokenHash) (s usher.Session, live, ended bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s, live = l.live[token]; !live {
		s, ended = l.ended[token]
	}
	return s, live, ended
}

func (l *load) count(n *int)  { l.mu.Lock(); defer l.mu.Unlock(); *n++ }
func (l *load) done() int     { l.mu.Lock(); defer l.mu.Unlock(); return l.succeeded }
func (l *load) failures() int { l.mu.Lock(); defer l.mu.Unlock(); return l.failed }

// until waits until so many calls were answered.
func (l *load) until(n int) {
	l.t.Helper()
	eventually(l.t, "answers", func() bool { return l.done() >= n })
}

// outage checks that calls failed, and none later than limit after the fault.
func (l *load) outage(fault time.Time, limit time.Duration) {
	l.t.Helper()
	quiet := func() time.Duration {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.lastFailure.Before(fault) {
			return 0
		}
		return time.Since(l.lastFailure)
	}
	eventually(l.t, "an end of the outage", func() bool { return quiet() > 2*time.Second })
	l.mu.Lock()
	defer l.mu.Unlock()
	took := l.lastFailure.Sub(fault)
	l.t.Logf("the outage: %v, %d calls failed, %d did not; the last: %v", took.Round(time.Millisecond), l.failed, l.succeeded, l.lastError)
	if took > limit {
		l.t.Errorf("P8: an outage of %v, want %v at most", took, limit)
	}
}

func (l *load) stop() {
	select {
	case <-l.quit:
	default:
		close(l.quit)
	}
	l.all.Wait()
}

// audit reads every session in the ledger and returns how many were ever found
// lost and undone.
func (l *load) audit() (lost, undone int) {
	l.t.Helper()
	failed := l.failures()
	live, ended := slices.Collect(maps.Keys(l.live)), slices.Collect(maps.Keys(l.ended))
	for _, token := range slices.Concat(live, ended) {
		l.read(token)
	}
	if n := l.failures() - failed; n > 0 {
		l.t.Errorf("%d calls failed after the fault: %v", n, l.lastError)
	}
	l.t.Logf("%d live and %d ended sessions audited", len(live), len(ended))
	return l.lost, l.undone
}
