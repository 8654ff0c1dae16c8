//go:build unix

package redisstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/redisstore"
)

// TestStartWithoutRedis: the application starts, and Redis later.
func TestStartWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := newServer(t)
	store := open(t, redis)
	wantOutages(t, "before Redis starts", store, usher.TokenHash{}, 100*time.Millisecond)
	redis.start()
	recovers(t, store, "when Redis starts")
	token, _ := create(t, store, usher.NewID())
	_, _, err := store.ReadSession(t.Context(), token)
	check(t, "ReadSession", err)
}

// TestCloseWithoutRedis: a store that never connected can be closed, and stays so.
func TestCloseWithoutRedis(t *testing.T) {
	t.Parallel()
	redis := newServer(t)
	store := open(t, redis)
	store.Close()
	redis.start()
	wantOutages(t, "after Close", store, usher.TokenHash{}, 100*time.Millisecond)
}

// TestCrash: Redis is killed and comes back, with what it wrote to its file.
func TestCrash(t *testing.T) {
	t.Parallel()
	redis := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	store := open(t, redis)
	user := usher.NewID()
	live, _ := create(t, store, user)
	dead, _ := create(t, store, user)
	revoked, session := create(t, store, user)
	check(t, "DestroySession", store.DestroySession(t.Context(), dead))
	check(t, "RevokeSession", store.RevokeSession(t.Context(), user, session.ID))

	redis.kill()
	wantOutages(t, "killed", store, live, time.Second)
	redis.start()
	recovers(t, store, "when Redis is back")
	_, _, err := store.ReadSession(t.Context(), live)
	check(t, "ReadSession of a session that was acknowledged", err)
	for _, token := range []usher.TokenHash{dead, revoked} {
		if _, _, err := store.ReadSession(t.Context(), token); !errors.Is(err, usher.ErrNotFound) {
			t.Errorf("ReadSession of a session that was ended: %v, want %v", err, usher.ErrNotFound)
		}
	}
	if n, err := store.RevokeSessions(t.Context(), user, ""); err != nil || n != 1 {
		t.Errorf("RevokeSessions: %d and error %v, want 1", n, err)
	}
}

// TestQuickRestart: a read on a connection that Redis has closed is repeated on
// a new one. A write is not, and fails until the connection is found out.
func TestQuickRestart(t *testing.T) {
	t.Parallel()
	redis := startServer(t, "--appendonly", "yes", "--appendfsync", "always")
	store := open(t, redis)
	user := usher.NewID()
	token, session := create(t, store, user)
	for range 32 { // on all connections
		_, _, err := store.ReadSession(t.Context(), token)
		check(t, "ReadSession", err)
	}
	redis.kill()
	redis.start()
	for range 32 {
		_, _, err := store.ReadSession(t.Context(), token)
		check(t, "ReadSession after a restart", err)
	}
	check(t, "TouchSession", store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt))
	check(t, "DestroySession", store.DestroySession(t.Context(), token))
}

// TestForgottenScripts: they are sent again.
func TestForgottenScripts(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	token, session := create(t, store, usher.NewID())
	redis.do("SCRIPT", "FLUSH")
	check(t, "TouchSession", store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt))
	check(t, "DestroySession", store.DestroySession(t.Context(), token))
}

// TestFrozen: whoever waits for a silent Redis is told soon, alone or with many,
// and also if it was silent from the start.
func TestFrozen(t *testing.T) {
	t.Parallel()
	const limit = 4 * time.Second
	redis := startServer(t)
	alone, busy := open(t, redis), open(t, redis)
	token, _ := create(t, alone, usher.NewID())
	stop := make(chan struct{})
	var readers sync.WaitGroup
	read := func(store *redisstore.Store) { // before, during and after
		for {
			select {
			case <-stop:
				return
			default:
			}
			began := time.Now()
			session, _, err := store.ReadSession(context.Background(), token)
			if took := time.Since(began); took > limit {
				t.Errorf("ReadSession took %v", took)
			}
			if err == nil && session.UserAgent != "test" || errors.Is(err, usher.ErrNotFound) {
				t.Errorf("ReadSession: session %v and error %v", session, err)
			}
		}
	}
	readers.Go(func() { read(alone) })
	for range 64 {
		readers.Go(func() { read(busy) })
	}
	time.Sleep(50 * time.Millisecond)
	redis.freeze()
	time.Sleep(50 * time.Millisecond)

	var late *redisstore.Store
	var all sync.WaitGroup
	all.Go(func() { wantOutages(t, "alone", alone, token, limit) })
	all.Go(func() { wantOutages(t, "busy", busy, token, limit) })
	all.Go(func() {
		began := time.Now()
		late = open(t, redis)
		if took := time.Since(began); took > limit {
			t.Errorf("Open took %v", took)
		}
		wantOutages(t, "late", late, token, limit)
	})
	all.Wait()

	redis.thaw()
	recovers(t, alone, "alone, when Redis answers")
	recovers(t, busy, "busy, when Redis answers")
	recovers(t, late, "late, when Redis answers")
	close(stop)
	readers.Wait()
}

// TestImpatient: the caller's own deadline counts when it is shorter, and Close
// waits for nobody.
func TestImpatient(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	token, _ := create(t, store, usher.NewID())
	redis.freeze()
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, _, err := store.ReadSession(ctx, token)
	wantOutage(t, "ReadSession", err)
	if took := time.Since(began); took > time.Second {
		t.Errorf("ReadSession took %v", took)
	}
	began = time.Now()
	store.Close()
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("Close took %v", took)
	}
}

// TestFlushAll: Redis forgot everything, and that is known.
func TestFlushAll(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	user := usher.NewID()
	token, session := create(t, store, user)
	redis.do("FLUSHALL")
	_, _, err := store.ReadSession(t.Context(), token)
	for what, err := range map[string]error{
		"ReadSession":    err,
		"TouchSession":   store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt),
		"DestroySession": store.DestroySession(t.Context(), token),
		"RevokeSession":  store.RevokeSession(t.Context(), user, session.ID),
	} {
		if !errors.Is(err, usher.ErrNotFound) {
			t.Errorf("%s: %v, want %v", what, err, usher.ErrNotFound)
		}
	}
	create(t, store, user)
	if list, err := store.ListSessions(t.Context(), user); err != nil || len(list) != 1 {
		t.Errorf("ListSessions: %d and error %v, want 1", len(list), err)
	}
}

// TestFull: a Redis without memory refuses new sessions whole, and still ends old ones.
func TestFull(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	user := usher.NewID()
	token, session := create(t, store, user)
	redis.do("CONFIG", "SET", "maxmemory", "1")
	keys := len(redis.list("KEYS", "*"))
	wantOutage(t, "CreateSession", store.CreateSession(t.Context(), newToken(store, user), newSession(user)))
	wantOutage(t, "CreateSession", store.CreateSession(t.Context(), newToken(store, "another"), newSession("another")))
	wantOutage(t, "TouchSession", store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt))
	if n := len(redis.list("KEYS", "*")); n != keys {
		t.Errorf("%d keys, want the %d that were there", n, keys)
	}
	if list, err := store.ListSessions(t.Context(), user); err != nil || len(list) != 1 {
		t.Errorf("ListSessions: %d and error %v, want 1", len(list), err)
	}
	_, _, err := store.ReadSession(t.Context(), token)
	check(t, "ReadSession", err)
	check(t, "DestroySession", store.DestroySession(t.Context(), token))

	redis.do("CONFIG", "SET", "maxmemory", "0")
	create(t, store, user)
}

// TestReplica: a Redis that may not write says so.
func TestReplica(t *testing.T) {
	t.Parallel()
	master := startServer(t, "--repl-diskless-sync-delay", "0")
	redis := startServer(t)
	store, onMaster := open(t, redis), open(t, master)
	user := usher.NewID()
	token, session := create(t, onMaster, user)
	redis.replicate(master)
	_, _, err := store.ReadSession(t.Context(), token)
	check(t, "ReadSession", err)
	wantOutage(t, "CreateSession", store.CreateSession(t.Context(), newToken(store, user), newSession(user)))
	wantOutage(t, "TouchSession", store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt))
	wantOutage(t, "DestroySession", store.DestroySession(t.Context(), token))
	wantOutage(t, "RevokeSession", store.RevokeSession(t.Context(), user, session.ID))
	_, err = store.RevokeSessions(t.Context(), user, "")
	wantOutage(t, "RevokeSessions", err)
	redis.do("REPLICAOF", "NO", "ONE")
	check(t, "DestroySession", store.DestroySession(t.Context(), token))
}

// TestWrongPassword: it is no malformed URL, and no answer about a session.
func TestWrongPassword(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store, err := redisstore.Open(t.Context(), "redis://someone:s3cret@"+redis.addr(), redisstore.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	wantOutages(t, "a wrong password", store, usher.TokenHash{}, time.Second)
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "WRONGPASS") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("Ping: %v, want WRONGPASS", err)
	}
	redis.do("ACL", "SETUSER", "someone", "on", ">s3cret", "~*", "+@all")
	recovers(t, store, "when the user exists")
}

// wantOutages checks that every method says, in time, that nobody knows.
func wantOutages(t *testing.T, when string, store *redisstore.Store, token usher.TokenHash, limit time.Duration) {
	t.Helper()
	ctx := context.Background()
	session := newSession(usher.NewID())
	fresh := newToken(store, session.UserID)
	var all sync.WaitGroup
	for method, call := range map[string]func() error{
		"Ping":           func() error { return store.Ping(ctx) },
		"CreateSession":  func() error { return store.CreateSession(ctx, fresh, session) },
		"ReadSession":    func() error { _, _, err := store.ReadSession(ctx, token); return err },
		"TouchSession":   func() error { return store.TouchSession(ctx, token, session.LastSeenAt, session.ExpiresAt) },
		"DestroySession": func() error { return store.DestroySession(ctx, token) },
		"ListSessions":   func() error { _, err := store.ListSessions(ctx, session.UserID); return err },
		"RevokeSession":  func() error { return store.RevokeSession(ctx, session.UserID, session.ID) },
		"RevokeSessions": func() error { _, err := store.RevokeSessions(ctx, session.UserID, ""); return err },
	} {
		all.Go(func() {
			began := time.Now()
			wantOutage(t, when+": "+method, call())
			if took := time.Since(began); took > limit {
				t.Errorf("%s: %s took %v, want %v at most", when, method, took, limit)
			}
		})
	}
	all.Wait()
}

// recovers checks that the same store works again within ten seconds.
func recovers(t *testing.T, store *redisstore.Store, when string) {
	t.Helper()
	began := time.Now()
	user := usher.NewID()
	token, session := newToken(store, user), newSession(user)
	for {
		err := errors.Join(store.Ping(context.Background()), store.CreateSession(context.Background(), token, session))
		if err == nil {
			break
		}
		if time.Since(began) > 10*time.Second {
			t.Fatalf("%s: still %v", when, err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	for range 32 { // on all connections
		if _, _, err := store.ReadSession(context.Background(), token); err != nil {
			t.Errorf("%s: ReadSession: %v", when, err)
		}
	}
}
