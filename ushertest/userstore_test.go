package ushertest_test

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

func edits() []func(*user) {
	return []func(*user){
		func(u *user) { u.Name = "Zoë" },
		func(u *user) { u.Plan = "gold" },
		func(u *user) { u.Seen = time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC) },
		func(u *user) { u.Tags = []string{"a", "b"} },
	}
}

func TestUserStore(t *testing.T) {
	ushertest.TestUserStore(t, func(*testing.T) usher.UserStore[user] { return newMemory() }, edits()...)
}

func TestUserStoreWithoutEdits(t *testing.T) {
	ushertest.TestUserStore(t, func(*testing.T) usher.UserStore[user] { return newMemory() })
}

func TestUserStoreOfIntegers(t *testing.T) {
	ushertest.TestUserStore(t, func(*testing.T) usher.UserStore[user] { return &numbered{memory: newMemory()} }, edits()...)
}

// numbered hands out integers. Inside, the memory has UUIDs that end in them.
type numbered struct {
	*memory
	mu   sync.Mutex
	last int
}

const numberDigits = 12

func inside(id usher.ID) usher.ID {
	n, err := strconv.ParseInt(string(id), 10, 64)
	if err != nil || n < 1 || len(id) > numberDigits {
		return "none"
	}
	return usher.ID("00000000-0000-7000-8000-" + strings.Repeat("0", numberDigits-len(id)) + string(id))
}

func outside(u *user) *user {
	if u == nil {
		return nil
	}
	c := *u
	c.ID = usher.ID(strings.TrimLeft(string(u.ID[len(u.ID)-numberDigits:]), "0"))
	return &c
}

func (n *numbered) CreateUser(ctx context.Context, u *user) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	c := *u
	if c.ID == "" {
		n.last++
		c.ID = usher.ID(strconv.Itoa(n.last))
	}
	c.ID = inside(c.ID)
	if err := n.memory.CreateUser(ctx, &c); err != nil {
		return err
	}
	*u = *outside(&c)
	return nil
}

func (n *numbered) UserByID(ctx context.Context, id usher.ID) (*user, error) {
	u, err := n.memory.UserByID(ctx, inside(id))
	return outside(u), err
}

func (n *numbered) UserByEmail(ctx context.Context, key string) (*user, error) {
	u, err := n.memory.UserByEmail(ctx, key)
	return outside(u), err
}

func (n *numbered) UpdateUser(ctx context.Context, before, after *user) error {
	b, a := *before, *after
	b.ID, a.ID = inside(b.ID), inside(a.ID)
	err := n.memory.UpdateUser(ctx, &b, &a)
	after.UpdatedAt = a.UpdatedAt
	return err
}

func (n *numbered) DeleteUser(ctx context.Context, id usher.ID) error {
	return n.memory.DeleteUser(ctx, inside(id))
}

func (n *numbered) ListUsers(ctx context.Context, q usher.UserQuery) ([]*user, error) {
	if q.After != "" {
		q.After = inside(q.After)
	}
	list, err := n.memory.ListUsers(ctx, q)
	for i, u := range list {
		list[i] = outside(u)
	}
	return list, err
}

func TestUserStoreNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		store      func(m *memory) usher.UserStore[user]
	}{
		{"drops a field", "create and read", func(m *memory) usher.UserStore[user] {
			return changing{m, func(u *user) { u.Plan = "" }}
		}},
		{"keeps the normal form only", "create and read", func(m *memory) usher.UserStore[user] {
			return changing{m, func(u *user) { u.Email, _ = usher.EmailKey(u.Email) }}
		}},
		{"shares its memory", "returns copies", func(m *memory) usher.UserStore[user] {
			return &pointing{memory: m, users: map[usher.ID]*user{}}
		}},
		{"ignores an id", "id", func(m *memory) usher.UserStore[user] { return renaming{m} }},
		{"knows one spelling of ids", "id", func(m *memory) usher.UserStore[user] { return literal{m} }},
		{"calls a double id a taken address", "id", func(m *memory) usher.UserStore[user] { return confused{m} }},
		{"deletes nobody happily", "not found", func(m *memory) usher.UserStore[user] { return happy{m} }},
		{"recreates by updating", "not found", func(m *memory) usher.UserStore[user] { return upserting{m} }},
		{"fails on malformed ids", "hostile ids", func(m *memory) usher.UserStore[user] { return choking{m} }},
		{"collates", "email", func(m *memory) usher.UserStore[user] { return collating{m} }},
		{"compares addresses as typed", "email", func(m *memory) usher.UserStore[user] { return asTyped{m} }},
		{"counts changed rows", "update", func(m *memory) usher.UserStore[user] { return counting{m} }},
		{"forgets to clear", "update", func(m *memory) usher.UserStore[user] {
			return updating{m, func(before, after *user) {
				if after.HashedPassword == "" {
					after.HashedPassword = before.HashedPassword
				}
			}}
		}},
		{"writes every field", "update of one field", func(m *memory) usher.UserStore[user] { return overwriting{m} }},
		{"lets addresses be taken over", "update email", func(m *memory) usher.UserStore[user] { return unguarded{m} }},
		{"guards only the password", "conflict", func(m *memory) usher.UserStore[user] {
			return rebasing{m, func(now, before user) user {
				now.HashedPassword = before.HashedPassword
				return now
			}}
		}},
		{"guards all but the epoch", "conflict", func(m *memory) usher.UserStore[user] {
			return rebasing{m, func(now, before user) user {
				epoch := now.Epoch
				now.User = before.User
				now.Epoch = epoch
				return now
			}}
		}},
		{"guards all but the flags", "conflict", func(m *memory) usher.UserStore[user] {
			return rebasing{m, func(now, before user) user {
				now.HashedPassword, now.Email = before.HashedPassword, before.Email
				return now
			}}
		}},
		{"deletes one too many", "delete", func(m *memory) usher.UserStore[user] { return greedy{m} }},
		{"lists in the order of addresses", "list", func(m *memory) usher.UserStore[user] { return byAddress{m} }},
		{"pages from the id on", "list", func(m *memory) usher.UserStore[user] { return inclusive{m} }},
		{"ignores the context", "cancelled context", func(m *memory) usher.UserStore[user] { return deafUsers{m} }},
		{"calls an outage a conflict", "cancelled context", func(m *memory) usher.UserStore[user] { return blamingUsers{m} }},
		{"looks, then creates", "one create wins", func(m *memory) usher.UserStore[user] { return lookingUsers{m} }},
		{"looks, then updates", "one update wins", func(m *memory) usher.UserStore[user] { return lookingUsers{m} }},
		{"looks, then changes the address", "one email change wins", func(m *memory) usher.UserStore[user] { return lookingUsers{m} }},
		{"looks, then deletes", "one delete wins", func(m *memory) usher.UserStore[user] { return lookingUsers{m} }},
		{"looks, then brings back", "update races delete", func(m *memory) usher.UserStore[user] { return lookingUsers{m} }},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestUserStore(t, func(*testing.T) usher.UserStore[user] { return d.store(newMemory()) }, edits()...)
		}})
	}
	mustFail(t, defects)
}
