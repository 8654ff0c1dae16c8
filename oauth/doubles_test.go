package oauth_test

import (
	"context"
	"errors"
	"sync"
	"time"

	"usher"
)

type events struct {
	mu  sync.Mutex
	all []usher.Event
}

func (e *events) add(_ context.Context, event usher.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, event)
}

// last returns the last event of a kind.
func (e *events) last(kind usher.EventKind) (usher.Event, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := len(e.all) - 1; i >= 0; i-- {
		if e.all[i].Kind == kind {
			return e.all[i], true
		}
	}
	return usher.Event{}, false
}

var errOutage = errors.New("connection refused")

// faultyAccounts is a store of accounts that may be away.
type faultyAccounts struct {
	usher.OAuthAccountStore
	mu   sync.Mutex
	away bool
	at   map[string]func() // by method: called once, before the method does its work
}

func (f *faultyAccounts) enter(method string) error {
	f.mu.Lock()
	hook := f.at[method]
	delete(f.at, method)
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.away {
		return errOutage
	}
	return nil
}

func (f *faultyAccounts) during(method string, hook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = map[string]func(){method: hook}
}

func (f *faultyAccounts) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *faultyAccounts) OAuthAccount(ctx context.Context, provider, id string) (usher.OAuthAccount, error) {
	if err := f.enter("OAuthAccount"); err != nil {
		return usher.OAuthAccount{}, err
	}
	return f.OAuthAccountStore.OAuthAccount(ctx, provider, id)
}

func (f *faultyAccounts) UpdateOAuthAccount(ctx context.Context, a usher.OAuthAccount) error {
	if err := f.enter("UpdateOAuthAccount"); err != nil {
		return err
	}
	return f.OAuthAccountStore.UpdateOAuthAccount(ctx, a)
}

func (f *faultyAccounts) LinkOAuthAccount(ctx context.Context, a *usher.OAuthAccount) error {
	if err := f.enter("LinkOAuthAccount"); err != nil {
		return err
	}
	return f.OAuthAccountStore.LinkOAuthAccount(ctx, a)
}

// faultyOnce is a store of used tokens that may be away.
type faultyOnce struct {
	usher.OneTimeStore
	mu   sync.Mutex
	away bool
	hook func() // called once, before UseOnce does its work
}

func (f *faultyOnce) during(hook func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.hook = hook
}

func (f *faultyOnce) setAway(away bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.away = away
}

func (f *faultyOnce) UseOnce(ctx context.Context, token usher.TokenHash, expires time.Time) error {
	f.mu.Lock()
	away, hook := f.away, f.hook
	f.hook = nil
	f.mu.Unlock()
	if hook != nil {
		hook()
	}
	if away {
		return errOutage
	}
	return f.OneTimeStore.UseOnce(ctx, token, expires)
}

// mailbox is an outbox that only fills.
type mailbox struct {
	usher.Outbox
	mu    sync.Mutex
	fails bool // when told of accounts
	mails []usher.Message
}

func (m *mailbox) AddMessage(_ context.Context, mail *usher.Message) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fails && mail.Data["provider"] != "" {
		return errOutage
	}
	m.mails = append(m.mails, *mail)
	return nil
}

// take empties the mailbox and returns what was in it, with address and provider.
func (m *mailbox) take() (list []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, mail := range m.mails {
		list = append(list, string(mail.Kind)+" "+mail.Email+" "+mail.Data["provider"])
	}
	m.mails = nil
	return list
}
