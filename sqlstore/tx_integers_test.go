package sqlstore_test

import (
	"context"
	"testing"

	"usher/sqlstore"
)

// Transactions are all or nothing where users are numbered, too: the number is
// given inside of one.
func TestInTxWithIntegerIDs(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e, sqlstore.IntegerIDs)
		if err := store.InTx(t.Context(), func(ctx context.Context) error { register(ctx, t, store); return errVeto }); err != errVeto {
			t.Error(err)
		}
		holds(t, "rolled back", db, 0)
		var m *Member
		if err := store.InTx(t.Context(), func(ctx context.Context) error { m = register(ctx, t, store); return nil }); err != nil {
			t.Fatal(err)
		}
		holds(t, "committed", db, 1)
		if err := store.InTx(t.Context(), func(ctx context.Context) error { unregister(ctx, t, store, m); return nil }); err != nil {
			t.Error(err)
		}
		holds(t, "deleted", db, 0)

		tx, err := db.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		register(store.WithTx(t.Context(), tx), t, store)
		if err := tx.Commit(); err != nil {
			t.Error(err)
		}
		holds(t, "committed by the application", db, 1)
	})
}
