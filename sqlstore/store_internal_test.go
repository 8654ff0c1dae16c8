package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"usher"
)

type account struct {
	usher.User
	Plan string
}

// openAccounts opens a store with two connections that read.
func openAccounts(t *testing.T, options ...Option) *Store[account] {
	name := "file:" + filepath.Join(t.TempDir(), "test.db") + "?_foreign_keys=on"
	var pools [2]*sql.DB
	for i := range pools {
		db, err := sql.Open("sqlite", name)
		if err != nil {
			t.Fatal(err)
		}
		db.SetMaxOpenConns(1 + i)
		pools[i] = db
	}
	write, read := pools[0], pools[1]
	if _, err := Migrate(t.Context(), write, SQLite, options...); err != nil {
		t.Fatal(err)
	}
	if _, err := AddColumns[account](t.Context(), write, SQLite); err != nil {
		t.Fatal(err)
	}
	s, err := New[account](t.Context(), read, write, SQLite, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// No statement looks through a whole table (DEFECTS I).
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	t.Run("UUIDs", func(t *testing.T) { checkQueryPlans(t, openAccounts(t)) })
	t.Run("integers", func(t *testing.T) { checkQueryPlans(t, openAccounts(t, IntegerIDs)) })
}

func checkQueryPlans(t *testing.T, s *Store[account]) {
	reads, writes := s.queries()
	for _, queries := range []map[*statement]string{reads, writes} {
		for where, query := range queries {
			if where == &s.statements.ping || where == &s.statements.listMessages {
				continue // stop at the first row, and at the limit
			}
			steps := stepsOf(t, s.read, query)
			for _, step := range steps {
				// The batch of a sweep is a table of its own, and is scanned.
				if strings.HasPrefix(step, "SCAN") && step != "SCAN batch" && step != "SCAN CONSTANT ROW" {
					t.Errorf("%s:\n%s", query, step)
				}
			}
			if len(steps) == 0 && !strings.HasPrefix(query, "INSERT") {
				t.Errorf("%s: no plan", query)
			}
		}
	}
	// What is claimed and listed in an order is found in it.
	for _, st := range []*statement{&s.statements.dueMessages, &s.statements.listMessages, &s.statements.sweepUsedTokens} {
		query := reads[st] + writes[st]
		if steps := stepsOf(t, s.read, query); strings.Contains(strings.Join(steps, "\n"), "TEMP B-TREE") {
			t.Errorf("%s: sorts:\n%q", query, steps)
		}
	}
}

// stepsOf returns the steps in which SQLite would run a statement.
func stepsOf(t *testing.T, db *sql.DB, query string) (steps []string) {
	rows, err := db.Query("EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// Users are found by how their address begins, else in the order of their ids.
func TestSearchPlans(t *testing.T) {
	t.Parallel()
	t.Run("UUIDs", func(t *testing.T) {
		checkSearchPlans(t, openAccounts(t), "PRIMARY KEY (id>?)", "INDEX sqlite_autoindex_users_2")
	})
	t.Run("integers", func(t *testing.T) {
		checkSearchPlans(t, openAccounts(t, IntegerIDs), "INTEGER PRIMARY KEY (rowid>?)", "INDEX sqlite_autoindex_users_1")
	})
}

func checkSearchPlans(t *testing.T, s *Store[account], byID, byEmail string) {
	yes, when := true, time.Now()
	for i := range 1 << 6 {
		var q usher.UserQuery
		index := byID
		for bit, set := range []func(){
			func() { q.Email, index = "zo", byEmail+" (email_key>? AND email_key<?)" },
			func() { q.IsActive = &yes }, func() { q.IsSuperuser = &yes }, func() { q.IsVerified = &yes },
			func() { q.CreatedAfter = when }, func() { q.CreatedBefore = when },
		} {
			if i>>bit&1 == 1 {
				set()
			}
		}
		query, args := s.listQuery(q, s.syntax.ids.least)
		if len(args) != strings.Count(query, "?") {
			t.Errorf("%s: %d values", query, len(args))
		}
		if steps := stepsOf(t, s.read, query); steps[0] != "SEARCH u USING "+index {
			t.Errorf("%s: %q, want a search by %s", query, steps, index)
		}
	}
}

// Who waits for a connection does so no longer than his context allows.
func TestWaitingForAPlace(t *testing.T) {
	t.Parallel()
	s := openAccounts(t)
	if cap(s.places) != 2 {
		t.Fatalf("%d places, want one for each connection", cap(s.places))
	}
	for range cap(s.places) {
		if err := s.enter(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := s.UserByID(ctx, usher.NewID()); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("UserByID: %v", err)
	}
	if _, err := s.ListUsers(ctx, usher.UserQuery{Limit: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("ListUsers: %v", err)
	}
	// A transaction reads where it writes.
	inTx, cancelTx := context.WithTimeout(t.Context(), time.Second)
	defer cancelTx()
	if err := s.InTx(inTx, func(ctx context.Context) error {
		if _, err := s.UserByID(ctx, usher.NewID()); err != usher.ErrNotFound {
			return err
		}
		_, err := s.ListUsers(ctx, usher.UserQuery{Limit: 1})
		return err
	}); err != nil {
		t.Errorf("in a transaction: %v", err)
	}
	go s.leave()
	if _, err := s.UserByID(t.Context(), usher.NewID()); err != usher.ErrNotFound {
		t.Errorf("after one left: %v", err)
	}
	s.leave()
	if len(s.places) != 0 {
		t.Errorf("%d places are taken when nobody reads", len(s.places))
	}
}

func TestUpStatements(t *testing.T) {
	t.Parallel()
	got := upStatements(`-- a comment
-- +goose Up
-- another; comment
CREATE TABLE a (
    b TEXT, -- its comment; with a semicolon
    c TEXT
);
INSERT INTO a VALUES ('x;y', '');

-- +goose StatementBegin
CREATE TRIGGER t AFTER INSERT ON a BEGIN
    SELECT 1;
    SELECT 2;
END;
-- +goose StatementEnd
DROP TABLE last
-- +goose Down
DROP TABLE a;
`)
	want := []string{"CREATE TABLE a (", "INSERT INTO a VALUES ('x;y', '')", "CREATE TRIGGER t", "DROP TABLE last"}
	if len(got) != len(want) {
		t.Fatalf("%d statements, want %d: %q", len(got), len(want), got)
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) || strings.HasSuffix(got[i], ";") {
			t.Errorf("statement %d: %q", i, got[i])
		}
	}
}

// refusal is an error of PostgreSQL as drivers return it.
type refusal struct{ message, code string }

func (r refusal) Error() string    { return r.message + " (SQLSTATE " + r.code + ")" }
func (r refusal) SQLState() string { return r.code }

// PostgreSQL says what is double in the language of its server.
func TestDoubleInEveryLanguage(t *testing.T) {
	t.Parallel()
	y := postgresSyntax()
	for message, want := range map[string]bool{
		`ERROR: duplicate key value violates unique constraint "users_email_key_key"`:                    true,
		`FEHLER: doppelter Schlüsselwert verletzt Unique-Constraint »users_email_key_key«`:               true,
		`ERREUR: la valeur d'une clé dupliquée rompt la contrainte unique « users_email_key_key »`:       true,
		`ERROR: duplicate key value violates unique constraint "users_pkey"`:                             false,
		`ERROR: duplicate key value violates unique constraint "oauth_accounts_provider_account_id_key"`: false,
	} {
		if got := y.double(refusal{message, "23505"}, "users", "email_key"); got != want {
			t.Errorf("%s: %t", message, got)
		}
	}
}
