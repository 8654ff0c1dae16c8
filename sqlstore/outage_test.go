package sqlstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
)

// Connections that die while they are used yield right answers or errors: never
// somebody else's row, never "not found", and it goes on without a restart
// (FAULTS.md, P4, P5, P8, DEFECTS H).
func TestKilledConnections(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PostgreSQL", "MariaDB"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engines[name]
			address := e.place(t)
			db := e.raw(t, address)
			kill, used := killer(t, e, address)
			store := openAt[Member](t, e, used)
			const readers = 8
			var ids [readers]usher.ID
			for i := range ids {
				ids[i] = newMember(t, store, fmt.Sprintf("user%d@example.com", i)).ID
				newSession(t, store, ids[i], fmt.Sprint("token", i), time.Now().Add(time.Hour))
			}
			var answers, failures, killed atomic.Int64
			read := func(i int) {
				x, u, err := store.ReadSession(t.Context(), usher.HashToken(fmt.Sprint("token", i)))
				switch {
				case errors.Is(err, usher.ErrNotFound):
					t.Errorf("reader %d: %v", i, err)
				case err != nil:
					failures.Add(1)
				case x.UserID != ids[i] || u.(*Member).ID != ids[i]:
					t.Errorf("reader %d got the session of %s", i, x.UserID)
				default:
					answers.Add(1)
				}
				if list, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: 100}); err == nil && len(list) != readers {
					t.Errorf("reader %d was listed %d users", i, len(list))
				}
			}
			var done sync.WaitGroup
			var over atomic.Bool
			for i := range readers {
				done.Go(func() {
					for !over.Load() {
						read(i)
					}
				})
			}
			for range 20 {
				for _, id := range column(t, db, kill.list) {
					if _, err := db.Exec(fmt.Sprintf(kill.one, id)); err == nil { // else it is gone already
						killed.Add(1)
					}
				}
				before, deadline := answers.Load(), time.Now().Add(10*time.Second)
				for answers.Load() < before+2*readers {
					if time.Now().After(deadline) {
						over.Store(true)
						done.Wait()
						t.Fatal("the store does not recover")
					}
					time.Sleep(time.Millisecond)
				}
			}
			over.Store(true)
			done.Wait()
			t.Logf("%d answers, %d errors, %d connections killed", answers.Load(), failures.Load(), killed.Load())
			if killed.Load() < 20 {
				t.Errorf("%d connections were killed: the test shows nothing", killed.Load())
			}
		})
	}
}

// Who goes away in the middle of a query breaks the connection. It returns to the
// pool, and those who wait for one there do not notice (P6, F17).
func TestOthersGoAway(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PostgreSQL", "MariaDB"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engines[name]
			pool := e.raw(t, e.place(t))
			pool.SetMaxOpenConns(4)
			pool.SetMaxIdleConns(4)
			store, err := sqlstore.Open[Member](t.Context(), pool, pool, e.dialect)
			if err != nil {
				t.Fatal(err)
			}
			m := newMember(t, store, "a@example.com")
			newSession(t, store, m.ID, "token", time.Now().Add(time.Hour))
			calls := []func(context.Context) error{
				func(ctx context.Context) error { _, err := store.UserByID(ctx, m.ID); return err },
				func(ctx context.Context) error {
					_, _, err := store.ReadSession(ctx, usher.HashToken("token"))
					return err
				},
				func(ctx context.Context) error { _, err := store.ListSessions(ctx, m.ID); return err },
				func(ctx context.Context) error { _, err := store.ListUsers(ctx, usher.UserQuery{Limit: 1}); return err },
				func(ctx context.Context) error {
					return store.TouchSession(ctx, usher.HashToken("token"), time.Now(), time.Now().Add(time.Hour))
				},
				func(ctx context.Context) error {
					return store.InTx(ctx, func(ctx context.Context) error { _, err := store.UserByID(ctx, m.ID); return err })
				},
			}
			var over atomic.Bool
			var gone atomic.Int64
			var leaving, staying sync.WaitGroup
			for i := range 30 {
				leaving.Go(func() {
					for n := i; !over.Load(); n++ {
						ctx, cancel := context.WithTimeout(t.Context(), rand.N(2*time.Millisecond))
						if calls[n%len(calls)](ctx) != nil {
							gone.Add(1)
						}
						cancel()
					}
				})
			}
			for i := range 12 {
				staying.Go(func() {
					for n := i; n < i+50; n++ {
						if err := calls[n%len(calls)](t.Context()); err != nil {
							t.Errorf("call %d of one who stays: %v", n%len(calls), err)
						}
					}
				})
			}
			staying.Wait()
			over.Store(true)
			leaving.Wait()
			if gone.Load() == 0 {
				t.Error("nobody went away: the test shows nothing")
			}
		})
	}
}

// A store whose connections broke closes without a complaint: nothing is lost.
func TestCloseAfterAnOutage(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PostgreSQL", "MariaDB"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := engines[name]
			address := e.place(t)
			db := e.raw(t, address)
			db.SetMaxOpenConns(1) // the one that is not killed
			kill, used := killer(t, e, address)
			store, err := tryOpen[Member](e, used)
			if err != nil {
				t.Fatal(err)
			}
			// A connection with one prepared statement notices only when it says goodbye.
			three := func(context.Context) error {
				return store.InTx(t.Context(), func(context.Context) error { return store.Ping(t.Context()) })
			}
			if err := store.InTx(t.Context(), three); err != nil {
				t.Fatal(err)
			}
			connections := column(t, db, kill.list)
			for _, id := range connections {
				run(t, db, fmt.Sprintf(kill.one, id))
			}
			for deadline := time.Now().Add(10 * time.Second); len(column(t, db, kill.list)) > 0; {
				if time.Now().After(deadline) {
					t.Fatal("the connections do not end")
				}
				time.Sleep(time.Millisecond)
			}
			if err := store.Close(); err != nil || len(connections) < 3 {
				t.Errorf("Close: %v, with %d connections", err, len(connections))
			}
		})
	}
}

// kills are the statements that end a store's connections.
type kills struct{ list, one string }

// killer returns how to end the connections of a store, and the address that it
// is to be opened at.
func killer(t *testing.T, e engine, address string) (kills, string) {
	t.Helper()
	if e.dialect == sqlstore.MySQL {
		return kills{`SELECT id FROM information_schema.processlist WHERE db = database() AND id <> connection_id()`, `KILL %s`}, address
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	name := testservices.Prefix(t)
	q := u.Query()
	q.Set("application_name", name)
	u.RawQuery = q.Encode()
	return kills{`SELECT pid FROM pg_stat_activity WHERE application_name = '` + name + `'`, `SELECT pg_terminate_backend(%s)`}, u.String()
}
