package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"usher"
)

// maxListed is how many of a user's sessions are listed at most.
const maxListed = 1000

// CreateSession implements usher.SessionStore. The error is usher.ErrNotFound
// when the user is gone.
func (s *Store[U]) CreateSession(ctx context.Context, token usher.TokenHash, x usher.Session) error {
	const doing = "create session"
	user, err := s.syntax.ids.key(x.UserID)
	if err != nil {
		return err
	}
	methods, err := jsonText(x.Methods)
	if err != nil {
		return wrap(doing, err)
	}
	scopes, err := jsonText(x.Scopes)
	if err != nil {
		return wrap(doing, err)
	}
	data, err := jsonText(x.Data)
	if err != nil {
		return wrap(doing, err)
	}
	t := s.syntax.time
	_, err = s.exec(ctx, doing, &s.statements.createSession, token[:], x.ID, user,
		t(x.CreatedAt), t(x.LastSeenAt), t(x.ExpiresAt), t(x.AuthTime), methods, scopes,
		foreign(x.IP), foreign(x.UserAgent), data)
	if err != nil && s.syntax.userMissing(err) {
		return usher.ErrNotFound
	}
	return err
}

// ReadSession implements usher.SessionStore. The user is a *U.
func (s *Store[U]) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	const doing = "read session"
	ctx, leave, err := s.lookup(ctx)
	if err != nil {
		return usher.Session{}, nil, wrap(doing, err)
	}
	defer leave()
	var x usher.Session
	u := new(U)
	targets := s.plan.targets(append(make([]any, 0, 10+len(s.plan.custom)), (*packedSession)(&x)), u)
	switch err := s.readRow(ctx, &s.statements.readSession, []any{token[:]}, targets...); {
	case errors.Is(err, sql.ErrNoRows):
		return usher.Session{}, nil, usher.ErrNotFound
	case err != nil:
		return usher.Session{}, nil, wrap(doing, err)
	}
	x.UserID = s.plan.base(u).ID
	return x, u, nil
}

// TouchSession implements usher.SessionStore. Of two uses at once the later
// counts.
func (s *Store[U]) TouchSession(ctx context.Context, token usher.TokenHash, lastSeen, expires time.Time) error {
	seen, end := s.syntax.time(lastSeen), s.syntax.time(expires)
	return s.execOne(ctx, "touch session", &s.statements.touchSession, seen, end, seen, seen, token[:])
}

// DestroySession implements usher.SessionStore.
func (s *Store[U]) DestroySession(ctx context.Context, token usher.TokenHash) error {
	return s.execOne(ctx, "destroy session", &s.statements.destroySession, token[:])
}

// ListSessions implements usher.SessionStore. It returns the newest 1000 and
// leaves expired ones in.
func (s *Store[U]) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	user, err := s.syntax.ids.canonical(user)
	if err != nil {
		return nil, nil // nobody has no sessions
	}
	var sessions []usher.Session
	err = s.list(ctx, s.rows(&s.statements.listSessions, s.syntax.ids.sent(user), maxListed), func(rows *sql.Rows) error {
		x := usher.Session{UserID: user}
		err := rows.Scan((*packedSession)(&x))
		sessions = append(sessions, x)
		return err
	})
	if err != nil {
		return nil, wrap("list sessions", err)
	}
	return sessions, nil
}

// RevokeSession implements usher.SessionStore.
func (s *Store[U]) RevokeSession(ctx context.Context, user usher.ID, session string) error {
	key, err := s.syntax.ids.key(user)
	if err != nil {
		return err
	}
	return s.execOne(ctx, "revoke session", &s.statements.revokeSession, foreign(session), key)
}

// RevokeSessions implements usher.SessionStore.
func (s *Store[U]) RevokeSessions(ctx context.Context, user usher.ID, keep string) (int, error) {
	key, err := s.syntax.ids.key(user)
	if err != nil {
		return 0, nil // nobody has no sessions
	}
	return s.exec(ctx, "revoke sessions", &s.statements.revokeSessions, key, foreign(keep))
}

// SweepSessions implements usher.SessionStore.
func (s *Store[U]) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.exec(ctx, "sweep sessions", &s.statements.sweepSessions, s.syntax.time(now), max(limit, 0))
}
