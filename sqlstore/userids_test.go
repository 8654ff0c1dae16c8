package sqlstore_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
)

func TestIntegerIDs(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e, sqlstore.IntegerIDs)
		for _, want := range []usher.ID{"1", "2", "3"} {
			if m := newMember(t, store, "user"+string(want)+"@example.com"); m.ID != want {
				t.Errorf("a new user got the id %s, want %s", m.ID, want)
			}
		}
		text, err := json.Marshal(must(store.UserByID(t.Context(), "3")))
		if err != nil || !strings.Contains(string(text), `"id":3,`) {
			t.Errorf("on the wire: %s, %v", text, err)
		}
		if got := one[int](t, db, `SELECT sum(id) FROM users`); got != 6 {
			t.Errorf("kept as numbers that sum up to %d", got)
		}

		// What belongs to a user goes with him.
		newSession(t, store, "3", "token", time.Now().Add(time.Hour))
		account := &usher.OAuthAccount{UserID: "3", Provider: "github", AccountID: "1"}
		if err := store.LinkOAuthAccount(t.Context(), account); err != nil {
			t.Fatal(err)
		}
		if x, u, err := store.ReadSession(t.Context(), usher.HashToken("token")); err != nil || x.UserID != "3" || u.(*Member).ID != "3" {
			t.Errorf("ReadSession: %+v, %+v, %v", x, u, err)
		}
		if list := must(store.ListSessions(t.Context(), "3")); len(list) != 1 || list[0].UserID != "3" {
			t.Errorf("ListSessions: %+v", list)
		}
		if got := must(store.OAuthAccount(t.Context(), "github", "1")); got.UserID != "3" {
			t.Errorf("OAuthAccount: %+v", got)
		}
		if err := store.DeleteUser(t.Context(), "3"); err != nil {
			t.Fatal(err)
		}
		if n := one[int](t, db, `SELECT (SELECT count(*) FROM sessions) + (SELECT count(*) FROM oauth_accounts)`); n != 0 {
			t.Errorf("%d rows are left of a user who was deleted", n)
		}
		if err := store.CreateSession(t.Context(), usher.HashToken("other"), usher.Session{ID: "s", UserID: "3"}); err != usher.ErrNotFound {
			t.Errorf("a session of a user who is gone: %v", err)
		}
	})
}

// A number names one user for ever, or old tokens would name another.
func TestNoNumberIsUsedAgain(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		address := e.place(t)
		seen := map[usher.ID]bool{}
		for i := range 3 {
			store, err := tryOpen[Member](e, address, sqlstore.IntegerIDs)
			if err != nil {
				t.Fatal(err)
			}
			for _, email := range []string{"a@example.com", "b@example.com"} {
				m := newMember(t, store, email)
				if seen[m.ID] {
					t.Errorf("run %d: the id %s a second time", i+1, m.ID)
				}
				seen[m.ID] = true
			}
			for id := range seen { // the newest too, and everybody
				if err := store.DeleteUser(t.Context(), id); err != nil && err != usher.ErrNotFound {
					t.Fatal(err)
				}
			}
			if err := store.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// Users from another database keep their numbers, and new ones come after them.
func TestGivenIntegerIDs(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e, sqlstore.IntegerIDs)
		for _, id := range []usher.ID{"9", "1000", "42", "999"} {
			m := &Member{User: usher.User{ID: id, Email: "user" + string(id) + "@example.com"}}
			if err := store.CreateUser(t.Context(), m); err != nil || m.ID != id {
				t.Errorf("CreateUser %s: %s, %v", id, m.ID, err)
			}
		}
		if m := newMember(t, store, "next@example.com"); m.ID != "1001" {
			t.Errorf("the next user got the id %s, want 1001", m.ID)
		}
		page := func(after usher.ID, limit int) (ids []usher.ID) {
			for _, m := range must(store.ListUsers(t.Context(), usher.UserQuery{After: after, Limit: limit})) {
				ids = append(ids, m.ID)
			}
			return ids
		}
		for after, want := range map[usher.ID][]usher.ID{
			"": {"9", "42", "999", "1000"}, "5": {"9", "42", "999", "1000"}, "9": {"42", "999", "1000", "1001"}, "999": {"1000", "1001"}, "1001": nil,
		} {
			if got := page(after, 4); !slices.Equal(got, want) {
				t.Errorf("ListUsers after %q: %q, want %q", after, got, want)
			}
		}

		last := usher.ID(fmt.Sprint(math.MaxInt64))
		if err := store.CreateUser(t.Context(), &Member{User: usher.User{ID: last, Email: "last@example.com"}}); err != nil {
			t.Error(err)
		}
		if err := store.CreateUser(t.Context(), &Member{User: usher.User{Email: "beyond@example.com"}}); err == nil || errors.Is(err, usher.ErrEmailTaken) {
			t.Errorf("a user after the last number: %v", err)
		}
	})
}

func TestIntegerIDsHaveOneSpelling(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e, sqlstore.IntegerIDs)
		if err := store.CreateUser(t.Context(), &Member{User: usher.User{ID: "42", Email: "a@example.com"}}); err != nil {
			t.Fatal(err)
		}
		newSession(t, store, "42", "token", time.Now().Add(time.Hour))
		for _, id := range []usher.ID{
			"042", "+42", "4 2", " 42", "42 ", "4_2", "42.0", "4.2e1", "0x2a", "-42", "0", "-0", "４２", "42\x00", "",
			"18446744073709551658", "9223372036854775808", "99999999999999999999", // 42 + 2⁶⁴, and others too large
			usher.NewID(), "00000000-0000-0000-0000-000000000042", "00000000-0000-0000-0000-00000000002a",
		} {
			what := fmt.Sprintf("%q", id)
			if m, err := store.UserByID(t.Context(), id); err != usher.ErrNotFound {
				t.Errorf("%s: UserByID: %v, %v", what, m, err)
			}
			before, after := &Member{User: usher.User{ID: id}}, &Member{User: usher.User{ID: id, IsSuperuser: true}}
			session := usher.Session{ID: "s", UserID: id}
			account := &usher.OAuthAccount{UserID: id, Provider: "p", AccountID: "a"}
			for call, err := range map[string]error{
				"UpdateUser":         store.UpdateUser(t.Context(), before, after),
				"DeleteUser":         store.DeleteUser(t.Context(), id),
				"CreateSession":      store.CreateSession(t.Context(), usher.HashToken("t"), session),
				"RevokeSession":      store.RevokeSession(t.Context(), id, "s"),
				"LinkOAuthAccount":   store.LinkOAuthAccount(t.Context(), account),
				"UnlinkOAuthAccount": store.UnlinkOAuthAccount(t.Context(), id, "a"),
			} {
				if err != usher.ErrNotFound {
					t.Errorf("%s: %s: %v", what, call, err)
				}
			}
			if n, err := store.RevokeSessions(t.Context(), id, ""); n != 0 || err != nil {
				t.Errorf("%s: RevokeSessions: %d, %v", what, n, err)
			}
			if list, err := store.ListSessions(t.Context(), id); len(list) > 0 || err != nil {
				t.Errorf("%s: ListSessions: %v, %v", what, list, err)
			}
			if list, err := store.OAuthAccounts(t.Context(), id); len(list) > 0 || err != nil {
				t.Errorf("%s: OAuthAccounts: %v, %v", what, list, err)
			}
			if id == "" { // the beginning of a list, and a user who wants a number
				continue
			}
			if list, err := store.ListUsers(t.Context(), usher.UserQuery{After: id, Limit: 9}); len(list) > 0 || err != usher.ErrNotFound {
				t.Errorf("%s: ListUsers: %v, %v", what, list, err)
			}
			given := Member{User: usher.User{ID: id, Email: "b@example.com"}}
			created := given
			if err := store.CreateUser(t.Context(), &created); err == nil || !strings.Contains(err.Error(), "positive integer") || created != given {
				t.Errorf("%s: CreateUser: %+v, %v", what, created, err)
			}
		}
	})
}

func TestIntegerIDsAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		address := e.place(t)
		store, second := openAt[Member](t, e, address, sqlstore.IntegerIDs), openAt[Member](t, e, address, sqlstore.IntegerIDs)
		members := make([]Member, 40)
		together(t, len(members), func(i int) error {
			if i%4 == 0 { // brings his own, the others get theirs
				members[i].ID = usher.ID(fmt.Sprint(1000 * (100 - i))) // with room for the others
			}
			members[i].Email = fmt.Sprintf("user%d@example.com", i)
			return []*sqlstore.Store[Member]{store, second}[i%2].CreateUser(t.Context(), &members[i])
		})
		if m := newMember(t, store, "next@example.com"); len(m.ID) < 6 {
			t.Errorf("the next user got the id %s, want one after 100000", m.ID)
		}
		for _, m := range members {
			if got, err := store.UserByID(t.Context(), m.ID); err != nil || got.Email != m.Email {
				t.Errorf("user %s: %+v, %v; want %s", m.ID, got, err, m.Email)
			}
		}
	})
}

// A database opened as if its ids were of the other kind stays as it is, even
// where it lacks migrations.
func TestOtherKindOfIDIsRefused(t *testing.T) {
	uuids, integers := []sqlstore.Option(nil), []sqlstore.Option{sqlstore.IntegerIDs}
	onEach(t, func(t *testing.T, e engine) {
		for what, test := range map[string]struct {
			is, opened []sqlstore.Option
			column     per // its type
			want       string
		}{
			"numbered": {integers, uuids, per{sqlstore.SQLite: "INTEGER", sqlstore.PostgreSQL: "bigint", sqlstore.MySQL: "bigint(20)"},
				"these users are numbered, so the option sqlstore.IntegerIDs is missing"},
			"not numbered": {uuids, integers, per{sqlstore.SQLite: "TEXT", sqlstore.PostgreSQL: "uuid", sqlstore.MySQL: "binary(16)"},
				"these users are not numbered, so the option sqlstore.IntegerIDs is wrong"},
		} {
			address, want := e.place(t), "column users.id is "+test.column[e.dialect]+": "+test.want
			openAt[Member](t, e, address, test.is...)
			db := e.raw(t, address)
			refused := func(call string, err error) {
				t.Helper()
				if err == nil || strings.Count(err.Error(), want) != 1 || strings.Contains(err.Error(), "\n") {
					t.Errorf("%s: %s: %v, want %q and nothing else", what, call, err, want)
				}
			}
			_, err := tryOpen[Member](e, address, test.opened...)
			refused("Open", err)
			_, err = sqlstore.New[Member](t.Context(), db, db, e.dialect, test.opened...)
			refused("New", err)

			makeOlder(t, db)
			schema := schemaOf(t, e, db)
			_, err = sqlstore.Migrate(t.Context(), db, e.dialect, test.opened...)
			refused("Migrate", err)
			if got := schemaOf(t, e, db); got != schema {
				t.Errorf("%s: the refused migration left:\n%s", what, got)
			}
			openAt[Member](t, e, address, test.is...)
		}
	})
}

// In SQLite only INTEGER is the row's number; any other type would leave the id
// NULL.
func TestIntegerIDsThatNobodyAssigns(t *testing.T) {
	t.Parallel()
	_, path := open[Member](t, sqlstore.IntegerIDs)
	db := openRaw(t, path)
	run(t, db, `DROP TABLE sessions; DROP TABLE oauth_accounts; DROP TABLE users; DELETE FROM usher_migrations;
		CREATE TABLE users (id BIGINT PRIMARY KEY, email TEXT, email_key TEXT UNIQUE, hashed_password TEXT, is_active INTEGER, is_superuser INTEGER,
			is_verified INTEGER, epoch INTEGER, created_at INTEGER, updated_at INTEGER, first_name TEXT, plan TEXT)`)
	_, err := sqlstore.New[Member](t.Context(), db, db, sqlstore.SQLite, sqlstore.IntegerIDs)
	if err == nil || !strings.Contains(err.Error(), "users.id is BIGINT") {
		t.Errorf("New: %v", err)
	}
}

// The files are for goose, which knows no placeholders.
func TestMigrationFiles(t *testing.T) {
	t.Parallel()
	for d, number := range (per{sqlstore.SQLite: "INTEGER", sqlstore.PostgreSQL: "bigint", sqlstore.MySQL: "BIGINT"}) {
		for _, options := range [][]sqlstore.Option{nil, {sqlstore.IntegerIDs}} {
			files := sqlstore.Migrations(d, options...)
			names := must(fs.Glob(files, "*.sql"))
			if len(names) != 2 {
				t.Errorf("%s: files %q", d, names)
			}
			for _, name := range names {
				text := string(must(fs.ReadFile(files, name)))
				if strings.ContainsAny(text, "{}") || !strings.HasPrefix(text, "-- +goose Up\n") || !strings.Contains(text, "\n-- +goose Down\n") {
					t.Errorf("%s: %s:\n%s", d, name, text)
				}
				if regexp.MustCompile(`\n    user_id +`+number+` +NOT NULL`).MatchString(text) != (options != nil) {
					t.Errorf("%s: %v: %s has the wrong kind of id:\n%s", d, options, name, text)
				}
			}
		}
	}
}

func TestUnknownOption(t *testing.T) {
	t.Parallel()
	db := openRaw(t, filepath.Join(t.TempDir(), "test.db"))
	const option sqlstore.Option = 7
	if _, err := sqlstore.Migrate(t.Context(), db, sqlstore.SQLite, option); err == nil {
		t.Error("Migrate accepts it")
	}
	if _, err := sqlstore.New[Member](t.Context(), db, db, sqlstore.SQLite, option); err == nil {
		t.Error("New accepts it")
	}
	if _, err := sqlstore.Script(sqlstore.SQLite, 0, option); err == nil {
		t.Error("Script accepts it")
	}
	if names, err := fs.Glob(sqlstore.Migrations(sqlstore.SQLite, option), "*.sql"); err != nil || len(names) > 0 {
		t.Errorf("Migrations: %q, %v", names, err)
	}
}
