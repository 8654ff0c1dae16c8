package usher_test

import (
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/password"
)

// User is the application's user type in these tests, with one field of each
// right.
type User struct {
	usher.User
	FirstName *string `json:"first_name" usher:"write"`
	Plan      string  `json:"plan" usher:"admin"`
	Score     int     `json:"score"`
	Notes     string  `json:"-"`
}

// epoch is when the clocks of these tests start.
var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const goodPassword = "correct horse battery staple"

// secret is a good one. It is nobody's.
var secret = []byte("2f8e1c5b9a07d3468e1f5c2b7a9d0e3f6c8b1a4d")

// errOutage is what a store says that cannot be reached.
var errOutage = errors.New("connection refused")

// weakPasswords hashes in microseconds.
var weakPasswords = sync.OnceValue(newWeakPasswords)

func newWeakPasswords() *password.Hasher {
	h, err := password.New(password.Config{
		Params: password.Params{Memory: 8, Time: 1, Lanes: 1}, Parallel: 8, QueueTimeout: time.Minute, InsecureAllowWeak: true,
	})
	if err != nil {
		panic(err)
	}
	return h
}

// hashOf returns a hash of the password in the current parameters.
func hashOf(t testing.TB, plain string) string {
	t.Helper()
	hash, err := weakPasswords().Hash(t.Context(), plain)
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

// newAuth returns an Auth over the store with weak passwords and no log, changed
// by the functions. Without backends it has "cookie" and "bearer" over the
// store's sessions.
func newAuth(t testing.TB, store *memory, change ...func(*usher.Config[User])) *usher.Auth[User] {
	t.Helper()
	c := usher.Config[User]{
		Store:          store,
		Passwords:      weakPasswords(),
		RequestTimeout: time.Minute, // the machine may be busy
		Logger:         slog.New(slog.DiscardHandler),
		Backends: []usher.Backend{
			{Name: "cookie", Transport: usher.Cookie{}, Strategy: usher.Sessions{Store: store}},
			{Name: "bearer", Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: store}},
		},
	}
	for _, f := range change {
		f(&c)
	}
	auth, err := usher.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// person is an active, verified user with goodPassword.
func person(t testing.TB, email string) User {
	t.Helper()
	return User{User: usher.User{Email: email, HashedPassword: hashOf(t, goodPassword), IsActive: true, IsVerified: true}}
}

// ask sends a request to a handler without a network in between.
func ask(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// withBearer returns a GET with a bearer token; empty: without.
func withBearer(t testing.TB, token string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return r
}

// bodyOf reads the whole body of an answer.
func bodyOf(t testing.TB, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(b))
}

// okHandler is the handler behind the middleware.
var okHandler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
