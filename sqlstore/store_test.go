package sqlstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"usher"
)

func TestClose(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, err := tryOpen[Member](e, e.place(t))
		if err != nil {
			t.Fatal(err)
		}
		m := newMember(t, store, "secret@example.com")
		if err := store.Ping(t.Context()); err != nil {
			t.Errorf("Ping: %v", err)
		}
		for range 2 {
			if err := store.Close(); err != nil {
				t.Error(err)
			}
		}
		for doing, err := range everyCall(t.Context(), store, m) {
			if err == nil || errors.Is(err, usher.ErrNotFound) || errors.Is(err, usher.ErrConflict) {
				t.Errorf("%s after Close: %v", doing, err)
			}
		}
	})
}

// Somebody else writes, and does not stop: who reads does not notice, who
// writes is told in time (DEFECTS H).
func TestLockedByAnother(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	m := newMember(t, store, "a@example.com")
	newSession(t, store, m.ID, "token", time.Now().Add(time.Hour))
	another := openRaw(t, path)
	another.SetMaxOpenConns(1)
	run(t, another, `BEGIN IMMEDIATE; UPDATE users SET plan = 'other'`)

	if x, u, err := store.ReadSession(t.Context(), usher.HashToken("token")); err != nil || x.UserID != m.ID || u.(*Member).Plan != "" {
		t.Errorf("ReadSession: %v, %v, %v", x, u, err)
	}
	if err := store.Ping(t.Context()); err != nil {
		t.Errorf("Ping: %v", err)
	}
	takes := func(what string, ctx context.Context, least, most time.Duration) {
		t.Helper()
		start := time.Now()
		err := store.DestroySession(ctx, usher.HashToken("token"))
		if took := time.Since(start); err == nil || errors.Is(err, usher.ErrNotFound) || took < least || took > most {
			t.Errorf("%s: %v after %v, want an error between %v and %v", what, err, took, least, most)
		}
	}
	short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	takes("deadline", short, 100*time.Millisecond, 2*time.Second)
	takes("no deadline", t.Context(), 4*time.Second, 8*time.Second)
	long, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	takes("long deadline", long, 4*time.Second, 8*time.Second)

	run(t, another, `ROLLBACK`)
	if err := store.DestroySession(t.Context(), usher.HashToken("token")); err != nil {
		t.Errorf("when the other is gone: %v", err)
	}
}
