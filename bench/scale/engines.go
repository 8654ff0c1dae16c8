package main

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"usher"
	"usher/redisstore"
	"usher/sqlstore/mysql"
	"usher/sqlstore/postgres"
	"usher/sqlstore/sqlite"
)

var engines = map[string]engine{"SQLite": onSQLite, "PostgreSQL": onPostgres, "MariaDB": onMariaDB, "Redis": onRedis}

// rowsPerStatement is how many rows one statement makes, where the database makes
// them itself.
const rowsPerStatement = 100_000

func onSQLite(ctx context.Context, folder string, size int) (*subject, error) {
	path := filepath.Join(folder, fmt.Sprint(size, ".db"))
	db, err := sqlite.Open[usher.User](ctx, path)
	if err != nil {
		return nil, err
	}
	fill, err := sql.Open("sqlite", "file:"+path+"?_foreign_keys=on&_synchronous=off&_busy_timeout=5000")
	if err != nil {
		return nil, err
	}
	defer fill.Close()
	filled := time.Now()
	now := filled.UnixMicro()
	users := func(tx *sql.Tx, i int) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
			VALUES (?1, ?2, ?2, 'x', 1, 0, 1, ?3, ?3)`, string(userID(i)), email(i), now)
		return err
	}
	sessions := func(expires int64, name string) func(tx *sql.Tx, i int) error {
		return func(tx *sql.Tx, i int) error {
			token := sha256.Sum256(fmt.Appendf(nil, "%s%038d", name, i))
			_, err := tx.ExecContext(ctx, `INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, methods, ip, user_agent)
				VALUES (?1, ?2, ?3, ?4, ?4, ?5, ?4, '["pwd"]', '127.0.0.1', 'scale')`, token[:], fmt.Sprint(name, i), string(userID(i%size)), now, expires)
			return err
		}
	}
	each := func(n int, insert func(tx *sql.Tx, i int) error) error {
		for from := 0; from < n; from += 10_000 {
			tx, err := fill.BeginTx(ctx, nil)
			if err != nil {
				return err
			}
			for i := from; i < min(n, from+10_000); i++ {
				if err := insert(tx, i); err != nil {
					return errors.Join(err, tx.Rollback())
				}
			}
			if err := tx.Commit(); err != nil {
				return err
			}
		}
		return nil
	}
	if err := errors.Join(each(size, users), each(size, sessions(now+86_400_000_000, "token"))); err != nil {
		return nil, err
	}
	s, err := subjectOf(db, size, filled)
	if err != nil {
		return nil, err
	}
	s.expire = func(ctx context.Context, n int) error {
		fill, err = sql.Open("sqlite", "file:"+path+"?_foreign_keys=on&_synchronous=off&_busy_timeout=5000")
		if err != nil {
			return err
		}
		defer fill.Close()
		return each(n, sessions(now-86_400_000_000, "expired"))
	}
	return s, nil
}

func onPostgres(ctx context.Context, _ string, size int) (*subject, error) {
	address, schema := os.Getenv("USHER_TEST_POSTGRES"), fmt.Sprintf("scale%d", size)
	if address == "" {
		return nil, errors.New("USHER_TEST_POSTGRES is not set")
	}
	fill, err := sql.Open("pgx", address)
	if err != nil {
		return nil, err
	}
	if _, err := fill.ExecContext(ctx, `DROP SCHEMA IF EXISTS `+schema+` CASCADE; CREATE SCHEMA `+schema); err != nil {
		return nil, err
	}
	db, err := postgres.Open[usher.User](ctx, address+"?search_path="+schema)
	if err != nil {
		return nil, err
	}
	filled := time.Now()
	const sessions = `INSERT INTO %[1]s.sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, methods, ip, user_agent)
		SELECT sha256(('%[2]s' || lpad(i::text, 38, '0'))::bytea), '%[2]s' || i, md5('user' || mod(i, %[3]d))::uuid, now(), now(), now() + interval '%[4]s', now(), '["pwd"]', '127.0.0.1', 'scale'
		FROM generate_series(%%d, %%d) i`
	err = inBatches(ctx, fill, size, fmt.Sprintf(`INSERT INTO %s.users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
		SELECT md5('user' || i)::uuid, 'user' || i || '@example.com', 'user' || i || '@example.com', 'x', TRUE, FALSE, TRUE, now(), now()
		FROM generate_series(%%d, %%d) i`, schema))
	if err == nil {
		err = inBatches(ctx, fill, size, fmt.Sprintf(sessions, schema, "token", size, "1 day"))
	}
	if err == nil {
		_, err = fill.ExecContext(ctx, `VACUUM ANALYZE `+schema+`.users; `)
	}
	if err == nil {
		_, err = fill.ExecContext(ctx, `VACUUM ANALYZE `+schema+`.sessions`)
	}
	if err != nil {
		return nil, err
	}
	s, err := subjectOf(db, size, filled)
	if err != nil {
		return nil, err
	}
	s.expire = func(ctx context.Context, n int) error {
		return inBatches(ctx, fill, n, fmt.Sprintf(sessions, schema, "expired", size, "-1 day"))
	}
	stop := s.close
	s.close = func() {
		stop()
		fill.Exec(`DROP SCHEMA ` + schema + ` CASCADE`)
		fill.Close()
	}
	return s, nil
}

func onMariaDB(ctx context.Context, _ string, size int) (*subject, error) {
	u, err := url.Parse(os.Getenv("USHER_TEST_MARIADB"))
	if err != nil || u.Host == "" {
		return nil, errors.New("USHER_TEST_MARIADB is not set to a URL")
	}
	password, _ := u.User.Password()
	fill, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)/?multiStatements=true", u.User.Username(), password, u.Host))
	if err != nil {
		return nil, err
	}
	// By default its cache holds 128 MB, and what would be measured is its misses.
	if _, err := fill.ExecContext(ctx, `SET GLOBAL innodb_buffer_pool_size = 4 << 30`); err != nil {
		return nil, fmt.Errorf("give MariaDB a cache of 4 GB: %w", err)
	}
	name := fmt.Sprintf("scale%d", size)
	if _, err := fill.ExecContext(ctx, `DROP DATABASE IF EXISTS `+name+`; CREATE DATABASE `+name); err != nil {
		return nil, err
	}
	u.Path = "/" + name
	db, err := mysql.Open[usher.User](ctx, u.String())
	if err != nil {
		return nil, err
	}
	filled := time.Now()
	// The engine SEQUENCE has a table for every series of numbers.
	const sessions = `INSERT INTO %[1]s.sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, methods, ip, user_agent)
		SELECT unhex(sha2(concat('%[2]s', lpad(seq, 38, '0')), 256)), concat('%[2]s', seq), unhex(md5(concat('user', mod(seq, %[3]d)))), utc_timestamp(6), utc_timestamp(6),
			utc_timestamp(6) + INTERVAL %[4]s, utc_timestamp(6), '["pwd"]', '127.0.0.1', 'scale' FROM %[1]s.seq_%%d_to_%%d`
	err = inBatches(ctx, fill, size, fmt.Sprintf(`INSERT INTO %[1]s.users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
		SELECT unhex(md5(concat('user', seq))), concat('user', seq, '@example.com'), concat('user', seq, '@example.com'), 'x', TRUE, FALSE, TRUE, utc_timestamp(6), utc_timestamp(6)
		FROM %[1]s.seq_%%d_to_%%d`, name))
	if err == nil {
		err = inBatches(ctx, fill, size, fmt.Sprintf(sessions, name, "token", size, "1 DAY"))
	}
	if err == nil {
		_, err = fill.ExecContext(ctx, `ANALYZE TABLE `+name+`.users, `+name+`.sessions`)
	}
	if err != nil {
		return nil, err
	}
	s, err := subjectOf(db, size, filled)
	if err != nil {
		return nil, err
	}
	s.expire = func(ctx context.Context, n int) error {
		return inBatches(ctx, fill, n, fmt.Sprintf(sessions, name, "expired", size, "-1 DAY"))
	}
	stop := s.close
	s.close = func() {
		stop()
		fill.Exec(`DROP DATABASE ` + name)
		fill.Close()
	}
	return s, nil
}

// inBatches runs a statement for each batch of the numbers from 0 to n, which
// stand in it as the first and the last.
func inBatches(ctx context.Context, db *sql.DB, n int, statement string) error {
	for from := 0; from < n; from += rowsPerStatement {
		if _, err := db.ExecContext(ctx, fmt.Sprintf(statement, from, min(n, from+rowsPerStatement)-1)); err != nil {
			return err
		}
	}
	return nil
}

func onRedis(ctx context.Context, _ string, size int) (*subject, error) {
	address := os.Getenv("USHER_TEST_REDIS")
	if address == "" {
		return nil, errors.New("USHER_TEST_REDIS is not set")
	}
	store, err := redisstore.Open(ctx, address, redisstore.Options{})
	if err != nil {
		return nil, err
	}
	users := bucketsOf(store, size)
	owner := func(i int, t usher.TokenHash) usher.ID { return users[t[0]][i%len(users[t[0]])] }
	create := func(ctx context.Context, i int, t usher.TokenHash, id string) error {
		x := session(i, owner(i, t), time.Now().Add(24*time.Hour))
		x.ID = id
		return store.CreateSession(ctx, t, x)
	}
	named := func(i int) usher.TokenHash { return usher.HashToken(fmt.Sprintf("%d token%d", size, i)) }
	news := func(i int) usher.TokenHash { return usher.HashToken(fmt.Sprintf("%d fresh%d", size, i)) }
	if err := together(size, func(i int) error { return create(ctx, i, named(i), fmt.Sprintf("%d-%d", size, i)) }); err != nil {
		return nil, err
	}
	signIn := func(ctx context.Context, i int) error { return create(ctx, i, news(i), freshID(i)) }
	signOut := func(ctx context.Context, i int) error { return store.DestroySession(ctx, news(i)) }
	read := func(ctx context.Context, i int) error { _, _, err := store.ReadSession(ctx, named(i)); return err }
	return &subject{
		size: size,
		operations: []operation{
			{"session by token", nil, read, nil},
			{"sign-in, without user and hash", nil, signIn, signOut},
			{"sign-out", signIn, signOut, nil},
			{"list of a user's sessions", nil, func(ctx context.Context, i int) error {
				_, err := store.ListSessions(ctx, owner(i, named(i)))
				return err
			}, nil},
		},
		close: store.Close,
	}, nil
}

// bucketsOf returns users by their bucket: as many as sessions, or nearly.
func bucketsOf(store *redisstore.Store, n int) map[byte][]usher.ID {
	buckets := map[byte][]usher.ID{}
	for i := 0; i < n || len(buckets) < 256; i++ {
		id := userID(i)
		for b := range 256 {
			if store.HoldsToken(id, usher.TokenHash{byte(b)}) {
				buckets[byte(b)] = append(buckets[byte(b)], id)
				break
			}
		}
	}
	return buckets
}

// together calls f for the numbers below n, some at a time.
func together(n int, f func(i int) error) error {
	var callers sync.WaitGroup
	const at = 64
	errs := make([]error, at)
	for c := range at {
		callers.Go(func() {
			for i := c; i < n && errs[c] == nil; i += at {
				errs[c] = f(i)
			}
		})
	}
	callers.Wait()
	return errors.Join(errs...)
}
