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
		const made = "(table usher_migrations says that it was made): restore it"
		address := e.place(t)
		for what, test := range map[string]struct {
			change string
			want   []string // in the error; none: no error
		}{
			"as it should be":   {``, nil},
			"no sessions":       {`DROP TABLE sessions`, []string{"no table sessions", made}},
			"no tables":         {`DROP TABLE sessions; DROP TABLE oauth_accounts; DROP TABLE users`, []string{"table sessions", "table users", made}},
			"from before epoch": {`ALTER TABLE users DROP COLUMN epoch`, []string{"users", "epoch", made}},
			"no mail, no links": {`DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens`, []string{"table outbox", "table oauth_accounts", "table used_tokens", made}},
			"half of it":        {`DROP TABLE outbox; DROP TABLE oauth_accounts; DROP TABLE used_tokens; DELETE FROM usher_migrations WHERE version_id = 2`, []string{"table outbox", "table used_tokens", "run sqlstore.Migrate (usher migrate) first"}},
			"no versions":       {`DROP TABLE usher_migrations`, nil}, // the application may have its own
			"nothing":           {`DROP TABLE usher_migrations; DROP TABLE sessions; DROP TABLE oauth_accounts; DROP TABLE users`, []string{"table users: run sqlstore.Migrate"}},
			"tokens as text":    {`ALTER TABLE oauth_accounts DROP COLUMN access_token; ALTER TABLE oauth_accounts ADD COLUMN access_token TEXT`, []string{"oauth_accounts.access_token", "TEXT", "{bytes}", "usher migrate --print"}},
			"custom column":     {`ALTER TABLE users DROP COLUMN plan`, []string{"users", "plan", "field Plan", "AddColumns"}},
			"both":              {`ALTER TABLE users DROP COLUMN plan; ALTER TABLE users DROP COLUMN first_name; ALTER TABLE sessions DROP COLUMN ip`, []string{"plan", "first_name", "sessions has no column ip"}},
			"base column":       {`ALTER TABLE users RENAME COLUMN hashed_password TO password`, []string{"hashed_password", made, "users.password"}},
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

// Two may have no address, no token and no account that is one's: the database
// decides who is first, and only by its unique indexes. MariaDB has to compare them
// as they are, too, and not by the alphabet of some language.
func TestNewWantsWhatDecides(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		unique := "has no unique index of "
		for change, want := range map[string]string{
			per{
				sqlstore.SQLite: `PRAGMA foreign_keys = OFF; CREATE TABLE u AS SELECT * FROM users; DROP TABLE users; ALTER TABLE u RENAME TO users;
					CREATE UNIQUE INDEX some ON users (email_key) WHERE is_active`,
				sqlstore.PostgreSQL: `ALTER TABLE users DROP CONSTRAINT users_email_key_key; CREATE INDEX users_email_key_key ON users (email_key)`,
				sqlstore.MySQL:      `ALTER TABLE users DROP KEY users_email_key, ADD KEY users_email_key (email_key)`,
			}[e.dialect]: "table users " + unique + "email_key",
			per{
				sqlstore.SQLite:     `CREATE TABLE u AS SELECT * FROM used_tokens; DROP TABLE used_tokens; ALTER TABLE u RENAME TO used_tokens`,
				sqlstore.PostgreSQL: `ALTER TABLE used_tokens DROP CONSTRAINT used_tokens_pkey`,
				sqlstore.MySQL:      `ALTER TABLE used_tokens DROP PRIMARY KEY`,
			}[e.dialect]: "table used_tokens " + unique + "hash",
			per{
				sqlstore.SQLite:     `CREATE TABLE u AS SELECT * FROM oauth_accounts; DROP TABLE oauth_accounts; ALTER TABLE u RENAME TO oauth_accounts; CREATE UNIQUE INDEX more ON oauth_accounts (provider, account_id, email)`,
				sqlstore.PostgreSQL: `ALTER TABLE oauth_accounts DROP CONSTRAINT oauth_accounts_provider_account_id_key; CREATE UNIQUE INDEX more ON oauth_accounts (provider, account_id, email)`,
				sqlstore.MySQL:      `ALTER TABLE oauth_accounts DROP KEY oauth_accounts_account_id, ADD UNIQUE KEY more (provider, account_id, user_id)`,
			}[e.dialect]: "table oauth_accounts " + unique + "account_id and provider",
			per{sqlstore.PostgreSQL: `ALTER TABLE sessions ALTER COLUMN expires_at TYPE timestamptz(0)`, sqlstore.MySQL: `ALTER TABLE sessions MODIFY expires_at DATETIME NOT NULL`}[e.dialect]: "column sessions.expires_at is ",
			per{sqlstore.MySQL: `ALTER TABLE users CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci`}[e.dialect]:                                                                     "column users.email_key is varchar(320) COLLATE utf8mb4_general_ci",
			per{sqlstore.MySQL: `ALTER TABLE users CONVERT TO CHARACTER SET latin1 COLLATE latin1_bin`}[e.dialect]:                                                                              "column users.email is varchar(320) COLLATE latin1_bin",
		} {
			if change == "" {
				continue
			}
			db := e.raw(t, e.place(t))
			db.SetMaxOpenConns(1) // of which SQLite's PRAGMA is
			if _, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil {
				t.Fatal(err)
			}
			run(t, db, change)
			if _, err := sqlstore.New[bare](t.Context(), db, db, e.dialect); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, want %q", change, err, want)
			}
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
// what it does not know (FAULTS.md, F36).
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
