package ushertest_test

import (
	"context"
	"errors"
	"path"
	"slices"
	"sync"
	"time"

	"usher"
)

// meeting brings two callers together. Each defect has a process of its own.
var meeting = make(chan struct{})

// meanwhile waits for somebody else to come in between, if anybody does.
func meanwhile() {
	select {
	case meeting <- struct{}{}:
	case <-meeting:
	case <-time.After(50 * time.Millisecond):
	}
}

type creating struct {
	*memory
	change func(*usher.Session)
}

func (b creating) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	b.change(&s)
	return b.memory.CreateSession(ctx, token, s)
}

type wrongUser struct{ *memory }

func (b wrongUser) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	s, _, err := b.memory.ReadSession(ctx, token)
	return s, &user{User: usher.User{ID: usher.NewID()}}, err
}

type sharing struct{ *memory }

func (b sharing) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	_, _, err := b.memory.ReadSession(ctx, token)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sessions[token], nil, err
}

type lenient struct{ *memory }

func (b lenient) DestroySession(ctx context.Context, token usher.TokenHash) error {
	err := b.memory.DestroySession(ctx, token)
	if errors.Is(err, usher.ErrNotFound) {
		return nil
	}
	return err
}

type resurrecting struct{ *memory }

func (b *resurrecting) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) error {
	err := b.memory.TouchSession(ctx, token, lastSeen, expires)
	if errors.Is(err, usher.ErrNotFound) {
		return b.CreateSession(ctx, token, usher.Session{LastSeenAt: lastSeen, ExpiresAt: expires})
	}
	return err
}

type globbing struct{ *memory }

func (b globbing) RevokeSession(ctx context.Context, user usher.ID, session string) error {
	n, err := b.end(ctx, func(s usher.Session) bool {
		match, _ := path.Match(session, s.ID)
		return s.UserID == user && match
	})
	if err == nil && n == 0 {
		return usher.ErrNotFound
	}
	return err
}

type listing struct {
	*memory
	change func(user usher.ID, list []usher.Session) []usher.Session
}

func (b listing) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	list, err := b.memory.ListSessions(ctx, user)
	return b.change(user, list), err
}

type still struct{ *memory }

func (b still) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, _ time.Time) error {
	s, _, err := b.ReadSession(ctx, token)
	if err != nil {
		return err
	}
	return b.memory.TouchSession(ctx, token, lastSeen, s.ExpiresAt)
}

type ghostly struct {
	*memory
	mu     sync.Mutex
	ghosts []usher.Session
}

func (b *ghostly) DestroySession(ctx context.Context, token usher.TokenHash) error {
	s, _, _ := b.ReadSession(ctx, token)
	err := b.memory.DestroySession(ctx, token)
	if err == nil {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.ghosts = append(b.ghosts, s)
	}
	return err
}

func (b *ghostly) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	list, err := b.memory.ListSessions(ctx, user)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.ghosts {
		if s.UserID == user {
			list = append(list, s)
		}
	}
	return list, err
}

type ownerless struct{ *memory }

func (b ownerless) RevokeSession(ctx context.Context, _ usher.ID, session string) error {
	n, err := b.end(ctx, func(s usher.Session) bool { return s.ID == session })
	if err == nil && n == 0 {
		return usher.ErrNotFound
	}
	return err
}

type revoking struct {
	*memory
	all func(ctx context.Context, user usher.ID, keep string) (int, error)
}

func (b revoking) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	return b.all(ctx, user, keep)
}

// forgetting deletes a session when it would have expired without any touch.
type forgetting struct{ *memory }

func (b *forgetting) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	time.AfterFunc(time.Until(s.ExpiresAt), func() { b.DestroySession(context.Background(), token) })
	return b.memory.CreateSession(ctx, token, s)
}

type sweeping struct {
	*memory
	sweep func(ctx context.Context, now time.Time, limit int) (int, error)
}

func (b sweeping) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	return b.sweep(ctx, now, limit)
}

type deaf struct{ *memory }

func (b deaf) DestroySession(_ context.Context, token usher.TokenHash) error {
	return b.memory.DestroySession(context.Background(), token)
}

type blaming struct{ *memory }

func (b blaming) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	s, u, err := b.memory.ReadSession(ctx, token)
	if err != nil {
		err = usher.ErrNotFound
	}
	return s, u, err
}

// halfway lists a session before it can be read.
type halfway struct{ *memory }

func (b *halfway) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	if err := b.memory.CreateSession(ctx, usher.HashToken(s.ID), s); err != nil {
		return err
	}
	time.Sleep(500 * time.Microsecond)
	if err := b.memory.CreateSession(ctx, token, s); err != nil {
		return err
	}
	return b.DestroySession(context.Background(), usher.HashToken(s.ID))
}

// looking looks first and acts later.
type looking struct{ *memory }

func (b looking) DestroySession(ctx context.Context, token usher.TokenHash) error {
	if _, _, err := b.ReadSession(ctx, token); err != nil {
		return err
	}
	meanwhile()
	_ = b.memory.DestroySession(ctx, token)
	return nil
}

func (b looking) RevokeSession(ctx context.Context, user usher.ID, session string) error {
	list, err := b.ListSessions(ctx, user)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(list, func(s usher.Session) bool { return s.ID == session }) {
		return usher.ErrNotFound
	}
	meanwhile()
	_ = b.memory.RevokeSession(ctx, user, session)
	return nil
}

func (b looking) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	list, err := b.ListSessions(ctx, user)
	if err != nil {
		return 0, err
	}
	meanwhile()
	_, err = b.memory.RevokeSessions(ctx, user, keep)
	return len(slices.DeleteFunc(list, func(s usher.Session) bool { return s.ID == keep })), err
}

func (b looking) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) error {
	s, _, err := b.ReadSession(ctx, token)
	if err != nil {
		return err
	}
	meanwhile()
	meanwhile()
	s.LastSeenAt, s.ExpiresAt = lastSeen, expires
	return b.CreateSession(ctx, token, s)
}

// indexed keeps a list per user beside the sessions and clears the whole of it
// after it has ended those that it saw.
type indexed struct {
	*memory
	mu    sync.Mutex
	index map[usher.ID][]usher.TokenHash
}

func (b *indexed) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	b.mu.Lock()
	b.index[s.UserID] = append(b.index[s.UserID], token)
	b.mu.Unlock()
	return b.memory.CreateSession(ctx, token, s)
}

func (b *indexed) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	b.mu.Lock()
	tokens := slices.Clone(b.index[user])
	b.mu.Unlock()
	var list []usher.Session
	for _, token := range tokens {
		if s, _, err := b.ReadSession(ctx, token); err == nil {
			list = append(list, s)
		}
	}
	return list, ctx.Err()
}

func (b *indexed) RevokeSessions(ctx context.Context, user usher.ID, keep string) (n int, err error) {
	b.mu.Lock()
	tokens := slices.Clone(b.index[user])
	b.mu.Unlock()
	for _, token := range tokens {
		if s, _, err := b.ReadSession(ctx, token); err == nil && s.ID != keep && b.DestroySession(ctx, token) == nil {
			n++
		}
	}
	meanwhile()
	if keep == "" {
		b.mu.Lock()
		delete(b.index, user)
		b.mu.Unlock()
	}
	return n, ctx.Err()
}

type outliving struct{ *memory }

func (b outliving) DeleteUser(ctx context.Context, id usher.ID) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.users, id)
	return ctx.Err()
}
