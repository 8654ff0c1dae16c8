package usher

import (
	"context"
	"crypto/sha256"
	"time"
)

// UserStore keeps the users. Its methods are called concurrently. A
// *ValidationError says that it cannot keep a value that was sent; any other error
// than the ones named here means that the store could not be reached or failed, and
// becomes a 503.
type UserStore[U any] interface {
	// UserByID returns the user with this id in any spelling the store's id
	// type has (see ParseUUID). The error is ErrNotFound, also for an id that
	// is none.
	UserByID(ctx context.Context, id ID) (*U, error)
	// UserByEmail returns the user whose address has this EmailKey. The error
	// is ErrNotFound.
	UserByEmail(ctx context.Context, emailKey string) (*U, error)
	// CreateUser stores a new user and sets its ID (unless it has one),
	// CreatedAt and UpdatedAt. The error is ErrEmailTaken when a user with the
	// same EmailKey exists; of several such calls at once exactly one succeeds.
	CreateUser(ctx context.Context, u *U) error
	// UpdateUser writes the fields in which after differs from before, provided
	// that the e-mail address, the password hash, the flags and the epoch in the
	// store are still those of before; so of several updates of these exactly
	// one succeeds. It sets after's UpdatedAt. The error is ErrConflict when they
	// are not, ErrNotFound when the user is gone, ErrEmailTaken as in CreateUser.
	UpdateUser(ctx context.Context, before, after *U) error
	// DeleteUser deletes the user with all that belongs to it. The error is
	// ErrNotFound.
	DeleteUser(ctx context.Context, id ID) error
	// ListUsers returns the users that q asks for, in the order of their ids.
	ListUsers(ctx context.Context, q UserQuery) ([]*U, error)
}

// UserQuery asks for the users that meet all its conditions.
type UserQuery struct {
	After ID  // begin after this id, the last of the page before; empty: at the first
	Limit int // at most so many
	// Email is how the user's EmailKey begins; empty: anyhow. It is compared as
	// it is: whoever asks folds it first.
	Email                             string
	IsActive, IsSuperuser, IsVerified *bool     // nil: either
	CreatedAfter, CreatedBefore       time.Time // zero: whenever
}

// Session is a sign-in that lives on the server and can be listed and revoked.
type Session struct {
	ID         string         `json:"id"` // public; not the token and no way to it
	UserID     ID             `json:"-"`
	CreatedAt  time.Time      `json:"created_at"`
	LastSeenAt time.Time      `json:"last_seen_at"`
	ExpiresAt  time.Time      `json:"expires_at"` // moves with use when there is an idle timeout
	AuthTime   time.Time      `json:"auth_time"`
	Methods    []string       `json:"methods"` // RFC 8176 amr
	Scopes     []string       `json:"scopes,omitempty"`
	IP         string         `json:"ip"`
	UserAgent  string         `json:"user_agent"`
	Data       map[string]any `json:"data,omitempty"` // the application's own fields
}

// TokenHash is the SHA-256 of a token: all that a store ever sees of it.
type TokenHash [sha256.Size]byte

// HashToken returns the hash under which a store keeps token.
func HashToken(token string) TokenHash { return sha256.Sum256([]byte(token)) }

// SessionStore keeps sessions under the hashes of their tokens. Its methods are
// called concurrently. Times are kept to the millisecond or better. What the
// UserStore says of errors holds here too.
//
// A store that can hold a session only under some hashes (Redis Cluster, where
// a user's keys must share a slot) also has the method
//
//	HoldsToken(user ID, token TokenHash) bool
//
// New tokens are then drawn until it agrees, so it must agree to at least one
// in a few hundred.
type SessionStore interface {
	SessionManager

	// CreateSession stores a session. After ExpiresAt the store may forget it.
	CreateSession(ctx context.Context, token TokenHash, s Session) error
	// ReadSession returns the session, and its user (a *U) when the store keeps
	// users too and has both in one query, else nil. It may return an expired
	// session. The error is ErrNotFound.
	ReadSession(ctx context.Context, token TokenHash) (s Session, user any, err error)
	// TouchSession sets LastSeenAt and ExpiresAt of a session that still
	// exists. It never brings one back: the error is then ErrNotFound.
	TouchSession(ctx context.Context, token TokenHash, lastSeen, expires time.Time) error
	// DestroySession deletes the session. The error is ErrNotFound.
	DestroySession(ctx context.Context, token TokenHash) error
	// SweepSessions deletes up to limit sessions that expired before now and
	// returns how many it deleted. A store that forgets by itself returns 0.
	SweepSessions(ctx context.Context, now time.Time, limit int) (int, error)
}

// Transactor is the ability of a UserStore to do several things or none.
type Transactor interface {
	// InTx calls f with a context in which the store's methods take part in one
	// transaction. It commits if f returns nil, else nothing has happened.
	// Within a transaction InTx joins it. f uses its own context for every call
	// (one with the outer context waits for this transaction to end) and returns
	// after the first error. What other stores do meanwhile is not taken back.
	InTx(ctx context.Context, f func(ctx context.Context) error) error
}

// OneTimeStore remembers what was used, for tokens that have no state of a user
// to change.
type OneTimeStore interface {
	// UseOnce marks token as used. The error is ErrAlreadyUsed for every call
	// but the first. After expires the store may forget it.
	UseOnce(ctx context.Context, token TokenHash, expires time.Time) error
}
