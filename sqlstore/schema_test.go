package sqlstore_test

import (
	"slices"
	"strings"
	"testing"

	"usher"
	"usher/sqlstore"
)

func TestNewNamesEveryMismatch(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		types := map[sqlstore.Dialect]*strings.Replacer{
			sqlstore.SQLite:     strings.NewReplacer("{bytes}", "BLOB"),
			sqlstore.PostgreSQL: strings.NewReplacer("{bytes}", "bytea"),
			sqlstore.MySQL:      strings.NewReplacer("{bytes}", "LONGBLOB", "INTEGER", "int"),
		}[e.dialect]
		address := e.place(t)
		for what, test := range map[string]struct {
			change string
			want   []string // in the error; none: no error
		}{
			"as it should be":   {``, nil},
			"no sessions":       {`DROP TABLE sessions`, []string{"table sessions", "Migrate"}},
			"no tables":         {`DROP TABLE sessions; DROP TABLE oauth_accounts; DROP TABLE users`, []string{"table sessions", "table users", "Migrate"}},
			"from before epoch": {`ALTER TABLE users DROP COLUMN epoch`, []string{"users", "epoch", "Migrate"}},
			"no mail, no links": {`DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens`, []string{"table outbox", "table oauth_accounts", "table used_tokens", "Migrate"}},
			"tokens as text":    {`ALTER TABLE oauth_accounts DROP COLUMN access_token; ALTER TABLE oauth_accounts ADD COLUMN access_token TEXT`, []string{"oauth_accounts.access_token", "TEXT", "{bytes}"}},
			"custom column":     {`ALTER TABLE users DROP COLUMN plan`, []string{"users", "plan", "field Plan", "AddColumns"}},
			"both":              {`ALTER TABLE users DROP COLUMN plan; ALTER TABLE users DROP COLUMN first_name; ALTER TABLE sessions DROP COLUMN ip`, []string{"plan", "first_name", "sessions has no column ip"}},
			"base column":       {`ALTER TABLE users RENAME COLUMN hashed_password TO password`, []string{"hashed_password", "Migrate", "users.password"}},
			"type":              {`ALTER TABLE users DROP COLUMN plan; ALTER TABLE users ADD COLUMN plan INTEGER`, []string{"users.plan", "INTEGER", "TEXT"}},
			"another column":    {`ALTER TABLE users ADD COLUMN shoe_size INTEGER`, nil},
			"a table not usher": {`DROP TABLE sessions; DROP TABLE oauth_accounts; DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL)`,
				[]string{"email", "hashed_password", "users.name", "must be given", "users.id"}},
		} {
			db := e.raw(t, address)
			if _, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil {
				t.Fatal(err)
			}
			if _, err := sqlstore.AddColumns[Member](t.Context(), db, e.dialect); err != nil {
				t.Fatal(err)
			}
			if test.change != "" {
				run(t, db, test.change)
			}
			_, err := sqlstore.New[Member](t.Context(), db, db, e.dialect)
			if (err == nil) != (test.want == nil) {
				t.Fatalf("%s: error %v", what, err)
			}
			for _, want := range test.want {
				if want = types.Replace(want); !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(want)) {
					t.Errorf("%s: the error does not say %q:\n%v", what, want, err)
				}
			}
			address = e.place(t)
		}
	})
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
	onEach(t, func(t *testing.T, e engine) {
		before, db := openOn[bare](t, e)
		first := &bare{usher.User{Email: "old@example.com"}}
		if err := before.CreateUser(t.Context(), first); err != nil {
			t.Fatal(err)
		}
		run(t, db, `ALTER TABLE users ADD COLUMN title TEXT DEFAULT 'mine'`)

		added, err := sqlstore.AddColumns[Everything](t.Context(), db, e.dialect)
		if err != nil || !slices.Contains(added, "order") || slices.Contains(added, "title") {
			t.Fatalf("added %q, %v", added, err)
		}
		if again, err := sqlstore.AddColumns[Everything](t.Context(), db, e.dialect); err != nil || len(again) > 0 {
			t.Errorf("the second time added %q, %v", again, err)
		}
		store, err := sqlstore.New[Everything](t.Context(), db, db, e.dialect)
		if err != nil {
			t.Fatal(err)
		}
		old, err := store.UserByID(t.Context(), first.ID)
		if err != nil {
			t.Fatal(err)
		}
		want := &Everything{User: first.User, Title: "mine"}
		same(t, "a user from before the columns", old, want)
	})
}

// Two programs of which one knows more fields share a database: neither harms
// what it does not know.
func TestOldAndNewTogether(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		address := e.place(t)
		older := openAt[bare](t, e, address)
		newer := openAt[Member](t, e, address) // which adds columns
		m := newMember(t, newer, "new@example.com")
		m.Plan = "gold"
		if err := newer.UpdateUser(t.Context(), must(newer.UserByID(t.Context(), m.ID)), m); err != nil {
			t.Fatal(err)
		}
		before := must(older.UserByID(t.Context(), m.ID))
		after := *before
		after.Email = "changed@example.com"
		if err := older.UpdateUser(t.Context(), before, &after); err != nil {
			t.Fatal(err)
		}
		if got := must(newer.UserByID(t.Context(), m.ID)); got.Plan != "gold" || got.Email != after.Email {
			t.Errorf("changed by the older: %+v", got)
		}
		made := &bare{usher.User{Email: "old@example.com"}}
		if err := older.CreateUser(t.Context(), made); err != nil {
			t.Fatal(err)
		}
		if got := must(newer.UserByID(t.Context(), made.ID)); got.User != made.User || got.Plan != "" {
			t.Errorf("made by the older: %+v", got)
		}
	})
}

func TestAddColumnsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		address := e.place(t)
		openAt[bare](t, e, address)
		counts := make([]int, 8)
		together(t, len(counts), func(i int) error {
			added, err := sqlstore.AddColumns[Everything](t.Context(), e.raw(t, address), e.dialect)
			counts[i] = len(added)
			return err
		})
		slices.Sort(counts)
		if counts[len(counts)-1] == 0 || counts[len(counts)-2] != 0 {
			t.Errorf("columns added by each: %v, want all by one", counts)
		}
	})
}

func TestAddColumnsNeedsTheTable(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		db := e.raw(t, e.place(t))
		_, err := sqlstore.AddColumns[Member](t.Context(), db, e.dialect)
		if err == nil || !strings.Contains(err.Error(), "table users") || !strings.Contains(err.Error(), "Migrate") {
			t.Errorf("error %v", err)
		}
	})
}
