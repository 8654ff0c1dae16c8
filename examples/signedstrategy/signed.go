// Package signedstrategy is a strategy of one's own: a token is the sign-in
// itself, as JSON, with an HMAC over it. It is one file that imports usher and
// the standard library, and a backend takes it like any other:
//
//	usher.Backend{Name: "signed", Transport: usher.Bearer{}, Strategy: signedstrategy.Signed{Secret: secret}}
//
// It is a JWT without the choices. As with a JWT, logging out does not end a
// token; a strategy that keeps its sign-ins on the server would be a
// usher.SessionManager too.
package signedstrategy

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"usher"
)

// Signed is the strategy of signed tokens.
type Signed struct {
	Secret   []byte           // at least 32 random bytes
	Lifetime time.Duration    // of a token; 0 means an hour
	Now      func() time.Time // the clock; nil means time.Now
}

// claims are what a token says. Scopes has no omitempty: null is no restriction,
// [] is no scope at all.
type claims struct {
	UserID    usher.ID
	SessionID string // makes tokens of the same moment differ
	Methods   []string
	Scopes    []string
	Machine   bool
	AuthTime  time.Time
	IssuedAt  time.Time
	ExpiresAt time.Time
}

// maxToken bounds the work that a request can cause, in bytes.
const maxToken = 4 << 10

// Validate reports settings that cannot work. usher.New calls it.
func (s Signed) Validate() error {
	if len(s.Secret) < sha256.Size {
		return errors.New("Signed: Secret needs 32 random bytes")
	}
	if s.Lifetime < 0 {
		return errors.New("Signed: Lifetime is negative")
	}
	return nil
}

// WriteToken signs a new token.
func (s Signed) WriteToken(_ context.Context, a *usher.Authentication) (string, error) {
	lifetime := s.Lifetime
	if lifetime == 0 {
		lifetime = time.Hour
	}
	a.SessionID, a.IssuedAt = rand.Text(), s.now()
	a.ExpiresAt = a.IssuedAt.Add(lifetime)
	text, err := json.Marshal(claims{a.UserID, a.SessionID, a.Methods, a.Scopes, a.Machine, a.AuthTime, a.IssuedAt, a.ExpiresAt})
	if err != nil {
		return "", err
	}
	payload := base64.RawURLEncoding.EncodeToString(text)
	token := payload + "." + s.sign(payload)
	if len(token) > maxToken {
		return "", errors.New("Signed: the sign-in is too long for a token")
	}
	return token, nil
}

// ReadToken verifies a token. Nothing of it is used before the signature is
// known to be good, and the signature is compared as text: there is one
// spelling of it.
func (s Signed) ReadToken(_ context.Context, token string) (usher.Authentication, error) {
	payload, signature, found := strings.Cut(token, ".")
	if !found || len(token) > maxToken || !hmac.Equal([]byte(signature), []byte(s.sign(payload))) {
		return usher.Authentication{}, usher.ErrInvalidToken
	}
	text, err := base64.RawURLEncoding.DecodeString(payload)
	if err != nil {
		return usher.Authentication{}, usher.ErrInvalidToken
	}
	var c claims
	if err := json.Unmarshal(text, &c); err != nil || !c.ExpiresAt.After(s.now()) {
		return usher.Authentication{}, usher.ErrInvalidToken
	}
	return usher.Authentication{
		UserID: c.UserID, SessionID: c.SessionID, Methods: c.Methods, Scopes: c.Scopes, Machine: c.Machine,
		AuthTime: c.AuthTime, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt,
	}, nil
}

// DestroyToken cannot: nothing is kept on the server.
func (s Signed) DestroyToken(context.Context, string) error { return usher.ErrNotRevocable }

// sign begins with the purpose, so that no other use of the secret makes a
// signature that passes for a token's.
func (s Signed) sign(payload string) string {
	mac := hmac.New(sha256.New, s.Secret)
	mac.Write([]byte("signed sign-in\x00" + payload))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func (s Signed) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}
