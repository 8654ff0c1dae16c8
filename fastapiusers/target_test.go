package fastapiusers_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"usher"
	"usher/fastapiusers"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/mysql"
	"usher/sqlstore/postgres"
	"usher/sqlstore/sqlite"
)

// User has the own column that the artefacts have.
type User struct {
	usher.User
	FirstName *string `json:"first_name" usher:"write"`
}

// target is an usher that imports write to.
type target struct {
	t       testing.TB
	address string
	db      *sqlstore.Store[User]
	to      fastapiusers.Target[User]

	problems []fastapiusers.Problem // of the last run
}

func newTarget(t testing.TB, kind string, options ...sqlstore.Option) *target {
	t.Helper()
	x := &target{t: t}
	var err error
	switch kind {
	case "sqlite":
		path := filepath.Join(t.TempDir(), "usher.db")
		x.address = "sqlite:" + path
		x.db, err = sqlite.Open[User](t.Context(), path, options...)
	case "postgres":
		x.address = testservices.Postgres(t)
		x.db, err = postgres.Open[User](t.Context(), x.address, options...)
	case "mysql":
		x.address = testservices.MariaDB(t)
		x.db, err = mysql.Open[User](t.Context(), x.address, options...)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = x.db.Close() })
	x.to = fastapiusers.Target[User]{Store: x.db, Sessions: x.db, IntegerIDs: len(options) > 0}
	return x
}

// run imports, with a ledger of its own as each process has.
func (x *target) run(ctx context.Context, s *source, options fastapiusers.Options) (fastapiusers.Report, error) {
	x.t.Helper()
	from, err := fastapiusers.Open(context.Background(), s.address, nil)
	if err != nil {
		x.t.Fatal(err)
	}
	defer from.Close()
	return x.runFrom(ctx, from, options)
}

func (x *target) runFrom(ctx context.Context, from *fastapiusers.Source, options fastapiusers.Options) (fastapiusers.Report, error) {
	x.t.Helper()
	ledger, err := fastapiusers.OpenLedger(context.Background(), x.address, options.DryRun)
	if err != nil {
		x.t.Fatal(err)
	}
	defer ledger.Close()
	x.to.Ledger, x.problems = ledger, nil
	if options.Problem == nil {
		options.Problem = func(p fastapiusers.Problem) { x.problems = append(x.problems, p) }
	}
	if options.TokenLifetime == 0 {
		options.TokenLifetime = tenYears
	}
	return fastapiusers.Import(ctx, from, x.to, options)
}

const tenYears = 315360000 * time.Second

// mustRun imports without an error.
func (x *target) mustRun(s *source, options fastapiusers.Options) fastapiusers.Report {
	x.t.Helper()
	report, err := x.run(x.t.Context(), s, options)
	if err != nil {
		x.t.Fatal(err)
	}
	return report
}

func (x *target) user(id usher.ID) *User {
	x.t.Helper()
	u, err := x.db.UserByID(x.t.Context(), id)
	if err != nil {
		x.t.Fatalf("user %s: %v", id, err)
	}
	return u
}

// change changes a user as usher would.
func (x *target) change(id usher.ID, f func(*User)) {
	x.t.Helper()
	before := x.user(id)
	after := *before
	f(&after)
	if err := x.db.UpdateUser(x.t.Context(), before, &after); err != nil {
		x.t.Fatal(err)
	}
}

// holds tells whether the token has a session.
func (x *target) holds(sessions usher.SessionStore, token string) bool {
	x.t.Helper()
	_, _, err := sessions.ReadSession(x.t.Context(), usher.HashToken(token))
	if err != nil && !errors.Is(err, usher.ErrNotFound) {
		x.t.Fatal(err)
	}
	return err == nil
}

// wantTokens fails the test unless the first n of fill's tokens have sessions.
func (x *target) wantTokens(n int) {
	x.t.Helper()
	for i := range n {
		if !x.holds(x.db, tokenOf(i)) {
			x.t.Fatalf("token %d is missing", i)
		}
	}
}

// reasons are those of the problems, by user.
func (x *target) reasons() map[string]string {
	reasons := map[string]string{}
	for _, p := range x.problems {
		reasons[p.ID] += p.Reason
	}
	return reasons
}
