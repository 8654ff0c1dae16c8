package sqlstore_test

import (
	"context"
	"database/sql"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"usher"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
)

// newest is the migration that this program knows last.
func newest(t *testing.T) string {
	t.Helper()
	names := must(fs.Glob(sqlstore.Migrations(sqlstore.SQLite), "*.sql"))
	if len(names) == 0 {
		t.Fatal("no migrations")
	}
	return names[len(names)-1]
}

func TestMigrateTwice(t *testing.T) {
	t.Parallel()
	db := openRaw(t, filepath.Join(t.TempDir(), "test.db"))
	all := must(fs.Glob(sqlstore.Migrations(sqlstore.SQLite), "*.sql"))
	for i, want := range [][]string{all, nil, nil} {
		applied, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite)
		if err != nil || !slices.Equal(applied, want) {
			t.Errorf("run %d applied %q, %v; want %q", i+1, applied, err, want)
		}
	}
	if n := one[int](t, db, `SELECT count(*) FROM usher_migrations`); n != 1+len(all) {
		t.Errorf("%d rows of versions, want one of each and goose's 0", n)
	}
}

func TestOpenAtOnce(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "test.db")
	stores := make([]*sqlstore.Store[Member], 10)
	together(t, len(stores), func(i int) (err error) {
		stores[i], err = sqlite.Open[Member](context.Background(), path)
		return err
	})
	for _, store := range stores {
		if store == nil {
			continue
		}
		if _, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: 1}); err != nil {
			t.Error(err)
		}
		defer store.Close()
	}
	db := openRaw(t, path)
	if n := one[int](t, db, `SELECT count(*) FROM usher_migrations WHERE version_id = 1`); n != 1 {
		t.Errorf("migration 1 was applied %d times", n)
	}
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	db := openRaw(t, path)
	run(t, db, `INSERT INTO usher_migrations (version_id, is_applied) VALUES (99999, TRUE)`)
	_, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite)
	if err == nil || !strings.Contains(err.Error(), "99999") || !strings.Contains(err.Error(), "newer") {
		t.Errorf("Migrate: %v", err)
	}
	if _, err := sqlite.Open[Member](t.Context(), path); err == nil {
		t.Error("Open: no error")
	}
	// A program that is running goes on.
	if _, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: 1}); err != nil {
		t.Error(err)
	}
}

// A migration that fails leaves nothing behind, and can be run again.
func TestMigrationIsAllOrNothing(t *testing.T) {
	t.Parallel()
	db := openRaw(t, filepath.Join(t.TempDir(), "test.db"))
	run(t, db, `CREATE TABLE sessions (mine TEXT)`) // in the way of the second statement
	applied, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite)
	if err == nil || !strings.Contains(err.Error(), "00001_users_sessions.sql") || len(applied) > 0 {
		t.Fatalf("applied %q, %v; want an error that names the file", applied, err)
	}
	if n := one[int](t, db, `SELECT count(*) FROM sqlite_schema WHERE name = 'users'`); n != 0 {
		t.Error("half of the migration was applied")
	}
	run(t, db, `DROP TABLE sessions`)
	if _, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite); err != nil {
		t.Error(err)
	}
}

// The script is what Migrate does.
func TestScript(t *testing.T) {
	t.Parallel()
	for _, options := range [][]sqlstore.Option{nil, {sqlstore.IntegerIDs}} {
		script, err := sqlstore.Script(sqlstore.SQLite, 0, options...)
		if err != nil {
			t.Fatal(err)
		}
		byHand := openRaw(t, filepath.Join(t.TempDir(), "script.db"))
		run(t, byHand, script)
		migrated := openRaw(t, filepath.Join(t.TempDir(), "migrate.db"))
		if _, err := sqlstore.Migrate(t.Context(), migrated, sqlstore.SQLite, options...); err != nil {
			t.Fatal(err)
		}
		if got, want := schemaOf(t, byHand), schemaOf(t, migrated); got != want {
			t.Errorf("script:\n%s\nMigrate:\n%s", got, want)
		}
		if applied, err := sqlstore.Migrate(t.Context(), byHand, sqlstore.SQLite, options...); err != nil || len(applied) > 0 {
			t.Errorf("Migrate after the script applied %q, %v", applied, err)
		}
	}
	if rest := must(sqlstore.Script(sqlstore.SQLite, 99999)); strings.Contains(rest, "users") {
		t.Errorf("script after the last version:\n%s", rest)
	}
}

func schemaOf(t *testing.T, db *sql.DB) string {
	return one[string](t, db, `SELECT group_concat(sql, char(10)) FROM (SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name)`) +
		one[string](t, db, `SELECT group_concat(version_id || is_applied) FROM usher_migrations ORDER BY id`)
}

// goose takes a migration back by deleting its row, in older versions by
// another that is not applied.
func TestTakenBackByGoose(t *testing.T) {
	t.Parallel()
	for _, back := range []string{
		`DELETE FROM usher_migrations WHERE version_id = 1`,
		`INSERT INTO usher_migrations (version_id, is_applied) VALUES (1, FALSE)`,
	} {
		db := openRaw(t, filepath.Join(t.TempDir(), "test.db"))
		if _, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite); err != nil {
			t.Fatal(err)
		}
		run(t, db, `DROP TABLE sessions; DROP TABLE users; `+back)
		if applied, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite); err != nil || !slices.Contains(applied, newest(t)) && len(applied) == 0 {
			t.Errorf("%s: applied %q, %v", back, applied, err)
		}
	}
}

// A database of an older version gets what it lacks, and keeps what it has.
func TestMigrateAnOlderSchema(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	m := newMember(t, store, "a@example.com")
	db := openRaw(t, path)
	want := schemaOf(t, db)
	run(t, db, `DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens; DELETE FROM usher_migrations WHERE version_id > 1`)
	applied, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite)
	if err != nil || !slices.Equal(applied, []string{"00002_accounts.sql"}) {
		t.Fatalf("applied %q, %v", applied, err)
	}
	if got := schemaOf(t, db); got != want {
		t.Errorf("schema:\n%s\nwant:\n%s", got, want)
	}
	if _, err := store.UserByID(t.Context(), m.ID); err != nil {
		t.Error(err)
	}
}

func TestUnknownDialect(t *testing.T) {
	t.Parallel()
	db := openRaw(t, filepath.Join(t.TempDir(), "test.db"))
	for _, d := range []sqlstore.Dialect{"", "oracle", "../sqlite", "/"} {
		if _, err := sqlstore.Migrate(t.Context(), db, d); err == nil {
			t.Errorf("Migrate: %q is accepted", d)
		}
		if _, err := sqlstore.Script(d, 0); err == nil {
			t.Errorf("Script: %q is accepted", d)
		}
		if _, err := sqlstore.New[Member](t.Context(), db, db, d); err == nil {
			t.Errorf("New: %q is accepted", d)
		}
		if names, err := fs.Glob(sqlstore.Migrations(d), "*.sql"); err != nil || len(names) > 0 {
			t.Errorf("Migrations(%q): %q, %v", d, names, err)
		}
	}
}
