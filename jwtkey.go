package usher

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"fmt"

	"github.com/golang-jwt/jwt/v5"
)

// Key signs and verifies JWTs with the one algorithm that its type stands for.
// A key of one type can never be taken for one of another (RFC 8725 §3.1).
type Key struct {
	ID     string // the `kid` header; empty: tokens carry none
	method jwt.SigningMethod
	sign   any // nil: verifies only
	verify any
	fault  error
}

// SecretKey is an HS256 key. The secret needs 32 bytes from a random source
// (RFC 7518 §3.2).
func SecretKey(id string, secret []byte) Key {
	return Key{ID: id, method: jwt.SigningMethodHS256, sign: secret, verify: secret, fault: checkSecret(secret)}
}

// PrivateKey signs and verifies: an ed25519.PrivateKey with EdDSA, an
// *ecdsa.PrivateKey on P-256 with ES256, an *rsa.PrivateKey of 2048 bits or more
// with RS256. New reports any other key.
func PrivateKey(id string, key any) Key {
	switch k := key.(type) {
	case ed25519.PrivateKey:
		if len(k) != ed25519.PrivateKeySize {
			return Key{ID: id, fault: fmt.Errorf("an Ed25519 private key of %d bytes", len(k))}
		}
		return signing(PublicKey(id, k.Public()), k)
	case *ecdsa.PrivateKey:
		if k != nil {
			return signing(PublicKey(id, &k.PublicKey), k)
		}
	case *rsa.PrivateKey:
		if k != nil {
			return signing(PublicKey(id, &k.PublicKey), k)
		}
	}
	return Key{ID: id, fault: fmt.Errorf("a %T is no private key for JWTs", key)}
}

// PublicKey verifies what the PrivateKey of the same pair signed.
func PublicKey(id string, key any) Key {
	switch k := key.(type) {
	case ed25519.PublicKey:
		if len(k) == ed25519.PublicKeySize {
			return Key{ID: id, method: jwt.SigningMethodEdDSA, verify: k}
		}
	case *ecdsa.PublicKey:
		if k != nil && k.Curve == elliptic.P256() && isPoint(k) { // RFC 7518 §3.4
			return Key{ID: id, method: jwt.SigningMethodES256, verify: k}
		}
	case *rsa.PublicKey:
		if k != nil && k.N != nil && k.N.BitLen() >= 2048 { // RFC 7518 §3.3
			return Key{ID: id, method: jwt.SigningMethodRS256, verify: k}
		}
	}
	return Key{ID: id, fault: fmt.Errorf("a %T is no public key for JWTs (Ed25519, ECDSA on P-256, or RSA of 2048 bits)", key)}
}

// isPoint tells whether the key is a point of its curve; verifying panics with one
// that has no coordinates.
func isPoint(k *ecdsa.PublicKey) bool {
	defer func() { _ = recover() }() // of Bytes, for a key without coordinates
	_, err := k.Bytes()
	return err == nil
}

func signing(public Key, private any) Key {
	public.sign = private
	return public
}

func (k Key) check() error {
	if k.fault == nil && k.method == nil {
		return fmt.Errorf("the key is empty: make it with SecretKey, PrivateKey or PublicKey")
	}
	return k.fault
}
