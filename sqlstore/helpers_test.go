package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/mysql"
	"usher/sqlstore/postgres"
	"usher/sqlstore/sqlite"
)

// Member is a user type as applications have it.
type Member struct {
	usher.User
	FirstName string `json:"first_name" usher:"write"`
	Plan      string `json:"plan" usher:"admin"`
	Transient string `db:"-"`
}

var (
	_ usher.UserStore[Member] = (*sqlstore.Store[Member])(nil)
	_ usher.SessionStore      = (*sqlstore.Store[Member])(nil)
	_ usher.OneTimeStore      = (*sqlstore.Store[Member])(nil)
	_ usher.OAuthAccountStore = (*sqlstore.Store[Member])(nil)
	_ usher.Outbox            = (*sqlstore.Store[Member])(nil)
	_ usher.Transactor        = (*sqlstore.Store[Member])(nil)
)

// engine is a database that the store runs on.
type engine struct {
	dialect sqlstore.Dialect
	driver  string
	// place makes a new database and returns its address.
	place func(t testing.TB) string
	// dsn is an address as the driver has it.
	dsn func(address string) string
}

var engines = map[string]engine{
	"SQLite": {
		sqlstore.SQLite, "sqlite",
		func(t testing.TB) string { return filepath.Join(t.TempDir(), "test.db") },
		func(path string) string { return "file:" + path + "?_busy_timeout=5000&_foreign_keys=on" },
	},
	"PostgreSQL": {sqlstore.PostgreSQL, "pgx", testservices.Postgres, func(url string) string { return url }},
	"MariaDB":    {sqlstore.MySQL, "mysql", testservices.MariaDB, testservices.DSN},
}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(t *testing.T, e engine)) {
	t.Parallel()
	for name, e := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// openAt opens the store at an address, which the test closes.
func openAt[U any, P usher.UserOf[U]](t testing.TB, e engine, address string, options ...sqlstore.Option) (store *sqlstore.Store[U]) {
	t.Helper()
	store, err := tryOpen[U, P](e, address, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	return store
}

func tryOpen[U any, P usher.UserOf[U]](e engine, address string, options ...sqlstore.Option) (*sqlstore.Store[U], error) {
	ctx := context.Background()
	switch e.dialect {
	case sqlstore.PostgreSQL:
		return postgres.Open[U, P](ctx, address, options...)
	case sqlstore.MySQL:
		return mysql.Open[U, P](ctx, address, options...)
	}
	return sqlite.Open[U, P](ctx, address, options...)
}

// openOn opens a new store, and its database past the store.
func openOn[U any, P usher.UserOf[U]](t testing.TB, e engine, options ...sqlstore.Option) (*sqlstore.Store[U], *sql.DB) {
	t.Helper()
	address := e.place(t)
	return openAt[U, P](t, e, address, options...), e.raw(t, address)
}

// openTwo opens one database twice, as two programs do, and once past the stores.
func openTwo(t *testing.T, e engine) (stores [2]*sqlstore.Store[Member], db *sql.DB) {
	t.Helper()
	address := e.place(t)
	return [2]*sqlstore.Store[Member]{openAt[Member](t, e, address), openAt[Member](t, e, address)}, e.raw(t, address)
}

// per is a statement that each dialect has in another form.
type per map[sqlstore.Dialect]string

// raw opens a database past the store.
func (e engine) raw(t testing.TB, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open(e.driver, e.dsn(address))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// open opens a new store in SQLite, and tells its path.
func open[U any, P usher.UserOf[U]](t testing.TB, options ...sqlstore.Option) (*sqlstore.Store[U], string) {
	t.Helper()
	path := engines["SQLite"].place(t)
	return openAt[U, P](t, engines["SQLite"], path, options...), path
}

// openRaw opens a file of SQLite past the store.
func openRaw(t testing.TB, path string) *sql.DB {
	t.Helper()
	return engines["SQLite"].raw(t, path)
}

func run(t testing.TB, db *sql.DB, query string, args ...any) {
	t.Helper()
	if _, err := db.Exec(query, args...); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

func one[T any](t testing.TB, db *sql.DB, query string, args ...any) (value T) {
	t.Helper()
	if err := db.QueryRow(query, args...).Scan(&value); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return value
}

func newMember(t testing.TB, store *sqlstore.Store[Member], email string) *Member {
	t.Helper()
	m := &Member{User: usher.User{Email: email, HashedPassword: "hash", IsActive: true}}
	if err := store.CreateUser(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	return m
}

func newSession(t testing.TB, store *sqlstore.Store[Member], user usher.ID, token string, expires time.Time) usher.Session {
	t.Helper()
	now := time.Now()
	x := usher.Session{ID: string(usher.NewID()), UserID: user, CreatedAt: now, LastSeenAt: now, ExpiresAt: expires, AuthTime: now}
	if err := store.CreateSession(t.Context(), usher.HashToken(token), x); err != nil {
		t.Fatal(err)
	}
	return x
}

// together calls f n times at once and counts the calls by which of the errors
// they returned (nil included). Other errors fail the test.
func together(t *testing.T, n int, f func(i int) error, known ...error) map[error]int {
	t.Helper()
	var ready, done sync.WaitGroup
	var mu sync.Mutex
	count := map[error]int{}
	ready.Add(1)
	for i := range n {
		done.Go(func() {
			ready.Wait()
			err := f(i)
			mu.Lock()
			defer mu.Unlock()
			for _, want := range append(known, nil) {
				if errors.Is(err, want) {
					count[want]++
					return
				}
			}
			t.Errorf("call %d: %v", i, err)
		})
	}
	ready.Done()
	done.Wait()
	return count
}
