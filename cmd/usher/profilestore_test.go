package main

import (
	"database/sql"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
)

// A database from before has users, but no column; what is not declared any more
// stays, and is not shown; a value of another type than declared now is not, either.
func TestProfileOfAnOlderDatabase(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	path := strings.TrimPrefix(c.Database, "sqlite:")
	old, err := sqlite.Open[struct{ usher.User }](t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	if err := old.Close(); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	columns := func() (n int) {
		t.Helper()
		if err := db.QueryRow(`SELECT count(*) FROM pragma_table_info('users') WHERE name = 'profile'`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if columns() != 0 {
		t.Fatal("the column is there already")
	}
	b := boot(t, c) // declares nothing
	if columns() != 1 {
		t.Fatal("the column was not added")
	}
	b.register("ada@example.com")
	if _, err := db.Exec(`UPDATE users SET profile = NULL`); err != nil { // as for the users of before
		t.Fatal(err)
	}
	restart := func(profile map[string]ProfileField) {
		t.Helper()
		if err := b.stop(); err != nil {
			t.Fatal(err)
		}
		c.Profile = profile
		b = boot(t, c)
	}
	is := func(want string) {
		t.Helper()
		if got := jsonOf(profileOf(t, b.want(200, "GET", "/users/me", "", "Cookie", b.cookie("ada@example.com")))); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	patch := func(profile string) {
		t.Helper()
		b.want(200, "PATCH", "/users/me", `{"profile": `+profile+`}`, "Cookie", b.cookie("ada@example.com"))
	}
	both := map[string]ProfileField{"name": {Type: "string", Access: "write", Default: "nobody"}, "size": {Type: "string", Access: "write"}}
	restart(both)
	is(`{"name":"nobody","size":null}`)
	patch(`{"name": "Ada", "size": "large"}`)
	restart(map[string]ProfileField{"size": {Type: "integer", Access: "write", Default: 7}})
	is(`{"size":7}`)
	patch(`{"size": 8}`)
	is(`{"size":8}`)
	restart(both)
	is(`{"name":"Ada","size":null}`)
}

// Two changes of one profile at the same time both happen: above all, a user cannot
// take back what a superuser has just set.
func TestProfileChangesOfTwo(t *testing.T) {
	t.Parallel()
	c := withProfile(t)
	db, err := openDatabase(t.Context(), c.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ada := &User{User: usher.User{Email: "ada@example.com", IsActive: true}}
	if err := db.CreateUser(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	change := func(before *User, profile string) error {
		after := *before
		after.Profile = map[string]json.RawMessage{}
		if err := json.Unmarshal([]byte(profile), &after.Profile); err != nil {
			t.Fatal(err)
		}
		return db.UpdateUser(t.Context(), before, &after)
	}
	if err := change(ada, `{"plan":"pro"}`); err != nil {
		t.Fatal(err)
	}
	if err := change(ada, `{"name":"Ada"}`); !errors.Is(err, usher.ErrConflict) {
		t.Errorf("a change of what is not there any more: %v", err)
	}

	// The library tries again.
	b := boot(t, c)
	b.register("bob@example.com")
	jwt := b.bearer("jwt", "bob@example.com")
	var all sync.WaitGroup
	for _, profile := range []string{`{"name": "Bob"}`, `{"age": 5}`, `{"weight": 6}`, `{"news": true}`} {
		all.Go(func() {
			if a := b.do("PATCH", "/users/me", `{"profile": `+profile+`}`, "Authorization", jwt); a.StatusCode != 200 {
				t.Errorf("%s: %d %s", profile, a.StatusCode, a.body)
			}
		})
	}
	all.Wait()
	got := profileOf(t, b.want(200, "GET", "/users/me", "", "Authorization", jwt))
	if got["name"] != "Bob" || got["age"] != 5.0 || got["weight"] != 6.0 || got["news"] != true {
		t.Errorf("got %v", got)
	}
}

// What one database keeps every one does, and gives back the same.
func TestProfileInEveryDatabase(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(t testing.TB) string{"PostgreSQL": testservices.Postgres, "MariaDB": testservices.MariaDB} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := withProfile(t)
			c.SecretFile = filepath.Join(t.TempDir(), "usher.secret")
			c.Mail.Folder = t.TempDir()
			c.Database = place(t)
			b := boot(t, c)
			deepest := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
			b.want(201, "POST", "/auth/register", registrationWith("ada@example.com", `{"name": "Ädä<\\", "age": 36, "options": `+deepest+`}`))
			jwt, cookie := b.bearer("jwt", "ada@example.com"), b.cookie("ada@example.com")
			b.want(200, "PATCH", "/users/me", `{"profile": {"motto": null, "weight": 1.5e-300, "born": "2026-01-02T03:04:05.123456Z"}}`, "Authorization", jwt)
			for _, header := range [][]string{{"Authorization", jwt}, {"Cookie", cookie}} {
				got := profileOf(t, b.want(200, "GET", "/users/me", "", header...))
				if got["name"] != `Ädä<\` || got["age"] != 36.0 || got["weight"] != 1.5e-300 || got["motto"] != nil ||
					got["born"] != "2026-01-02T03:04:05.123456Z" || jsonOf(got["options"]) != deepest {
					t.Errorf("%s: got %s", header[0], jsonOf(got))
				}
			}
			b.want(422, "PATCH", "/users/me", `{"profile": {"name": "\u0000"}}`, "Authorization", jwt)
		})
	}
}

// The SQL for operators makes the column as the server would.
func TestProfileColumnTypes(t *testing.T) {
	t.Parallel()
	for kind, columnType := range profileColumnTypes {
		script, err := sqlstore.Script(kind, 0)
		if err != nil {
			t.Fatal(err)
		}
		if kind != sqlstore.SQLite {
			continue // opened by the tests of their packages
		}
		c := testConfig(t)
		db, err := sql.Open("sqlite", strings.TrimPrefix(c.Database, "sqlite:"))
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.Exec(script + "ALTER TABLE users ADD COLUMN profile " + columnType); err != nil {
			t.Fatal(err)
		}
		if added, err := sqlstore.AddColumns[User](t.Context(), db, kind); err != nil || len(added) > 0 {
			t.Errorf("%s: added %v: %v", kind, added, err)
		}
		boot(t, c).register("ada@example.com")
	}
}
