package oauth

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"usher"
)

// stateAudience is FastAPI Users'.
const stateAudience = "fastapi-users:oauth-state"

// maxState bounds what is parsed at all, in bytes.
const maxState = 8 << 10

// state is what comes back from the provider unchanged. It is a JWT, so that
// nothing is kept for flows that nobody ends.
type state struct {
	CSRF       string           `json:"csrftoken"` // the same as in the browser's cookie
	Audience   string           `json:"aud"`
	Expires    *jwt.NumericDate `json:"exp"`
	Issued     *jwt.NumericDate `json:"iat"`
	Route      string           `json:"iss"`                   // path of the provider's routes
	Subject    string           `json:"sub,omitempty"`         // who links; empty: somebody signs in
	RedirectTo string           `json:"redirect_to,omitempty"` // where the browser goes at last
	// Invitation to register, sealed in the token: the provider need not have it.
	Invitation string `json:"invitation,omitempty"`
}

// maxInvitation is the most bytes of an invitation, so that its state is not longer
// than maxState.
const maxInvitation = 2 << 10

// The methods of jwt.Claims.

func (s state) GetExpirationTime() (*jwt.NumericDate, error) { return s.Expires, nil }
func (s state) GetIssuedAt() (*jwt.NumericDate, error)       { return s.Issued, nil }
func (s state) GetNotBefore() (*jwt.NumericDate, error)      { return nil, nil }
func (s state) GetIssuer() (string, error)                   { return s.Route, nil }
func (s state) GetSubject() (string, error)                  { return s.Subject, nil }
func (s state) GetAudience() (jwt.ClaimStrings, error)       { return jwt.ClaimStrings{s.Audience}, nil }

// states makes and reads states.
type states struct {
	secret, verifierKey, nonceKey []byte
	invitations                   *sealer
	lifetime                      time.Duration
	now                           func() time.Time
}

func newStates(secret []byte, lifetime time.Duration, now func() time.Time) (*states, error) {
	verifierKey, err := hkdf.Key(sha256.New, secret, nil, "usher/oauth pkce", sha256.Size)
	if err != nil {
		return nil, err
	}
	nonceKey, err := hkdf.Key(sha256.New, secret, nil, "usher/oauth nonce", sha256.Size)
	if err != nil {
		return nil, err
	}
	invitationKey, err := hkdf.Key(sha256.New, secret, nil, "usher/oauth invitation", keySize)
	if err != nil {
		return nil, err
	}
	invitations, err := newSealer([]Key{{ID: "state", Secret: invitationKey}})
	if err != nil {
		return nil, err
	}
	return &states{secret, verifierKey, nonceKey, invitations, lifetime, now}, nil
}

func newCSRF() string {
	var b [32]byte
	rand.Read(b[:]) // never fails: the process ends if the system has no randomness
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// sign completes s and returns the token.
func (t *states) sign(s state) (string, error) {
	now := t.now()
	s.Audience, s.Issued, s.Expires = stateAudience, jwt.NewNumericDate(now), jwt.NewNumericDate(now.Add(t.lifetime))
	s.Invitation = base64.RawURLEncoding.EncodeToString(t.invitations.seal(s.Invitation, invitationOf(s)))
	return jwt.NewWithClaims(jwt.SigningMethodHS256, s).SignedString(t.secret)
}

// read verifies a token that was made for the route in the browser whose cookie
// has csrf. The error is ErrMalformedState, ErrExpiredState or ErrInvalidState.
func (t *states) read(token, route, csrf string) (state, error) {
	var s state
	if len(token) > maxState || strings.ContainsAny(token, "\r\n") { // Go's base64 decoder skips line breaks
		return s, ErrMalformedState
	}
	parser := jwt.NewParser(
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithStrictDecoding(),
		jwt.WithAudience(stateAudience), jwt.WithExpirationRequired(), jwt.WithTimeFunc(t.now),
	)
	_, err := parser.ParseWithClaims(token, &s, func(*jwt.Token) (any, error) { return t.secret, nil })
	switch {
	case errors.Is(err, jwt.ErrTokenExpired): // only found out after the signature was good
		return s, because(ErrExpiredState, err)
	case err != nil:
		return s, because(ErrMalformedState, err)
	case s.CSRF == "" || csrf == "" || subtle.ConstantTimeCompare([]byte(s.CSRF), []byte(csrf)) != 1:
		return s, because(ErrInvalidState, errors.New("the state is another browser's"))
	case s.Route != route:
		return s, because(ErrInvalidState, errors.New("the state is another route's"))
	}
	sealed, err := base64.RawURLEncoding.DecodeString(s.Invitation)
	if err == nil {
		s.Invitation, err = t.invitations.open(sealed, invitationOf(s))
	}
	if err != nil {
		return s, because(ErrMalformedState, err)
	}
	return s, nil
}

func invitationOf(s state) sealedFor { return sealedFor{"invitation", s.Route, s.CSRF} }

// verifier is the PKCE code verifier of s (RFC 7636 §4.1): 43 characters.
func (t *states) verifier(s state) string { return derive(t.verifierKey, s) }

// nonce is that of OpenID Connect.
func (t *states) nonce(s state) string { return derive(t.nonceKey, s) }

func derive(key []byte, s state) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(s.Route + "\x00" + s.CSRF)) // a path has no NUL
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// once is what the store remembers when s has been used.
func once(s state) usher.TokenHash { return usher.HashToken("oauth state " + s.CSRF) }
