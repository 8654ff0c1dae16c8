package ushertest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

func TestSessionStore(t *testing.T) {
	t.Parallel() // it waits for sessions to expire
	ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
		m := newMemory()
		return m, func(*testing.T) usher.ID { return m.newUser() }
	})
}

func TestSessionStoreWithChosenTokens(t *testing.T) {
	t.Parallel() // it waits for sessions to expire
	ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
		return choosy{SessionStore: newMemory(), of: 64}, nil
	})
}

// choosy holds one token in so many.
type choosy struct {
	usher.SessionStore
	of int
}

func (c choosy) HoldsToken(_ usher.ID, token usher.TokenHash) bool {
	return (int(token[0])<<16|int(token[1])<<8|int(token[2]))%c.of == 0
}

func TestSessionStoreNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		store      func(m *memory) usher.SessionStore
	}{
		{"drops fields", "round trip", func(m *memory) usher.SessionStore {
			return creating{m, func(s *usher.Session) { s.Data = nil }}
		}},
		{"keeps seconds", "round trip", func(m *memory) usher.SessionStore {
			return creating{m, func(s *usher.Session) { s.AuthTime = s.AuthTime.Truncate(time.Second) }}
		}},
		{"cuts the user agent", "round trip", func(m *memory) usher.SessionStore {
			return creating{m, func(s *usher.Session) { s.UserAgent = s.UserAgent[:min(len(s.UserAgent), 255)] }}
		}},
		{"widens no scopes to all", "round trip", func(m *memory) usher.SessionStore {
			return creating{m, func(s *usher.Session) {
				if len(s.Scopes) == 0 {
					s.Scopes = nil
				}
			}}
		}},
		{"narrows all scopes to none", "round trip", func(m *memory) usher.SessionStore {
			return creating{m, func(s *usher.Session) { s.Scopes = append([]string{}, s.Scopes...) }}
		}},
		{"returns another user", "round trip", func(m *memory) usher.SessionStore { return wrongUser{m} }},
		{"shares its memory", "returns copies", func(m *memory) usher.SessionStore { return sharing{m} }},
		{"destroys what is not there", "not found", func(m *memory) usher.SessionStore { return lenient{m} }},
		{"brings back by touching", "not found", func(m *memory) usher.SessionStore { return &resurrecting{memory: m} }},
		{"takes ids for patterns", "hostile ids", func(m *memory) usher.SessionStore { return globbing{m} }},
		{"lists the oldest first", "list", func(m *memory) usher.SessionStore {
			return listing{m, func(_ usher.ID, s []usher.Session) []usher.Session { slices.Reverse(s); return s }}
		}},
		{"lists by last use", "list", func(m *memory) usher.SessionStore {
			return listing{m, func(_ usher.ID, s []usher.Session) []usher.Session {
				slices.SortFunc(s, func(a, b usher.Session) int { return b.LastSeenAt.Compare(a.LastSeenAt) })
				return s
			}}
		}},
		{"lists everybody's", "list", func(m *memory) usher.SessionStore {
			return listing{m, func(usher.ID, []usher.Session) (all []usher.Session) {
				m.mu.Lock()
				defer m.mu.Unlock()
				for _, s := range m.sessions {
					all = append(all, cloneSession(s))
				}
				slices.SortFunc(all, func(a, b usher.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
				return all
			}}
		}},
		{"does not move the expiry", "touch", func(m *memory) usher.SessionStore { return still{m} }},
		{"leaves destroyed sessions in the list", "destroy", func(m *memory) usher.SessionStore { return &ghostly{memory: m} }},
		{"revokes anybody's", "revoke", func(m *memory) usher.SessionStore { return ownerless{m} }},
		{"ends the one to keep", "revoke all", func(m *memory) usher.SessionStore {
			return revoking{m, func(ctx context.Context, user usher.ID, _ string) (int, error) {
				return m.RevokeSessions(ctx, user, "")
			}}
		}},
		{"counts the one it keeps", "revoke all", func(m *memory) usher.SessionStore {
			return revoking{m, func(ctx context.Context, user usher.ID, keep string) (int, error) {
				n, err := m.RevokeSessions(ctx, user, keep)
				if keep != "" {
					n++
				}
				return n, err
			}}
		}},
		{"ends everybody's", "revoke all", func(m *memory) usher.SessionStore {
			return revoking{m, func(ctx context.Context, _ usher.ID, keep string) (int, error) {
				return m.end(ctx, func(s usher.Session) bool { return s.ID != keep })
			}}
		}},
		{"forgets at the first expiry", "expiry", func(m *memory) usher.SessionStore { return &forgetting{memory: m} }},
		{"sweeps the living", "sweep", func(m *memory) usher.SessionStore {
			return sweeping{m, func(ctx context.Context, _ time.Time, limit int) (int, error) {
				return m.SweepSessions(ctx, time.Now().Add(1000*time.Hour), limit)
			}}
		}},
		{"sweeps without limit", "sweep", func(m *memory) usher.SessionStore {
			return sweeping{m, func(ctx context.Context, now time.Time, _ int) (int, error) {
				return m.SweepSessions(ctx, now, 1000)
			}}
		}},
		{"claims to sweep", "sweep", func(m *memory) usher.SessionStore {
			return sweeping{m, func(context.Context, time.Time, int) (int, error) { return 0, nil }}
		}},
		{"ignores the context", "cancelled context", func(m *memory) usher.SessionStore { return deaf{m} }},
		{"calls an outage not found", "cancelled context", func(m *memory) usher.SessionStore { return blaming{m} }},
		{"writes half", "context cancelled midway", func(m *memory) usher.SessionStore { return &halfway{memory: m} }},
		{"looks, then destroys", "one destroy wins", func(m *memory) usher.SessionStore { return looking{m} }},
		{"looks, then revokes", "one revoke wins", func(m *memory) usher.SessionStore { return looking{m} }},
		{"counts, then revokes", "revoke all races itself", func(m *memory) usher.SessionStore { return looking{m} }},
		{"forgets the index late", "revoke all races creates", func(m *memory) usher.SessionStore {
			return &indexed{memory: m, index: map[usher.ID][]usher.TokenHash{}}
		}},
		{"reads, then touches", "touch races destroy", func(m *memory) usher.SessionStore { return looking{m} }},
		{"holds too few tokens", "chosen tokens", func(m *memory) usher.SessionStore { return choosy{m, 3000} }},
		{"outlives its user", "deleted user", func(m *memory) usher.SessionStore { return outliving{m} }},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestSessionStore(t, func(t *testing.T) (usher.SessionStore, func(*testing.T) usher.ID) {
				m := newMemory()
				return d.store(m), func(*testing.T) usher.ID { return m.newUser() }
			})
		}})
	}
	mustFail(t, defects)
}
