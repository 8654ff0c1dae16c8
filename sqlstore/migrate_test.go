package sqlstore_test

import (
	"database/sql"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"usher"
	"usher/sqlstore"
)

// makeOlder makes a schema as version 1 left it.
func makeOlder(t *testing.T, db *sql.DB) {
	t.Helper()
	run(t, db, `DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens; DELETE FROM usher_migrations WHERE version_id > 1`)
}

func TestMigrateTwice(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		db := e.raw(t, e.place(t))
		all := must(fs.Glob(sqlstore.Migrations(e.dialect), "*.sql"))
		for i, want := range [][]string{all, nil, nil} {
			applied, err := sqlstore.Migrate(t.Context(), db, e.dialect)
			if err != nil || !slices.Equal(applied, want) {
				t.Errorf("run %d applied %q, %v; want %q", i+1, applied, err, want)
			}
		}
		if n := one[int](t, db, `SELECT count(*) FROM usher_migrations WHERE is_applied = TRUE`); n != 1+len(all) {
			t.Errorf("%d rows of versions, want one of each and goose's 0", n)
		}
	})
}

func TestOpenAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		address := e.place(t)
		stores := make([]*sqlstore.Store[Member], 10)
		together(t, len(stores), func(i int) (err error) {
			stores[i], err = tryOpen[Member](e, address)
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
		all := must(fs.Glob(sqlstore.Migrations(e.dialect), "*.sql"))
		if n := one[int](t, e.raw(t, address), `SELECT count(*) FROM usher_migrations WHERE is_applied = TRUE`); n != 1+len(all) {
			t.Errorf("%d rows of versions, want one of each and goose's 0", n)
		}
	})
}

// FAULTS.md, F36: an old program does not start on what a new one made.
func TestNewerSchemaIsRefused(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		address := e.place(t)
		store, db := openAt[Member](t, e, address), e.raw(t, address)
		run(t, db, `INSERT INTO usher_migrations (version_id, is_applied) VALUES (99999, TRUE)`)
		_, err := sqlstore.Migrate(t.Context(), db, e.dialect)
		if err == nil || !strings.Contains(err.Error(), "99999") || !strings.Contains(err.Error(), "newer") {
			t.Errorf("Migrate: %v", err)
		}
		if _, err := tryOpen[Member](e, address); err == nil || !strings.Contains(err.Error(), "newer") {
			t.Errorf("Open: %v", err)
		}
		if _, err := sqlstore.New[Member](t.Context(), db, db, e.dialect); err == nil || !strings.Contains(err.Error(), "usher_migrations") || !strings.Contains(err.Error(), "newer") {
			t.Errorf("New: %v", err)
		}
		// A program that is running goes on.
		if _, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: 1}); err != nil {
			t.Error(err)
		}
	})
}

// A migration that fails leaves nothing behind, where a change of the schema can
// be taken back, and can be run again.
func TestMigrationIsAllOrNothing(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		db := e.raw(t, e.place(t))
		run(t, db, `CREATE TABLE sessions (mine INTEGER)`) // in the way of the second statement
		applied, err := sqlstore.Migrate(t.Context(), db, e.dialect)
		if err == nil || !strings.Contains(err.Error(), "00001_users_sessions.sql") || len(applied) > 0 {
			t.Fatalf("applied %q, %v; want an error that names the file", applied, err)
		}
		var users int
		if err := db.QueryRow(`SELECT count(*) FROM users`).Scan(&users); e.dialect != sqlstore.MySQL && err == nil {
			t.Error("half of the migration was applied")
		}
		run(t, db, `DROP TABLE sessions`)
		if _, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil {
			t.Error(err)
		}
		fresh := e.raw(t, e.place(t))
		if _, err := sqlstore.Migrate(t.Context(), fresh, e.dialect); err != nil {
			t.Error(err)
		}
		if got, want := schemaOf(t, e, db), schemaOf(t, e, fresh); got != want {
			t.Errorf("schema:\n%s\nwant:\n%s", got, want)
		}
	})
}

// A table of the application's is not taken for usher's.
func TestMigrateFindsAnothersTable(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		db := e.raw(t, e.place(t))
		run(t, db, `CREATE TABLE users (mine INTEGER); INSERT INTO users VALUES (7)`)
		for range 2 {
			if applied, err := sqlstore.Migrate(t.Context(), db, e.dialect); err == nil || !strings.Contains(err.Error(), "users") || !strings.Contains(err.Error(), "another program's?") || len(applied) > 0 {
				t.Errorf("applied %q, %v", applied, err)
			}
		}
		if mine := one[int](t, db, `SELECT mine FROM users`); mine != 7 {
			t.Errorf("mine is %d", mine)
		}
	})
}

// The script is what Migrate does.
func TestScript(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for _, options := range [][]sqlstore.Option{nil, {sqlstore.IntegerIDs}} {
			script, err := sqlstore.Script(e.dialect, 0, options...)
			if err != nil {
				t.Fatal(err)
			}
			byHand := e.raw(t, e.place(t))
			run(t, byHand, script)
			migrated := e.raw(t, e.place(t))
			if _, err := sqlstore.Migrate(t.Context(), migrated, e.dialect, options...); err != nil {
				t.Fatal(err)
			}
			if got, want := schemaOf(t, e, byHand), schemaOf(t, e, migrated); got != want {
				t.Errorf("script:\n%s\nMigrate:\n%s", got, want)
			}
			if applied, err := sqlstore.Migrate(t.Context(), byHand, e.dialect, options...); err != nil || len(applied) > 0 {
				t.Errorf("Migrate after the script applied %q, %v", applied, err)
			}
		}
		if rest := must(sqlstore.Script(e.dialect, 99999)); strings.Contains(rest, "users") {
			t.Errorf("script after the last version:\n%s", rest)
		}
	})
}

// schemaOf describes all tables, and which versions are applied.
func schemaOf(t *testing.T, e engine, db *sql.DB) string {
	t.Helper()
	lines := column(t, db, per{
		sqlstore.SQLite: `SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name`,
		sqlstore.PostgreSQL: `SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || ' ' || is_identity || ' ' ||
				coalesce(replace(column_default, current_schema(), ''), '') || ' ' || coalesce(collation_name, '')
				FROM information_schema.columns WHERE table_schema = current_schema()
			UNION SELECT replace(indexdef, current_schema(), '') FROM pg_indexes WHERE schemaname = current_schema()
			UNION SELECT conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = current_schema()::regnamespace ORDER BY 1`,
		sqlstore.MySQL: `SHOW TABLES`,
	}[e.dialect])
	if e.dialect == sqlstore.MySQL {
		for i, table := range lines {
			var text string
			if err := db.QueryRow(`SHOW CREATE TABLE `+table).Scan(&table, &text); err != nil {
				t.Fatal(err)
			}
			lines[i] = regexp.MustCompile(` AUTO_INCREMENT=\d+`).ReplaceAllString(text, "")
		}
	}
	return strings.Join(append(lines, column(t, db, `SELECT DISTINCT version_id FROM usher_migrations WHERE is_applied = TRUE ORDER BY version_id`)...), "\n")
}

// column reads a column of texts.
func column(t *testing.T, db *sql.DB, query string) (values []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			t.Fatal(err)
		}
		values = append(values, value)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return values
}

// goose takes a migration back by deleting its row, in older versions by
// another that is not applied.
func TestTakenBackByGoose(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for _, back := range []string{
			`DELETE FROM usher_migrations WHERE version_id = 2`,
			`INSERT INTO usher_migrations (version_id, is_applied) VALUES (2, FALSE)`,
		} {
			db := e.raw(t, e.place(t))
			if _, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil {
				t.Fatal(err)
			}
			want := schemaOf(t, e, db)
			run(t, db, `DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens; `+back)
			if applied, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil || !slices.Equal(applied, []string{"00002_accounts.sql"}) {
				t.Errorf("%s: applied %q, %v", back, applied, err)
			}
			if got := schemaOf(t, e, db); got != want {
				t.Errorf("%s: schema:\n%s\nwant:\n%s", back, got, want)
			}
		}
	})
}

// A database of an older version gets what it lacks, and keeps what it has.
func TestMigrateAnOlderSchema(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		want := schemaOf(t, e, db)
		makeOlder(t, db)
		applied, err := sqlstore.Migrate(t.Context(), db, e.dialect)
		if err != nil || !slices.Equal(applied, []string{"00002_accounts.sql"}) {
			t.Fatalf("applied %q, %v", applied, err)
		}
		if got := schemaOf(t, e, db); got != want {
			t.Errorf("schema:\n%s\nwant:\n%s", got, want)
		}
		if _, err := store.UserByID(t.Context(), m.ID); err != nil {
			t.Error(err)
		}
	})
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
