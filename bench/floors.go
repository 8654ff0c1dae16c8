package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/redis/rueidis"
)

// The floors do what has to be done and nothing else: one kind of token, one
// place to look for it, no answer but 200 and 401. Their reads cannot be
// interrupted, since to watch the request's context costs more than some of
// them. They answer the same JSON as usher, with fewer headers: Content-Type and
// Content-Length.

// floorUser is a row of users, as usher answers it.
type floorUser struct {
	ID          string `json:"id"`
	Email       string `json:"email"`
	IsActive    bool   `json:"is_active"`
	IsSuperuser bool   `json:"is_superuser"`
	IsVerified  bool   `json:"is_verified"`
}

func (u *floorUser) targets() []any {
	return []any{&u.ID, &u.Email, &u.IsActive, &u.IsSuperuser, &u.IsVerified}
}

const userColumns = `u.id, u.email, u.is_active, u.is_superuser, u.is_verified`

var errRefused = errors.New("refused")

// serveFloor answers what find returns for the bearer token of a request.
func serveFloor(path string, find func(token string) (any, error)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+path, func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		v, err := find(token)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		answer(w, v)
	})
	return mux
}

func answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	write(w, body)
}

func write(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
}

// F0
func staticFloor(context.Context, environment) (http.Handler, error) {
	body, err := json.Marshal(floorUser{ID: "019ab0e4-0000-7000-8000-000000000000", Email: "user0@example.com", IsActive: true, IsVerified: true})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+mePath, func(w http.ResponseWriter, _ *http.Request) { write(w, body) })
	return mux, nil
}

// F1
func jwtFloor(_ context.Context, e environment) (http.Handler, error) {
	return serveFloor(claimsPath, func(token string) (any, error) {
		subject, err := readJWT(e.Secret, token)
		return floorClaims{subject}, err
	}), nil
}

type floorClaims struct {
	User string `json:"user"`
}

// readJWT returns the subject of a token that is good.
func readJWT(secret []byte, token string) (string, error) {
	signed, signature, ok := cutLast(token, ".")
	if !ok {
		return "", errRefused
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(signed))
	given, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !hmac.Equal(mac.Sum(nil), given) {
		return "", errRefused
	}
	_, payload, _ := cutLast(signed, ".")
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return "", errRefused
	}
	var c struct {
		Subject string `json:"sub"`
		Expires int64  `json:"exp"`
	}
	if err := json.Unmarshal(text, &c); err != nil || time.Now().Unix() >= c.Expires {
		return "", errRefused
	}
	return c.Subject, nil
}

func cutLast(s, separator string) (before, after string, found bool) {
	i := strings.LastIndex(s, separator)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(separator):], true
}

// F1+user
func jwtUserFloor(ctx context.Context, e environment) (http.Handler, error) {
	user, err := userByID(ctx, e)
	if err != nil {
		return nil, err
	}
	return serveFloor(mePath, func(token string) (any, error) {
		subject, err := readJWT(e.Secret, token)
		if err != nil {
			return nil, err
		}
		return user(subject)
	}), nil
}

// F8
func joinFloor(ctx context.Context, e environment) (http.Handler, error) {
	statement, err := prepare(ctx, e, `SELECT `+userColumns+` FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = ? AND s.expires_at > ?`)
	if err != nil {
		return nil, err
	}
	return serveFloor(mePath, func(token string) (any, error) {
		hash := sha256.Sum256([]byte(token))
		var u floorUser
		err := statement.QueryRow(hash[:], time.Now().UnixMicro()).Scan(u.targets()...)
		return &u, err
	}), nil
}

// F6
func redisFloor(_ context.Context, e environment) (http.Handler, error) {
	session, err := sessionByToken(e)
	if err != nil {
		return nil, err
	}
	return serveFloor(claimsPath, func(token string) (any, error) {
		s, err := session(token)
		return floorClaims{s.User}, err
	}), nil
}

// F6+user
func redisUserFloor(ctx context.Context, e environment) (http.Handler, error) {
	user, err := userByID(ctx, e)
	if err != nil {
		return nil, err
	}
	session, err := sessionByToken(e)
	if err != nil {
		return nil, err
	}
	return serveFloor(mePath, func(token string) (any, error) {
		s, err := session(token)
		if err != nil {
			return nil, err
		}
		return user(s.User)
	}), nil
}

func userByID(ctx context.Context, e environment) (func(id string) (*floorUser, error), error) {
	statement, err := prepare(ctx, e, `SELECT `+userColumns+` FROM users u WHERE u.id = ?`)
	if err != nil {
		return nil, err
	}
	return func(id string) (*floorUser, error) {
		var u floorUser
		err := statement.QueryRow(id).Scan(u.targets()...)
		return &u, err
	}, nil
}

// prepare opens the database that usher made (WAL is a property of the file),
// with as many connections as usher's own pool has.
func prepare(ctx context.Context, e environment, query string) (*sql.Stmt, error) {
	db, err := sql.Open("sqlite", "file:"+e.DB+"?_busy_timeout=5000")
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(4)
	db.SetMaxIdleConns(4)
	return db.PrepareContext(ctx, query)
}

func sessionByToken(e environment) (func(token string) (floorSession, error), error) {
	client, err := openRedis(e.Redis)
	if err != nil {
		return nil, err
	}
	return func(token string) (s floorSession, err error) {
		text, err := client.Do(context.Background(), client.B().Get().Key(floorKey(token)).Build()).AsBytes()
		if err == nil {
			err = json.Unmarshal(text, &s)
		}
		if err == nil && time.Now().Unix() >= s.Expires {
			err = errRefused
		}
		return s, err
	}, nil
}

func openRedis(url string) (rueidis.Client, error) {
	option, err := rueidis.ParseURL(url)
	if err != nil {
		return nil, err
	}
	option.DisableCache = true // every request asks Redis
	// Its own 512 KiB each would make the heap of the floor twice as large as
	// usher's, and a larger heap is collected less often.
	option.ReadBufferEachConn, option.WriteBufferEachConn = 32<<10, 32<<10
	return rueidis.NewClient(option)
}
