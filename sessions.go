package usher

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"slices"
	"time"

	"github.com/google/uuid"
)

// Sessions is the strategy of opaque tokens over a SessionStore: the database
// strategy when the store is SQL, the Redis strategy when it is Redis. A token
// is 256 random bits; the store holds its SHA-256 and everything else about the
// sign-in, so that it can be listed and ends the moment its row or key is gone.
type Sessions struct {
	Store SessionStore
	// DenyList, if any, keeps a session dead that was ended, whatever the Store
	// forgets; each request then asks it once, and is answered 503 while it is
	// away. It is for Redis: a database forgets nothing. Strategies over one
	// Store need the same. Auth.Sweep tidies it if it is the Config's Store.
	DenyList DenyList
	// Lifetime is how long a session lives at most, however much it is used;
	// 0 means 24 hours.
	Lifetime time.Duration
	// IdleTimeout ends a session that has not been used for so long; 0 means
	// never. Use is recorded at most once a minute, or four times per
	// IdleTimeout if that is shorter.
	IdleTimeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

const (
	tokenBytes    = 32 // OWASP asks for 16
	tokenLength   = 43 // base64url without padding, as FastAPI Users' tokens
	touchInterval = time.Minute
)

// Validate reports settings that cannot work. New calls it.
func (s Sessions) Validate() error {
	var faults []error
	if isNil(s.Store) {
		faults = append(faults, errors.New("Sessions: Store is nil"))
	}
	if s.DenyList != nil && isNil(s.DenyList) {
		faults = append(faults, errors.New("Sessions: DenyList is a nil pointer"))
	}
	if s.Lifetime < 0 {
		faults = append(faults, errors.New("Sessions: Lifetime is negative"))
	}
	if s.IdleTimeout < 0 {
		faults = append(faults, errors.New("Sessions: IdleTimeout is negative"))
	}
	return errors.Join(faults...)
}

// WriteToken starts a session and returns its token.
func (s Sessions) WriteToken(ctx context.Context, a *Authentication) (string, error) {
	if a.Machine {
		return "", errors.New("usher: a session is a person's") // it would be read back as one
	}
	now := s.now()
	a.IssuedAt, a.SessionID = now, uuid.Must(uuid.NewV7()).String()
	a.ExpiresAt = s.expiry(now, now)
	token, hash := s.newToken(a.UserID)
	err := s.Store.CreateSession(ctx, hash, Session{
		ID: a.SessionID, UserID: a.UserID,
		CreatedAt: now, LastSeenAt: now, ExpiresAt: a.ExpiresAt, AuthTime: a.AuthTime,
		Methods: a.Methods, Scopes: a.Scopes, IP: a.IP, UserAgent: a.UserAgent, Data: a.Data,
	})
	if err != nil {
		return "", err
	}
	return token, nil
}

// ReadToken returns what the session of this token proves.
func (s Sessions) ReadToken(ctx context.Context, token string) (Authentication, error) {
	if !isOpaqueToken(token) {
		return Authentication{}, ErrInvalidToken // costs no round trip
	}
	hash := HashToken(token)
	session, user, err := s.Store.ReadSession(ctx, hash)
	if errors.Is(err, ErrNotFound) {
		return Authentication{}, ErrInvalidToken
	}
	if err != nil {
		return Authentication{}, err
	}
	now := s.now()
	if !session.ExpiresAt.After(now) {
		return Authentication{}, ErrInvalidToken
	}
	if denied, err := s.isDenied(ctx, session.ID); err != nil {
		return Authentication{}, err
	} else if denied {
		return Authentication{}, ErrInvalidToken
	}
	if now.Sub(session.LastSeenAt) >= s.touchInterval() {
		expires := s.expiry(session.CreatedAt, now)
		if s.IdleTimeout == 0 {
			expires = session.ExpiresAt
		}
		switch err := s.Store.TouchSession(ctx, hash, now, expires); {
		case errors.Is(err, ErrNotFound): // revoked while we looked
			return Authentication{}, ErrInvalidToken
		case err == nil:
			session.ExpiresAt = expires
		}
		// A store that reads but cannot write still knows who this is; the
		// session merely looks idle for longer.
	}
	return Authentication{
		UserID: session.UserID, SessionID: session.ID, User: user,
		Methods: session.Methods, AuthTime: session.AuthTime, Scopes: session.Scopes,
		IssuedAt: session.CreatedAt, ExpiresAt: session.ExpiresAt,
		IP: session.IP, UserAgent: session.UserAgent, Data: session.Data,
	}, nil
}

// DestroyToken ends the session of this token.
func (s Sessions) DestroyToken(ctx context.Context, token string) error {
	if !isOpaqueToken(token) {
		return ErrInvalidToken
	}
	hash := HashToken(token)
	if err := s.denyToken(ctx, hash); err != nil {
		return err
	}
	err := s.Store.DestroySession(ctx, hash)
	if errors.Is(err, ErrNotFound) {
		return ErrInvalidToken
	}
	return err
}

// ListSessions returns the user's live sessions, newest first.
func (s Sessions) ListSessions(ctx context.Context, user ID) ([]Session, error) {
	sessions, err := s.Store.ListSessions(ctx, user)
	if err != nil {
		return nil, err
	}
	now := s.now()
	live := slices.DeleteFunc(sessions, func(x Session) bool { return !x.ExpiresAt.After(now) })
	return slices.DeleteFunc(live, func(x Session) bool {
		denied, failed := s.isDenied(ctx, x.ID)
		err = errors.Join(err, failed)
		return denied
	}), err
}

// RevokeSession ends one session of the user. The error is ErrNotFound when the
// user has no such session.
func (s Sessions) RevokeSession(ctx context.Context, user ID, session string) error {
	if err := s.denyAll(ctx, user, func(x Session) bool { return x.ID == session }); err != nil {
		return err
	}
	return s.Store.RevokeSession(ctx, user, session)
}

// RevokeSessions ends all the user's sessions but keep and returns how many.
func (s Sessions) RevokeSessions(ctx context.Context, user ID, keep string) (int, error) {
	if err := s.denyAll(ctx, user, func(x Session) bool { return x.ID != keep }); err != nil {
		return 0, err
	}
	return s.Store.RevokeSessions(ctx, user, keep)
}

// Sweep deletes the expired sessions, in small batches so that nobody waits long
// behind it, and returns how many.
func (s Sessions) Sweep(ctx context.Context) (int, error) {
	return sweep(ctx, func(limit int) (int, error) { return s.Store.SweepSessions(ctx, s.now(), limit) })
}

func (s Sessions) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s Sessions) expiry(created, seen time.Time) time.Time {
	end := created.Add(s.lifetime())
	if idle := seen.Add(s.IdleTimeout); s.IdleTimeout > 0 && idle.Before(end) {
		return idle
	}
	return end
}

func (s Sessions) lifetime() time.Duration {
	if s.Lifetime == 0 {
		return 24 * time.Hour
	}
	return s.Lifetime
}

func (s Sessions) touchInterval() time.Duration {
	if s.IdleTimeout > 0 && s.IdleTimeout/4 < touchInterval {
		return s.IdleTimeout / 4
	}
	return touchInterval
}

func (s Sessions) newToken(user ID) (string, TokenHash) {
	placer, picky := s.Store.(interface {
		HoldsToken(user ID, token TokenHash) bool
	})
	for {
		var b [tokenBytes]byte
		rand.Read(b[:]) // never fails: the process ends if the system has no randomness
		token := base64.RawURLEncoding.EncodeToString(b[:])
		hash := HashToken(token)
		if !picky || placer.HoldsToken(user, hash) {
			return token, hash
		}
	}
}

func isOpaqueToken(s string) bool {
	if len(s) != tokenLength {
		return false
	}
	for _, c := range []byte(s) {
		isAlnum := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !isAlnum && c != '-' && c != '_' {
			return false
		}
	}
	return true
}
