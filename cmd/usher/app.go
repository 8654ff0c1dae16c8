package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"usher"
	"usher/oauth"
	"usher/redisstore"
)

// app is what all commands share: the stores, and the library over them.
type app struct {
	auth  *usher.Auth[User]
	db    *userStore
	redis *redisstore.Store // nil if no backend uses it

	oauth  *oauth.OAuth[User] // nil if there are no providers
	outbox *wakingOutbox
	breach breachChecks

	secretCreated bool
}

// redisPatience is how long a start waits for Redis. It may as well be away: its
// backends then work as soon as it is back.
const redisPatience = 500 * time.Millisecond

// openApp opens the stores of a configuration without faults. Everything that
// happens is logged to log.
func openApp(ctx context.Context, c Config, log *slog.Logger) (_ *app, err error) {
	a := &app{}
	defer func() {
		if err != nil {
			_ = a.close()
		}
	}()
	profile, err := c.profile()
	if err != nil {
		return nil, err
	}
	db, err := openDatabase(ctx, c.Database, c.userIDs()...)
	if err != nil {
		return nil, err
	}
	a.db = &userStore{db, profile}
	a.outbox = &wakingOutbox{Outbox: a.db}
	s := stores{users: a.db, database: a.db, denied: a.db, outbox: a.outbox}
	if c.usesRedis() {
		ctx, cancel := context.WithTimeout(ctx, redisPatience)
		defer cancel()
		if a.redis, err = redisstore.Open(ctx, c.Redis, c.RedisOptions.options()); err != nil {
			return nil, err
		}
		s.redis = a.redis
		if c.FastAPIUsers.RedisTokens {
			s.redis = redisstore.Moved{Store: a.redis}
		}
	}
	secret, created, err := c.loadSecret()
	if err != nil {
		return nil, err
	}
	a.secretCreated = created
	library, faults := c.library(secret, s)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if a.breach, err = c.Password.Breach.open(); err != nil {
		return nil, err
	}
	if len(a.breach) > 0 {
		library.Breached = a.breach
	}
	library.Logger = log
	if a.auth, err = usher.New(library); err != nil || len(c.OAuth.Providers) == 0 {
		return a, err
	}
	providers, faults := c.oauthConfig(secret)
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	providers.Accounts, providers.OneTime = a.db, a.db
	a.oauth, err = oauth.New(a.auth, providers)
	return a, err
}

func (a *app) close() (err error) {
	if a.redis != nil {
		a.redis.Close()
	}
	if a.db != nil {
		err = a.db.Close()
	}
	return errors.Join(err, a.breach.close())
}

func (c Config) usesRedis() bool {
	for _, b := range c.Backends {
		if b.Strategy == "redis" {
			return true
		}
	}
	return false
}

// user returns the user whom a command names by e-mail address or id.
func (a *app) user(ctx context.Context, name string) (*User, error) {
	find := func(ctx context.Context, name string) (*User, error) { return a.auth.UserByID(ctx, usher.ID(name)) }
	if strings.Contains(name, "@") {
		find = a.auth.UserByEmail
	}
	user, err := find(ctx, name)
	if errors.Is(err, usher.ErrNotFound) {
		return nil, fmt.Errorf("there is no user %s", name)
	}
	return user, err
}
