package usher_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
)

// onEachDatabase runs a test with a new store on every engine.
func onEachDatabase(t *testing.T, test func(t *testing.T, db *sqlstore.Store[User])) {
	onEach(t, func(t *testing.T, on engine) {
		db, err := on(t, &site{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		test(t, db)
	})
}

// told is what an application is told of flows, in order.
type told struct {
	mu   sync.Mutex
	list []string
}

func (l *told) add(what string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, what)
}

func (l *told) want(t *testing.T, when string, want ...string) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	if !slices.Equal(l.list, want) {
		t.Errorf("%s: the application was told %q, want %q", when, l.list, want)
	}
	l.list = nil
}

var errOfTheApplication = errors.New("the application's own error")

// newTransacting is an Auth over db that tells l of everything.
func newTransacting(t *testing.T, db *sqlstore.Store[User], l *told, hooks func(*usher.Hooks[User])) *usher.Auth[User] {
	t.Helper()
	h := usher.Hooks[User]{
		AfterRegister: func(ctx context.Context, u *User) {
			if _, err := db.UserByID(ctx, u.ID); err != nil || db.Tx(ctx) != nil {
				t.Errorf("AfterRegister: the user: %v, in a transaction: %t", err, db.Tx(ctx) != nil)
			}
			l.add("AfterRegister")
		},
		AfterUpdate: func(context.Context, *User, []string) { l.add("AfterUpdate") },
		AfterVerify: func(context.Context, *User) { l.add("AfterVerify") },
		AfterDelete: func(context.Context, *User) { l.add("AfterDelete") },
		OnEvent: func(_ context.Context, e usher.Event) {
			l.add(fmt.Sprint(e.Kind, " ", e.Err == nil))
		},
	}
	if hooks != nil {
		hooks(&h)
	}
	auth, err := usher.New(usher.Config[User]{
		Store: db, Outbox: db, Secret: linkSecret, Passwords: weakPasswords(), Logger: slog.New(slog.DiscardHandler), Hooks: h,
		Backends: []usher.Backend{{Name: "bearer", Transport: usher.Bearer{}, Strategy: db.Sessions(time.Hour)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// What flows and the application do in one transaction is all done, and told, or
// nothing.
func TestFlowsInOneTransaction(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db *sqlstore.Store[User]) {
		l := &told{}
		auth := newTransacting(t, db, l, nil)
		work := func(ctx context.Context, outcome error) error {
			user := &User{User: usher.User{Email: "ann@example.com"}}
			if err := auth.Register(ctx, user, goodPassword); err != nil {
				return err
			}
			if _, err := auth.UpdateUser(ctx, user.ID, usher.Change[User]{IsVerified: new(true)}); err != nil {
				return err
			}
			if _, _, err := auth.Login(ctx, "bearer", "ann@example.com", goodPassword, usher.Client{}); err != nil {
				return err
			}
			if _, err := db.Tx(ctx).ExecContext(ctx, `UPDATE users SET is_superuser = TRUE`); err != nil {
				return err
			}
			l.want(t, "before the end")
			return outcome
		}
		if err := auth.InTx(t.Context(), func(ctx context.Context) error { return work(ctx, errOfTheApplication) }); err != errOfTheApplication {
			t.Fatalf("InTx: %v", err)
		}
		l.want(t, "taken back")
		if messages, err := db.ListMessages(t.Context(), 9); err != nil || len(messages) > 0 {
			t.Errorf("taken back: %d mails, %v", len(messages), err)
		}
		if _, err := auth.UserByEmail(t.Context(), "ann@example.com"); err != usher.ErrNotFound {
			t.Errorf("taken back: the user: %v", err)
		}

		nested := func(ctx context.Context) error {
			return auth.InTx(ctx, func(ctx context.Context) error { return work(ctx, nil) })
		}
		if err := auth.InTx(t.Context(), nested); err != nil {
			t.Fatal(err)
		}
		l.want(t, "committed", "AfterRegister", "register true", "AfterUpdate", "update true", "login true")
		user, err := auth.UserByEmail(t.Context(), "ann@example.com")
		if err != nil || !user.IsSuperuser || !user.IsVerified {
			t.Fatalf("committed: %+v, %v", user, err)
		}
		if list, err := db.ListSessions(t.Context(), user.ID); err != nil || len(list) != 1 {
			t.Errorf("committed: %d sessions, %v", len(list), err)
		}
	})
}

// A transaction that the application began itself.
func TestJoin(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db *sqlstore.Store[User]) {
		l := &told{}
		auth := newTransacting(t, db, l, nil)
		for _, commit := range []bool{false, true} {
			err := db.InTx(t.Context(), func(ctx context.Context) error { // stands for the application's BeginTx
				tx := db.Tx(ctx)
				joined, committed := auth.Join(t.Context())
				joined = db.WithTx(joined, tx)
				if err := auth.Register(joined, &User{User: usher.User{Email: "ann@example.com"}}, goodPassword); err != nil {
					t.Error(err)
				}
				l.want(t, "before the end")
				if !commit {
					return tx.Rollback()
				}
				if err := tx.Commit(); err != nil {
					t.Error(err)
				}
				committed()
				l.want(t, "committed", "AfterRegister", "register true")
				committed() // again: nothing waits
				l.want(t, "committed twice")
				return nil
			})
			_, found := auth.UserByEmail(t.Context(), "ann@example.com")
			if want := map[bool]error{true: nil, false: usher.ErrNotFound}[commit]; found != want {
				t.Errorf("commit %t: the user: %v, want %v (%v)", commit, found, want, err)
			}
		}
	})
}

func TestInTxWithoutTransactions(t *testing.T) {
	t.Parallel()
	auth := newAuth(t, newMemory())
	if err := auth.InTx(t.Context(), func(context.Context) error { t.Error("called"); return nil }); err == nil {
		t.Error("no error")
	}
}

// During hooks write together with the change, and their veto takes it back.
func TestDuringHooks(t *testing.T) {
	onEachDatabase(t, func(t *testing.T, db *sqlstore.Store[User]) {
		l := &told{}
		veto := &usher.Error{Status: http.StatusConflict, Code: "NO_SEATS_LEFT"}
		var outcome error
		during := func(ctx context.Context, what string) error {
			tx := db.Tx(ctx)
			if tx == nil {
				t.Fatalf("%s: not in a transaction", what)
			}
			var users int
			if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM users`).Scan(&users); err != nil || users != 1 {
				t.Errorf("%s: %d users, %v", what, users, err)
			}
			l.add(what)
			if outcome == nil {
				return nil
			}
			if _, err := tx.ExecContext(ctx, `DELETE FROM outbox`); err != nil { // to be taken back
				t.Error(err)
			}
			if outcome == errOfTheApplication {
				panic(outcome)
			}
			return outcome
		}
		auth := newTransacting(t, db, l, func(h *usher.Hooks[User]) {
			h.OnEvent, h.AfterRegister = nil, nil
			h.DuringRegister = func(ctx context.Context, _ *User) error { return during(ctx, "DuringRegister") }
			h.DuringUpdate = func(ctx context.Context, before, after *User) error {
				if before.ID != after.ID || *before == *after {
					t.Errorf("DuringUpdate: %+v, %+v", before, after)
				}
				return during(ctx, "DuringUpdate")
			}
			h.DuringDelete = func(ctx context.Context, _ *User) error { return during(ctx, "DuringDelete") }
		})
		user := &User{User: usher.User{Email: "ann@example.com"}}
		var token string
		flows := []struct {
			name string
			call func() error
			told []string
		}{
			{"register", func() error { user.ID = ""; return auth.Register(t.Context(), user, goodPassword) }, []string{"DuringRegister"}},
			{"verify", func() error {
				messages, err := db.ListMessages(t.Context(), 1)
				if err != nil {
					return err
				}
				if token, err = auth.NewToken(t.Context(), messages[0]); err != nil {
					return err
				}
				_, err = auth.Verify(t.Context(), token)
				return err
			}, []string{"DuringUpdate", "AfterVerify"}},
			{"update", func() error {
				_, err := auth.UpdateUser(t.Context(), user.ID, usher.Change[User]{IsSuperuser: new(true)})
				return err
			}, []string{"DuringUpdate", "AfterUpdate"}},
			{"delete", func() error { return auth.DeleteUser(t.Context(), user.ID) }, []string{"DuringDelete", "AfterDelete"}},
		}
		for _, flow := range flows {
			for _, outcome = range []error{veto, errOfTheApplication} {
				before, mails := byEmail(t, auth), mailsIn(t, db)
				var refusal *usher.Error
				want := map[error]int{veto: 409, errOfTheApplication: 503}[outcome]
				if err := flow.call(); !errors.As(err, &refusal) || refusal.Status != want {
					t.Errorf("%s: %v, want a %d", flow.name, err, want)
				}
				l.want(t, flow.name+", vetoed", flow.told[0])
				if after := byEmail(t, auth); after != before || mailsIn(t, db) != mails {
					t.Errorf("%s, vetoed: %+v became %+v, %d mails %d", flow.name, before, after, mails, mailsIn(t, db))
				}
			}
			outcome = nil
			if err := flow.call(); err != nil {
				t.Fatalf("%s: %v", flow.name, err)
			}
			l.want(t, flow.name, flow.told...)
		}
	})
}

// byEmail is the state of the one user, or of nobody.
func byEmail(t *testing.T, auth *usher.Auth[User]) User {
	t.Helper()
	user, err := auth.UserByEmail(t.Context(), "ann@example.com")
	if err == usher.ErrNotFound {
		return User{}
	}
	if err != nil {
		t.Fatal(err)
	}
	return *user
}

func mailsIn(t *testing.T, db *sqlstore.Store[User]) int {
	t.Helper()
	messages, err := db.ListMessages(t.Context(), 99)
	if err != nil {
		t.Fatal(err)
	}
	return len(messages)
}
