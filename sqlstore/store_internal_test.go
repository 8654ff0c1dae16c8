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
func openAccounts(t *testing.T) *Store[account] {
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
	if _, err := Migrate(t.Context(), write, SQLite); err != nil {
		t.Fatal(err)
	}
	if _, err := AddColumns[account](t.Context(), write, SQLite); err != nil {
		t.Fatal(err)
	}
	s, err := New[account](t.Context(), read, write, SQLite)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// No statement looks through a whole table.
func TestQueryPlans(t *testing.T) {
	t.Parallel()
	s := openAccounts(t)
	reads, writes := s.queries()
	for _, queries := range []map[**sql.Stmt]string{reads, writes} {
		for where, query := range queries {
			if where == &s.statements.ping {
				continue // stops at the first row
			}
			args := make([]any, strings.Count(query, "?"))
			rows, err := s.read.Query("EXPLAIN QUERY PLAN "+query, args...)
			if err != nil {
				t.Fatal(err)
			}
			steps := 0
			for rows.Next() {
				var id, parent, unused int
				var step string
				if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
					t.Fatal(err)
				}
				// The batch of a sweep is a table of its own, and is scanned.
				if strings.HasPrefix(step, "SCAN") && step != "SCAN batch" {
					t.Errorf("%s:\n%s", query, step)
				}
				steps++
			}
			if err := rows.Err(); err != nil {
				t.Fatal(err)
			}
			if steps == 0 && !strings.HasPrefix(query, "INSERT") {
				t.Errorf("%s: no plan", query)
			}
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
