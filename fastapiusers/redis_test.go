package fastapiusers_test

import (
	"testing"
	"time"

	"github.com/redis/rueidis"

	"usher"
	"usher/fastapiusers"
	"usher/internal/testservices"
	"usher/redisstore"
	"usher/sqlstore"
)

// Tokens in Redis keep the time that they have left, in usher's database and in its
// Redis; one that never ends has a year.
func TestRedisTokens(t *testing.T) {
	t.Parallel()
	for name, inRedis := range map[string]bool{"to the database": false, "to Redis": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address, prefix := testservices.Redis(t), testservices.Prefix(t)
			options := rueidis.MustParseURL(address)
			options.DisableCache = true
			client, err := rueidis.NewClient(options)
			if err != nil {
				t.Fatal(err)
			}
			defer client.Close()
			do := func(words ...string) {
				t.Helper()
				if err := client.Do(t.Context(), client.B().Arbitrary(words...).Build()).Error(); err != nil {
					t.Fatal(err)
				}
			}
			s, x := newSource(t, "sqlite", "CHAR(36)"), newTarget(t, "sqlite")
			var sessions usher.SessionStore = x.db
			if inRedis {
				store, err := redisstore.Open(t.Context(), address, redisstore.Options{Prefix: prefix + "usher:"})
				if err != nil {
					t.Fatal(err)
				}
				defer store.Close()
				sessions = redisstore.Moved{Store: store}
			}
			x.to.RedisSessions = sessions
			s.addUser(string(idOf(1)), "ann@example.com")
			s.addUser(string(idOf(2)), "bob@example.com", oldHash, false) // inactive
			keys := prefix + `[odd]*:`                                    // none of which is a pattern
			do("SET", keys+tokenOf(1), string(idOf(1)), "EX", "300")
			do("SET", keys+tokenOf(2), string(idOf(1))) // never ends
			do("SET", keys+tokenOf(3), string(idOf(2)), "EX", "300")
			do("SET", keys+tokenOf(4), string(idOf(9)), "EX", "300") // of nobody
			do("SET", keys+"short", string(idOf(1)), "EX", "300")
			do("SET", keys+tokenOf(5), "nobody", "EX", "300")
			do("HSET", keys+tokenOf(6), "not", "a token")
			do("SET", prefix+"o:"+tokenOf(7), string(idOf(1)), "EX", "300") // another prefix
			for _, key := range []string{tokenOf(2), tokenOf(6)} {
				defer do("DEL", keys+key)
			}
			tokens, err := fastapiusers.OpenRedis(address, keys)
			if err != nil {
				t.Fatal(err)
			}
			defer tokens.Close()
			run := func(dry bool, want fastapiusers.Counts) {
				t.Helper()
				report := x.mustRun(s, fastapiusers.Options{RedisTokens: tokens, TokenLifetime: time.Hour, DryRun: dry})
				if report.RedisTokens != want {
					t.Errorf("dry: %v: got %+v, want %+v", dry, report.RedisTokens, want)
				}
			}
			first := fastapiusers.Counts{Read: 6, New: 2, Inactive: 1, Orphaned: 1, Refused: 2}
			run(true, first)
			if x.holds(sessions, tokenOf(1)) {
				t.Error("the dry run has written")
			}
			run(false, first)
			for token, left := range map[string]time.Duration{tokenOf(1): 300 * time.Second, tokenOf(2): 365 * 24 * time.Hour} {
				session, _, err := sessions.ReadSession(t.Context(), usher.HashToken(token))
				if err != nil {
					t.Fatal(err)
				}
				if rest := time.Until(session.ExpiresAt); rest > left || rest < left-time.Minute || session.UserID != idOf(1) || session.CreatedAt.After(time.Now()) {
					t.Errorf("%+v, want %v left", session, left)
				}
			}
			if x.holds(sessions, tokenOf(3)) || x.holds(sessions, tokenOf(7)) {
				t.Error("a token of an inactive user, or of another prefix, is good")
			}
			second := first
			second.New, second.Same = 0, 2
			run(false, second)
			do("DEL", keys+tokenOf(1)) // signed out there
			second.Read, second.Same, second.Ended = 5, 1, 1
			run(false, second)
			if x.holds(sessions, tokenOf(1)) || !x.holds(sessions, tokenOf(2)) {
				t.Error("who signed out is signed in, or the other way")
			}
		})
	}
}

// A lifetime of None has a year from the import, and others end when they would
// have ended.
func TestTokenLifetime(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	for _, kind := range kinds {
		for lifetime, want := range map[time.Duration]time.Time{
			fastapiusers.NeverExpire: now.Add(365 * 24 * time.Hour),
			time.Hour:                now.Add(50 * time.Minute),
			10 * time.Minute:         {}, // over
		} {
			s, x := newSource(t, kind, "INTEGER"), newTarget(t, kind, sqlstore.IntegerIDs)
			s.addUser(1, "ann@example.com")
			s.exec(`INSERT INTO accesstoken (token, user_id, created_at) VALUES (?, ?, ?)`, tokenOf(1), 1, "2026-12-31 23:50:00")
			report := x.mustRun(s, fastapiusers.Options{TokenLifetime: lifetime, Now: func() time.Time { return now }})
			session, _, err := x.db.ReadSession(t.Context(), usher.HashToken(tokenOf(1)))
			if want.IsZero() {
				if report.Tokens.Expired != 1 || err == nil {
					t.Errorf("%s, %v: %+v, %v", kind, lifetime, report.Tokens, err)
				}
			} else if err != nil || !session.ExpiresAt.Equal(want) {
				t.Errorf("%s, %v: %v, %v; want %v", kind, lifetime, session.ExpiresAt, err, want)
			}
		}
	}
}
