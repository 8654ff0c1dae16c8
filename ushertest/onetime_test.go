package ushertest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// used remembers tokens in a map.
type used struct {
	mu     sync.Mutex
	tokens map[usher.TokenHash]time.Time
}

func newUsed() *used { return &used{tokens: map[usher.TokenHash]time.Time{}} }

func (u *used) UseOnce(ctx context.Context, token usher.TokenHash, expires time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if _, known := u.tokens[token]; known {
		return usher.ErrAlreadyUsed
	}
	u.tokens[token] = expires
	return nil
}

func (u *used) SweepUsedTokens(ctx context.Context, now time.Time, limit int) (n int, err error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for token, expires := range u.tokens {
		if n < limit && expires.Before(now) {
			delete(u.tokens, token)
			n++
		}
	}
	return n, ctx.Err()
}

func TestOneTimeStore(t *testing.T) {
	t.Parallel() // it waits for tokens to expire
	ushertest.TestOneTimeStore(t, func(*testing.T) usher.OneTimeStore { return newUsed() })
}

func TestOneTimeStoreThatForgetsByItself(t *testing.T) {
	t.Parallel() // it waits for tokens to expire
	ushertest.TestOneTimeStore(t, func(*testing.T) usher.OneTimeStore {
		u := newUsed()
		return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
			_, _ = u.SweepUsedTokens(ctx, time.Now(), 100)
			return u.UseOnce(ctx, token, expires)
		})
	})
}

// using is a store that is one function.
type using func(ctx context.Context, token usher.TokenHash, expires time.Time) error

func (f using) UseOnce(ctx context.Context, token usher.TokenHash, expires time.Time) error {
	return f(ctx, token, expires)
}

// sweepingTokens sweeps tokens in its own way.
type sweepingTokens struct {
	*used
	sweep func(ctx context.Context, now time.Time, limit int) (int, error)
}

func (b sweepingTokens) SweepUsedTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	return b.sweep(ctx, now, limit)
}

func TestOneTimeStoreNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		store      func(u *used) usher.OneTimeStore
	}{
		{"forgets at once", "used once", func(*used) usher.OneTimeStore {
			return using(func(ctx context.Context, _ usher.TokenHash, _ time.Time) error { return ctx.Err() })
		}},
		{"takes the expiry for a part of the token", "used once", func(u *used) usher.OneTimeStore {
			return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
				return u.UseOnce(ctx, usher.HashToken(string(token[:])+expires.String()), expires)
			})
		}},
		{"cuts tokens", "every token for itself", func(u *used) usher.OneTimeStore {
			return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
				token[31] = 0
				return u.UseOnce(ctx, token, expires)
			})
		}},
		{"forgets all at the first expiry", "expiry", func(u *used) usher.OneTimeStore {
			return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
				if n, _ := u.SweepUsedTokens(ctx, time.Now(), 100); n > 0 {
					clear(u.tokens)
				}
				return u.UseOnce(ctx, token, expires)
			})
		}},
		{"keeps the last expiry", "expiry", func(u *used) usher.OneTimeStore {
			return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
				_, _ = u.SweepUsedTokens(ctx, time.Now(), 100)
				err := u.UseOnce(ctx, token, expires)
				if errors.Is(err, usher.ErrAlreadyUsed) {
					u.tokens[token] = expires
				}
				return err
			})
		}},
		{"sweeps the living", "sweep", func(u *used) usher.OneTimeStore {
			return sweepingTokens{u, func(ctx context.Context, now time.Time, limit int) (int, error) {
				return u.SweepUsedTokens(ctx, now.Add(100*time.Hour), limit)
			}}
		}},
		{"sweeps without limit", "sweep", func(u *used) usher.OneTimeStore {
			return sweepingTokens{u, func(ctx context.Context, now time.Time, _ int) (int, error) {
				return u.SweepUsedTokens(ctx, now, 100)
			}}
		}},
		{"ignores the context", "cancelled context", func(u *used) usher.OneTimeStore {
			return using(func(_ context.Context, token usher.TokenHash, expires time.Time) error {
				return u.UseOnce(context.Background(), token, expires)
			})
		}},
		{"calls an outage a second use", "cancelled context", func(u *used) usher.OneTimeStore {
			return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
				if u.UseOnce(ctx, token, expires) != nil {
					return usher.ErrAlreadyUsed
				}
				return nil
			})
		}},
		{"looks, then uses", "one use wins", func(u *used) usher.OneTimeStore {
			return using(func(ctx context.Context, token usher.TokenHash, expires time.Time) error {
				u.mu.Lock()
				_, known := u.tokens[token]
				u.mu.Unlock()
				if known {
					return usher.ErrAlreadyUsed
				}
				meanwhile()
				_ = u.UseOnce(ctx, token, expires)
				return ctx.Err()
			})
		}},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestOneTimeStore(t, func(*testing.T) usher.OneTimeStore { return d.store(newUsed()) })
		}})
	}
	mustFail(t, defects)
}
