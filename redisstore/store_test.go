//go:build unix

package redisstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/redisstore"
	"usher/ushertest"

	"github.com/redis/rueidis"
)

func TestSessionStore(t *testing.T) {
	t.Parallel()
	client := connect(t, testservices.Redis(t))
	ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
		return redisstore.New(client, redisstore.Options{Prefix: testservices.Prefix(t)}), nil
	})
}

// TestSharedClient: whose client it is closes it.
func TestSharedClient(t *testing.T) {
	t.Parallel()
	client := connect(t, testservices.Redis(t))
	store := redisstore.New(client, redisstore.Options{Prefix: testservices.Prefix(t)})
	if err := store.Ping(t.Context()); err != nil {
		t.Error(err)
	}
	store.Close()
	if err := client.Do(t.Context(), client.B().Ping().Build()).Error(); err != nil {
		t.Errorf("after Close of the store: %v", err)
	}
}

func TestOpenMalformedURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "localhost", "http://localhost", "redis://user:p#s3cret@host", "redis://:s3cret@host:port", "redis://:s3cret@host/zero",
		"redis://:s3cret@host/\x00",
	} {
		store, err := redisstore.Open(t.Context(), url, redisstore.Options{})
		if err == nil {
			store.Close()
			t.Errorf("Open(%q): no error", url)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("Open(%q): the error tells the password: %v", url, err)
		}
	}
}

// TestTokenOfAnotherBucket: such a session could not be revoked in a cluster.
func TestTokenOfAnotherBucket(t *testing.T) {
	t.Parallel()
	store := openShared(t)
	user := usher.NewID()
	token := newToken(store, user)
	token[0]++
	err := store.CreateSession(t.Context(), token, newSession(user))
	if err == nil || !strings.Contains(err.Error(), "HoldsToken") {
		t.Errorf("CreateSession: %v, want an error that names HoldsToken", err)
	}
	if _, _, err := store.ReadSession(t.Context(), token); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession: %v, want %v", err, usher.ErrNotFound)
	}
}

// TestNoExpiry: a session without an end would never leave Redis.
func TestNoExpiry(t *testing.T) {
	t.Parallel()
	store := openShared(t)
	endless := newSession(usher.NewID())
	endless.ExpiresAt = time.Time{}
	if err := store.CreateSession(t.Context(), newToken(store, endless.UserID), endless); err == nil {
		t.Error("CreateSession without ExpiresAt: no error")
	}
	token, session := create(t, store, usher.NewID())
	if err := store.TouchSession(t.Context(), token, session.LastSeenAt, time.Time{}); err == nil {
		t.Error("TouchSession without an expiry: no error")
	}
}

// TestTouchOrder: of two requests the later one decides, whichever is written last.
func TestTouchOrder(t *testing.T) {
	t.Parallel()
	store := openShared(t)
	token, session := create(t, store, usher.NewID())
	late, early := session.LastSeenAt.Add(2*time.Second), session.LastSeenAt.Add(time.Second)
	for _, seen := range []time.Time{late, early} {
		if err := store.TouchSession(t.Context(), token, seen, seen.Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	got, _, err := store.ReadSession(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	if got.LastSeenAt.Before(late.Truncate(time.Millisecond)) || got.ExpiresAt.Before(late.Add(time.Hour).Truncate(time.Millisecond)) {
		t.Errorf("seen %v, expires %v, want those of %v", got.LastSeenAt, got.ExpiresAt, late)
	}
}

// TestNeverResurrected: a request in flight cannot bring back a session that
// somebody ends meanwhile.
func TestNeverResurrected(t *testing.T) {
	t.Parallel()
	store := openShared(t)
	user := usher.NewID()
	for range 1000 {
		token, session := create(t, store, user)
		touched := make(chan error, 1)
		go func() {
			touched <- store.TouchSession(t.Context(), token, session.LastSeenAt.Add(time.Second), session.ExpiresAt)
		}()
		if err := store.DestroySession(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if _, _, err := store.ReadSession(t.Context(), token); !errors.Is(err, usher.ErrNotFound) {
			t.Fatalf("ReadSession after DestroySession: %v", err)
		}
		if err := <-touched; err != nil && !errors.Is(err, usher.ErrNotFound) {
			t.Fatal(err)
		}
		if _, _, err := store.ReadSession(t.Context(), token); !errors.Is(err, usher.ErrNotFound) {
			t.Fatalf("ReadSession after TouchSession: %v", err)
		}
	}
	if sessions, err := store.ListSessions(t.Context(), user); err != nil || len(sessions) > 0 {
		t.Errorf("ListSessions: %d and error %v, want none", len(sessions), err)
	}
}

// TestManySessions: more than one script ends.
func TestManySessions(t *testing.T) {
	t.Parallel()
	store := openShared(t)
	user := usher.NewID()
	const n = 1200
	for range n {
		create(t, store, user)
	}
	_, kept := create(t, store, user)
	if sessions, err := store.ListSessions(t.Context(), user); err != nil || len(sessions) != n+1 {
		t.Errorf("ListSessions: %d and error %v, want %d", len(sessions), err, n+1)
	}
	if ended, err := store.RevokeSessions(t.Context(), user, kept.ID); err != nil || ended != n {
		t.Errorf("RevokeSessions: %d and error %v, want %d", ended, err, n)
	}
	if sessions, err := store.ListSessions(t.Context(), user); err != nil || len(sessions) != 1 {
		t.Errorf("ListSessions: %d and error %v, want 1", len(sessions), err)
	}
}

// connect returns an application's own client.
func connect(t testing.TB, url string) rueidis.Client {
	t.Helper()
	options := rueidis.MustParseURL(url)
	options.DisableCache = true
	client, err := rueidis.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// openShared returns a store in the Redis that all tests share.
func openShared(t testing.TB) *redisstore.Store {
	t.Helper()
	return redisstore.New(connect(t, testservices.Redis(t)), redisstore.Options{Prefix: testservices.Prefix(t)})
}

// open returns a store in a Redis of the test's own, which need not run.
func open(t testing.TB, s *server) *redisstore.Store {
	t.Helper()
	store, err := redisstore.Open(t.Context(), s.url(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// newToken draws a token as usher.Sessions does.
func newToken(store *redisstore.Store, user usher.ID) usher.TokenHash {
	for {
		if hash := usher.HashToken(rand.Text()); store.HoldsToken(user, hash) {
			return hash
		}
	}
}

func newSession(user usher.ID) usher.Session {
	now := time.Now()
	return usher.Session{
		ID: string(usher.NewID()), UserID: user,
		CreatedAt: now, LastSeenAt: now, AuthTime: now, ExpiresAt: now.Add(time.Hour),
		Methods: []string{"pwd"}, IP: "192.0.2.1", UserAgent: "test",
	}
}

func create(t testing.TB, store *redisstore.Store, user usher.ID) (usher.TokenHash, usher.Session) {
	t.Helper()
	token, session := newToken(store, user), newSession(user)
	if err := store.CreateSession(context.Background(), token, session); err != nil {
		t.Fatal(err)
	}
	return token, session
}
