package sqlstore_test

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
)

func TestNewNamesEveryMismatch(t *testing.T) {
	t.Parallel()
	for what, test := range map[string]struct {
		change string
		want   []string // in the error; none: no error
	}{
		"as it should be":   {``, nil},
		"no sessions":       {`DROP TABLE sessions`, []string{"table sessions", "Migrate"}},
		"no tables":         {`DROP TABLE sessions; DROP TABLE users`, []string{"table sessions", "table users", "Migrate"}},
		"from before epoch": {`ALTER TABLE users DROP COLUMN epoch`, []string{"users", "epoch", "Migrate"}},
		"no mail, no links": {`DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens`, []string{"table outbox", "table oauth_accounts", "table used_tokens", "Migrate"}},
		"tokens as text":    {`ALTER TABLE oauth_accounts DROP COLUMN access_token; ALTER TABLE oauth_accounts ADD COLUMN access_token TEXT`, []string{"oauth_accounts.access_token", "TEXT", "BLOB"}},
		"custom column":     {`ALTER TABLE users DROP COLUMN plan`, []string{"users", "plan", "field Plan", "AddColumns"}},
		"both":              {`ALTER TABLE users DROP COLUMN plan; ALTER TABLE users DROP COLUMN first_name; ALTER TABLE sessions DROP COLUMN ip`, []string{"plan", "first_name", "sessions has no column ip"}},
		"base column":       {`ALTER TABLE users RENAME COLUMN hashed_password TO password`, []string{"hashed_password", "Migrate", "users.password"}},
		"type":              {`ALTER TABLE users DROP COLUMN plan; ALTER TABLE users ADD COLUMN plan INTEGER`, []string{"users.plan", "INTEGER", "TEXT"}},
		"another column":    {`ALTER TABLE users ADD COLUMN shoe_size INTEGER`, nil},
		"a table not usher": {`DROP TABLE sessions; DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`, []string{"email", "hashed_password", "users.name", "must be given", "users.id"}},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			_, path := open[Member](t)
			db := openRaw(t, path)
			if test.change != "" {
				run(t, db, test.change)
			}
			_, err := sqlstore.New[Member](t.Context(), db, db, sqlstore.SQLite)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("error %v", err)
			}
			for _, want := range test.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("the error does not say %q:\n%v", want, err)
				}
			}
		})
	}
}

// Without foreign keys, which SQLite leaves out by default, a deleted user's
// sessions would stay.
func TestNewWantsForeignKeys(t *testing.T) {
	t.Parallel()
	_, path := open[Member](t)
	db := openRaw(t, path)
	db.SetMaxOpenConns(1)
	run(t, db, `PRAGMA foreign_keys = OFF`)
	_, err := sqlstore.New[Member](t.Context(), db, db, sqlstore.SQLite)
	if err == nil || !strings.Contains(err.Error(), "foreign_keys") {
		t.Errorf("error %v", err)
	}
}

type bare struct{ usher.User }

func TestAddColumns(t *testing.T) {
	t.Parallel()
	_, path := open[bare](t)
	db := openRaw(t, path)
	run(t, db, `INSERT INTO users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
		VALUES ('00000000-0000-7000-8000-000000000001', 'old@example.com', 'old@example.com', '', 1, 0, 0, 0, 0)`)
	run(t, db, `ALTER TABLE users ADD COLUMN title TEXT DEFAULT 'mine'`)

	added, err := sqlstore.AddColumns[Everything](t.Context(), db, sqlstore.SQLite)
	if err != nil || !slices.Contains(added, "order") || slices.Contains(added, "title") {
		t.Fatalf("added %q, %v", added, err)
	}
	if again, err := sqlstore.AddColumns[Everything](t.Context(), db, sqlstore.SQLite); err != nil || len(again) > 0 {
		t.Errorf("the second time added %q, %v", again, err)
	}
	store, err := sqlstore.New[Everything](t.Context(), db, db, sqlstore.SQLite)
	if err != nil {
		t.Fatal(err)
	}
	old, err := store.UserByID(t.Context(), "00000000-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	want := &Everything{User: old.User, Title: "mine"}
	want.CreatedAt, want.UpdatedAt = time.Unix(0, 0).UTC(), time.Unix(0, 0).UTC()
	same(t, "a user from before the columns", old, want)
}

func TestAddColumnsAtOnce(t *testing.T) {
	t.Parallel()
	_, path := open[bare](t)
	counts := make([]int, 8)
	together(t, len(counts), func(i int) error {
		added, err := sqlstore.AddColumns[Everything](t.Context(), openRaw(t, path), sqlstore.SQLite)
		counts[i] = len(added)
		return err
	})
	slices.Sort(counts)
	if counts[len(counts)-1] == 0 || counts[len(counts)-2] != 0 {
		t.Errorf("columns added by each: %v, want all by one", counts)
	}
}

func TestAddColumnsNeedsTheTable(t *testing.T) {
	t.Parallel()
	db := openRaw(t, filepath.Join(t.TempDir(), "test.db"))
	_, err := sqlstore.AddColumns[Member](t.Context(), db, sqlstore.SQLite)
	if err == nil || !strings.Contains(err.Error(), "table users") || !strings.Contains(err.Error(), "Migrate") {
		t.Errorf("error %v", err)
	}
}
