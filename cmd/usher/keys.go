package main

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"usher"
)

// strategy returns the strategy of JWTs, with the server's secret as its key
// unless others are given.
func (c *JWTConfig) strategy(secret []byte) (*usher.JWT, error) {
	own := []usher.Key{usher.SecretKey("", secret)}
	if c == nil {
		return &usher.JWT{Keys: own}, nil
	}
	var keys []usher.Key
	var faults []error
	for i, k := range c.Keys {
		key, err := k.read()
		if err != nil {
			faults = append(faults, fmt.Errorf("jwt.keys[%d]: %w", i, err))
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 || len(faults) > 0 {
		keys = own
	}
	return &usher.JWT{Keys: keys, Audience: c.Audience, Issuer: c.Issuer}, errors.Join(faults...)
}

// read reads a key file: a private or public key in PEM, or else a secret.
func (k KeyConfig) read() (usher.Key, error) {
	if k.File == "" {
		return usher.Key{}, errors.New("file is missing")
	}
	text, err := os.ReadFile(k.File)
	if err != nil {
		return usher.Key{}, err
	}
	block, _ := pem.Decode(text)
	if block != nil && block.Type == "PUBLIC KEY" {
		public, err := x509.ParsePKIXPublicKey(block.Bytes)
		if err != nil {
			return usher.Key{}, fmt.Errorf("%s: not a public key", k.File)
		}
		return usher.PublicKey(k.ID, public), nil
	}
	if err := checkPrivate(k.File); err != nil {
		return usher.Key{}, err
	}
	if block == nil {
		return usher.SecretKey(k.ID, trimSecret(text)), nil
	}
	private, err := parsePrivateKey(block)
	if err != nil {
		return usher.Key{}, fmt.Errorf("%s: not a key in PEM (PKCS #8, SEC 1, PKCS #1 or PKIX)", k.File)
	}
	return usher.PrivateKey(k.ID, private), nil
}

func parsePrivateKey(block *pem.Block) (any, error) {
	switch block.Type {
	case "EC PRIVATE KEY":
		return x509.ParseECPrivateKey(block.Bytes)
	case "RSA PRIVATE KEY":
		return x509.ParsePKCS1PrivateKey(block.Bytes)
	}
	return x509.ParsePKCS8PrivateKey(block.Bytes)
}
