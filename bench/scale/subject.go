package main

import (
	"context"
	"crypto/md5"
	"fmt"
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
func token(i int) usher.TokenHash { return usher.HashToken(fmt.Sprintf("token%d", i)) }
func fresh(i int) usher.TokenHash { return usher.HashToken(fmt.Sprintf("fresh%d", i)) }
func freshID(i int) string        { return fmt.Sprintf("fresh%d", i) }
func session(i int, user usher.ID, expires time.Time) usher.Session {
	now := time.Now()
	return usher.Session{ID: freshID(i), UserID: user, CreatedAt: now, LastSeenAt: now, AuthTime: now, ExpiresAt: expires,
		Methods: []string{"pwd"}, IP: "127.0.0.1", UserAgent: "scale"}
}

// subjectOf measures an SQL store that has users and sessions.
func subjectOf(db *sqlstore.Store[usher.User], size int) *subject {
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
		close:    func() { db.Close() },
	}
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
