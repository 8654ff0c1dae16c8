package redisstore

import (
	"context"
	"encoding/hex"
	"errors"
	"strings"
	"time"

	"usher"

	"github.com/redis/rueidis"
)

// Moved is a Store that also keeps sessions under the hashes of tokens which
// another program has drawn, and which therefore are not in the buckets of their
// users (see the package comment). Such a session lies where one of this user's
// would, under the token's hash with the first byte exchanged for the user's
// bucket; and a key in the token's bucket, which expires with it, tells the byte:
//
//	usher:{c4}:moved:<hash of the token>   the bucket, two digits
//
// A token that is unknown, or ended, costs a second GET. So this is for the time
// after a move, until the last such token has expired.
type Moved struct{ *Store }

var _ usher.SessionStore = Moved{}

// CreateSession stores a session under any hash.
func (m Moved) CreateSession(ctx context.Context, token usher.TokenHash, session usher.Session) error {
	if m.HoldsToken(session.UserID, token) {
		return m.Store.CreateSession(ctx, token, session)
	}
	at := token
	at[0] = bucket(session.UserID)
	// The way there comes first: without the session it leads to nothing.
	if err := m.lead(ctx, token, at, session.ExpiresAt); err != nil {
		return err
	}
	return m.Store.CreateSession(ctx, at, session)
}

// lead writes the way from a token to where its session will be.
func (m Moved) lead(ctx context.Context, token, at usher.TokenHash, expires time.Time) (err error) {
	defer describe(&err, "create session")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	until, err := expiry(expires)
	if err != nil {
		return err
	}
	client, err := m.client(ctx)
	if err != nil {
		return err
	}
	return client.Do(ctx, client.B().Arbitrary("SET").Keys(m.movedKey(token)).Args(hex.EncodeToString(at[:1]), "PXAT", until).Build()).Error()
}

// ReadSession returns the session and never its user.
func (m Moved) ReadSession(ctx context.Context, token usher.TokenHash) (session usher.Session, user any, err error) {
	err = m.find(ctx, token, func(token usher.TokenHash) error {
		session, user, err = m.Store.ReadSession(ctx, token)
		return err
	})
	return session, user, err
}

// TouchSession is that of Store. It does not prolong the way to a session that
// was moved, which ends when it ended in the other program.
func (m Moved) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) error {
	return m.find(ctx, token, func(token usher.TokenHash) error {
		return m.Store.TouchSession(ctx, token, lastSeen, expires)
	})
}

// DestroySession deletes the session.
func (m Moved) DestroySession(ctx context.Context, token usher.TokenHash) error {
	return m.find(ctx, token, func(token usher.TokenHash) error {
		return m.Store.DestroySession(ctx, token)
	})
}

// find calls f with the token, and if there is no such session with where a token
// of another program has its session.
func (m Moved) find(ctx context.Context, token usher.TokenHash, f func(usher.TokenHash) error) error {
	err := f(token)
	if !errors.Is(err, usher.ErrNotFound) {
		return err
	}
	at, err := m.follow(ctx, token)
	if err != nil {
		return err
	}
	return f(at)
}

// follow returns where the session of another program's token is. The error is
// usher.ErrNotFound.
func (m Moved) follow(ctx context.Context, token usher.TokenHash) (at usher.TokenHash, err error) {
	defer describe(&err, "find a session that was moved")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := m.client(ctx)
	if err != nil {
		return at, err
	}
	text, err := client.Do(ctx, client.B().Get().Key(m.movedKey(token)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return at, usher.ErrNotFound
	}
	if err != nil {
		return at, err
	}
	first, err := hex.DecodeString(text)
	if err != nil || len(first) != 1 {
		return at, errors.New("corrupt way to a session")
	}
	token[0] = first[0]
	return token, nil
}

// movedKey is the key of the way to a session that was moved.
func (s *Store) movedKey(token usher.TokenHash) string {
	return strings.Replace(s.sessionKey(token), "}:session:", "}:moved:", 1)
}
