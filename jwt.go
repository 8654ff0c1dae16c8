package usher

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"
)

// JWT is the strategy of self-contained tokens (RFC 7519): nothing is kept on
// the server, and nothing but the keys is needed to read one. That is also its
// limit: logging out does not end a token. It lives until it expires, or the
// user's password is changed or he is deactivated, which ends all his tokens.
//
// The claims are FastAPI Users' (sub, aud, exp) and iat, jti, sid, auth_time and
// amr. The jti begins with the Generation; a token of another program, whose jti
// does not, lives until it expires.
type JWT struct {
	// Keys: the first signs, all verify. To rotate, put the new key first and
	// drop the old one when the last token it signed has expired.
	Keys []Key
	// Lifetime of a token; 0 means an hour.
	Lifetime time.Duration
	// Audience is written into tokens; a token is accepted if it names one of
	// them. Empty means "fastapi-users:auth".
	Audience []string
	// Issuer, if not empty, is written into tokens and required of them.
	Issuer string
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	verified verifiedTokens
}

// FastAPIUsersAudience is the audience of FastAPI Users' access tokens.
const FastAPIUsersAudience = "fastapi-users:auth"

// maxJWT bounds what is parsed at all, in bytes. It is larger than any header
// that common servers let through.
const maxJWT = 8 << 10

// Validate reports keys and settings that cannot work. New calls it.
func (s *JWT) Validate() error {
	var faults []error
	if len(s.Keys) == 0 {
		faults = append(faults, errors.New("JWT: no keys"))
	}
	seen := map[string]bool{}
	for i, key := range s.Keys {
		if err := key.check(); err != nil {
			faults = append(faults, fmt.Errorf("JWT: key %d: %w", i, err))
		}
		if seen[key.ID] && key.ID != "" {
			faults = append(faults, fmt.Errorf("JWT: two keys have the id %q", key.ID))
		}
		seen[key.ID] = true
	}
	if len(s.Keys) > 0 && s.Keys[0].sign == nil {
		faults = append(faults, errors.New("JWT: the first key signs, but it is a public one"))
	}
	if s.Lifetime < 0 {
		faults = append(faults, errors.New("JWT: Lifetime is negative"))
	}
	return errors.Join(faults...)
}

// WriteToken signs a new token. It refuses a sign-in with scopes: a token that
// lost them would be good for everything.
func (s *JWT) WriteToken(_ context.Context, a *Authentication) (string, error) {
	if a.Scopes != nil || a.Machine {
		return "", errors.New("usher: a JWT cannot carry scopes, nor tell a machine from a person")
	}
	key := s.Keys[0]
	now := s.now()
	a.IssuedAt, a.SessionID = now, uuid.Must(uuid.NewV7()).String()
	a.ExpiresAt = now.Add(s.lifetime())
	claims := jwtClaims{
		Subject: string(a.UserID), Audience: s.audience(), Issuer: s.Issuer,
		ExpiresAt: jwt.NewNumericDate(a.ExpiresAt), IssuedAt: jwt.NewNumericDate(now),
		ID: tokenID(a.Generation), SessionID: a.SessionID, Methods: a.Methods,
	}
	if !a.AuthTime.IsZero() {
		claims.AuthTime = jwt.NewNumericDate(a.AuthTime)
	}
	t := jwt.NewWithClaims(key.method, claims)
	if key.ID != "" {
		t.Header["kid"] = key.ID
	}
	return t.SignedString(key.sign)
}

// ReadToken verifies a token. A token that was verified before is only held
// against the clock: the signature does not go bad.
func (s *JWT) ReadToken(_ context.Context, token string) (Authentication, error) {
	if len(token) > maxJWT || strings.Count(token, ".") != 2 {
		return Authentication{}, ErrInvalidToken
	}
	digest := HashToken(token)
	a, known := s.verified.get(digest)
	if !known {
		var err error
		if a, err = s.verify(token); err != nil {
			return Authentication{}, fmt.Errorf("%w: %w", ErrInvalidToken, err)
		}
		s.verified.put(digest, a)
	}
	if !a.ExpiresAt.After(s.now()) {
		return Authentication{}, ErrInvalidToken
	}
	a.Methods = slices.Clone(a.Methods) // the cache keeps its own
	return a, nil
}

// DestroyToken returns ErrNotRevocable.
func (s *JWT) DestroyToken(context.Context, string) error { return ErrNotRevocable }

func (s *JWT) verify(token string) (Authentication, error) {
	options := []jwt.ParserOption{jwt.WithAudience(s.audience()...)}
	if s.Issuer != "" {
		options = append(options, jwt.WithIssuer(s.Issuer))
	}
	claims, err := parseJWT(token, s.Keys, s.now, options...)
	if err != nil {
		return Authentication{}, err
	}
	a := Authentication{
		UserID: ID(claims.Subject), SessionID: claims.SessionID, Methods: claims.Methods,
		ExpiresAt: claims.ExpiresAt.Time, Generation: generationIn(claims.ID),
	}
	if claims.IssuedAt != nil {
		a.IssuedAt = claims.IssuedAt.Time
	}
	if claims.AuthTime != nil {
		a.AuthTime = claims.AuthTime.Time
	}
	return a, nil
}

// parseJWT verifies a token of whatever purpose; the audience among the options
// tells which.
func parseJWT(token string, keys []Key, now func() time.Time, options ...jwt.ParserOption) (claims jwtClaims, err error) {
	if len(token) > maxJWT || strings.Count(token, ".") != 2 {
		return claims, errors.New("not a compact JWS")
	}
	header, err := readJWTHeader(token)
	if err != nil {
		return claims, err
	}
	options = append(options, jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithStrictDecoding(), jwt.WithTimeFunc(now))
	_, err = jwt.NewParser(options...).ParseWithClaims(token, &claims, func(*jwt.Token) (any, error) {
		return keysFor(keys, header)
	})
	if err == nil && claims.Subject == "" {
		err = errors.New("no subject")
	}
	return claims, err
}

// keysFor returns the keys that may have signed a token with this header. The
// algorithm is the key's, the header only has to agree (RFC 8725 §3.1). A key
// without an id, and a token without one, go with any.
func keysFor(keys []Key, h jwtHeader) (any, error) {
	var set jwt.VerificationKeySet
	for _, key := range keys {
		if key.method.Alg() == h.Algorithm && (key.ID == "" || h.KeyID == "" || key.ID == h.KeyID) {
			set.Keys = append(set.Keys, key.verify)
		}
	}
	if len(set.Keys) == 0 {
		return nil, errors.New("no key for this token")
	}
	return set, nil
}

func (s *JWT) now() time.Time {
	if s.Now != nil {
		return s.Now()
	}
	return time.Now()
}

func (s *JWT) lifetime() time.Duration {
	if s.Lifetime == 0 {
		return time.Hour
	}
	return s.Lifetime
}

func (s *JWT) audience() []string {
	if len(s.Audience) == 0 {
		return []string{FastAPIUsersAudience}
	}
	return s.Audience
}

type jwtHeader struct{ Algorithm, KeyID string }

// readJWTHeader reads the header as strictly as RFC 7515 asks for. Header
// members that would choose a key (jwk, jku, x5c, x5u) are not even looked at.
func readJWTHeader(token string) (h jwtHeader, err error) {
	for part := range strings.SplitSeq(token, ".") {
		// Go's decoder skips line breaks, RFC 7515 §2 does not.
		if strings.ContainsAny(part, "\r\n") {
			return h, errors.New("line break in base64")
		}
	}
	first, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(first)
	if err != nil {
		return h, err
	}
	members, err := strictMembers(raw)
	if err != nil {
		return h, err
	}
	for _, name := range []string{"crit", "b64"} { // we understand no extension: RFC 7515 §4.1.11, RFC 7797
		if _, present := members[name]; present {
			return h, fmt.Errorf("header %s is not supported", name)
		}
	}
	var typ string
	for name, target := range map[string]*string{"alg": &h.Algorithm, "kid": &h.KeyID, "typ": &typ} {
		if v, present := members[name]; present {
			if err := decodeString(v, target); err != nil {
				return h, fmt.Errorf("header %s: %w", name, err)
			}
		}
	}
	typ = strings.TrimPrefix(strings.ToLower(typ), "application/")
	if typ != "" && typ != "jwt" && typ != "at+jwt" { // RFC 9068 §2.1
		return h, fmt.Errorf("header typ %q is not an access token's", typ)
	}
	return h, nil
}

// jwtClaims are the claims that usher writes and reads. Those of other programs
// are ignored.
type jwtClaims struct {
	Subject   string           `json:"sub"`
	Audience  jwt.ClaimStrings `json:"aud"`
	ExpiresAt *jwt.NumericDate `json:"exp"`
	NotBefore *jwt.NumericDate `json:"nbf,omitempty"`
	IssuedAt  *jwt.NumericDate `json:"iat,omitempty"`
	Issuer    string           `json:"iss,omitempty"`
	ID        string           `json:"jti,omitempty"`
	SessionID string           `json:"sid,omitempty"`
	AuthTime  *jwt.NumericDate `json:"auth_time,omitempty"`
	Methods   []string         `json:"amr,omitempty"`

	// Of one-time tokens.
	Email       string `json:"email,omitempty"`
	Fingerprint string `json:"password_fgpt,omitempty"`
}

// UnmarshalJSON refuses what encoding/json would let pass: a name that occurs
// twice, null for a time, invalid UTF-8.
func (c *jwtClaims) UnmarshalJSON(b []byte) error {
	members, err := strictMembers(b)
	if err != nil {
		return err
	}
	if err := decodeString(members["sub"], &c.Subject); err != nil {
		return fmt.Errorf("sub: %w", err)
	}
	if err := json.Unmarshal(members["aud"], &c.Audience); err != nil {
		return fmt.Errorf("aud: %w", err)
	}
	for name, target := range map[string]**jwt.NumericDate{"exp": &c.ExpiresAt, "nbf": &c.NotBefore, "iat": &c.IssuedAt, "auth_time": &c.AuthTime} {
		raw, present := members[name]
		if !present {
			continue
		}
		var seconds *float64
		if err := json.Unmarshal(raw, &seconds); err != nil || seconds == nil || math.Abs(*seconds) > 1e18 {
			return fmt.Errorf("%s is not a time", name)
		}
		whole, fraction := math.Modf(*seconds)
		*target = &jwt.NumericDate{Time: time.Unix(int64(whole), int64(fraction*1e9))}
	}
	for name, target := range map[string]*string{"jti": &c.ID, "email": &c.Email, "password_fgpt": &c.Fingerprint} {
		if raw, present := members[name]; present {
			if err := decodeString(raw, target); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	// The rest is informative: another type than ours counts as absent.
	for name, target := range map[string]*string{"iss": &c.Issuer, "sid": &c.SessionID} {
		_ = json.Unmarshal(members[name], target)
	}
	if json.Unmarshal(members["amr"], &c.Methods) != nil {
		c.Methods = nil // not half a list
	}
	return nil
}

// The methods of jwt.Claims.

func (c jwtClaims) GetExpirationTime() (*jwt.NumericDate, error) { return c.ExpiresAt, nil }
func (c jwtClaims) GetIssuedAt() (*jwt.NumericDate, error)       { return c.IssuedAt, nil }
func (c jwtClaims) GetNotBefore() (*jwt.NumericDate, error)      { return c.NotBefore, nil }
func (c jwtClaims) GetIssuer() (string, error)                   { return c.Issuer, nil }
func (c jwtClaims) GetSubject() (string, error)                  { return c.Subject, nil }
func (c jwtClaims) GetAudience() (jwt.ClaimStrings, error)       { return c.Audience, nil }

// strictMembers allows nothing but RFC 8259.
func strictMembers(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) || !json.Valid(b) {
		return nil, errors.New("not JSON")
	}
	return jsonMembers(b)
}

// decodeString reads a JSON string; null and every other type are errors.
func decodeString(raw json.RawMessage, target *string) error {
	var s *string
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	if s == nil {
		return errors.New("null is not a string")
	}
	*target = *s
	return nil
}
