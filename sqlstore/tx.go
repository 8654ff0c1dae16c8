package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"math/rand/v2"
	"time"
)

// InTx implements usher.Transactor: every method of the store that f calls with
// the context it is given takes part in the transaction, those that read too.
// InTx returns f's error as it is; it takes everything back also when f panics.
// A context without a deadline ends 5 seconds after the beginning. If the database
// ends the transaction because it stands in the way of another (a deadlock), or the
// connection turns out to be broken, f is called again, up to ten times: it should do
// nothing that cannot be repeated.
//
// In PostgreSQL an error of a statement ends the transaction: f must return it.
// usher.ErrEmailTaken of CreateUser, ErrAlreadyUsed and ErrOAuthAccountTaken do not.
//
// Calls with another context, such as the one that InTx was given, take no part,
// and in SQLite, where only one can write, those that write wait until the
// transaction is over: if f waits for them, until one of the contexts ends. So f
// should shadow the outer context, and do nothing slow, such as hashing a
// password or calling a server.
//
//	err := db.InTx(ctx, func(ctx context.Context) error {
//		if err := db.CreateUser(ctx, user); err != nil {
//			return err
//		}
//		return db.AddMessage(ctx, welcome)
//	})
func (s *Store[U]) InTx(ctx context.Context, f func(ctx context.Context) error) error {
	if s.Tx(ctx) != nil {
		return f(ctx)
	}
	if _, limited := ctx.Deadline(); !limited {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	return s.retry(ctx, func() error { return s.inTx(ctx, f) })
}

func (s *Store[U]) inTx(ctx context.Context, f func(ctx context.Context) error) error {
	tx, err := s.write.BeginTx(ctx, &sql.TxOptions{Isolation: s.syntax.isolation})
	if err != nil {
		return wrap("begin a transaction", err)
	}
	defer func() { _ = tx.Rollback() }() // which does nothing after Commit
	if s.syntax.lock != "" {
		if _, err := tx.ExecContext(ctx, s.syntax.lock); err != nil {
			return wrap("begin a transaction", err)
		}
	}
	if err := f(s.WithTx(ctx, tx)); err != nil {
		return err
	}
	err = tx.Commit()
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		err = ctx.Err() // for which database/sql took the transaction back
	}
	return wrap("commit", err)
}

// retry calls f up to ten times while it loses against other transactions, or is
// given connections that broke in other hands. database/sql goes on to the next
// connection too, but not often enough when many clients go away. Within a
// transaction there is nothing to repeat but all of it.
func (s *Store[U]) retry(ctx context.Context, f func() error) error {
	for n := 1; ; n++ {
		err := f()
		if err == nil || n == 10 || s.Tx(ctx) != nil || !errors.Is(err, driver.ErrBadConn) && !s.syntax.again(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(rand.N(time.Duration(n) * time.Millisecond)): // out of step with the others
		}
	}
}

// WithTx returns a context in which the store's methods, and with them usher's
// flows, take part in a transaction that the application began in the same
// database, and will commit or roll back. In SQLite its connection needs PRAGMA
// foreign_keys=ON, and it should begin with BEGIN IMMEDIATE.
func (s *Store[U]) WithTx(ctx context.Context, tx *sql.Tx) context.Context {
	return context.WithValue(ctx, s, tx)
}

// Tx returns the transaction that ctx is in, for the application's own statements,
// or nil.
func (s *Store[U]) Tx(ctx context.Context) *sql.Tx {
	tx, _ := ctx.Value(s).(*sql.Tx)
	return tx
}

// The statements of the store run in the transaction of ctx, if there is one.

// readRow scans the one row of a query. Its error is sql.ErrNoRows if there is none.
func (s *Store[U]) readRow(ctx context.Context, st *statement, key []any, targets ...any) error {
	return s.retry(ctx, func() error {
		if tx := s.Tx(ctx); tx != nil {
			return tx.QueryRowContext(ctx, st.text, key...).Scan(targets...)
		}
		return st.prepared.QueryRowContext(ctx, key...).Scan(targets...)
	})
}

func (s *Store[U]) query(ctx context.Context, st *statement, args ...any) (*sql.Rows, error) {
	if tx := s.Tx(ctx); tx != nil {
		return tx.QueryContext(ctx, st.text, args...)
	}
	return st.prepared.QueryContext(ctx, args...)
}

func (s *Store[U]) execute(ctx context.Context, st *statement, args ...any) (result sql.Result, err error) {
	err = s.retry(ctx, func() (err error) {
		switch tx := s.Tx(ctx); {
		case tx != nil:
			result, err = tx.ExecContext(ctx, st.text, args...)
		case st.prepared == nil:
			result, err = s.write.ExecContext(ctx, st.text, args...)
		default:
			result, err = st.prepared.ExecContext(ctx, args...)
		}
		return err
	})
	return result, s.syntax.discreet(err)
}

// runner runs statements that are not prepared: a *sql.DB or a *sql.Tx.
type runner interface {
	queryer
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// within returns the transaction of ctx, or db if there is none.
func (s *Store[U]) within(ctx context.Context, db *sql.DB) runner {
	if tx := s.Tx(ctx); tx != nil {
		return tx
	}
	return db
}
