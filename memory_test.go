package usher_test

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
)

// memory keeps users and sessions in maps behind one lock. It counts the calls
// of its methods and fails those that a test tells it to.
type memory struct {
	mu       sync.Mutex
	users    map[usher.ID]User
	sessions map[usher.TokenHash]usher.Session
	calls    map[string]int
	outages  map[string]error  // by method; "" is every method
	during   map[string]func() // called once, before the method does its work
	joins    bool              // ReadSession also returns the user
}

func newMemory() *memory {
	return &memory{
		users: map[usher.ID]User{}, sessions: map[usher.TokenHash]usher.Session{},
		calls: map[string]int{}, outages: map[string]error{}, during: map[string]func(){},
	}
}

// fail makes a method fail ("": all of them) until it is called with nil.
func (m *memory) fail(method string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outages[method] = err
}

// called returns how often a method was called.
func (m *memory) called(method string) int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.calls[method]
}

// at makes f run in the midst of the next call of a method.
func (m *memory) at(method string, f func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.during[method] = f
}

func (m *memory) enter(ctx context.Context, method string) (leave func(), err error) {
	m.mu.Lock()
	m.calls[method]++
	if f := m.during[method]; f != nil {
		delete(m.during, method)
		m.mu.Unlock()
		f()
		m.mu.Lock()
	}
	if err := cmp.Or(ctx.Err(), m.outages[method], m.outages[""]); err != nil {
		m.mu.Unlock()
		return nil, err
	}
	return m.mu.Unlock, nil
}

// add stores a user as it is and returns it with its id.
func (m *memory) add(t testing.TB, u User) *User {
	t.Helper()
	if err := m.CreateUser(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	return &u
}

// sessionCount returns how many sessions there are.
func (m *memory) sessionCount() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.sessions)
}

func (m *memory) UserByID(ctx context.Context, id usher.ID) (*User, error) {
	leave, err := m.enter(ctx, "UserByID")
	if err != nil {
		return nil, err
	}
	defer leave()
	if id, err = usher.ParseUUID(string(id)); err != nil {
		return nil, err
	}
	u, ok := m.users[id]
	if !ok {
		return nil, usher.ErrNotFound
	}
	return &u, nil
}

func (m *memory) UserByEmail(ctx context.Context, key string) (*User, error) {
	leave, err := m.enter(ctx, "UserByEmail")
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

func (m *memory) holder(key string) (User, bool) {
	for _, u := range m.users {
		if k, err := usher.EmailKey(u.Email); err == nil && k == key {
			return u, true
		}
	}
	return User{}, false
}

func (m *memory) CreateUser(ctx context.Context, u *User) error {
	leave, err := m.enter(ctx, "CreateUser")
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
	if u.ID == "" {
		u.ID = usher.NewID()
	}
	u.CreatedAt = time.Now()
	u.UpdatedAt = u.CreatedAt
	m.users[u.ID] = *u
	return nil
}

func (m *memory) UpdateUser(ctx context.Context, before, after *User) error {
	leave, err := m.enter(ctx, "UpdateUser")
	if err != nil {
		return err
	}
	defer leave()
	old, ok := m.users[before.ID]
	if !ok {
		return usher.ErrNotFound
	}
	if old.Email != before.Email || old.HashedPassword != before.HashedPassword || old.IsActive != before.IsActive ||
		old.IsSuperuser != before.IsSuperuser || old.IsVerified != before.IsVerified || old.Epoch != before.Epoch {
		return usher.ErrConflict
	}
	key, err := usher.EmailKey(after.Email)
	if err != nil {
		return err
	}
	if other, taken := m.holder(key); taken && other.ID != old.ID {
		return usher.ErrEmailTaken
	}
	after.UpdatedAt = time.Now()
	m.users[old.ID] = *after
	return nil
}

func (m *memory) DeleteUser(ctx context.Context, id usher.ID) error {
	leave, err := m.enter(ctx, "DeleteUser")
	if err != nil {
		return err
	}
	defer leave()
	if _, ok := m.users[id]; !ok {
		return usher.ErrNotFound
	}
	delete(m.users, id)
	maps.DeleteFunc(m.sessions, func(_ usher.TokenHash, s usher.Session) bool { return s.UserID == id })
	return nil
}

func (m *memory) ListUsers(ctx context.Context, q usher.UserQuery) ([]*User, error) {
	leave, err := m.enter(ctx, "ListUsers")
	if err != nil {
		return nil, err
	}
	defer leave()
	var list []*User
	for _, id := range slices.Sorted(maps.Keys(m.users)) {
		if u := m.users[id]; id > q.After && len(list) < q.Limit && asksFor(q, u.User) {
			list = append(list, &u)
		}
	}
	return list, nil
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

func (m *memory) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	leave, err := m.enter(ctx, "CreateSession")
	if err != nil {
		return err
	}
	defer leave()
	m.sessions[token] = cloneSession(s)
	return nil
}

// cloneSession copies what a session shares with its maker.
func cloneSession(s usher.Session) usher.Session {
	s.Methods, s.Scopes = slices.Clone(s.Methods), slices.Clone(s.Scopes)
	if s.Data != nil {
		text := must(json.Marshal(s.Data))
		s.Data = nil
		if err := json.Unmarshal(text, &s.Data); err != nil {
			panic(err)
		}
	}
	return s
}

func (m *memory) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	leave, err := m.enter(ctx, "ReadSession")
	if err != nil {
		return usher.Session{}, nil, err
	}
	defer leave()
	s, ok := m.sessions[token]
	if !ok {
		return usher.Session{}, nil, usher.ErrNotFound
	}
	if m.joins {
		u, ok := m.users[s.UserID]
		if !ok {
			return usher.Session{}, nil, usher.ErrNotFound
		}
		return cloneSession(s), &u, nil
	}
	return cloneSession(s), nil, nil
}

func (m *memory) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) error {
	leave, err := m.enter(ctx, "TouchSession")
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
	leave, err := m.enter(ctx, "DestroySession")
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
	leave, err := m.enter(ctx, "ListSessions")
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
	n, err := m.end(ctx, "RevokeSession", -1, func(s usher.Session) bool { return s.UserID == user && s.ID == session })
	if err == nil && n == 0 {
		return usher.ErrNotFound
	}
	return err
}

func (m *memory) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	return m.end(ctx, "RevokeSessions", -1, func(s usher.Session) bool { return s.UserID == user && s.ID != keep })
}

func (m *memory) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	return m.end(ctx, "SweepSessions", limit, func(s usher.Session) bool { return s.ExpiresAt.Before(now) })
}

// end deletes up to limit sessions (negative: all) that match.
func (m *memory) end(ctx context.Context, method string, limit int, matches func(usher.Session) bool) (n int, err error) {
	leave, err := m.enter(ctx, method)
	if err != nil {
		return 0, err
	}
	defer leave()
	for token, s := range m.sessions {
		if n != limit && matches(s) {
			delete(m.sessions, token)
			n++
		}
	}
	return n, nil
}
