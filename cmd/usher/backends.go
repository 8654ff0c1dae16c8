package main

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"usher"
	"usher/password"
)

// stores are where users and sessions live.
type stores struct {
	users           usher.UserStore[User]
	database, redis usher.SessionStore
	denied          usher.DenyList // of sessions in Redis
	outbox          usher.Outbox
}

// library returns the configuration of the library, and the faults of ours.
func (c Config) library(secret []byte, s stores) (usher.Config[User], []error) {
	var faults []error
	var backends []usher.Backend
	for i, b := range c.Backends {
		backend, err := c.backend(b, secret, s)
		for _, fault := range err {
			faults = append(faults, fmt.Errorf("backends[%d]: %w", i, fault))
		}
		backends = append(backends, backend)
	}
	origins, originFaults := c.origins()
	faults = append(faults, originFaults...)
	hasher, err := c.Password.hasher()
	if err != nil {
		faults = append(faults, err)
	}
	verifySecret, resetSecret, err := c.FastAPIUsers.secrets()
	if err != nil {
		faults = append(faults, err)
	}
	registration, err := c.Registration.policy()
	if err != nil {
		faults = append(faults, err)
	}
	profile, err := c.profile()
	if err != nil {
		faults = append(faults, err)
	}
	if !c.mails() {
		s.outbox = nil
	}
	library := usher.Config[User]{
		Store:  s.users,
		Outbox: s.outbox,

		Secret:                  secret,
		VerifySecret:            verifySecret,
		ResetSecret:             resetSecret,
		FastAPIUsersResetTokens: c.FastAPIUsers.ResetTokens,
		VerifyLifetime:          max(c.Lifetimes.Verify, 0), // check names the fault in our words
		ResetLifetime:           max(c.Lifetimes.Reset, 0),
		DeadMailLifetime:        max(c.Lifetimes.DeadMail, 0),

		Backends:     backends,
		Registration: registration,
		Passwords:    hasher,
		PasswordPolicy: usher.PasswordPolicy{
			MinLength: c.Password.MinLength, MaxBytes: c.Password.MaxBytes, InsecureAllowCommon: c.Password.InsecureAllowCommon,
		},
		RequireVerified: c.RequireVerified,
		MailNewSignIn:   c.MailNewSignIn,

		InsecureUpdateWithoutPassword:  c.InsecureUpdateWithoutPassword,
		InsecureKeepSessions:           c.InsecureKeepSessions,
		InsecureUnconfirmedEmailChange: c.InsecureUnconfirmedEmailChange,

		TrustedOrigins: origins, // who may read answers may also send cookies
		ClientIP:       c.clientIP(),
		MaxBodyBytes:   max(c.Limits.MaxBodyBytes, 0),
		BodyTimeout:    max(c.Limits.ReadTimeout, 0),
		RequestTimeout: max(c.Limits.RequestTimeout, 0),
	}
	if profile != nil {
		library.SetFields = profile.set
	}
	if c.dryRun {
		library.Hooks.BeforeRegister = func(context.Context, *User) error { return errDryRun }
	}
	return library, faults
}

func (p PasswordConfig) hasher() (*password.Hasher, error) {
	params := password.DefaultParams()
	if p.Argon2.MemoryKiB != 0 {
		params.Memory = p.Argon2.MemoryKiB
	}
	if p.Argon2.Time != 0 {
		params.Time = p.Argon2.Time
	}
	if p.Argon2.Lanes != 0 {
		params.Lanes = p.Argon2.Lanes
	}
	return password.New(password.Config{
		Params: params, Parallel: p.Parallel, QueueTimeout: p.QueueTimeout, InsecureAllowWeak: p.InsecureAllowWeak,
	})
}

// backend makes one backend. A part with a fault is replaced by another, so that
// the library can judge the rest.
func (c Config) backend(b BackendConfig, secret []byte, s stores) (usher.Backend, []error) {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	backend := usher.Backend{Name: b.Name, Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: s.database}}

	switch b.Transport {
	case "bearer":
	case "cookie":
		cookie, err := b.Cookie.transport()
		if err != nil {
			fault("%w", err)
		}
		backend.Transport = cookie
	default:
		fault("transport: %q is none of bearer, cookie", b.Transport)
	}
	if b.Cookie != nil && b.Transport != "cookie" {
		fault("cookie: is only for the transport cookie")
	}

	switch b.Strategy {
	case "database":
		backend.Strategy = usher.Sessions{Store: s.database, Lifetime: b.Lifetime, IdleTimeout: b.IdleTimeout}
	case "redis":
		sessions := usher.Sessions{Store: s.redis, Lifetime: b.Lifetime, IdleTimeout: b.IdleTimeout}
		if c.RedisOptions.DenyList {
			sessions.DenyList = s.denied
		}
		backend.Strategy = sessions
		if c.Redis == "" {
			fault("strategy: redis needs a Redis (--redis, USHER_REDIS or the key redis)")
		}
	case "jwt":
		strategy, err := b.JWT.strategy(secret)
		if err != nil {
			fault("%w", err)
		}
		strategy.Lifetime = b.Lifetime
		backend.Strategy = strategy
		if b.IdleTimeout != 0 {
			fault("idle_timeout: a JWT lives until it expires; set lifetime")
		}
	default:
		fault("strategy: %q is none of database, redis, jwt", b.Strategy)
	}
	if b.JWT != nil && b.Strategy != "jwt" {
		fault("jwt: is only for the strategy jwt")
	}
	if b.Lifetime > 0 && b.Lifetime < time.Second {
		fault("lifetime: %v is less than a second", b.Lifetime)
	}
	if b.IdleTimeout > 0 && b.IdleTimeout < time.Second {
		fault("idle_timeout: %v is less than a second", b.IdleTimeout)
	}
	return backend, faults
}

func (c *CookieConfig) transport() (usher.Cookie, error) {
	if c == nil {
		return usher.Cookie{}, nil
	}
	cookie := usher.Cookie{
		Name: c.Name, Path: c.Path, Domain: c.Domain, MaxAge: c.MaxAge,
		InsecureHTTP:         c.Secure != nil && !*c.Secure,
		InsecureScriptAccess: c.HTTPOnly != nil && !*c.HTTPOnly,
	}
	switch c.SameSite {
	case "", "lax":
	case "strict":
		cookie.SameSite = http.SameSiteStrictMode
	case "none":
		cookie.SameSite = http.SameSiteNoneMode
	default:
		return cookie, fmt.Errorf("cookie.same_site: %q is none of lax, strict, none", c.SameSite)
	}
	return cookie, nil
}
