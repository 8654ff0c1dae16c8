//go:build unix

package redisstore_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/redisstore"
)

// rights are all that usher needs, as docs/operations.md lists them.
var rights = strings.Fields("+ping +get +set +del +mget +zadd +zrem +zrange +zremrangebyscore +pexpireat +time +eval +evalsha")

// topologyRights are needed besides: +wait for Options.WaitReplicas, +role with
// Sentinel, +cluster|slots in a Cluster, and +asking while a slot is moved there.
var topologyRights = strings.Fields("+wait +role +cluster|slots +asking")

// limitedUser is the user limited, in the words of Redis's configuration.
var limitedUser = slices.Concat([]string{"--user", "limited", "on", ">s3cret", "~usher:*"}, rights, topologyRights)

func asLimited(url string) string {
	return strings.Replace(url, "redis://", "redis://limited:s3cret@", 1)
}

// TestRights: with those rights everything works, and without any of them
// something does not.
func TestRights(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	grant := func(rights []string) {
		redis.do(slices.Concat([]string{"ACL", "SETUSER", "limited", "reset", "on", ">s3cret", "~usher:*"}, rights)...)
	}
	grant(rights)
	store := openURL(t, asLimited(redis.url()), redisstore.Options{})
	check(t, "with all rights", useAll(t, store))
	for i, right := range rights {
		redis.do("SCRIPT", "FLUSH") // EVAL is needed once for each script
		grant(slices.Delete(slices.Clone(rights), i, i+1))
		err := useAll(t, store)
		if err == nil {
			t.Errorf("without %s: works", right)
			continue
		}
		command := right[1:]
		if text := err.Error(); !strings.Contains(text, "forbidden to its user in Redis") ||
			!strings.Contains(text, "'"+command+"' command") && !strings.Contains(text, right+" is missing") {
			t.Errorf("without %s the error does not name it: %v", right, err)
		}
	}
	redis.do(slices.Concat([]string{"ACL", "SETUSER", "limited", "reset", "on", ">s3cret", "~others:*"}, rights)...)
	if err := useAll(t, store); err == nil || !strings.Contains(err.Error(), "access one of the keys") {
		t.Errorf("without a right to the keys: %v", err)
	}

	grant(append(slices.Clone(rights), "+info"))
	if policy, err := store.MaxmemoryPolicy(t.Context()); err != nil || policy != "noeviction" {
		t.Errorf("MaxmemoryPolicy: %q and error %v, want noeviction", policy, err)
	}
	redis.do("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")
	if policy, err := store.MaxmemoryPolicy(t.Context()); err != nil || policy != "allkeys-lru" {
		t.Errorf("MaxmemoryPolicy: %q and error %v, want allkeys-lru", policy, err)
	}
	grant(rights)
	if policy, err := store.MaxmemoryPolicy(t.Context()); err == nil {
		t.Errorf("MaxmemoryPolicy without +info: %q and no error", policy)
	}
}

// useAll does everything that a store does.
func useAll(t *testing.T, store *redisstore.Store) error {
	ctx := t.Context()
	user := usher.NewID()
	token, session := newToken(store, user), newSession(user)
	gone := newToken(store, user)
	errs := []error{
		store.Ping(ctx),
		store.CreateSession(ctx, token, session),
		store.CreateSession(ctx, gone, newSession(user)),
		store.TouchSession(ctx, token, time.Now(), session.ExpiresAt),
	}
	_, _, err := store.ReadSession(ctx, token)
	errs = append(errs, err, store.DestroySession(ctx, gone))
	_, err = store.ListSessions(ctx, user)
	errs = append(errs, err, store.RevokeSession(ctx, user, session.ID))
	_, err = store.RevokeSessions(ctx, user, "")
	return errors.Join(append(errs, err)...)
}

func openURL(t testing.TB, url string, opts redisstore.Options) *redisstore.Store {
	t.Helper()
	store, err := redisstore.Open(t.Context(), url, opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store
}

// TestWrongUserIsNoOutage: who asks is told which of the two it is.
func TestWrongUserIsNoOutage(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	redis.do("CONFIG", "SET", "requirepass", "s3cret")
	for url, want := range map[string]string{
		redis.url():                              "the user or the password was refused by Redis",
		"redis://:wrong@" + redis.addr():         "the user or the password was refused by Redis",
		"redis://127.0.0.1:1":                    "connection refused",
		"redis://127.0.0.1:1?master_set=nothing": "connection refused",
	} {
		err := openURL(t, url, redisstore.Options{}).Ping(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: Ping: %v, want %q", url, err, want)
		}
	}
}
