package sqlstore_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
)

var errVeto = errors.New("veto")

// register does what usher's flows do in one transaction, and checks that every
// method sees it: all of them take part.
func register(ctx context.Context, t *testing.T, store *sqlstore.Store[Member]) *Member {
	t.Helper()
	ok := func(doing string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", doing, err)
		}
	}
	m := &Member{User: usher.User{Email: "a@example.com", IsActive: true}}
	ok("CreateUser", store.CreateUser(ctx, m))
	after := *m
	after.Epoch, after.Plan = 1, "gold"
	ok("UpdateUser", store.UpdateUser(ctx, m, &after))
	if err := store.UpdateUser(ctx, m, &after); err != usher.ErrConflict {
		t.Errorf("UpdateUser again: %v, want %v", err, usher.ErrConflict)
	}
	u, err := store.UserByID(ctx, m.ID)
	ok("UserByID", err)
	byEmail, err := store.UserByEmail(ctx, "a@example.com")
	ok("UserByEmail", err)
	if t.Failed() || *u != after || *byEmail != after {
		t.Fatalf("read %+v and %+v, want %+v", u, byEmail, after)
	}
	if list, err := store.ListUsers(ctx, usher.UserQuery{Email: "a", Limit: 9}); err != nil || len(list) != 1 {
		t.Errorf("ListUsers: %d users, %v", len(list), err)
	}

	token, now := usher.HashToken("token"), time.Now()
	ok("CreateSession", store.CreateSession(ctx, token, usher.Session{ID: "s", UserID: m.ID, ExpiresAt: now.Add(time.Hour)}))
	ok("TouchSession", store.TouchSession(ctx, token, now, now.Add(2*time.Hour)))
	_, _, err = store.ReadSession(ctx, token)
	ok("ReadSession", err)
	if list, err := store.ListSessions(ctx, m.ID); err != nil || len(list) != 1 {
		t.Errorf("ListSessions: %d sessions, %v", len(list), err)
	}

	ok("UseOnce", store.UseOnce(ctx, token, now))
	if err := store.UseOnce(ctx, token, now); err != usher.ErrAlreadyUsed {
		t.Errorf("UseOnce again: %v, want %v", err, usher.ErrAlreadyUsed)
	}
	a := &usher.OAuthAccount{UserID: m.ID, Provider: "github", AccountID: "1"}
	ok("LinkOAuthAccount", store.LinkOAuthAccount(ctx, a))
	ok("UpdateOAuthAccount", store.UpdateOAuthAccount(ctx, *a))
	_, err = store.OAuthAccount(ctx, "github", "1")
	ok("OAuthAccount", err)
	if list, err := store.OAuthAccounts(ctx, m.ID); err != nil || len(list) != 1 {
		t.Errorf("OAuthAccounts: %d accounts, %v", len(list), err)
	}
	ok("AddMessage", store.AddMessage(ctx, &usher.Message{Kind: usher.MailVerify, UserID: m.ID, DueAt: now}))
	if claimed, err := store.ClaimMessages(ctx, now, time.Minute, 9); err != nil || len(claimed) != 1 {
		t.Errorf("ClaimMessages: %d messages, %v", len(claimed), err)
	}
	if list, err := store.ListMessages(ctx, 9); err != nil || len(list) != 1 {
		t.Errorf("ListMessages: %d messages, %v", len(list), err)
	}
	ok("Ping", store.Ping(ctx))
	return m
}

// unregister takes back, with the methods that delete, what register did.
func unregister(ctx context.Context, t *testing.T, store *sqlstore.Store[Member], m *Member) {
	t.Helper()
	token, later := usher.HashToken("token"), time.Now().Add(time.Hour)
	messages := must(store.ListMessages(ctx, 1))
	account := must(store.OAuthAccount(ctx, "github", "1"))
	again := func() error {
		return store.CreateSession(ctx, token, usher.Session{ID: "s", UserID: m.ID})
	}
	one := func(n int, err error) error {
		if err == nil && n != 1 {
			err = fmt.Errorf("%d, want 1", n)
		}
		return err
	}
	for i, err := range []error{
		store.DelayMessage(ctx, messages[0].ID, later, "", false), store.DeleteMessage(ctx, messages[0].ID),
		store.UnlinkOAuthAccount(ctx, m.ID, account.ID), one(store.SweepUsedTokens(ctx, later, 9)),
		store.RevokeSession(ctx, m.ID, "s"), again(), one(store.RevokeSessions(ctx, m.ID, "")), again(),
		store.DestroySession(ctx, token), again(), one(store.SweepSessions(ctx, later, 9)), store.DeleteUser(ctx, m.ID),
	} {
		if err != nil {
			t.Errorf("call %d: %v", i, err)
		}
	}
}

// holds checks how many rows each table has.
func holds(t *testing.T, what string, db *sql.DB, want int) {
	t.Helper()
	for _, table := range []string{"users", "sessions", "used_tokens", "oauth_accounts", "outbox"} {
		if n := one[int](t, db, `SELECT count(*) FROM `+table); n != want {
			t.Errorf("%s: %d rows in %s, want %d", what, n, table, want)
		}
	}
}

func TestInTxCommits(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		var m *Member
		err := store.InTx(t.Context(), func(ctx context.Context) error {
			if _, limited := ctx.Deadline(); !limited {
				t.Error("a transaction could go on for ever")
			}
			m = register(ctx, t, store)
			holds(t, "before the end", db, 0)
			if _, err := store.UserByID(t.Context(), m.ID); err != usher.ErrNotFound {
				t.Errorf("who is not in the transaction reads: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		holds(t, "committed", db, 1)
		if err := store.InTx(t.Context(), func(ctx context.Context) error { unregister(ctx, t, store, m); return nil }); err != nil {
			t.Error(err)
		}
		holds(t, "deleted", db, 0)
	})
}

// Who knows that a transaction takes longer, as an import does, says so.
func TestInTxKeepsItsDeadline(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		want, _ := ctx.Deadline()
		err := store.InTx(ctx, func(ctx context.Context) error {
			if got, _ := ctx.Deadline(); !got.Equal(want) {
				t.Errorf("the deadline is %v, want %v", got, want)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func TestInTxRollsBack(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		if err := store.InTx(t.Context(), func(ctx context.Context) error { register(ctx, t, store); return errVeto }); err != errVeto {
			t.Errorf("an error: %v, want it as it was", err)
		}
		holds(t, "an error", db, 0)

		func() {
			defer func() {
				if p := recover(); p != "oh no" {
					t.Errorf("a panic: recovered %v", p)
				}
			}()
			_ = store.InTx(t.Context(), func(ctx context.Context) error { register(ctx, t, store); panic("oh no") })
		}()
		holds(t, "a panic", db, 0)

		ctx, cancel := context.WithCancel(t.Context())
		err := store.InTx(ctx, func(ctx context.Context) error { register(ctx, t, store); cancel(); return nil })
		if !errors.Is(err, context.Canceled) && !errors.Is(err, sql.ErrTxDone) {
			t.Errorf("a client that left: %v", err)
		}
		holds(t, "a client that left", db, 0)

		// And whoever comes late, or keeps the context, does no harm.
		var late context.Context
		if err := store.InTx(t.Context(), func(ctx context.Context) error { late = ctx; return nil }); err != nil {
			t.Errorf("after all that: %v", err)
		}
		if err := store.CreateUser(late, &Member{User: usher.User{Email: "late@example.com"}}); err == nil {
			t.Error("a call after the transaction: no error")
		}
		holds(t, "a call after the transaction", db, 0)
	})
}

// A transaction whose context ends is taken back, and InTx says why.
func TestInTxEndsWithItsContext(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		ctx, giveUp := context.WithCancel(t.Context())
		err := store.InTx(ctx, func(ctx context.Context) error {
			m := &Member{User: usher.User{Email: "a@example.com"}}
			if err := store.CreateUser(ctx, m); err != nil {
				return err
			}
			giveUp()
			for { // until it is taken back
				if _, err := store.Tx(ctx).ExecContext(t.Context(), `SELECT 1`); errors.Is(err, sql.ErrTxDone) {
					return nil
				}
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("InTx: %v", err)
		}
		if _, err := store.UserByEmail(t.Context(), "a@example.com"); err != usher.ErrNotFound {
			t.Errorf("the user: %v", err)
		}
	})
}

func TestInTxJoins(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		nested := func(outcome error) error {
			return store.InTx(t.Context(), func(ctx context.Context) error {
				if err := store.InTx(ctx, func(ctx context.Context) error { register(ctx, t, store); return nil }); err != nil {
					t.Errorf("the inner one: %v", err)
				}
				holds(t, "after the inner one", db, 0)
				return outcome
			})
		}
		if err := nested(errVeto); err != errVeto {
			t.Error(err)
		}
		holds(t, "the outer one fails", db, 0)
		if err := nested(nil); err != nil {
			t.Error(err)
		}
		holds(t, "the outer one commits", db, 1)
	})
}

// An application runs usher's methods in its own transaction.
func TestWithTx(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		run(t, db, `CREATE TABLE orders (users INTEGER NOT NULL)`)
		for _, commit := range []bool{false, true} {
			tx, err := db.BeginTx(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			ctx := store.WithTx(t.Context(), tx)
			m := register(ctx, t, store)
			if _, err := tx.Exec(`INSERT INTO orders SELECT count(*) FROM users`); err != nil {
				t.Error(err)
			}
			if err := store.InTx(ctx, func(context.Context) error { return nil }); err != nil {
				t.Error(err)
			}
			if _, err := store.UserByID(t.Context(), m.ID); err != usher.ErrNotFound {
				t.Errorf("before the application commits: %v", err)
			}
			want := 0
			if commit {
				want, err = 1, tx.Commit()
			} else {
				err = tx.Rollback()
			}
			if err != nil {
				t.Error(err)
			}
			holds(t, fmt.Sprintf("commit %t", commit), db, want)
			if n := one[int](t, db, `SELECT coalesce(sum(users), 0) FROM orders`); n != want {
				t.Errorf("commit %t: the order saw %d users", commit, n)
			}
		}
		// A transaction of one store is nothing to another.
		other, _ := openOn[Member](t, e)
		err := store.InTx(t.Context(), func(ctx context.Context) error {
			newMember(t, other, "b@example.com")
			_, err := other.UserByEmail(ctx, "b@example.com")
			return err
		})
		if err != nil {
			t.Error(err)
		}
	})
}

// Calls with the outer context take no part. Those that write wait, and are told.
func TestOuterContext(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		outer, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		err := store.InTx(t.Context(), func(ctx context.Context) error {
			after := *m
			after.Epoch = 1
			if err := store.UpdateUser(ctx, m, &after); err != nil {
				t.Error(err)
			}
			if u, err := store.UserByID(outer, m.ID); err != nil || u.Epoch != 0 {
				t.Errorf("a read: %+v, %v; want the user as before", u, err)
			}
			other := *m
			other.Plan = "gold"
			if err := store.UpdateUser(outer, m, &other); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a write: %v", err)
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		if u := must(store.UserByID(t.Context(), m.ID)); u.Epoch != 1 || u.Plan != "" {
			t.Errorf("user %+v", u)
		}
	})
}

// addOne reads and then writes, in one transaction.
func addOne(ctx context.Context, store *sqlstore.Store[Member], id usher.ID) error {
	return store.InTx(ctx, func(ctx context.Context) error {
		before, err := store.UserByID(ctx, id)
		if err != nil {
			return err
		}
		time.Sleep(time.Millisecond) // so that others come in between, if they can
		after := *before
		after.Epoch++
		return store.UpdateUser(ctx, before, &after)
	})
}

// What transactions read and then write is not lost, in all programs together:
// who came too late is told.
func TestNoLostUpdate(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		stores, _ := openTwo(t, e)
		m := newMember(t, stores[0], "a@example.com")
		const calls = 32
		count := together(t, calls, func(i int) error { return addOne(t.Context(), stores[i%2], m.ID) }, usher.ErrConflict)
		epoch := must(stores[0].UserByID(t.Context(), m.ID)).Epoch
		if count[nil] == 0 || int(epoch) != count[nil] || count[nil]+count[usher.ErrConflict] != calls {
			t.Errorf("%v, epoch %d; want as many as succeeded", count, epoch)
		}
	})
}

// Two transactions that wait for each other are ended by the database, one of
// them, and that one is repeated.
func TestDeadlocksAreRepeated(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"PostgreSQL", "MariaDB"} { // in SQLite they take turns
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			stores, _ := openTwo(t, engines[name])
			members := [2]*Member{newMember(t, stores[0], "a@example.com"), newMember(t, stores[0], "b@example.com")}
			locked := [2]chan struct{}{make(chan struct{}), make(chan struct{})}
			var attempts [2]int
			together(t, 2, func(i int) error {
				return stores[i].InTx(t.Context(), func(ctx context.Context) error {
					change := func(m *Member) error {
						after := *m
						after.Plan = fmt.Sprint(i)
						return stores[i].UpdateUser(ctx, m, &after)
					}
					if err := change(members[i]); err != nil {
						return err
					}
					if attempts[i]++; attempts[i] == 1 {
						close(locked[i])
						<-locked[1-i]
					}
					return change(members[1-i])
				})
			})
			if attempts[0]+attempts[1] < 3 {
				t.Errorf("%d attempts: there was no deadlock", attempts)
			}
			first, second := must(stores[0].UserByID(t.Context(), members[0].ID)), must(stores[0].UserByID(t.Context(), members[1].ID))
			if first.Plan == "" || first.Plan != second.Plan {
				t.Errorf("%+v and %+v are of two transactions", first, second)
			}
		})
	}
}

// In SQLite transactions that read and then write wait for each other, in all
// programs that have the file open, and however these begin transactions.
func TestTransactionsTakeTurns(t *testing.T) {
	t.Parallel()
	first, path := open[Member](t)
	m := newMember(t, first, "a@example.com")
	second := openAt[Member](t, engines["SQLite"], path)
	third, err := sqlstore.New[Member](t.Context(), openRaw(t, path), openRaw(t, path), sqlstore.SQLite) // BEGIN is DEFERRED there
	if err != nil {
		t.Fatal(err)
	}
	defer third.Close()
	const calls = 24
	count := together(t, calls, func(i int) error {
		return addOne(t.Context(), []*sqlstore.Store[Member]{first, second, third}[i%3], m.ID)
	})
	if epoch := must(first.UserByID(t.Context(), m.ID)).Epoch; count[nil] != calls || epoch != calls {
		t.Errorf("%v succeeded, epoch %d; want %d", count, epoch, calls)
	}
}
