//go:build unix

package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/redisstore"
)

// TestKilledUnderLoad: Redis dies and comes back with what its file has (F07).
// With appendfsync always that is all that was acknowledged. The kernel keeps
// what a process wrote, so everysec loses something only if the machine dies;
// without a file everything is gone, and nobody is signed in.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"always":   {"--appendonly", "yes", "--appendfsync", "always"},
		"everysec": {"--appendonly", "yes", "--appendfsync", "everysec"},
		"none":     nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			redis := startServer(t, args...)
			store := open(t, redis)
			var lost, undone, ended int
			for range rounds() {
				l := startLoad(t, store, newUsers(4))
				l.until(500)
				killed := time.Now()
				redis.kill()
				eventually(t, "a failure", func() bool { return l.failures() > 0 })
				redis.start()
				l.outage(killed, 10*time.Second)
				l.stop()
				a, b := l.audit()
				lost, undone, ended = lost+a, undone+b, ended+len(l.ended)
			}
			t.Logf("of %d logouts %d undone, %d sessions lost", ended, undone, lost)
			switch name {
			case "always":
				if lost+undone > 0 {
					t.Errorf("%d logouts undone, %d sessions lost", undone, lost)
				}
			case "none":
				if undone > 0 || lost == 0 {
					t.Errorf("%d logouts undone and %d sessions lost by a Redis that forgot everything", undone, lost)
				}
			}
		})
	}
}

// TestOldSnapshot: a Redis that returns with an old file returns sessions that
// were ended since. This is what doc.go and docs/operations.md say.
func TestOldSnapshot(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	token, session := create(t, store, usher.NewID())
	redis.do("SAVE")
	check(t, "DestroySession", store.DestroySession(t.Context(), token))
	redis.kill()
	redis.start()
	recovers(t, store, "restarted")
	if got, _, err := store.ReadSession(t.Context(), token); err != nil || got.ID != session.ID {
		t.Errorf("ReadSession: %v and error %v, want the session", got, err)
	}
}

// TestSplitBrain: a master that was given up goes on answering those who still
// reach it (F10). What it ends then is undone, unless it insists on a replica.
func TestSplitBrain(t *testing.T) {
	t.Parallel()
	for _, insists := range []bool{false, true} {
		t.Run(fmt.Sprintf("min-replicas-to-write %v", insists), func(t *testing.T) {
			t.Parallel()
			args := []string{"--repl-diskless-sync-delay", "0", "--min-replicas-max-lag", "10"}
			if insists {
				args = append(args, "--min-replicas-to-write", "1")
			}
			master, replica := startServer(t, args...), startServer(t, args...)
			replica.replicate(master)
			onMaster := open(t, master)
			recovers(t, onMaster, "with its replica")
			token, session := create(t, onMaster, usher.NewID())
			eventually(t, "the session on the replica", func() bool { return len(replica.list("KEYS", "*session*")) == len(master.list("KEYS", "*session*")) })

			master.freeze()
			replica.do("REPLICAOF", "NO", "ONE")
			master.thaw()
			eventually(t, "a master without replicas", func() bool {
				return strings.Contains(master.text("INFO", "replication"), "connected_slaves:0")
			})
			err := onMaster.DestroySession(t.Context(), token)
			if _, _, missing := onMaster.ReadSession(t.Context(), token); errors.Is(missing, usher.ErrNotFound) == insists {
				t.Errorf("after DestroySession on the old master: %v", missing)
			}
			if insists {
				wantOutage(t, "DestroySession", err)
			} else {
				check(t, "DestroySession", err)
			}
			master.replicate(replica) // the partition heals
			if got, _, err := onMaster.ReadSession(t.Context(), token); err != nil || got.ID != session.ID {
				t.Errorf("ReadSession: %v and error %v, want the session", got, err)
			}
		})
	}
}

// TestWaitReplicas: what the replicas do not have is not acknowledged.
func TestWaitReplicas(t *testing.T) {
	t.Parallel()
	args := []string{"--repl-diskless-sync-delay", "0"}
	master, replica := startServer(t, args...), startServer(t, args...)
	replica.replicate(master)
	store := openURL(t, master.url(), redisstore.Options{WaitReplicas: 1, WaitTimeout: 500 * time.Millisecond})
	recovers(t, store, "when the replica follows")
	user := usher.NewID()
	token, session := create(t, store, user)
	ended, _ := create(t, store, user)
	if n := len(replica.list("KEYS", "*session*")); n != 3 {
		t.Errorf("the replica has %d sessions, want 3", n)
	}
	check(t, "DestroySession", store.DestroySession(t.Context(), ended))

	replica.freeze()
	began := time.Now()
	for what, err := range map[string]error{
		"CreateSession": store.CreateSession(t.Context(), newToken(store, user), newSession(user)),
		"RevokeSession": store.RevokeSession(t.Context(), user, session.ID),
	} {
		wantOutage(t, what, err)
		if err != nil && !strings.Contains(err.Error(), "0 of 1 replicas") {
			t.Errorf("%s: %v", what, err)
		}
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("they took %v", took)
	}
	other, seen := newToken(store, user), newSession(user)
	wantOutage(t, "CreateSession", store.CreateSession(t.Context(), other, seen))
	check(t, "TouchSession waits for nobody", store.TouchSession(t.Context(), other, time.Now(), seen.ExpiresAt))
	_, _, err := store.ReadSession(t.Context(), other)
	check(t, "ReadSession waits for nobody", err)

	replica.thaw()
	recovers(t, store, "when the replica is back")
	if _, _, err := store.ReadSession(t.Context(), token); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession of the session whose end was not acknowledged: %v, want %v", err, usher.ErrNotFound)
	}
}

// TestWaitWithoutReplicas: nothing is acknowledged, though it is done; that there
// is nothing to end is not, either, by a master that nobody replicates: it may
// have been replaced and have forgotten everything (P2).
func TestWaitWithoutReplicas(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := openURL(t, redis.url(), redisstore.Options{WaitReplicas: 1, WaitTimeout: 50 * time.Millisecond})
	user := usher.NewID()
	token, session := newToken(store, user), newSession(user)
	wantOutage(t, "CreateSession", store.CreateSession(t.Context(), token, session))
	_, _, err := store.ReadSession(t.Context(), token)
	check(t, "ReadSession", err)
	wantOutage(t, "DestroySession", store.DestroySession(t.Context(), token))
	if _, _, err := store.ReadSession(t.Context(), token); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession: %v, want %v", err, usher.ErrNotFound)
	}
	_, err = store.RevokeSessions(t.Context(), user, "")
	wantOutage(t, "RevokeSessions of nothing", err)
	if err := store.RevokeSession(t.Context(), user, session.ID); errors.Is(err, usher.ErrNotFound) {
		t.Errorf("RevokeSession: %v, which the master cannot know", err)
	}
	_, err = open(t, redis).RevokeSessions(t.Context(), user, "")
	check(t, "RevokeSessions of nothing without WaitReplicas", err)
}

// TestMasterReturnsEmpty: a master that starts again without a file, before
// anybody has replaced it or told its clients, has forgotten all sessions and
// says so with confidence. This is why docs/operations.md wants a file on every
// node: with it the sessions are there.
func TestMasterReturnsEmpty(t *testing.T) {
	t.Parallel()
	for _, file := range []string{"no", "yes"} {
		t.Run("appendonly "+file, func(t *testing.T) {
			t.Parallel()
			args := []string{"--repl-diskless-sync-delay", "0", "--appendonly", file, "--appendfsync", "always"}
			master, replica := startServer(t, args...), startServer(t, args...)
			replica.replicate(master)
			store := openURL(t, master.url(), redisstore.Options{WaitReplicas: 1})
			recovers(t, store, "with its replica")
			user := usher.NewID()
			token, _ := create(t, store, user)
			replica.do("REPLICAOF", "NO", "ONE") // a failover
			master.kill()
			master.start()
			eventually(t, "an answer", func() bool { return store.Ping(t.Context()) == nil })
			_, _, err := store.ReadSession(t.Context(), token)
			if file == "yes" {
				check(t, "ReadSession", err)
			} else if !errors.Is(err, usher.ErrNotFound) {
				t.Errorf("ReadSession: %v, want %v", err, usher.ErrNotFound)
			}
			_, err = store.RevokeSessions(t.Context(), user, "")
			wantOutage(t, "RevokeSessions", err)
		})
	}
}
