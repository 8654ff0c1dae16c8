package oauth

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Apple: the client id is that of a Services ID. Addresses are verified, and may
// be relays that Apple forwards. Apple sends the browser back with a POST and
// needs an https callback; the name, which Apple gives once and unsigned, is not
// read.
func Apple(clientID, teamID, keyID string, key *ecdsa.PrivateKey) Provider {
	p := OIDC("apple", "https://appleid.apple.com", clientID, "")
	p.Scopes = []string{"openid", "email"}
	p.FormPost = true
	if key != nil && key.Curve == elliptic.P256() { // else New reports that there is no secret
		p.MakeSecret = func(now time.Time) (string, error) { return appleSecret(now, clientID, teamID, keyID, key) }
	}
	return p
}

// appleSecret is the client secret that Apple wants: a JWT signed for the occasion.
func appleSecret(now time.Time, clientID, teamID, keyID string, key *ecdsa.PrivateKey) (string, error) {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
		"iss": teamID, "sub": clientID, "aud": "https://appleid.apple.com",
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
	})
	token.Header["kid"] = keyID
	return token.SignedString(key)
}

// ParseAppleKey reads the .p8 file that Apple gives out: a PKCS #8 key in PEM.
func ParseAppleKey(file []byte) (*ecdsa.PrivateKey, error) {
	block, _ := pem.Decode(file)
	if block == nil {
		return nil, errors.New("oauth: Apple key: not PEM")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("oauth: Apple key: %w", err)
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || private.Curve != elliptic.P256() {
		return nil, errors.New("oauth: Apple key: not an ECDSA key on P-256")
	}
	return private, nil
}
