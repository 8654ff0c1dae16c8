//go:build unix

package redisstore_test

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/redisstore"
	"usher/ushertest"
)

// TestMoved: where both kinds of tokens are, the contract holds for our own.
func TestMoved(t *testing.T) {
	t.Parallel()
	client := connect(t, testservices.Redis(t))
	ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
		return redisstore.Moved{Store: redisstore.New(client, redisstore.Options{Prefix: testservices.Prefix(t)})}, nil
	})
}

// foreign returns the hash of a token that another program drew: whose bucket it
// is in is chance, here surely not the user's.
func foreign(store redisstore.Moved, user usher.ID) usher.TokenHash {
	token := usher.TokenHash(sha256.Sum256([]byte(usher.NewID())))
	if store.HoldsToken(user, token) {
		token[0]++
	}
	return token
}

// TestMovedToken: a session under another program's token is one like any other,
// in a Cluster, too (P1, P2).
func TestMovedToken(t *testing.T) {
	t.Parallel()
	redis := startCluster(t, 1, 0).nodes[0]
	store := redisstore.Moved{Store: openURL(t, redis.url()+"?addr="+redis.addr(), redisstore.Options{})}
	user := usher.NewID()
	bring := func() (usher.TokenHash, usher.Session) {
		t.Helper()
		token, session := foreign(store, user), newSession(user)
		check(t, "CreateSession", store.CreateSession(t.Context(), token, session))
		got, _, err := store.ReadSession(t.Context(), token)
		if err != nil || got.ID != session.ID || got.UserID != user {
			t.Fatalf("ReadSession: %v and error %v, want %v", got, err, session)
		}
		return token, session
	}
	destroyed, _ := bring()
	revoked, one := bring()
	swept, _ := bring()
	kept, keep := bring()
	if list, err := store.ListSessions(t.Context(), user); err != nil || len(list) != 4 {
		t.Errorf("ListSessions: %d and error %v, want 4", len(list), err)
	}
	seen := keep.LastSeenAt.Add(time.Minute)
	check(t, "TouchSession", store.TouchSession(t.Context(), kept, seen, keep.ExpiresAt))
	if got, _, err := store.ReadSession(t.Context(), kept); err != nil || got.LastSeenAt.Before(seen.Truncate(time.Millisecond)) {
		t.Errorf("ReadSession after TouchSession: seen %v and error %v, want %v", got.LastSeenAt, err, seen)
	}
	for _, key := range redis.list("KEYS", "*:moved:*") {
		at, err := hex.DecodeString(redis.text("GET", key))
		if err != nil || len(at) != 1 {
			t.Errorf("%s leads nowhere: %x and error %v", key, at, err)
		}
		if left, most := redis.number("PTTL", key), time.Until(keep.ExpiresAt).Milliseconds()+1000; left <= 0 || left > most {
			t.Errorf("%s expires in %d ms, want 1 to %d, with its session", key, left, most)
		}
	}

	check(t, "DestroySession", store.DestroySession(t.Context(), destroyed))
	check(t, "RevokeSession", store.RevokeSession(t.Context(), user, one.ID))
	if n, err := store.RevokeSessions(t.Context(), user, keep.ID); err != nil || n != 1 {
		t.Errorf("RevokeSessions: %d and error %v, want 1", n, err)
	}
	for what, token := range map[string]usher.TokenHash{
		"destroyed": destroyed, "revoked": revoked, "revoked with all": swept, "unknown": foreign(store, user),
	} {
		_, _, err := store.ReadSession(t.Context(), token)
		for method, err := range map[string]error{
			"ReadSession": err, "DestroySession": store.DestroySession(t.Context(), token),
			"TouchSession": store.TouchSession(t.Context(), token, seen, keep.ExpiresAt),
		} {
			if !errors.Is(err, usher.ErrNotFound) {
				t.Errorf("%s of a session that is %s: %v, want %v", method, what, err, usher.ErrNotFound)
			}
		}
	}
	_, _, err := store.ReadSession(t.Context(), kept)
	check(t, "ReadSession of the one that was kept", err)
	if _, _, err := store.Store.ReadSession(t.Context(), kept); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession without Moved: %v, want %v", err, usher.ErrNotFound)
	}
}

// TestMovedFaults: a way that is damaged, or that Redis does not tell, is no
// answer about the session (P5).
func TestMovedFaults(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := redisstore.Moved{Store: open(t, redis)}
	user := usher.NewID()
	token, session := foreign(store, user), newSession(user)
	check(t, "CreateSession", store.CreateSession(t.Context(), token, session))
	ways := redis.list("KEYS", "*:moved:*")
	if len(ways) != 1 || !strings.HasSuffix(ways[0], hex.EncodeToString(token[:])) {
		t.Fatalf("keys %q, want one that ends in the token's hash", ways)
	}
	for _, bad := range []string{"", "7", "7f7f", "zz"} {
		redis.do("SET", ways[0], bad)
		_, _, err := store.ReadSession(t.Context(), token)
		wantOutage(t, "ReadSession with the way "+bad, err)
	}
	redis.do("DEL", ways[0])
	redis.do("RPUSH", ways[0], "7f") // GET answers with an error
	_, _, err := store.ReadSession(t.Context(), token)
	wantOutage(t, "ReadSession with a way that cannot be read", err)
	endless := session
	endless.ExpiresAt = time.Time{}
	if err := store.CreateSession(t.Context(), foreign(store, user), endless); err == nil {
		t.Error("CreateSession without ExpiresAt: no error")
	}
	redis.kill()
	_, _, err = store.ReadSession(t.Context(), token)
	wantOutage(t, "ReadSession while Redis is away", err)
	wantOutage(t, "CreateSession while Redis is away", store.CreateSession(t.Context(), foreign(store, user), session))
}
