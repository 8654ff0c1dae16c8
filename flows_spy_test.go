package usher_test

import (
	"context"
	"maps"
	"sync"
	"time"

	"usher"
	"usher/sqlstore"
)

// spy is a site's database whose calls are counted. A test may make a method
// fail, or do something just before it.
type spy struct {
	*sqlstore.Store[User]
	mu     sync.Mutex
	counts map[string]int
	faults map[string]error
	before map[string]func() // called once
}

func (s *spy) enter(method string) error {
	s.mu.Lock()
	s.counts[method]++
	err, f := s.faults[method], s.before[method]
	delete(s.before, method)
	s.mu.Unlock()
	if f != nil {
		f()
	}
	return err
}

// fail makes a method fail until it is called with nil.
func (s *spy) fail(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults[method] = err
}

// at makes f run just before the next call of a method.
func (s *spy) at(method string, f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.before[method] = f
}

// during returns how often each method was called while f ran.
func (s *spy) during(f func()) map[string]int {
	s.mu.Lock()
	clear(s.counts)
	s.mu.Unlock()
	f()
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.counts)
}

func (s *spy) InTx(ctx context.Context, f func(context.Context) error) error {
	if err := s.enter("InTx"); err != nil {
		return err
	}
	return s.Store.InTx(ctx, f)
}

func (s *spy) UserByID(ctx context.Context, id usher.ID) (*User, error) {
	if err := s.enter("UserByID"); err != nil {
		return nil, err
	}
	return s.Store.UserByID(ctx, id)
}

func (s *spy) UserByEmail(ctx context.Context, key string) (*User, error) {
	if err := s.enter("UserByEmail"); err != nil {
		return nil, err
	}
	return s.Store.UserByEmail(ctx, key)
}

func (s *spy) CreateUser(ctx context.Context, u *User) error {
	if err := s.enter("CreateUser"); err != nil {
		return err
	}
	return s.Store.CreateUser(ctx, u)
}

func (s *spy) UpdateUser(ctx context.Context, before, after *User) error {
	if err := s.enter("UpdateUser"); err != nil {
		return err
	}
	return s.Store.UpdateUser(ctx, before, after)
}

func (s *spy) DeleteUser(ctx context.Context, id usher.ID) error {
	if err := s.enter("DeleteUser"); err != nil {
		return err
	}
	return s.Store.DeleteUser(ctx, id)
}

func (s *spy) AddMessage(ctx context.Context, m *usher.Message) error {
	if err := s.enter("AddMessage"); err != nil {
		return err
	}
	return s.Store.AddMessage(ctx, m)
}

func (s *spy) UseOnce(ctx context.Context, token usher.TokenHash, expires time.Time) error {
	if err := s.enter("UseOnce"); err != nil {
		return err
	}
	return s.Store.UseOnce(ctx, token, expires)
}

func (s *spy) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	if err := s.enter("ReadSession"); err != nil {
		return usher.Session{}, nil, err
	}
	return s.Store.ReadSession(ctx, token)
}

func (s *spy) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	if err := s.enter("RevokeSessions"); err != nil {
		return 0, err
	}
	return s.Store.RevokeSessions(ctx, user, keep)
}

func (s *spy) ListUsers(ctx context.Context, q usher.UserQuery) ([]*User, error) {
	if err := s.enter("ListUsers"); err != nil {
		return nil, err
	}
	return s.Store.ListUsers(ctx, q)
}

func (s *spy) CreateSession(ctx context.Context, token usher.TokenHash, x usher.Session) error {
	if err := s.enter("CreateSession"); err != nil {
		return err
	}
	return s.Store.CreateSession(ctx, token, x)
}

func (s *spy) OAuthAccount(ctx context.Context, provider, accountID string) (usher.OAuthAccount, error) {
	if err := s.enter("OAuthAccount"); err != nil {
		return usher.OAuthAccount{}, err
	}
	return s.Store.OAuthAccount(ctx, provider, accountID)
}

func (s *spy) OAuthAccounts(ctx context.Context, user usher.ID) ([]usher.OAuthAccount, error) {
	if err := s.enter("OAuthAccounts"); err != nil {
		return nil, err
	}
	return s.Store.OAuthAccounts(ctx, user)
}
