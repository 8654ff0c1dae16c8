package sqlstore_test

import (
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
	"usher/ushertest"
)

var _ usher.DenyList = (*sqlstore.Store[Member])(nil)

func TestDenyListConformance(t *testing.T) {
	ofBothKinds(t, func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member]) {
		ushertest.TestDenyList(t, func(t *testing.T) usher.DenyList { return newStore(t) })
	})
}

// TestDenyListSweep: an entry is kept until it may be forgotten, and no longer.
func TestDenyListSweep(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		now := time.Now()
		for session, until := range map[string]time.Time{"brief": now.Add(time.Hour), "long": now.Add(3 * time.Hour)} {
			if err := store.Deny(t.Context(), session, until); err != nil {
				t.Fatal(err)
			}
		}
		if n, err := store.SweepUsedTokens(t.Context(), now.Add(2*time.Hour), 100); err != nil || n != 1 {
			t.Errorf("SweepUsedTokens: %d and error %v, want 1", n, err)
		}
		for session, want := range map[string]bool{"brief": false, "long": true} {
			if denied, err := store.Denied(t.Context(), session); err != nil || denied != want {
				t.Errorf("Denied(%s): %v and error %v, want %v", session, denied, err, want)
			}
		}
	})
}
