package ushertest_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// linked keeps accounts at providers in a map by their ids.
type linked struct {
	mu       sync.Mutex
	accounts map[string]usher.OAuthAccount
	deleted  map[usher.ID]bool
}

func newLinked() *linked {
	return &linked{accounts: map[string]usher.OAuthAccount{}, deleted: map[usher.ID]bool{}}
}

func cloneAccount(a usher.OAuthAccount) usher.OAuthAccount {
	a.AccessToken, a.RefreshToken = bytes.Clone(a.AccessToken), bytes.Clone(a.RefreshToken)
	return a
}

// find returns copies of the accounts that which agrees to, oldest first.
func (l *linked) find(ctx context.Context, which func(usher.OAuthAccount) bool) ([]usher.OAuthAccount, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var found []usher.OAuthAccount
	for _, a := range l.accounts {
		if which(a) {
			found = append(found, cloneAccount(a))
		}
	}
	slices.SortFunc(found, func(a, b usher.OAuthAccount) int {
		return cmp.Or(a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return found, ctx.Err()
}

func (l *linked) OAuthAccount(ctx context.Context, provider, accountID string) (usher.OAuthAccount, error) {
	found, err := l.find(ctx, func(a usher.OAuthAccount) bool { return a.Provider == provider && a.AccountID == accountID })
	if err != nil {
		return usher.OAuthAccount{}, err
	}
	if len(found) == 0 {
		return usher.OAuthAccount{}, usher.ErrNotFound
	}
	return found[0], nil
}

func (l *linked) OAuthAccounts(ctx context.Context, user usher.ID) ([]usher.OAuthAccount, error) {
	return l.find(ctx, func(a usher.OAuthAccount) bool { return a.UserID == user })
}

func (l *linked) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if l.deleted[account.UserID] {
		return usher.ErrNotFound
	}
	for _, a := range l.accounts {
		if a.Provider == account.Provider && a.AccountID == account.AccountID {
			return usher.ErrOAuthAccountTaken
		}
	}
	l.put(account)
	return nil
}

// put stores a new account without any check.
func (l *linked) put(account *usher.OAuthAccount) {
	account.ID, account.CreatedAt = string(usher.NewID()), time.Now()
	account.UpdatedAt = account.CreatedAt
	l.accounts[account.ID] = cloneAccount(*account)
}

func (l *linked) UpdateOAuthAccount(ctx context.Context, account usher.OAuthAccount) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	a, ok := l.accounts[account.ID]
	if !ok {
		return usher.ErrNotFound
	}
	a.Email, a.AccessToken, a.RefreshToken, a.ExpiresAt = account.Email, account.AccessToken, account.RefreshToken, account.ExpiresAt
	a.UpdatedAt = time.Now()
	l.accounts[a.ID] = cloneAccount(a)
	return nil
}

func (l *linked) UnlinkOAuthAccount(ctx context.Context, user usher.ID, id string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if a, ok := l.accounts[id]; !ok || a.UserID != user {
		return usher.ErrNotFound
	}
	delete(l.accounts, id)
	return nil
}

func (l *linked) DeleteUser(_ context.Context, id usher.ID) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.deleted[id] = true
	maps.DeleteFunc(l.accounts, func(_ string, a usher.OAuthAccount) bool { return a.UserID == id })
	return nil
}

func TestOAuthAccountStore(t *testing.T) {
	t.Parallel()
	ushertest.TestOAuthAccountStore(t, func(*testing.T) (usher.OAuthAccountStore, func(*testing.T) usher.ID) { return newLinked(), nil })
}

func TestOAuthAccountStoreNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		store      func(l *linked) usher.OAuthAccountStore
	}{
		{"drops a field", "round trip", func(l *linked) usher.OAuthAccountStore {
			return keeping{l, func(a *usher.OAuthAccount) { a.Email = "" }}
		}},
		{"takes no token for an empty one", "round trip", func(l *linked) usher.OAuthAccountStore {
			return keeping{l, func(a *usher.OAuthAccount) { a.RefreshToken = append([]byte{}, a.RefreshToken...) }}
		}},
		{"takes tokens for text", "round trip", func(l *linked) usher.OAuthAccountStore {
			return keeping{l, func(a *usher.OAuthAccount) { a.AccessToken = bytes.ToValidUTF8(a.AccessToken, []byte("?")) }}
		}},
		{"takes unknown for 1970", "round trip", func(l *linked) usher.OAuthAccountStore {
			return keeping{l, func(a *usher.OAuthAccount) {
				if a.ExpiresAt.IsZero() {
					a.ExpiresAt = time.Unix(0, 0)
				}
			}}
		}},
		{"shares its memory", "returns copies", func(l *linked) usher.OAuthAccountStore { return sharingTokens{l} }},
		{"updates what is not there", "not found", func(l *linked) usher.OAuthAccountStore {
			return updatingAccounts{l, func(ctx context.Context, a usher.OAuthAccount) error {
				if err := l.UpdateOAuthAccount(ctx, a); !errors.Is(err, usher.ErrNotFound) {
					return err
				}
				return nil
			}}
		}},
		{"collates", "exact names", func(l *linked) usher.OAuthAccountStore { return folding{l} }},
		{"looks at the number only", "taken", func(l *linked) usher.OAuthAccountStore { return numberOnly{l} }},
		{"takes over", "taken", func(l *linked) usher.OAuthAccountStore { return takingOver{l} }},
		{"lists the newest first", "list", func(l *linked) usher.OAuthAccountStore {
			return listingAccounts{l, func(a []usher.OAuthAccount) { slices.Reverse(a) }}
		}},
		{"lists by last update", "list", func(l *linked) usher.OAuthAccountStore {
			return listingAccounts{l, func(a []usher.OAuthAccount) {
				slices.SortFunc(a, func(a, b usher.OAuthAccount) int { return a.UpdatedAt.Compare(b.UpdatedAt) })
			}}
		}},
		{"keeps old tokens", "update", func(l *linked) usher.OAuthAccountStore {
			return updatingAccounts{l, func(ctx context.Context, a usher.OAuthAccount) error {
				if a.RefreshToken == nil {
					a.RefreshToken = l.accounts[a.ID].RefreshToken
				}
				return l.UpdateOAuthAccount(ctx, a)
			}}
		}},
		{"writes every field", "update", func(l *linked) usher.OAuthAccountStore {
			return updatingAccounts{l, func(ctx context.Context, a usher.OAuthAccount) error {
				err := l.UpdateOAuthAccount(ctx, a)
				if err == nil {
					l.accounts[a.ID] = cloneAccount(a)
				}
				return err
			}}
		}},
		{"unlinks anybody's", "unlink", func(l *linked) usher.OAuthAccountStore {
			return unlinking{l, func(ctx context.Context, _ usher.ID, id string) error {
				return l.UnlinkOAuthAccount(ctx, l.accounts[id].UserID, id)
			}}
		}},
		{"outlives its user", "deleted user", func(l *linked) usher.OAuthAccountStore { return outlivingUser{l} }},
		{"ignores the context", "cancelled context", func(l *linked) usher.OAuthAccountStore {
			return unlinking{l, func(_ context.Context, user usher.ID, id string) error {
				return l.UnlinkOAuthAccount(context.Background(), user, id)
			}}
		}},
		{"calls an outage not found", "cancelled context", func(l *linked) usher.OAuthAccountStore {
			return updatingAccounts{l, func(context.Context, usher.OAuthAccount) error { return usher.ErrNotFound }}
		}},
		{"looks, then links", "one link wins", func(l *linked) usher.OAuthAccountStore { return lookingLinks{l} }},
		{"looks, then unlinks", "one unlink wins", func(l *linked) usher.OAuthAccountStore { return lookingLinks{l} }},
		{"looks, then brings back", "update races unlink", func(l *linked) usher.OAuthAccountStore { return lookingLinks{l} }},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestOAuthAccountStore(t, func(*testing.T) (usher.OAuthAccountStore, func(*testing.T) usher.ID) {
				return d.store(newLinked()), nil
			})
		}})
	}
	mustFail(t, defects)
}

// keeping stores something else than it was given.
type keeping struct {
	*linked
	change func(*usher.OAuthAccount)
}

func (b keeping) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	err := b.linked.LinkOAuthAccount(ctx, account)
	if err == nil {
		a := cloneAccount(*account)
		b.change(&a)
		b.accounts[a.ID] = a
	}
	return err
}

type sharingTokens struct{ *linked }

func (b sharingTokens) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	err := b.linked.LinkOAuthAccount(ctx, account)
	if err == nil {
		b.accounts[account.ID] = *account
	}
	return err
}

type updatingAccounts struct {
	*linked
	update func(ctx context.Context, a usher.OAuthAccount) error
}

func (b updatingAccounts) UpdateOAuthAccount(ctx context.Context, a usher.OAuthAccount) error {
	return b.update(ctx, a)
}

type unlinking struct {
	*linked
	unlink func(ctx context.Context, user usher.ID, id string) error
}

func (b unlinking) UnlinkOAuthAccount(ctx context.Context, user usher.ID, id string) error {
	return b.unlink(ctx, user, id)
}

type folding struct{ *linked }

func (b folding) OAuthAccount(ctx context.Context, provider, accountID string) (usher.OAuthAccount, error) {
	found, err := b.find(ctx, func(a usher.OAuthAccount) bool {
		return strings.EqualFold(a.Provider, provider) && strings.EqualFold(a.AccountID, accountID)
	})
	if err == nil && len(found) == 0 {
		err = usher.ErrNotFound
	}
	if err != nil {
		return usher.OAuthAccount{}, err
	}
	return found[0], nil
}

type numberOnly struct{ *linked }

func (b numberOnly) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	if found, _ := b.find(ctx, func(a usher.OAuthAccount) bool { return a.AccountID == account.AccountID }); len(found) > 0 {
		return usher.ErrOAuthAccountTaken
	}
	return b.linked.LinkOAuthAccount(ctx, account)
}

type takingOver struct{ *linked }

func (b takingOver) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	if a, err := b.OAuthAccount(ctx, account.Provider, account.AccountID); err == nil {
		_ = b.UnlinkOAuthAccount(ctx, a.UserID, a.ID)
	}
	return b.linked.LinkOAuthAccount(ctx, account)
}

type listingAccounts struct {
	*linked
	change func([]usher.OAuthAccount)
}

func (b listingAccounts) OAuthAccounts(ctx context.Context, user usher.ID) ([]usher.OAuthAccount, error) {
	list, err := b.linked.OAuthAccounts(ctx, user)
	b.change(list)
	return list, err
}

type outlivingUser struct{ *linked }

func (b outlivingUser) DeleteUser(context.Context, usher.ID) error { return nil }

// lookingLinks looks first and acts later.
type lookingLinks struct{ *linked }

func (b lookingLinks) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	if _, err := b.OAuthAccount(ctx, account.Provider, account.AccountID); err == nil {
		return usher.ErrOAuthAccountTaken
	}
	meanwhile()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put(account)
	return ctx.Err()
}

func (b lookingLinks) has(id string) bool {
	found, _ := b.find(context.Background(), func(a usher.OAuthAccount) bool { return a.ID == id })
	return len(found) > 0
}

func (b lookingLinks) UpdateOAuthAccount(ctx context.Context, account usher.OAuthAccount) error {
	if !b.has(account.ID) {
		return usher.ErrNotFound
	}
	meanwhile()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.accounts[account.ID] = cloneAccount(account)
	return ctx.Err()
}

func (b lookingLinks) UnlinkOAuthAccount(ctx context.Context, user usher.ID, id string) error {
	if !b.has(id) {
		return usher.ErrNotFound
	}
	meanwhile()
	_ = b.linked.UnlinkOAuthAccount(ctx, user, id)
	return nil
}
