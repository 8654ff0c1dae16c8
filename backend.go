package usher

import (
	"context"
	"net/http"
	"time"
)

// Authentication is what a token proves: who signed in, how and when. A
// strategy makes it; the authenticator completes it.
type Authentication struct {
	UserID    ID
	SessionID string    // public; not a secret
	Methods   []string  // how the user proved who he is (RFC 8176 amr): "pwd", …
	AuthTime  time.Time // when he last proved it
	IssuedAt  time.Time
	ExpiresAt time.Time // zero: never
	Scopes    []string  // nil: no restriction
	Machine   bool      // a program acts, not a person at a keyboard
	// Generation counts, from 1, how often all sign-ins of the user had ended when
	// this one began. A token of another generation than the user's is refused,
	// which is how tokens end that nobody keeps. 0: the token does not say.
	Generation int64

	// IP and UserAgent describe the client that signed in, Data holds the
	// application's own fields of the session. A strategy that keeps nothing
	// on the server does not keep them.
	IP        string
	UserAgent string
	Data      map[string]any

	// User is the *U that the strategy loaded together with the token, or nil.
	User any

	// Backend and Token tell what authenticated the request. The authenticator
	// sets them.
	Backend string
	Token   string
}

// Transport carries a token between client and server. Its methods are called
// concurrently.
//
// A transport may also have the methods
//
//	Ambient() bool     // does a browser attach the token by itself, as it does cookies?
//	Challenge() string // the scheme for WWW-Authenticate (RFC 9110 §11.6.1), such as "Bearer"
//	Validate() error   // New reports what is wrong with the settings
//
// A token of an ambient transport authenticates a state-changing request only
// if the request passes the cross-origin check. A transport without Ambient is
// taken to be ambient: that is the safe side.
type Transport interface {
	// Token returns the token that r carries, and whether it carries one.
	Token(r *http.Request) (token string, ok bool)
	// WriteLogin answers a successful login. It writes status, headers and body.
	WriteLogin(w http.ResponseWriter, r *http.Request, token string, a Authentication) error
	// WriteLogout answers a successful logout. It writes status, headers and body.
	WriteLogout(w http.ResponseWriter, r *http.Request) error
}

// Strategy makes, reads and destroys tokens. Its methods are called
// concurrently.
//
// A strategy whose sign-ins live on the server may also be a SessionManager;
// a strategy with settings may have Validate() error, which New calls.
type Strategy interface {
	// ReadToken tells what a token proves. The error is ErrInvalidToken for
	// every token that is not good (malformed, expired, revoked, unknown); any
	// other error means that the strategy could not know.
	ReadToken(ctx context.Context, token string) (Authentication, error)
	// WriteToken makes a token for a new sign-in. It may fill the fields of a
	// that it decides (IssuedAt, ExpiresAt, SessionID).
	WriteToken(ctx context.Context, a *Authentication) (token string, err error)
	// DestroyToken ends a token before its time. When it returns nil the token
	// will never be read again, by any process. The error is ErrNotRevocable
	// from a strategy that cannot, ErrInvalidToken for a token that is not
	// good anyway.
	DestroyToken(ctx context.Context, token string) error
}

// Backend is a named pair of transport and strategy. An application plugs in
// several; on each request they are tried in order.
type Backend struct {
	Name      string // in the routes: /auth/{name}/login
	Transport Transport
	Strategy  Strategy
}

// SessionManager is the ability of a strategy to list and end the sign-ins that
// it keeps on the server.
type SessionManager interface {
	// ListSessions returns the user's live sessions, newest first.
	ListSessions(ctx context.Context, user ID) ([]Session, error)
	// RevokeSession ends one session of the user. When it returns nil, the
	// session's token will never be read again. The error is ErrNotFound when
	// this user has no such session.
	RevokeSession(ctx context.Context, user ID, session string) error
	// RevokeSessions ends all the user's sessions but the one named by keep
	// (empty: all) and returns how many it ended.
	RevokeSessions(ctx context.Context, user ID, keep string) (int, error)
}

// ambient transports are those whose tokens the browser attaches by itself.
func isAmbient(t Transport) bool {
	a, ok := t.(interface{ Ambient() bool })
	return !ok || a.Ambient()
}

func challengeOf(t Transport) string {
	if c, ok := t.(interface{ Challenge() string }); ok {
		return c.Challenge()
	}
	return ""
}

func validate(part any) error {
	if v, ok := part.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}
