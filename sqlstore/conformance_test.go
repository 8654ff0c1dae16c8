package sqlstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"usher"
	"usher/sqlstore"
	"usher/ushertest"
)

// ofBothKinds runs a test on every engine, with each kind of id.
func ofBothKinds(t *testing.T, test func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member])) {
	onEach(t, func(t *testing.T, e engine) {
		for kind, options := range map[string][]sqlstore.Option{"UUIDs": nil, "integers": {sqlstore.IntegerIDs}} {
			t.Run(kind, func(t *testing.T) {
				t.Parallel()
				test(t, func(t *testing.T) *sqlstore.Store[Member] {
					store, _ := openOn[Member](t, e, options...)
					return store
				})
			})
		}
	})
}

// newUsers returns a function that makes one more user in a store.
func newUsers(store *sqlstore.Store[Member]) func(*testing.T) usher.ID {
	var n atomic.Int64
	return func(t *testing.T) usher.ID {
		return newMember(t, store, fmt.Sprintf("user%d@example.com", n.Add(1))).ID
	}
}

func TestUserStoreConformance(t *testing.T) {
	ofBothKinds(t, func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member]) {
		ushertest.TestUserStore(t, func(t *testing.T) usher.UserStore[Member] { return newStore(t) },
			func(m *Member) { m.FirstName = "Zoë" },
			func(m *Member) { m.Plan = "gold" })
	})
}

func TestSessionStoreConformance(t *testing.T) {
	ofBothKinds(t, func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member]) {
		ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
			store := newStore(t)
			return store, newUsers(store)
		})
	})
}

func TestOneTimeStoreConformance(t *testing.T) {
	ofBothKinds(t, func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member]) {
		ushertest.TestOneTimeStore(t, func(t *testing.T) usher.OneTimeStore { return newStore(t) })
	})
}

func TestOAuthAccountStoreConformance(t *testing.T) {
	ofBothKinds(t, func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member]) {
		ushertest.TestOAuthAccountStore(t, func(t *testing.T) (usher.OAuthAccountStore, func(*testing.T) usher.ID) {
			store := newStore(t)
			return store, newUsers(store)
		})
	})
}

func TestOutboxConformance(t *testing.T) {
	ofBothKinds(t, func(t *testing.T, newStore func(*testing.T) *sqlstore.Store[Member]) {
		ushertest.TestOutbox(t, func(t *testing.T) usher.Outbox { return newStore(t) })
	})
}
