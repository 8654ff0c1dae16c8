package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"usher"
	"usher/password"
	"usher/redisstore"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
)

// The secrets of the recorded server.
const (
	jwtSecret    = "reference-jwt-secret-0123456789abcdef"
	verifySecret = "reference-verify-secret-0123456789abcdef"
	resetSecret  = "reference-reset-secret-0123456789abcdef"
)

const lifetime = time.Hour

// user is the recorded application's user type.
type user struct {
	usher.User
	FirstName *string `json:"first_name" usher:"write"`
}

type settings struct {
	database, redis, provider string
}

// app is the recorded application: one Auth for each way in which its routes
// were configured, all over the same stores.
type app struct {
	provider string // base URL of the OAuth provider
	users    *sqlstore.Store[user]
	redis    *redisstore.Store
	outbox   outbox
	auth     *usher.Auth[user] // the ordinary routes
	verified *usher.Auth[user] // /rv/…: verification required
	enabled  *usher.Auth[user] // /enabled: backends chosen per request
}

func newApp(ctx context.Context, s settings) (*app, error) {
	users, err := sqlite.Open[user](ctx, s.database)
	if err != nil {
		return nil, err
	}
	a := &app{users: users, provider: s.provider}
	if a.redis, err = redisstore.Open(ctx, s.redis, redisstore.Options{}); err != nil {
		a.close()
		return nil, err
	}
	// The recordings ask for more sign-ins at once than a real queue would hold.
	hasher, err := password.New(password.Config{QueueTimeout: 2 * time.Minute})
	if err != nil {
		a.close()
		return nil, err
	}
	config := usher.Config[user]{
		Store:                         users,
		VerifySecret:                  []byte(verifySecret),
		ResetSecret:                   []byte(resetSecret),
		FastAPIUsersResetTokens:       true,
		Backends:                      a.backends(),
		Passwords:                     hasher,
		RequestTimeout:                2 * time.Minute, // as in the queue
		MaxBodyBytes:                  1 << 20,
		PasswordPolicy:                usher.PasswordPolicy{MinLength: 3, InsecureAllowCommon: true},
		InsecureUpdateWithoutPassword: true,
		InsecureKeepSessions:          true,
		Hooks:                         a.outbox.hooks(),
	}
	if a.auth, err = usher.New(config); err != nil {
		a.close()
		return nil, err
	}
	verified, enabled := config, config
	verified.RequireVerified = true
	enabled.EnabledBackends = func(r *http.Request) []string {
		return strings.Split(r.Header.Get("X-Backends"), ",")
	}
	if a.verified, err = usher.New(verified); err != nil {
		a.close()
		return nil, err
	}
	if a.enabled, err = usher.New(enabled); err != nil {
		a.close()
		return nil, err
	}
	return a, nil
}

func (a *app) close() {
	a.users.Close()
	if a.redis != nil {
		a.redis.Close()
	}
}

func (a *app) backends() []usher.Backend {
	tokens := &usher.JWT{Keys: []usher.Key{usher.SecretKey("", []byte(jwtSecret))}, Lifetime: lifetime}
	rows := usher.Sessions{Store: a.users, Lifetime: lifetime}
	keys := usher.Sessions{Store: a.redis, Lifetime: lifetime}
	return []usher.Backend{
		{Name: "jwt", Transport: usher.Bearer{}, Strategy: tokens},
		{Name: "cookie-jwt", Transport: cookie("ck_jwt"), Strategy: tokens},
		{Name: "bearer-db", Transport: usher.Bearer{}, Strategy: rows},
		{Name: "cookie", Transport: cookie("ck_db"), Strategy: rows},
		{Name: "redis", Transport: usher.Bearer{}, Strategy: keys},
		{Name: "cookie-redis", Transport: cookie("ck_redis"), Strategy: keys},
	}
}

func cookie(name string) usher.Cookie { return usher.Cookie{Name: name, InsecureHTTP: true} }
