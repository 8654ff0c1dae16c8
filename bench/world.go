package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/redis/rueidis"

	"usher"
	"usher/password"
	"usher/redisstore"
	"usher/sqlstore/sqlite"
)

// user is a user type without fields of its own: /users/me answers id, e-mail
// address and three flags.
type user struct{ usher.User }

// environment is what a subject needs to know of the world.
type environment struct {
	DB     string // path of the SQLite file
	Redis  string // URL; empty: there is none
	Secret []byte // of the JWTs
}

// world is what all subjects share: one database, one Redis, the same users.
type world struct {
	environment
	folder   string
	profiles string
	users    []*user
	tokens   map[string][]string // by kind, the i-th is of user i modulo the users
}

// The kinds of tokens.
const (
	noToken       = ""
	jwtToken      = "jwt"
	manyJWTs      = "many JWTs" // more than the cache of verified JWTs holds
	databaseToken = "database"
	redisToken    = "redis"
)

const (
	manyJWTsCount = 40_000
	userPassword  = "correct horse battery staple"
	lifetime      = 2 * time.Hour // no token may expire while we measure
)

// newWorld makes users, and signs each in through the library.
func newWorld(ctx context.Context, folder string, users int) (*world, error) {
	w := &world{
		environment: environment{
			DB: filepath.Join(folder, "bench.db"), Redis: os.Getenv("USHER_TEST_REDIS"), Secret: make([]byte, 32),
		},
		folder: folder,
		tokens: map[string][]string{noToken: {""}},
	}
	rand.Read(w.Secret)
	store, err := sqlite.Open[user](ctx, w.DB)
	if err != nil {
		return nil, err
	}
	defer store.Close()
	hasher, err := password.New(password.Config{})
	if err != nil {
		return nil, err
	}
	hash, err := hasher.Hash(ctx, userPassword) // for all: each hash takes a tenth of a second
	if err != nil {
		return nil, err
	}
	for i := range users {
		u := &user{usher.User{Email: fmt.Sprintf("user%d@example.com", i), HashedPassword: hash, IsActive: true, IsVerified: true}}
		if err := store.CreateUser(ctx, u); err != nil {
			return nil, err
		}
		w.users = append(w.users, u)
	}

	strategies := map[string]usher.Strategy{databaseToken: store.Sessions(lifetime), jwtToken: w.jwt()}
	if w.Redis != "" {
		sessions, err := redisstore.Open(ctx, w.Redis, redisstore.Options{})
		if err != nil {
			return nil, err
		}
		defer sessions.Close()
		strategies[redisToken] = usher.Sessions{Store: sessions, Lifetime: lifetime}
	}
	for kind, strategy := range strategies {
		if w.tokens[kind], err = w.signIn(ctx, strategy, users); err != nil {
			return nil, fmt.Errorf("%s tokens: %w", kind, err)
		}
	}
	if w.tokens[manyJWTs], err = w.signIn(ctx, w.jwt(), max(users, manyJWTsCount)); err != nil {
		return nil, err
	}
	return w, w.writeFloorSessions(ctx)
}

func (e environment) jwt() *usher.JWT {
	return &usher.JWT{Keys: []usher.Key{usher.SecretKey("", e.Secret)}, Lifetime: lifetime}
}

func (w *world) signIn(ctx context.Context, strategy usher.Strategy, n int) ([]string, error) {
	tokens := make([]string, n)
	for i := range tokens {
		a := usher.Authentication{
			UserID: w.users[i%len(w.users)].ID, Methods: []string{"pwd"}, AuthTime: time.Now(), IP: "127.0.0.1",
			UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
			Data:      map[string]any{}, // as Auth.SignIn gives it
		}
		var err error
		if tokens[i], err = strategy.WriteToken(ctx, &a); err != nil {
			return nil, err
		}
	}
	return tokens, nil
}

// floorSession is the least that a program without usher would keep in Redis.
type floorSession struct {
	User    string `json:"user"`
	Expires int64  `json:"expires"`
}

func floorKey(token string) string {
	hash := usher.HashToken(token)
	return "usher-bench:" + hex.EncodeToString(hash[:])
}

// writeFloorSessions keeps the tokens of the Redis strategy once more, for the
// floors.
func (w *world) writeFloorSessions(ctx context.Context) error {
	if w.Redis == "" {
		return nil
	}
	client, err := openRedis(w.Redis)
	if err != nil {
		return err
	}
	defer client.Close()
	for i, token := range w.tokens[redisToken] {
		text, err := json.Marshal(floorSession{string(w.users[i].ID), time.Now().Add(lifetime).Unix()})
		if err != nil {
			return err
		}
		set := client.B().Set().Key(floorKey(token)).Value(rueidis.BinaryString(text)).Ex(lifetime).Build()
		if err := client.Do(ctx, set).Error(); err != nil {
			return err
		}
	}
	return nil
}
