//go:build unix

package redisstore_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"usher"
	"usher/redisstore"
	"usher/sqlstore/sqlite"
)

// forgetting is a Redis that will forget what it is told after cut; after fail
// the store that it returns is the one to ask.
type forgetting struct {
	store *redisstore.Store
	cut   func()
	fail  func() *redisstore.Store
}

func startFromOldFile(t *testing.T) forgetting {
	redis := startServer(t)
	store := open(t, redis)
	return forgetting{store, func() { redis.do("SAVE") }, func() *redisstore.Store {
		redis.kill()
		redis.start()
		recovers(t, store, "restarted")
		return store
	}}
}

func failOverToOldReplica(t *testing.T) forgetting {
	master, replica := startServer(t, "--repl-diskless-sync-delay", "0"), startServer(t)
	replica.replicate(master)
	cut := func() {
		eventually(t, "all keys on the replica", func() bool { return replica.number("DBSIZE") == master.number("DBSIZE") })
		replica.do("REPLICAOF", "127.0.0.1", "1")
	}
	return forgetting{open(t, master), cut, func() *redisstore.Store {
		master.kill()
		replica.do("REPLICAOF", "NO", "ONE")
		return open(t, replica)
	}}
}

// P2: whichever way Redis loses the end of a session (F07, F09), with a deny-list
// in a database it stays dead. Without one it lives again, as doc.go and
// docs/operations.md say.
func TestS_P2_RedisForgets(t *testing.T) {
	t.Parallel()
	type user struct{ usher.User }
	for name, start := range map[string]func(*testing.T) forgetting{
		"restart from an old file": startFromOldFile, "failover to an old replica": failOverToOldReplica,
	} {
		for _, listed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, deny-list %v", name, listed), func(t *testing.T) {
				t.Parallel()
				path := filepath.Join(t.TempDir(), "usher.db")
				db, err := sqlite.Open[user](t.Context(), path)
				check(t, "Open", err)
				redis := start(t)
				s := usher.Sessions{Store: redis.store}
				if listed {
					s.DenyList = db
				}
				owner := usher.NewID()
				signIn := func() (string, usher.Authentication) {
					authn := usher.Authentication{UserID: owner}
					token, err := s.WriteToken(t.Context(), &authn)
					check(t, "WriteToken", err)
					return token, authn
				}
				loggedOut, _ := signIn()
				revoked, one := signIn()
				allRevoked, _ := signIn()
				kept, keep := signIn()
				redis.cut()
				check(t, "DestroyToken", s.DestroyToken(t.Context(), loggedOut))
				check(t, "RevokeSession", s.RevokeSession(t.Context(), owner, one.SessionID))
				_, err = s.RevokeSessions(t.Context(), owner, keep.SessionID)
				check(t, "RevokeSessions", err)

				s.Store = redis.fail()
				check(t, "Close", db.Close()) // usher starts again, too
				db, err = sqlite.Open[user](t.Context(), path)
				check(t, "Open", err)
				t.Cleanup(func() { check(t, "Close", db.Close()) })
				if listed {
					s.DenyList = db
				}
				for what, token := range map[string]string{"logged out": loggedOut, "revoked": revoked, "revoked with all": allRevoked} {
					if _, err := s.ReadToken(t.Context(), token); errors.Is(err, usher.ErrInvalidToken) != listed || err != nil && !listed {
						t.Errorf("ReadToken of a session that was %s: %v", what, err)
					}
				}
				_, err = s.ReadToken(t.Context(), kept)
				check(t, "ReadToken of a session that nobody ended", err)
				sessions, err := s.ListSessions(t.Context(), owner)
				if want := map[bool]int{false: 4, true: 1}[listed]; err != nil || len(sessions) != want {
					t.Errorf("ListSessions: %d and error %v, want %d", len(sessions), err, want)
				}
			})
		}
	}
}
