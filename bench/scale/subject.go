package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"time"

	"usher"
	"usher/sqlstore"
)

// engine opens a new store and fills it with as many users and sessions.
type engine func(ctx context.Context, folder string, size int) (*subject, error)

// subject is one store of one size.
type subject struct {
	size       int
	operations []operation
	read       func(ctx context.Context, i int) error // of the i-th session
	signIn     func(ctx context.Context, i int) error
	signOut    func(ctx context.Context, i int) error // after signIn
	expire     func(ctx context.Context, n int) error // adds sessions that have expired; nil: the store sweeps itself
	sessions   usher.SessionStore
	close      func()
}

// operation is what is timed, on the i-th user or session; what is done before and
// after it, if anything, is not.
type operation struct {
	name              string
	before, do, after func(ctx context.Context, i int) error
}

// Everything of the i-th user and session follows from i, so that a database can
// make them by itself.

func userID(i int) usher.ID {
	sum := md5.Sum(fmt.Appendf(nil, "user%d", i)) // a name, no secret
	id, _ := usher.ParseUUID(fmt.Sprintf("%x", sum))
	return id
}

func email(i int) string          { return fmt.Sprintf("user%d@example.com", i) }
func tokenText(i int) string      { return fmt.Sprintf("token%038d", i) } // as long as a real one
func token(i int) usher.TokenHash { return usher.HashToken(tokenText(i)) }
func fresh(i int) usher.TokenHash { return usher.HashToken(fmt.Sprintf("fresh%d", i)) }
func freshID(i int) string        { return fmt.Sprintf("fresh%d", i) }
func session(i int, user usher.ID, expires time.Time) usher.Session {
	now := time.Now()
	return usher.Session{ID: freshID(i), UserID: user, CreatedAt: now, LastSeenAt: now, AuthTime: now, ExpiresAt: expires,
		Methods: []string{"pwd"}, IP: "127.0.0.1", UserAgent: "scale"}
}

// subjectOf measures an SQL store that has users and sessions, which all began after
// filled.
func subjectOf(db *sqlstore.Store[usher.User], size int, filled time.Time) (*subject, error) {
	request, stop, err := overHTTP(db, filled)
	if err != nil {
		return nil, err
	}
	read := func(ctx context.Context, i int) error {
		_, _, err := db.ReadSession(ctx, token(i))
		return err
	}
	create := func(ctx context.Context, i int) error {
		u, err := db.UserByEmail(ctx, email(i))
		if err != nil {
			return err
		}
		return db.CreateSession(ctx, fresh(i), session(i, u.ID, time.Now().Add(time.Hour)))
	}
	createExpired := func(ctx context.Context, i int) error {
		return db.CreateSession(ctx, fresh(i), session(i, userID(i), time.Now().Add(-time.Hour)))
	}
	destroy := func(ctx context.Context, i int) error { return db.DestroySession(ctx, fresh(i)) }
	sweep := func(ctx context.Context, _ int) error {
		_, err := db.SweepSessions(ctx, time.Now(), 100)
		return err
	}
	return &subject{
		size: size,
		operations: []operation{
			{"GET /users/me with a session, over HTTP", nil, request, nil},
			{"session and user by token", nil, read, nil},
			{"user by id", nil, func(ctx context.Context, i int) error { _, err := db.UserByID(ctx, userID(i)); return err }, nil},
			{"user by e-mail", nil, func(ctx context.Context, i int) error { _, err := db.UserByEmail(ctx, email(i)); return err }, nil},
			{"sign-in, without the hash", nil, create, destroy},
			{"sign-out", create, destroy, nil},
			{"list of a user's sessions", nil, func(ctx context.Context, i int) error { _, err := db.ListSessions(ctx, userID(i)); return err }, nil},
			{"search by e-mail", nil, func(ctx context.Context, i int) error {
				_, err := db.ListUsers(ctx, usher.UserQuery{Email: email(i), Limit: 10})
				return err
			}, nil},
			{"sweep of one session", createExpired, sweep, nil},
		},
		read:     read,
		signIn:   create,
		signOut:  destroy,
		sessions: db,
		close:    func() { stop(); db.Close() },
	}, nil
}

// overHTTP serves the store and returns a client that asks for the i-th session's
// user. The clock stands at now, so that no session is due to be touched.
func overHTTP(db *sqlstore.Store[usher.User], now time.Time) (request func(ctx context.Context, i int) error, stop func(), err error) {
	auth, err := usher.New(usher.Config[usher.User]{
		Store:    db,
		Backends: []usher.Backend{{Name: "bearer", Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: db, Now: func() time.Time { return now }}}},
		Logger:   slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, nil, err
	}
	mux := http.NewServeMux()
	auth.Mount(mux)
	server := httptest.NewServer(mux)
	client := server.Client()
	return func(ctx context.Context, i int) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/users/me", nil)
		if err != nil {
			return err
		}
		r.Header.Set("Authorization", "Bearer "+tokenText(i))
		answer, err := client.Do(r)
		if err != nil {
			return err
		}
		defer answer.Body.Close()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil {
			return err
		}
		if answer.StatusCode != http.StatusOK {
			return errors.New(answer.Status)
		}
		return nil
	}, server.Close, nil
}

// waits makes a reader and somebody who signs in and out work until ctx ends or
// the time is over, and tells how long they waited.
func (s *subject) waits(ctx context.Context, most time.Duration) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	var reads, writes []time.Duration
	timed := func(took *[]time.Duration, request func(ctx context.Context, i int) error, i int) error {
		began := time.Now()
		err := request(context.WithoutCancel(ctx), i%s.size)
		*took = append(*took, time.Since(began))
		return err
	}
	for i := 0; ctx.Err() == nil; i++ {
		err := timed(&reads, s.read, i*997)
		if err == nil && i%10 == 0 {
			err = timed(&writes, s.signIn, i*991)
			if err == nil {
				err = timed(&writes, s.signOut, i*991)
			}
		}
		if err != nil {
			return "", err
		}
	}
	show := func(d []time.Duration) string {
		slices.Sort(d)
		return fmt.Sprintf("median %.2f, p99 %.2f, most %.1f", float64(d[len(d)/2])/1e6, float64(d[len(d)*99/100])/1e6, float64(d[len(d)-1])/1e6)
	}
	return "reads " + show(reads) + "; sign-ins and sign-outs " + show(writes), nil
}
