package sqlstore_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"testing"

	"usher/sqlstore"
)

// A process that dies before any of the statements of a migration leaves a
// schema that the next one completes (FAULTS.md, F36): also on MySQL, which
// cannot take a change of the schema back.
func TestInterruptedMigrationGoesOn(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		fresh := e.raw(t, e.place(t))
		if _, err := sqlstore.Migrate(t.Context(), fresh, e.dialect); err != nil {
			t.Fatal(err)
		}
		want := schemaOf(t, e, fresh)
		for statements := 1; ; statements++ {
			address := e.place(t)
			db := e.raw(t, address)
			dying := sql.OpenDB(&mortal{db.Driver(), e.dsn(address), statements})
			_, died := sqlstore.Migrate(t.Context(), dying, e.dialect)
			dying.Close()
			if _, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil {
				t.Fatalf("after %d statements: %v", statements, err)
			}
			if got := schemaOf(t, e, db); got != want {
				t.Fatalf("after %d statements: schema:\n%s\nwant:\n%s", statements, got, want)
			}
			store, err := sqlstore.New[bare](t.Context(), db, db, e.dialect)
			if err != nil {
				t.Fatalf("after %d statements: %v", statements, err)
			}
			if err := store.Close(); err != nil {
				t.Error(err)
			}
			if died == nil {
				if statements < 10 {
					t.Errorf("only %d interruptions", statements)
				}
				return
			}
			if !errors.Is(died, errDied) {
				t.Fatalf("after %d statements it ended with %v", statements, died)
			}
		}
	})
}

var errDied = errors.New("died")

// mortal makes connections that end before a statement, with all that come after.
type mortal struct {
	driver     driver.Driver
	dsn        string
	statements int // that are yet to be run
}

func (m *mortal) Driver() driver.Driver { return m.driver }

func (m *mortal) Connect(context.Context) (driver.Conn, error) {
	if m.statements < 0 {
		return nil, errDied
	}
	conn, err := m.driver.Open(m.dsn)
	return mortalConn{conn, m}, err
}

type mortalConn struct {
	driver.Conn
	mortal *mortal
}

// ExecContext closes the connection without a ROLLBACK when its time has come.
func (c mortalConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.mortal.statements--; c.mortal.statements < 0 {
		return nil, errors.Join(errDied, c.Close())
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c mortalConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}
