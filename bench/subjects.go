package main

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"usher"
	"usher/redisstore"
	"usher/sqlstore/sqlite"
)

// subject is a server that is measured: usher in one configuration, or a floor.
type subject struct {
	name, does string
	floor      string  // the subject it is compared with; empty: it is a floor itself
	target     float64 // the most it may cost, in multiples of the floor; 0: none set
	path       string  // of the request
	tokens     string  // the kind of token it carries
	build      func(context.Context, environment) (http.Handler, error)
}

const (
	mePath     = "/users/me"
	claimsPath = "/claims"
)

// subjects are in the order in which a round loads them: each close to its floor.
var subjects []subject

func init() { // a literal would refer to itself through subjectNamed
	subjects = slices.Concat([]subject{
		{name: "F0", does: "bare net/http, static JSON", path: mePath, build: staticFloor},
		{name: "F1", does: "HS256 by raw HMAC, minimal claims parse, no store", path: claimsPath, tokens: jwtToken, build: jwtFloor},
		{name: "JWT, claims", does: "`auth.ReadToken`, no user", floor: "F1", target: 1.25, path: claimsPath, tokens: jwtToken, build: claimsOf(jwtToken)},
		{name: "JWT, claims, unseen", does: "the same; 40,000 tokens in turn, none is in the cache of verified ones", floor: "F1", path: claimsPath, tokens: manyJWTs, build: claimsOf(jwtToken)},
		{name: "F1+user", does: "F1 and one SQLite user row by primary key", path: mePath, tokens: jwtToken, build: jwtUserFloor},
		{name: "JWT", does: "`GET /users/me`, user in SQLite", floor: "F1+user", target: 1.25, path: mePath, tokens: jwtToken, build: usherWith(jwtToken)},
		{name: "F8", does: "token → SHA-256 → one joined SQLite query", path: mePath, tokens: databaseToken, build: joinFloor},
		{name: "database", does: "`GET /users/me`, session and user in SQLite", floor: "F8", target: 1.25, path: mePath, tokens: databaseToken, build: usherWith(databaseToken)},
		{name: "F6", does: "token → SHA-256 → one rueidis GET, minimal JSON decode", path: claimsPath, tokens: redisToken, build: redisFloor},
		{name: "Redis, session", does: "`auth.ReadToken`, no user", floor: "F6", target: 1.25, path: claimsPath, tokens: redisToken, build: claimsOf(redisToken)},
		{name: "F6+user", does: "F6 and one SQLite user row by primary key", path: mePath, tokens: redisToken, build: redisUserFloor},
		{name: "Redis", does: "`GET /users/me`, session in Redis, user in SQLite", floor: "F6+user", target: 1.25, path: mePath, tokens: redisToken, build: usherWith(redisToken)},
	})
}

// allBackends is the subject of what is not measured per request.
var allBackends = subject{name: "all backends", does: "the three strategies in one server", build: usherWith(jwtToken, databaseToken, redisToken)}

func subjectNamed(name string) (subject, bool) {
	i := slices.IndexFunc(subjects, func(s subject) bool { return s.name == name })
	switch {
	case name == allBackends.name:
		return allBackends, true
	case i < 0:
		return subject{}, false
	}
	return subjects[i], true
}

// usherWith serves usher's own routes, with a bearer backend for each kind of
// token. One whose server there is not is left out.
func usherWith(kinds ...string) func(context.Context, environment) (http.Handler, error) {
	return func(ctx context.Context, e environment) (http.Handler, error) {
		auth, err := openAuth(ctx, e, kinds)
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		auth.Mount(mux)
		return mux, nil
	}
}

// claims is the answer of servers that look no user up.
type claims struct {
	User usher.ID `json:"user"`
}

// claimsOf serves what a token proves, without its user.
func claimsOf(kind string) func(context.Context, environment) (http.Handler, error) {
	return func(ctx context.Context, e environment) (http.Handler, error) {
		auth, err := openAuth(ctx, e, []string{kind})
		if err != nil {
			return nil, err
		}
		mux := http.NewServeMux()
		mux.HandleFunc("GET "+claimsPath, func(w http.ResponseWriter, r *http.Request) {
			authn, err := auth.ReadToken(r)
			if err != nil {
				auth.Refuse(w, r, err)
				return
			}
			answer(w, claims{authn.UserID})
		})
		return mux, nil
	}
}

func openAuth(ctx context.Context, e environment, kinds []string) (*usher.Auth[user], error) {
	store, err := sqlite.Open[user](ctx, e.DB)
	if err != nil {
		return nil, err
	}
	c := usher.Config[user]{Store: store}
	for _, kind := range kinds {
		b := usher.Backend{Name: kind, Transport: usher.Bearer{}}
		switch kind {
		case jwtToken:
			b.Strategy = e.jwt()
		case databaseToken:
			b.Strategy = store.Sessions(24 * time.Hour)
		case redisToken:
			if e.Redis == "" && len(kinds) > 1 {
				continue
			}
			sessions, err := redisstore.Open(ctx, e.Redis, redisstore.Options{})
			if err == nil {
				err = sessions.Ping(ctx)
			}
			if err != nil {
				return nil, errors.Join(err, store.Close())
			}
			b.Strategy = usher.Sessions{Store: sessions}
		}
		c.Backends = append(c.Backends, b)
	}
	return usher.New(c)
}
