package sqlstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"

	"usher"
	"usher/ushertest"
)

func TestUserStoreConformance(t *testing.T) {
	t.Parallel()
	ushertest.TestUserStore(t, func(t *testing.T) usher.UserStore[Member] {
		store, _ := open[Member](t)
		return store
	},
		func(m *Member) { m.FirstName = "Zoë" },
		func(m *Member) { m.Plan = "gold" })
}

func TestSessionStoreConformance(t *testing.T) {
	t.Parallel()
	ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
		store, _ := open[Member](t)
		var n atomic.Int64
		return store, func(t *testing.T) usher.ID {
			return newMember(t, store, fmt.Sprintf("user%d@example.com", n.Add(1))).ID
		}
	})
}

func TestOneTimeStoreConformance(t *testing.T) {
	t.Parallel()
	ushertest.TestOneTimeStore(t, func(t *testing.T) usher.OneTimeStore {
		store, _ := open[Member](t)
		return store
	})
}

func TestOAuthAccountStoreConformance(t *testing.T) {
	t.Parallel()
	ushertest.TestOAuthAccountStore(t, func(t *testing.T) (usher.OAuthAccountStore, func(*testing.T) usher.ID) {
		store, _ := open[Member](t)
		var n atomic.Int64
		return store, func(t *testing.T) usher.ID {
			return newMember(t, store, fmt.Sprintf("user%d@example.com", n.Add(1))).ID
		}
	})
}

func TestOutboxConformance(t *testing.T) {
	t.Parallel()
	ushertest.TestOutbox(t, func(t *testing.T) usher.Outbox {
		store, _ := open[Member](t)
		return store
	})
}
