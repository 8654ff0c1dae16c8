//go:build unix

package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
)

// TestDump: whoever copies all of Redis can sign in as nobody.
func TestDump(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	strategy := usher.Sessions{Store: store}
	var tokens []string
	for range 4 {
		user := usher.NewID()
		for range 3 {
			token, err := strategy.WriteToken(t.Context(), &usher.Authentication{UserID: user, AuthTime: time.Now()})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := strategy.ReadToken(t.Context(), token); err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, token)
		}
	}
	var dump strings.Builder
	for _, key := range redis.list("KEYS", "*") {
		fmt.Fprintln(&dump, key)
		if strings.Contains(key, ":session:") {
			fmt.Fprintln(&dump, redis.text("GET", key))
		} else {
			fmt.Fprintln(&dump, redis.list("ZRANGE", key, "0", "-1"))
		}
	}
	if n := strings.Count(dump.String(), "\n"); n != 2*(12+4) {
		t.Errorf("the dump has %d lines:\n%s", n, &dump)
	}
	for _, token := range tokens {
		if strings.Contains(dump.String(), token) {
			t.Errorf("the dump has a token:\n%s", &dump)
		}
	}
	for _, word := range strings.FieldsFunc(dump.String(), func(r rune) bool { return strings.ContainsRune("\n :[]{}\",", r) }) {
		if _, err := strategy.ReadToken(t.Context(), word); !errors.Is(err, usher.ErrInvalidToken) {
			t.Errorf("ReadToken(%q): %v", word, err)
		}
	}
}

// TestEveryKeyExpires, an index with the last of its sessions.
func TestEveryKeyExpires(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	user := usher.NewID()
	now := time.Now()
	token := newToken(store, user)
	session := newSession(user)
	session.ExpiresAt = now.Add(time.Hour)
	check(t, "CreateSession", store.CreateSession(t.Context(), token, session))
	expiresWith := func(what string, last time.Time) {
		t.Helper()
		indexes := 0
		for _, key := range redis.list("KEYS", "*") {
			got := redis.number("PEXPIRETIME", key)
			if got <= 0 {
				t.Errorf("%s: %s does not expire", what, key)
			}
			if strings.Contains(key, ":user:") {
				indexes++
				if got != last.UnixMilli() {
					t.Errorf("%s: the index expires %v, its last session %v", what, time.UnixMilli(got), last)
				}
			}
		}
		if indexes != 1 {
			t.Errorf("%s: %d indexes, want 1", what, indexes)
		}
	}
	expiresWith("one session", now.Add(time.Hour))

	longer := newSession(user)
	longer.ExpiresAt = now.Add(3 * time.Hour)
	longerToken := newToken(store, user)
	check(t, "CreateSession", store.CreateSession(t.Context(), longerToken, longer))
	expiresWith("a longer one", now.Add(3*time.Hour))

	check(t, "TouchSession", store.TouchSession(t.Context(), token, session.LastSeenAt, now.Add(5*time.Hour)))
	expiresWith("the first one prolonged", now.Add(5*time.Hour))

	check(t, "TouchSession", store.TouchSession(t.Context(), token, session.LastSeenAt, now.Add(2*time.Hour)))
	expiresWith("and shortened", now.Add(3*time.Hour))

	brief := newSession(user)
	brief.ExpiresAt = time.Now().Add(50 * time.Millisecond)
	check(t, "CreateSession", store.CreateSession(t.Context(), newToken(store, user), brief))
	time.Sleep(100 * time.Millisecond)
	check(t, "TouchSession", store.TouchSession(t.Context(), token, session.LastSeenAt, now.Add(2*time.Hour)))
	if n := redis.number("ZCARD", indexOf(t, redis)); n != 2 {
		t.Errorf("the index has %d sessions, want the 2 that live", n)
	}

	check(t, "DestroySession", store.DestroySession(t.Context(), token))
	check(t, "DestroySession", store.DestroySession(t.Context(), longerToken))
	if keys := redis.list("KEYS", "*"); len(keys) > 0 {
		t.Errorf("after the last session: %q", keys)
	}

	session.ExpiresAt = time.Now().Add(50 * time.Millisecond)
	check(t, "CreateSession", store.CreateSession(t.Context(), token, session))
	time.Sleep(100 * time.Millisecond)
	for _, key := range redis.list("KEYS", "*") {
		if redis.number("EXISTS", key) == 1 {
			t.Errorf("after the last session expired: %s", key)
		}
	}
}

// oneSlot: all keys of a user are in one slot, those of many users in many.
func oneSlot(t *testing.T, redis *server) {
	store := open(t, redis)
	slots := map[int64]bool{}
	for _, user := range []usher.ID{usher.NewID(), usher.NewID(), usher.NewID(), "1", "2", "9007199254740993", "{x}", "a{}b"} {
		for range 3 {
			create(t, store, user)
		}
		keys := redis.list("KEYS", "*")
		if len(keys) != 4 {
			t.Fatalf("%d keys, want 4: %q", len(keys), keys)
		}
		slot := redis.number("CLUSTER", "KEYSLOT", keys[0])
		for _, key := range keys {
			if redis.number("CLUSTER", "KEYSLOT", key) != slot {
				t.Errorf("user %q: keys in several slots: %q", user, keys)
			}
		}
		slots[slot] = true
		if n, err := store.RevokeSessions(t.Context(), user, ""); err != nil || n != 3 {
			t.Errorf("user %q: RevokeSessions: %d and error %v, want 3", user, n, err)
		}
	}
	if len(slots) < 4 {
		t.Errorf("8 users in %d slots", len(slots))
	}
}

// TestIndexNamesEverySession, and nothing else, whatever happens at once.
func TestIndexNamesEverySession(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	user := usher.NewID()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for i := range 50 {
				token, session := create(t, store, user)
				switch i % 4 {
				case 0:
					store.TouchSession(t.Context(), token, session.LastSeenAt.Add(time.Second), session.ExpiresAt)
				case 1:
					store.DestroySession(t.Context(), token)
				case 2:
					store.RevokeSession(t.Context(), user, session.ID)
				case 3:
					store.RevokeSessions(t.Context(), user, session.ID)
				}
			}
		})
	}
	all.Wait()
	create(t, store, user)
	named := map[string]bool{}
	for _, member := range redis.list("ZRANGE", indexOf(t, redis), "0", "-1") {
		token, _, _ := strings.Cut(member, ":")
		named[token] = true
	}
	for _, key := range redis.list("KEYS", "*:session:*") {
		token := key[strings.LastIndex(key, ":")+1:]
		if !named[token] {
			t.Errorf("a session is not in the index")
		}
		delete(named, token)
	}
	if len(named) > 0 {
		t.Errorf("the index names %d sessions that are not there", len(named))
	}
}

// TestLostKeys: what Redis lost by eviction is signed out, and an index comes
// back with the use of its sessions.
func TestLostKeys(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	user := usher.NewID()
	lost, _ := create(t, store, user)
	kept, session := create(t, store, user)
	for _, key := range redis.list("KEYS", fmt.Sprintf("*%x", lost)) {
		redis.do("DEL", key)
	}
	if _, _, err := store.ReadSession(t.Context(), lost); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession: %v, want %v", err, usher.ErrNotFound)
	}
	if list, err := store.ListSessions(t.Context(), user); err != nil || len(list) != 1 || list[0].ID != session.ID {
		t.Errorf("ListSessions: %v and error %v, want the other one", list, err)
	}
	if n := redis.number("ZCARD", indexOf(t, redis)); n != 1 {
		t.Errorf("ListSessions left %d sessions in the index, want 1", n)
	}

	redis.do("DEL", indexOf(t, redis))
	check(t, "TouchSession", store.TouchSession(t.Context(), kept, session.LastSeenAt.Add(time.Second), session.ExpiresAt))
	if n, err := store.RevokeSessions(t.Context(), user, ""); err != nil || n != 1 {
		t.Errorf("RevokeSessions: %d and error %v, want 1", n, err)
	}
	if _, _, err := store.ReadSession(t.Context(), kept); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("ReadSession: %v, want %v", err, usher.ErrNotFound)
	}
}

// TestForeignValues: what is not ours is no session, and no answer either.
func TestForeignValues(t *testing.T) {
	t.Parallel()
	redis := startServer(t)
	store := open(t, redis)
	user := usher.NewID()
	token, session := create(t, store, user)
	key := redis.list("KEYS", "*:session:*")[0]
	index := indexOf(t, redis)
	good := redis.text("GET", key)
	for _, value := range []string{"", "null", "{}", "[]", "1", "\x00", good[:len(good)-1], good + "x", strings.ReplaceAll(good, string(user), ""),
		strings.Replace(good, `"s":`, `"s":"`, 1), `{"u":1}`} {
		redis.do("SET", key, value)
		_, _, err := store.ReadSession(t.Context(), token)
		wantOutage(t, fmt.Sprintf("ReadSession of %q", value), err)
		wantOutage(t, fmt.Sprintf("TouchSession of %q", value), store.TouchSession(t.Context(), token, time.Now(), session.ExpiresAt))
		_, err = store.ListSessions(t.Context(), user)
		wantOutage(t, fmt.Sprintf("ListSessions with %q", value), err)
		if got := redis.text("GET", key); got != value {
			t.Errorf("%q became %q", value, got)
		}
	}
	redis.do("DEL", key)
	redis.do("LPUSH", key, "x")
	_, _, err := store.ReadSession(t.Context(), token)
	wantOutage(t, "ReadSession of a list", err)
	redis.do("SET", index, "x")
	wantOutage(t, "CreateSession beside a foreign index", store.CreateSession(t.Context(), newToken(store, user), newSession(user)))
	if n := len(redis.list("KEYS", "*")); n != 2 {
		t.Errorf("CreateSession failed and left a session: %d keys, want 2", n)
	}
	redis.do("DEL", index)
	redis.do("ZADD", index, "1", "x")
	_, err = store.ListSessions(t.Context(), user)
	wantOutage(t, "ListSessions of a foreign index", err)
	_, err = store.RevokeSessions(t.Context(), user, "")
	wantOutage(t, "RevokeSessions of a foreign index", err)
}

// indexOf returns the key of the only index.
func indexOf(t *testing.T, redis *server) string {
	t.Helper()
	keys := redis.list("KEYS", "*:user:*")
	if len(keys) != 1 {
		t.Fatalf("%d indexes, want 1: %q", len(keys), keys)
	}
	return keys[0]
}

func check(t *testing.T, what string, err error) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	}
}

// wantOutage checks that err says that nobody knows.
func wantOutage(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil || errors.Is(err, usher.ErrNotFound) || errors.Is(err, usher.ErrInvalidToken) {
		t.Errorf("%s: error %v, want one that says that nobody knows", what, err)
	} else if !strings.HasPrefix(err.Error(), "redisstore: ") {
		t.Errorf("%s: the error does not say where it is from: %v", what, err)
	}
}
