package usher_test

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"usher"
)

// failing is a session store whose methods fail when their names are set.
type failing struct {
	usher.SessionStore
	err  error
	mu   sync.Mutex
	away map[string]bool // by method; "" is every method
}

func (f *failing) set(away bool, methods ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away == nil {
		f.away = map[string]bool{}
	}
	if len(methods) == 0 {
		methods = []string{""}
	}
	for _, m := range methods {
		f.away[m] = away
	}
}

func (f *failing) fails(method string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away[""] || f.away[method] {
		return f.err
	}
	return nil
}

func (f *failing) CreateSession(ctx context.Context, token usher.TokenHash, s usher.Session) error {
	if err := f.fails("CreateSession"); err != nil {
		return err
	}
	return f.SessionStore.CreateSession(ctx, token, s)
}

func (f *failing) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	if err := f.fails("ReadSession"); err != nil {
		return usher.Session{}, nil, err
	}
	return f.SessionStore.ReadSession(ctx, token)
}

func (f *failing) TouchSession(ctx context.Context, token usher.TokenHash, seen, expires time.Time) error {
	if err := f.fails("TouchSession"); err != nil {
		return err
	}
	return f.SessionStore.TouchSession(ctx, token, seen, expires)
}

func (f *failing) DestroySession(ctx context.Context, token usher.TokenHash) error {
	if err := f.fails("DestroySession"); err != nil {
		return err
	}
	return f.SessionStore.DestroySession(ctx, token)
}

func (f *failing) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	if err := f.fails("ListSessions"); err != nil {
		return nil, err
	}
	return f.SessionStore.ListSessions(ctx, user)
}

func (f *failing) RevokeSession(ctx context.Context, user usher.ID, session string) error {
	if err := f.fails("RevokeSession"); err != nil {
		return err
	}
	return f.SessionStore.RevokeSession(ctx, user, session)
}

func (f *failing) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	if err := f.fails("RevokeSessions"); err != nil {
		return 0, err
	}
	return f.SessionStore.RevokeSessions(ctx, user, keep)
}

// holdsToken asks a store whether it can hold a token: see usher.SessionStore.
func holdsToken(store usher.SessionStore, user usher.ID, token usher.TokenHash) bool {
	picky, ok := store.(interface {
		HoldsToken(user usher.ID, token usher.TokenHash) bool
	})
	return !ok || picky.HoldsToken(user, token)
}

func (f *failing) HoldsToken(user usher.ID, token usher.TokenHash) bool {
	return holdsToken(f.SessionStore, user, token)
}

// paused is a session store in which something happens after a session was read.
type paused struct {
	usher.SessionStore
	read atomic.Pointer[func()] // called once
}

func (p *paused) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	session, user, err := p.SessionStore.ReadSession(ctx, token)
	if f := p.read.Swap(nil); f != nil {
		(*f)()
	}
	return session, user, err
}

func (p *paused) HoldsToken(user usher.ID, token usher.TokenHash) bool {
	return holdsToken(p.SessionStore, user, token)
}

// failingUsers is a user store whose methods fail when their names are set.
type failingUsers struct {
	usher.UserStore[User]
	failing
}

func (f *failingUsers) UserByID(ctx context.Context, id usher.ID) (*User, error) {
	if err := f.fails("UserByID"); err != nil {
		return nil, err
	}
	return f.UserStore.UserByID(ctx, id)
}

func (f *failingUsers) UserByEmail(ctx context.Context, key string) (*User, error) {
	if err := f.fails("UserByEmail"); err != nil {
		return nil, err
	}
	return f.UserStore.UserByEmail(ctx, key)
}

func (f *failingUsers) CreateUser(ctx context.Context, u *User) error {
	if err := f.fails("CreateUser"); err != nil {
		return err
	}
	return f.UserStore.CreateUser(ctx, u)
}

func (f *failingUsers) UpdateUser(ctx context.Context, before, after *User) error {
	if err := f.fails("UpdateUser"); err != nil {
		return err
	}
	return f.UserStore.UpdateUser(ctx, before, after)
}

func (f *failingUsers) DeleteUser(ctx context.Context, id usher.ID) error {
	if err := f.fails("DeleteUser"); err != nil {
		return err
	}
	return f.UserStore.DeleteUser(ctx, id)
}

func (f *failingUsers) ListUsers(ctx context.Context, q usher.UserQuery) ([]*User, error) {
	if err := f.fails("ListUsers"); err != nil {
		return nil, err
	}
	return f.UserStore.ListUsers(ctx, q)
}

// meddling is a user store in which something else happens just before an
// update.
type meddling struct {
	usher.UserStore[User]
	before atomic.Pointer[func()] // called once
}

func (m *meddling) UpdateUser(ctx context.Context, before, after *User) error {
	if f := m.before.Swap(nil); f != nil {
		(*f)()
	}
	return m.UserStore.UpdateUser(ctx, before, after)
}

// noUpdates is a user store that reads only.
type noUpdates struct{ usher.UserStore[User] }

func (noUpdates) UpdateUser(context.Context, *User, *User) error { return errOutage }
