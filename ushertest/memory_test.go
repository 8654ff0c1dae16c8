package ushertest_test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"usher"
)

// memory keeps users and sessions in maps behind one lock: the smallest store
// that keeps both contracts.
type memory struct {
	mu       sync.Mutex
	users    map[usher.ID]user
	sessions map[usher.TokenHash]usher.Session
}

// user is an application's user type.
type user struct {
	usher.User
	Name string
	Plan string
	Seen time.Time
	Tags []string
}

func newMemory() *memory {
	return &memory{users: map[usher.ID]user{}, sessions: map[usher.TokenHash]usher.Session{}}
}

// enter takes the lock, unless nobody waits for the answer any more.
func (m *memory) enter(ctx context.Context) (leave func(), err error) {
	m.mu.Lock()
	if err := ctx.Err(); err != nil {
		m.mu.Unlock()
		return nil, err
	}
	return m.mu.Unlock, nil
}

// newUser makes an owner of sessions.
func (m *memory) newUser() usher.ID {
	u := &user{User: usher.User{Email: string(usher.NewID()) + "@example.com"}}
	if err := m.CreateUser(context.Background(), u); err != nil {
		panic(err)
	}
	return u.ID
}

// cloneSession copies what a session shares with its maker.
func cloneSession(s usher.Session) usher.Session {
	s.Methods, s.Scopes = slices.Clone(s.Methods), slices.Clone(s.Scopes)
	if s.Data != nil {
		text, err := json.Marshal(s.Data)
		if err != nil {
			panic(err)
		}
		s.Data = nil
		if err := json.Unmarshal(text, &s.Data); err != nil {
			panic(err)
		}
	}
	return s
}

func (m *memory) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	m.sessions[token] = cloneSession(s)
	return nil
}

func (m *memory) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return usher.Session{}, nil, err
	}
	defer leave()
	s, ok := m.sessions[token]
	if !ok {
		return usher.Session{}, nil, usher.ErrNotFound
	}
	u, ok := m.users[s.UserID]
	if !ok { // a test that needs no users
		return cloneSession(s), nil, nil
	}
	u = cloneUser(u)
	return cloneSession(s), &u, nil
}

func (m *memory) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	s, ok := m.sessions[token]
	if !ok {
		return usher.ErrNotFound
	}
	s.LastSeenAt, s.ExpiresAt = lastSeen, expires
	m.sessions[token] = s
	return nil
}

func (m *memory) DestroySession(ctx context.Context, token usher.TokenHash) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := m.sessions[token]; !ok {
		return usher.ErrNotFound
	}
	delete(m.sessions, token)
	return nil
}

func (m *memory) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []usher.Session
	for _, s := range m.sessions {
		if s.UserID == user {
			list = append(list, cloneSession(s))
		}
	}
	slices.SortFunc(list, func(a, b usher.Session) int { return b.CreatedAt.Compare(a.CreatedAt) })
	return list, nil
}

func (m *memory) RevokeSession(ctx context.Context, user usher.ID, session string) error {
	n, err := m.end(ctx, func(s usher.Session) bool { return s.UserID == user && s.ID == session })
	if err == nil && n == 0 {
		return usher.ErrNotFound
	}
	return err
}

func (m *memory) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	return m.end(ctx, func(s usher.Session) bool { return s.UserID == user && s.ID != keep })
}

func (m *memory) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	n := 0
	return m.end(ctx, func(s usher.Session) bool {
		if n == limit || !s.ExpiresAt.Before(now) {
			return false
		}
		n++
		return true
	})
}

func (m *memory) end(ctx context.Context, which func(usher.Session) bool) (int, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return 0, err
	}
	defer leave()
	before := len(m.sessions)
	maps.DeleteFunc(m.sessions, func(_ usher.TokenHash, s usher.Session) bool { return which(s) })
	return before - len(m.sessions), nil
}

func cloneUser(u user) user {
	u.Tags = slices.Clone(u.Tags)
	return u
}

func (m *memory) UserByID(ctx context.Context, id usher.ID) (*user, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	id, err = usher.ParseUUID(string(id))
	if err != nil {
		return nil, err
	}
	u, ok := m.users[id]
	if !ok {
		return nil, usher.ErrNotFound
	}
	u = cloneUser(u)
	return &u, nil
}

// holder returns who has an address with this key.
func (m *memory) holder(key string) (user, bool) {
	for _, u := range m.users {
		if k, err := usher.EmailKey(u.Email); err == nil && k == key {
			return cloneUser(u), true
		}
	}
	return user{}, false
}

func (m *memory) UserByEmail(ctx context.Context, key string) (*user, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	u, ok := m.holder(key)
	if !ok {
		return nil, usher.ErrNotFound
	}
	return &u, nil
}

func (m *memory) CreateUser(ctx context.Context, u *user) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	key, err := usher.EmailKey(u.Email)
	if err != nil {
		return err
	}
	if _, taken := m.holder(key); taken {
		return usher.ErrEmailTaken
	}
	if _, taken := m.users[u.ID]; taken {
		return usher.ErrConflict
	}
	if u.ID == "" {
		u.ID = usher.NewID()
	}
	u.CreatedAt = time.Now()
	u.UpdatedAt = u.CreatedAt
	m.users[u.ID] = cloneUser(*u)
	return nil
}

func (m *memory) UpdateUser(ctx context.Context, before, after *user) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	u, ok := m.users[before.ID]
	if !ok {
		return usher.ErrNotFound
	}
	if guarded(u) != guarded(*before) {
		return usher.ErrConflict
	}
	key, err := usher.EmailKey(after.Email)
	if err != nil {
		return err
	}
	if other, taken := m.holder(key); taken && other.ID != u.ID {
		return usher.ErrEmailTaken
	}
	if after.Name != before.Name {
		u.Name = after.Name
	}
	if after.Plan != before.Plan {
		u.Plan = after.Plan
	}
	if !after.Seen.Equal(before.Seen) {
		u.Seen = after.Seen
	}
	if !slices.Equal(after.Tags, before.Tags) {
		u.Tags = slices.Clone(after.Tags)
	}
	u.Email, u.HashedPassword, u.Epoch = after.Email, after.HashedPassword, after.Epoch
	u.IsActive, u.IsSuperuser, u.IsVerified = after.IsActive, after.IsSuperuser, after.IsVerified
	after.UpdatedAt = time.Now()
	u.UpdatedAt = after.UpdatedAt
	m.users[u.ID] = u
	return nil
}

// guarded are the fields that UpdateUser compares.
func guarded(u user) usher.User {
	u.CreatedAt, u.UpdatedAt = time.Time{}, time.Time{}
	return u.User
}

func (m *memory) DeleteUser(ctx context.Context, id usher.ID) error {
	leave, err := m.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	id, err = usher.ParseUUID(string(id))
	if err != nil {
		return err
	}
	if _, ok := m.users[id]; !ok {
		return usher.ErrNotFound
	}
	delete(m.users, id)
	maps.DeleteFunc(m.sessions, func(_ usher.TokenHash, s usher.Session) bool { return s.UserID == id })
	return nil
}

func (m *memory) ListUsers(ctx context.Context, q usher.UserQuery) ([]*user, error) {
	leave, err := m.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []*user
	for id, u := range m.users {
		if id > q.After && asksFor(q, u.User) {
			u := cloneUser(u)
			list = append(list, &u)
		}
	}
	slices.SortFunc(list, func(a, b *user) int { return cmp.Compare(a.ID, b.ID) })
	return list[:min(q.Limit, len(list))], nil
}

// asksFor tells whether a user meets the conditions of q.
func asksFor(q usher.UserQuery, u usher.User) bool {
	is := func(want *bool, flag bool) bool { return want == nil || *want == flag }
	key, err := usher.EmailKey(u.Email)
	return err == nil && strings.HasPrefix(key, q.Email) &&
		is(q.IsActive, u.IsActive) && is(q.IsSuperuser, u.IsSuperuser) && is(q.IsVerified, u.IsVerified) &&
		(q.CreatedAfter.IsZero() || u.CreatedAt.After(q.CreatedAfter)) &&
		(q.CreatedBefore.IsZero() || u.CreatedAt.Before(q.CreatedBefore))
}
