package usher

import (
	"bytes"
	"errors"
	"fmt"
)

// minSecret is the least an HMAC-SHA-256 key may have (RFC 7518 §3.2), in bytes.
const minSecret = 32

// placeholders mark secrets that were copied from a documentation.
var placeholders = []string{
	"changeme", "change-me", "change_me", "change-this", "change_this", "replace-me", "replace_me", "replace-this",
	"your-secret", "your_secret", "your-256-bit-secret", "a-string-secret-at-least-256-bits-long", "sample-secret", "insecure-secret",
	"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7", // FastAPI's tutorial
}

// checkSecret refuses secrets that somebody could guess.
func checkSecret(secret []byte) error {
	if len(secret) < minSecret {
		return fmt.Errorf("the secret has %d bytes, it needs %d: generate one with `openssl rand -hex 32`", len(secret), minSecret)
	}
	lower := bytes.ToLower(secret)
	for _, p := range placeholders {
		if bytes.Contains(lower, []byte(p)) {
			return errors.New("the secret is a sample from a documentation: generate one with `openssl rand -hex 32`")
		}
	}
	distinct := map[byte]bool{}
	for _, b := range secret {
		distinct[b] = true
	}
	if len(distinct) < 8 {
		return fmt.Errorf("the secret has only %d different bytes: generate one with `openssl rand -hex 32`", len(distinct))
	}
	return nil
}
