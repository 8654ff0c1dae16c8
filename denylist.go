package usher

import (
	"context"
	"errors"
	"slices"
	"time"
)

// DenyList remembers which sessions were ended, for a SessionStore that may
// forget it: Redis returns a session that was ended just before a failover, or
// since the file was written from which it starts. Its methods are called
// concurrently. What UserStore says of errors holds here too.
type DenyList interface {
	// Deny remembers the session with this id. When it returns nil that is
	// durable. After until the list may forget it. It is no error to deny a
	// session again.
	Deny(ctx context.Context, session string, until time.Time) error
	// Denied reports whether the session was denied.
	Denied(ctx context.Context, session string) (bool, error)
}

// denySlack is how far the clocks of a store, which decides when a session
// expires, and of the deny-list may be apart.
const denySlack = time.Hour

// deny puts sessions on the deny-list, if there is one.
func (s Sessions) deny(ctx context.Context, sessions ...Session) error {
	if s.DenyList == nil {
		return nil
	}
	for _, x := range sessions {
		// A touch in flight, or in what the store forgot, may have moved ExpiresAt.
		until := x.CreatedAt.Add(s.lifetime())
		if x.ExpiresAt.After(until) {
			until = x.ExpiresAt
		}
		if err := s.DenyList.Deny(ctx, x.ID, until.Add(denySlack)); err != nil {
			return err
		}
	}
	return nil
}

// denyToken puts the session of a token on the deny-list. The error is
// ErrInvalidToken when it has none.
func (s Sessions) denyToken(ctx context.Context, token TokenHash) error {
	if s.DenyList == nil {
		return nil
	}
	session, _, err := s.Store.ReadSession(ctx, token)
	if errors.Is(err, ErrNotFound) {
		return ErrInvalidToken
	}
	if err != nil {
		return err
	}
	return s.deny(ctx, session)
}

// denyAll puts the user's sessions that are meant on the deny-list.
func (s Sessions) denyAll(ctx context.Context, user ID, meant func(Session) bool) error {
	if s.DenyList == nil {
		return nil
	}
	sessions, err := s.Store.ListSessions(ctx, user)
	if err != nil {
		return err
	}
	return s.deny(ctx, slices.DeleteFunc(sessions, func(x Session) bool { return !meant(x) })...)
}

// isDenied reports whether the deny-list, if there is one, has the session.
func (s Sessions) isDenied(ctx context.Context, session string) (bool, error) {
	if s.DenyList == nil {
		return false, nil
	}
	return s.DenyList.Denied(ctx, session)
}
