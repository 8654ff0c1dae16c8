package usher

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// One-time tokens are JWTs with an audience for each purpose, as FastAPI Users
// makes them. What makes them one-time is the state that they were made for: it
// is in the token, and using one changes it in a guarded update.

const (
	audienceVerify = "fastapi-users:verify"
	audienceReset  = "fastapi-users:reset"
	audienceEmail  = "usher:email"
	audienceInvite = "usher:invite"
	// statePrefix marks the jti of usher's own tokens, which holds the state.
	// FastAPI Users' tokens have no jti.
	statePrefix = "usher:"
)

func signOneTime(secret []byte, audience string, lifetime time.Duration, now time.Time, claims jwtClaims) (string, error) {
	claims.Audience = jwt.ClaimStrings{audience}
	claims.IssuedAt = jwt.NewNumericDate(now)
	claims.ExpiresAt = jwt.NewNumericDate(now.Add(lifetime))
	return jwt.NewWithClaims(jwt.SigningMethodHS256, oneTimeClaims{claims, audience}).SignedString(secret)
}

// oneTimeClaims writes the audience as FastAPI Users does here: as a string.
type oneTimeClaims struct {
	jwtClaims
	Audience string `json:"aud"`
}

func (a *Auth[U]) parseOneTime(token string, secret []byte, audience string) (jwtClaims, error) {
	if len(secret) == 0 {
		return jwtClaims{}, fmt.Errorf("usher: no secret for %s tokens", audience)
	}
	keys := []Key{{method: jwt.SigningMethodHS256, verify: secret}}
	return parseJWT(token, keys, a.config.now, jwt.WithAudience(audience))
}

// stateOf is the state of a user that a one-time token is good for: it changes
// with the address, the password and whatever else ends what was before.
func stateOf(secret []byte, u *User) string {
	key, _ := EmailKey(u.Email)
	mac := hmac.New(sha256.New, secret)
	fmt.Fprintf(mac, "%s\x00%s\x00%d", u.ID, key, u.Epoch)
	return statePrefix + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// inState tells whether a token that says which state it is for is for this one.
func inState(claims jwtClaims, secret []byte, u *User) (own, same bool) {
	if !strings.HasPrefix(claims.ID, statePrefix) {
		return false, false
	}
	return true, subtle.ConstantTimeCompare([]byte(claims.ID), []byte(stateOf(secret, u))) == 1
}
