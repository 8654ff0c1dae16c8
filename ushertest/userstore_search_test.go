package ushertest_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

func TestUserStoreSearchNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name string
		list func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error)
	}{
		{"ignores the address", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			q.Email = ""
			return m.ListUsers(ctx, q)
		}},
		{"takes the address for a pattern", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			like := strings.NewReplacer("%", ".*", "_", ".").Replace(regexp.QuoteMeta(q.Email))
			return filtered(ctx, m, q, func(key string) bool { return regexp.MustCompile("^" + like).MatchString(key) })
		}},
		{"finds the address anywhere", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			return filtered(ctx, m, q, func(key string) bool { return strings.Contains(key, q.Email) })
		}},
		{"collates addresses", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			plain := strings.NewReplacer("é", "e", "ë", "e").Replace
			return filtered(ctx, m, q, func(key string) bool { return strings.HasPrefix(plain(key), plain(q.Email)) })
		}},
		{"knows ASCII only", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			return filtered(ctx, m, q, func(key string) bool { return key >= q.Email && key < q.Email+"\x7f" })
		}},
		{"takes false for either", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			if q.IsVerified != nil && !*q.IsVerified {
				q.IsVerified = nil
			}
			return m.ListUsers(ctx, q)
		}},
		{"confuses the flags", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			q.IsActive, q.IsSuperuser = q.IsSuperuser, q.IsActive
			return m.ListUsers(ctx, q)
		}},
		{"ignores when users were created", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			q.CreatedAfter = time.Time{}
			return m.ListUsers(ctx, q)
		}},
		{"ignores the zone", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			if _, offset := q.CreatedAfter.Zone(); !q.CreatedAfter.IsZero() {
				q.CreatedAfter = q.CreatedAfter.Add(time.Duration(offset) * time.Second)
			}
			return m.ListUsers(ctx, q)
		}},
		{"filters pages", func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error) {
			page, err := m.ListUsers(ctx, usher.UserQuery{After: q.After, Limit: q.Limit})
			var list []*user
			for _, u := range page {
				if asksFor(q, u.User) {
					list = append(list, u)
				}
			}
			return list, err
		}},
	} {
		defects = append(defects, defect{d.name, "search", func(t *testing.T) {
			ushertest.TestUserStore(t, func(*testing.T) usher.UserStore[user] { return searching{newMemory(), d.list} })
		}})
	}
	mustFail(t, defects)
}

// searching lists users in its own way.
type searching struct {
	*memory
	list func(ctx context.Context, m *memory, q usher.UserQuery) ([]*user, error)
}

func (b searching) ListUsers(ctx context.Context, q usher.UserQuery) ([]*user, error) {
	return b.list(ctx, b.memory, q)
}

// filtered compares the address in another way.
func filtered(ctx context.Context, m *memory, q usher.UserQuery, match func(key string) bool) ([]*user, error) {
	limit := q.Limit
	email := q.Email
	q.Email, q.Limit = "", 1000
	all, err := m.ListUsers(ctx, q)
	var list []*user
	for _, u := range all {
		key, _ := usher.EmailKey(u.Email)
		if (email == "" || match(key)) && len(list) < limit {
			list = append(list, u)
		}
	}
	return list, err
}
