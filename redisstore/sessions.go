package redisstore

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"usher"

	"github.com/redis/rueidis"
)

// endBatch is how many sessions one script ends at most, so that nobody waits
// long behind it.
const endBatch = 1000

// CreateSession stores a session until it expires. It fails if HoldsToken
// refuses the token.
func (s *Store) CreateSession(ctx context.Context, token usher.TokenHash, session usher.Session) (err error) {
	defer describe(&err, "create session")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if !s.HoldsToken(session.UserID, token) {
		return errors.New("the token is not in the bucket of its user (see HoldsToken)")
	}
	expires, err := expiry(session.ExpiresAt)
	if err != nil {
		return err
	}
	text, err := encode(session)
	if err != nil {
		return err
	}
	e := entry{token, session.ID}
	_, err = s.run(ctx, createScript, session.UserID, []entry{e}, e.member(), expires, rueidis.BinaryString(text))
	return err
}

// ReadSession returns the session and never its user. The error is
// usher.ErrNotFound; a value that is not a session is another error.
func (s *Store) ReadSession(ctx context.Context, token usher.TokenHash) (session usher.Session, user any, err error) {
	defer describe(&err, "read session")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session, err = s.read(ctx, token)
	return session, nil, err
}

func (s *Store) read(ctx context.Context, token usher.TokenHash) (usher.Session, error) {
	client, err := s.client(ctx)
	if err != nil {
		return usher.Session{}, err
	}
	text, err := client.Do(ctx, client.B().Get().Key(s.sessionKey(token)).Build()).ToString()
	if rueidis.IsRedisNil(err) {
		return usher.Session{}, usher.ErrNotFound
	}
	if err != nil {
		return usher.Session{}, err
	}
	return decode(text)
}

// TouchSession sets when the session was last seen and when it expires, unless
// it has been seen later than that. The error is usher.ErrNotFound.
func (s *Store) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) (err error) {
	defer describe(&err, "touch session")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	until, err := expiry(expires)
	if err != nil {
		return err
	}
	session, err := s.read(ctx, token) // whose user never changes
	if err != nil {
		return err
	}
	e := entry{token, session.ID}
	n, err := s.run(ctx, touchScript, session.UserID, []entry{e}, e.member(), formatMilli(lastSeen), until)
	return orNotFound(int(n), err)
}

// DestroySession deletes the session. Of several calls at once one returns nil,
// the others usher.ErrNotFound.
func (s *Store) DestroySession(ctx context.Context, token usher.TokenHash) (err error) {
	defer describe(&err, "destroy session")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	session, err := s.read(ctx, token)
	if err != nil {
		return err
	}
	return orNotFound(s.end(ctx, session.UserID, []entry{{token, session.ID}}))
}

// ListSessions returns the user's sessions, newest first.
func (s *Store) ListSessions(ctx context.Context, user usher.ID) (sessions []usher.Session, err error) {
	defer describe(&err, "list sessions")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entries, err := s.entries(ctx, user)
	if err != nil || len(entries) == 0 {
		return nil, err
	}
	client, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	texts, err := client.Do(ctx, client.B().Mget().Key(s.sessionKeys(entries)...).Build()).ToArray()
	if err != nil {
		return nil, err
	}
	var gone []string
	for i, text := range texts {
		if text.IsNil() {
			gone = append(gone, entries[i].member())
			continue
		}
		value, err := text.ToString()
		if err != nil {
			return nil, err
		}
		session, err := decode(value)
		if err != nil {
			return nil, err
		}
		sessions = append(sessions, session)
	}
	if len(gone) > 0 { // a help to the next caller: nothing depends on it
		client.Do(ctx, client.B().Zrem().Key(s.indexKey(user)).Member(gone...).Build())
	}
	slices.SortFunc(sessions, func(a, b usher.Session) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	return sessions, nil
}

// RevokeSession ends one session of the user. The error is usher.ErrNotFound.
func (s *Store) RevokeSession(ctx context.Context, user usher.ID, session string) (err error) {
	defer describe(&err, "revoke session")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entries, err := s.entries(ctx, user)
	if err != nil {
		return err
	}
	entries = slices.DeleteFunc(entries, func(e entry) bool { return e.id != session })
	return orNotFound(s.end(ctx, user, entries))
}

// RevokeSessions ends all the user's sessions but keep and returns how many
// there were, also with an error. A session that is being created meanwhile may
// stay.
func (s *Store) RevokeSessions(ctx context.Context, user usher.ID, keep string) (ended int, err error) {
	defer describe(&err, "revoke sessions")
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	entries, err := s.entries(ctx, user)
	if err != nil {
		return 0, err
	}
	return s.end(ctx, user, slices.DeleteFunc(entries, func(e entry) bool { return e.id == keep }))
}

// SweepSessions does nothing: Redis itself deletes what has expired.
func (s *Store) SweepSessions(context.Context, time.Time, int) (int, error) { return 0, nil }

// end deletes sessions of one user and returns how many there were.
func (s *Store) end(ctx context.Context, user usher.ID, entries []entry) (ended int, err error) {
	if len(entries) == 0 && s.waitReplicas > 0 {
		// A master that was replaced, and started again with an empty file, knows
		// of no session. Nobody replicates it: that is how it is found out.
		_, err := s.run(ctx, endScript, user, nil)
		return 0, err
	}
	for batch := range slices.Chunk(entries, endBatch) {
		members := make([]string, len(batch))
		for i, e := range batch {
			members[i] = e.member()
		}
		n, err := s.run(ctx, endScript, user, batch, members...)
		ended += int(n)
		if err != nil {
			return ended, err
		}
	}
	return ended, nil
}

// describe says what failed, unless the error is an answer.
func describe(err *error, what string) {
	if *err != nil && !errors.Is(*err, usher.ErrNotFound) {
		*err = fmt.Errorf("redisstore: %s: %w", what, explain(*err))
	}
}

func orNotFound(n int, err error) error {
	if err == nil && n == 0 {
		return usher.ErrNotFound
	}
	return err
}

// expiry returns the time as scripts take it.
func expiry(t time.Time) (string, error) {
	if t.UnixMilli() <= 0 {
		return "", errors.New("the session has no ExpiresAt")
	}
	return formatMilli(t), nil
}

func formatMilli(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }
