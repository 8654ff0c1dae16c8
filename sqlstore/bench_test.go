//go:build unix

package sqlstore_test

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"usher"
	"usher/sqlstore/sqlite"
)

// BenchmarkReadSession compares ReadSession with the bare work: the same joined
// query, prepared, through database/sql, into variables. The two take turns, so
// that a busy machine is equally busy for both; "ratio" is of their CPU times.
func BenchmarkReadSession(b *testing.B) {
	const users = 10_000
	path := filepath.Join(b.TempDir(), "bench.db")
	store, err := sqlite.Open[Member](b.Context(), path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	fill(b, path, users)

	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	bare, err := db.Prepare(`SELECT s.id, s.created_at, s.last_seen_at, s.expires_at, s.auth_time, s.methods, s.scopes, s.ip, s.user_agent, s.data,
		u.id, u.email, u.hashed_password, u.is_active, u.is_superuser, u.is_verified, u.epoch, u.created_at, u.updated_at, u.first_name, u.plan
		FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = ?`)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { bare.Close() })
	readBare := func(ctx context.Context, token usher.TokenHash) (usher.ID, error) {
		var text [10]string
		var times [6]int64
		var epoch int64
		var flags [3]bool
		var scopes *string
		err := bare.QueryRowContext(ctx, token[:]).Scan(&text[0], &times[0], &times[1], &times[2], &times[3], &text[1], &scopes, &text[2], &text[3], &text[4],
			&text[5], &text[6], &text[7], &flags[0], &flags[1], &flags[2], &epoch, &times[4], &times[5], &text[8], &text[9])
		return usher.ID(text[5]), err
	}
	readStore := func(ctx context.Context, token usher.TokenHash) (usher.ID, error) {
		session, _, err := store.ReadSession(ctx, token)
		return session.UserID, err
	}
	cancellable, cancel := context.WithCancel(b.Context())
	defer cancel()
	for name, ctx := range map[string]context.Context{
		"as in a request": cancellable, // where a context can end
		"background":      context.Background(),
	} {
		b.Run(name, func(b *testing.B) {
			var cost [2]time.Duration
			n := 0
			for range b.N {
				for way, read := range []func(context.Context, usher.TokenHash) (usher.ID, error){readBare, readStore} {
					start := cpuTime()
					for i := range 200 {
						user := (n + i) * 7919 % users
						id, err := read(ctx, benchToken(user))
						if err != nil || id != benchUser(user) {
							b.Fatalf("user %d: %s, %v", user, id, err)
						}
					}
					cost[way] += cpuTime() - start
				}
				n += 200
			}
			b.ReportMetric(float64(cost[0])/float64(n), "bare-cpu-ns/op")
			b.ReportMetric(float64(cost[1])/float64(n), "usher-cpu-ns/op")
			b.ReportMetric(float64(cost[1])/float64(cost[0]), "ratio")
			b.ReportMetric(0, "ns/op")
		})
	}
}

func benchUser(i int) usher.ID { return usher.ID(fmt.Sprintf("%08x-0000-7000-8000-000000000000", i)) }

func benchToken(i int) usher.TokenHash { return usher.HashToken(fmt.Sprint(i)) }

// fill writes users with a session each, past the store: that would sync each.
func fill(b *testing.B, path string, users int) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	tx, err := db.Begin()
	if err != nil {
		b.Fatal(err)
	}
	now := time.Now().UnixMicro()
	for i := range users {
		email, token := fmt.Sprintf("user%d@example.com", i), benchToken(i)
		if _, err := tx.Exec(`INSERT INTO users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at, first_name, plan)
			VALUES (?, ?, ?, '$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$aGFzaGhhc2hoYXNoaGFzaGhhc2hoYXNoaGFzaGhhc2g', 1, 0, 1, ?, ?, 'First', 'free')`,
			benchUser(i), email, email, now, now); err != nil {
			b.Fatal(err)
		}
		if _, err := tx.Exec(`INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, methods, scopes, ip, user_agent, data)
			VALUES (?, ?, ?, ?, ?, ?, ?, '["pwd"]', NULL, '192.0.2.1', 'Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0', '{}')`,
			token[:], usher.NewID(), benchUser(i), now, now, now, now); err != nil {
			b.Fatal(err)
		}
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}

// cpuTime is the time that this process has spent on processors.
func cpuTime() time.Duration {
	var usage syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &usage) != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
