package ushertest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"usher"
)

// put writes a user without any check.
func (m *memory) put(u user) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users[u.ID] = cloneUser(u)
}

type changing struct {
	*memory
	change func(*user)
}

func (b changing) CreateUser(ctx context.Context, u *user) error {
	err := b.memory.CreateUser(ctx, u)
	if err == nil {
		stored := *u
		b.change(&stored)
		b.put(stored)
	}
	return err
}

type pointing struct {
	*memory
	mu    sync.Mutex
	users map[usher.ID]*user
}

func (b *pointing) UserByID(ctx context.Context, id usher.ID) (*user, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u, ok := b.users[id]; ok {
		return u, nil
	}
	u, err := b.memory.UserByID(ctx, id)
	b.users[id] = u
	return u, err
}

type renaming struct{ *memory }

func (b renaming) CreateUser(ctx context.Context, u *user) error {
	u.ID = ""
	return b.memory.CreateUser(ctx, u)
}

type literal struct{ *memory }

func (b literal) UserByID(ctx context.Context, id usher.ID) (*user, error) {
	if u, err := b.memory.UserByID(ctx, id); err != nil || u.ID == id {
		return u, err
	}
	return nil, usher.ErrNotFound
}

type confused struct{ *memory }

func (b confused) CreateUser(ctx context.Context, u *user) error {
	err := b.memory.CreateUser(ctx, u)
	if errors.Is(err, usher.ErrConflict) {
		return usher.ErrEmailTaken
	}
	return err
}

type happy struct{ *memory }

func (b happy) DeleteUser(ctx context.Context, id usher.ID) error {
	err := b.memory.DeleteUser(ctx, id)
	if errors.Is(err, usher.ErrNotFound) {
		return nil
	}
	return err
}

type upserting struct{ *memory }

func (b upserting) UpdateUser(ctx context.Context, before, after *user) error {
	err := b.memory.UpdateUser(ctx, before, after)
	if errors.Is(err, usher.ErrNotFound) {
		return b.CreateUser(ctx, after)
	}
	return err
}

type choking struct{ *memory }

func (b choking) UserByID(ctx context.Context, id usher.ID) (*user, error) {
	if _, err := usher.ParseUUID(string(id)); err != nil {
		return nil, errors.New("invalid input syntax for type uuid")
	}
	return b.memory.UserByID(ctx, id)
}

type collating struct{ *memory }

func (b collating) CreateUser(ctx context.Context, u *user) error {
	collate := func(email string) string {
		key, _ := usher.EmailKey(email)
		return strings.NewReplacer("å", "a", "ö", "o", "é", "e").Replace(key)
	}
	list, err := b.ListUsers(ctx, usher.UserQuery{Limit: 1000})
	if err != nil {
		return err
	}
	for _, other := range list {
		if collate(other.Email) == collate(u.Email) {
			return usher.ErrEmailTaken
		}
	}
	return b.memory.CreateUser(ctx, u)
}

type asTyped struct{ *memory }

func (b asTyped) CreateUser(ctx context.Context, u *user) error {
	err := b.memory.CreateUser(ctx, u)
	if errors.Is(err, usher.ErrEmailTaken) {
		list, _ := b.ListUsers(ctx, usher.UserQuery{Limit: 1000})
		if !slices.ContainsFunc(list, func(other *user) bool { return other.Email == u.Email }) {
			u.ID = usher.NewID()
			b.put(*u)
			return nil
		}
	}
	return err
}

type counting struct{ *memory }

func (b counting) UpdateUser(ctx context.Context, before, after *user) error {
	if before.Name == after.Name && before.Plan == after.Plan && before.User == after.User && before.Seen.Equal(after.Seen) && slices.Equal(before.Tags, after.Tags) {
		return usher.ErrConflict
	}
	return b.memory.UpdateUser(ctx, before, after)
}

type updating struct {
	*memory
	change func(before, after *user)
}

func (b updating) UpdateUser(ctx context.Context, before, after *user) error {
	written := *after
	b.change(before, &written)
	err := b.memory.UpdateUser(ctx, before, &written)
	after.UpdatedAt = written.UpdatedAt
	return err
}

type overwriting struct{ *memory }

func (b overwriting) UpdateUser(ctx context.Context, before, after *user) error {
	err := b.memory.UpdateUser(ctx, before, after)
	if err == nil {
		b.put(*after)
	}
	return err
}

type unguarded struct{ *memory }

func (b unguarded) UpdateUser(ctx context.Context, before, after *user) error {
	err := b.memory.UpdateUser(ctx, before, after)
	if errors.Is(err, usher.ErrEmailTaken) {
		after.UpdatedAt = time.Now()
		b.put(*after)
		return nil
	}
	return err
}

// rebasing takes what is in the store for what the caller has read, but for the
// fields that it guards.
type rebasing struct {
	*memory
	guard func(now, before user) user
}

func (b rebasing) UpdateUser(ctx context.Context, before, after *user) error {
	now, err := b.UserByID(ctx, before.ID)
	if err != nil {
		return b.memory.UpdateUser(ctx, before, after)
	}
	rebased := b.guard(*now, *before)
	return b.memory.UpdateUser(ctx, &rebased, after)
}

type greedy struct{ *memory }

func (b greedy) DeleteUser(ctx context.Context, id usher.ID) error {
	if next, err := b.ListUsers(ctx, usher.UserQuery{After: id, Limit: 1}); err == nil && len(next) == 1 {
		_ = b.memory.DeleteUser(ctx, next[0].ID)
	}
	return b.memory.DeleteUser(ctx, id)
}

type byAddress struct{ *memory }

func (b byAddress) ListUsers(ctx context.Context, q usher.UserQuery) ([]*user, error) {
	list, err := b.memory.ListUsers(ctx, q)
	slices.SortFunc(list, func(a, b *user) int { return strings.Compare(a.Email, b.Email) })
	return list, err
}

type inclusive struct{ *memory }

func (b inclusive) ListUsers(ctx context.Context, q usher.UserQuery) ([]*user, error) {
	if q.After == "" {
		return b.memory.ListUsers(ctx, q)
	}
	q.Limit--
	list, err := b.memory.ListUsers(ctx, q)
	if u, found := b.UserByID(ctx, q.After); found == nil {
		list = slices.Insert(list, 0, u)
	}
	return list, err
}

type deafUsers struct{ *memory }

func (b deafUsers) DeleteUser(_ context.Context, id usher.ID) error {
	return b.memory.DeleteUser(context.Background(), id)
}

type blamingUsers struct{ *memory }

func (b blamingUsers) UpdateUser(ctx context.Context, before, after *user) error {
	if ctx.Err() != nil {
		return usher.ErrConflict
	}
	return b.memory.UpdateUser(ctx, before, after)
}

// lookingUsers looks first and acts later.
type lookingUsers struct{ *memory }

func (b lookingUsers) CreateUser(ctx context.Context, u *user) error {
	key, _ := usher.EmailKey(u.Email)
	if _, err := b.UserByEmail(ctx, key); err == nil {
		return usher.ErrEmailTaken
	}
	meanwhile()
	if u.ID == "" {
		u.ID = usher.NewID()
	}
	u.CreatedAt = time.Now()
	u.UpdatedAt = u.CreatedAt
	b.put(*u)
	return ctx.Err()
}

func (b lookingUsers) UpdateUser(ctx context.Context, before, after *user) error {
	now, err := b.UserByID(ctx, before.ID)
	if err != nil {
		return err
	}
	if guarded(*now) != guarded(*before) {
		return usher.ErrConflict
	}
	key, _ := usher.EmailKey(after.Email)
	if other, err := b.UserByEmail(ctx, key); err == nil && other.ID != after.ID {
		return usher.ErrEmailTaken
	}
	meanwhile()
	after.UpdatedAt = time.Now()
	b.put(*after)
	return nil
}

func (b lookingUsers) DeleteUser(ctx context.Context, id usher.ID) error {
	u, err := b.UserByID(ctx, id)
	if err != nil {
		return err
	}
	meanwhile()
	_ = b.memory.DeleteUser(ctx, u.ID)
	return nil
}
