package usher

import (
	"context"
	"errors"
	"sync"
)

// InTx calls f in a transaction of Config.Store, in which every flow that f calls
// with the context it is given takes part: all is done or nothing. After hooks and
// the events of success wait for the commit, and do not happen without it. The
// application's own statements join through the store (sqlstore's Tx returns the
// transaction):
//
//	err := auth.InTx(ctx, func(ctx context.Context) error {
//		if err := auth.Register(ctx, user, password); err != nil {
//			return err
//		}
//		_, err := db.Tx(ctx).ExecContext(ctx, `INSERT INTO orders …`, user.ID)
//		return err
//	})
//
// The store may call f again when it stands in the way of another transaction.
// Sessions and used tokens that other stores keep, such as those in Redis, are not
// taken back. A flow that hashes a password holds the transaction meanwhile, and
// SQLite lets nobody else write.
//
// The error is f's, or that the store has no transactions.
func (a *Auth[U]) InTx(ctx context.Context, f func(ctx context.Context) error) error {
	store, ok := a.config.Store.(Transactor)
	if !ok {
		return errors.New("usher: the store has no transactions")
	}
	if a.uncommitted(ctx) != nil { // whoever began it waits for the commit
		return store.InTx(ctx, f)
	}
	joined, committed := a.Join(ctx)
	err := store.InTx(joined, func(ctx context.Context) error {
		a.uncommitted(ctx).forget() // of a call that was taken back
		return f(ctx)
	})
	if err == nil {
		committed()
	}
	return err
}

// Join is InTx for a transaction that the application has begun itself, and will
// commit itself: hooks and events of flows in the joined context wait until
// committed is called, and do not happen if it never is.
//
//	joined, committed := auth.Join(ctx)
//	joined = db.WithTx(joined, tx) // db is a sqlstore.Store
//	err := auth.Register(joined, user, password)
//	…
//	if err := tx.Commit(); err == nil {
//		committed()
//	}
func (a *Auth[U]) Join(ctx context.Context) (joined context.Context, committed func()) {
	u := &uncommitted{after: ctx}
	return context.WithValue(ctx, uncommittedOf[U]{a}, u), u.commit
}

// uncommitted is what waits for a transaction to be committed.
type uncommitted struct {
	after context.Context // which has no transaction
	mu    sync.Mutex
	calls []func(ctx context.Context)
}

type uncommittedOf[U any] struct{ auth *Auth[U] }

// uncommitted returns what waits for the transaction of ctx, or nil.
func (a *Auth[U]) uncommitted(ctx context.Context) *uncommitted {
	u, _ := ctx.Value(uncommittedOf[U]{a}).(*uncommitted)
	return u
}

// whenCommitted calls f when the transaction of ctx is committed: now, if there is
// none. The context of f is not in the transaction.
func (a *Auth[U]) whenCommitted(ctx context.Context, f func(ctx context.Context)) {
	u := a.uncommitted(ctx)
	if u == nil {
		f(ctx)
		return
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = append(u.calls, f)
}

func (u *uncommitted) forget() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.calls = nil
}

func (u *uncommitted) commit() {
	u.mu.Lock()
	calls := u.calls
	u.calls = nil
	u.mu.Unlock()
	for _, f := range calls {
		f(u.after)
	}
}
