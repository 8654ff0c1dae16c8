package usher_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"strings"
	"testing"

	"usher"

	"github.com/golang-jwt/jwt/v5"
)

// E12: keys that cannot be good are refused before the first request.
func TestS_E12_Keys(t *testing.T) {
	t.Parallel()
	p384 := must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))
	rsa1024 := must(rsa.GenerateKey(rand.Reader, 1024))
	good := usher.SecretKey("", secret)
	for _, test := range []struct {
		name  string
		keys  []usher.Key
		fault string // empty: none
	}{
		{"secret", []usher.Key{good}, ""},
		{"32 bytes", []usher.Key{usher.SecretKey("", secret[:32])}, ""},
		{"random bytes", []usher.Key{usher.SecretKey("", []byte(rand.Text()+rand.Text()))}, ""},
		{"Ed25519", []usher.Key{usher.PrivateKey("", edKey())}, ""},
		{"P-256", []usher.Key{usher.PrivateKey("", ecKey())}, ""},
		{"RSA", []usher.Key{usher.PrivateKey("", rsKey())}, ""},
		{"public keys behind", []usher.Key{good, usher.PublicKey("a", edKey().Public()), usher.PublicKey("b", &ecKey().PublicKey), usher.PublicKey("c", &rsKey().PublicKey)}, ""},
		{"two keys without an id", []usher.Key{good, usher.PrivateKey("", edKey())}, ""},

		{"none", nil, "no keys"},
		{"zero value", []usher.Key{{}}, "the key is empty"},
		{"only an id", []usher.Key{{ID: "x"}}, "the key is empty"},
		{"nil secret", []usher.Key{usher.SecretKey("", nil)}, "0 bytes"},
		{"empty secret", []usher.Key{usher.SecretKey("", []byte{})}, "0 bytes"},
		{"31 bytes", []usher.Key{usher.SecretKey("", secret[:31])}, "31 bytes"},
		{"sample", []usher.Key{usher.SecretKey("", []byte("your-256-bit-secret-your-256-bit-secret"))}, "sample"},
		{"sample in capitals", []usher.Key{usher.SecretKey("", []byte("0123456789abcdefCHANGEME0123456789abcdef"))}, "sample"},
		{"jwt.io's", []usher.Key{usher.SecretKey("", []byte("a-string-secret-at-least-256-bits-long"))}, "sample"},
		{"FastAPI's tutorial's", []usher.Key{usher.SecretKey("", []byte("09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"))}, "sample"},
		{"one byte over and over", []usher.Key{usher.SecretKey("", []byte(strings.Repeat("a", 64)))}, "1 different bytes"},
		{"a word over and over", []usher.Key{usher.SecretKey("", []byte(strings.Repeat("secret", 10)))}, "5 different bytes"},
		{"zeros", []usher.Key{usher.SecretKey("", make([]byte, 64))}, "1 different bytes"},
		{"nil", []usher.Key{usher.PrivateKey("", nil)}, "<nil> is no private key"},
		{"nil RSA", []usher.Key{usher.PrivateKey("", (*rsa.PrivateKey)(nil))}, "no private key"},
		{"nil ECDSA", []usher.Key{usher.PrivateKey("", (*ecdsa.PrivateKey)(nil))}, "no private key"},
		{"nil Ed25519", []usher.Key{usher.PrivateKey("", ed25519.PrivateKey(nil))}, "0 bytes"},
		{"short Ed25519", []usher.Key{usher.PrivateKey("", edKey()[:32])}, "32 bytes"},
		{"empty RSA", []usher.Key{usher.PrivateKey("", &rsa.PrivateKey{})}, "no public key"},
		{"empty ECDSA", []usher.Key{usher.PrivateKey("", &ecdsa.PrivateKey{})}, "no public key"},
		{"ECDSA without a point", []usher.Key{good, usher.PublicKey("", &ecdsa.PublicKey{Curve: elliptic.P256()})}, "no public key"},
		{"RSA of 1024 bits", []usher.Key{usher.PrivateKey("", rsa1024)}, "RSA of 2048 bits"},
		{"public RSA of 1024 bits", []usher.Key{good, usher.PublicKey("", &rsa1024.PublicKey)}, "RSA of 2048 bits"},
		{"P-384", []usher.Key{usher.PrivateKey("", p384)}, "P-256"},
		{"public P-384", []usher.Key{good, usher.PublicKey("", &p384.PublicKey)}, "P-256"},
		{"a secret as a private key", []usher.Key{usher.PrivateKey("", secret)}, "[]uint8 is no private key"},
		{"PEM as a private key", []usher.Key{usher.PrivateKey("", "-----BEGIN PRIVATE KEY-----")}, "string is no private key"},
		{"a secret as a public key", []usher.Key{good, usher.PublicKey("", secret)}, "[]uint8 is no public key"},
		{"a public key as a private one", []usher.Key{usher.PrivateKey("", &ecKey().PublicKey)}, "no private key"},
		{"a private key as a public one", []usher.Key{good, usher.PublicKey("", edKey())}, "no public key"},
		{"a short public key", []usher.Key{good, usher.PublicKey("", edKey().Public().(ed25519.PublicKey)[:31])}, "no public key"},
		{"a key by value", []usher.Key{usher.PrivateKey("", *ecKey())}, "no private key"},
		{"a public key first", []usher.Key{usher.PublicKey("", edKey().Public()), good}, "the first key signs, but it is a public one"},
		{"an id twice", []usher.Key{usher.SecretKey("a", secret), usher.PrivateKey("a", edKey())}, `two keys have the id "a"`},
	} {
		err := (&usher.JWT{Keys: test.keys}).Validate()
		if test.fault == "" && err != nil || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("%s: Validate: %v, want %q", test.name, err, test.fault)
		}
		if err != nil && (strings.Contains(err.Error(), string(secret)) || strings.Contains(err.Error(), "BEGIN")) {
			t.Errorf("%s: the error repeats the key: %v", test.name, err)
		}
	}
	if err := (&usher.JWT{Keys: []usher.Key{good}, Lifetime: -1}).Validate(); err == nil || !strings.Contains(err.Error(), "Lifetime is negative") {
		t.Errorf("negative lifetime: Validate: %v", err)
	}
	err := (&usher.JWT{Keys: []usher.Key{{}, usher.SecretKey("", nil)}, Lifetime: -1}).Validate()
	if err == nil || len(strings.Split(err.Error(), "\n")) != 4 {
		t.Errorf("Validate: %v, want four faults", err)
	}
}

// E13: PS256 is no algorithm of ours, whatever the length of its salt.
func TestS_E13_PSSRefused(t *testing.T) {
	t.Parallel()
	s := jwtOf(usher.PrivateKey("", rsKey()))
	for _, method := range []jwt.SigningMethod{jwt.SigningMethodPS256, jwt.SigningMethodPS384, jwt.SigningMethodRS384, jwt.SigningMethodRS512, jwt.SigningMethodRS256} {
		var members jwt.MapClaims
		if err := json.Unmarshal([]byte(claims()), &members); err != nil {
			t.Fatal(err)
		}
		token, err := jwt.NewWithClaims(method, members).SignedString(rsKey())
		if err != nil {
			t.Fatal(err)
		}
		if method == jwt.SigningMethodRS256 { // the positive control
			accepts(t, method.Alg(), s, token)
		} else {
			refuses(t, method.Alg(), s, token)
		}
	}
}

// E16: a new key signs, the old one verifies until it is dropped.
func TestS_E16_Rotation(t *testing.T) {
	t.Parallel()
	newSecret := []byte("9c3b1e7f5a2d4860b1c8e6f3a7d5092e4f6a8c0b")
	write := func(s *usher.JWT) string {
		t.Helper()
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		return must(s.WriteToken(t.Context(), &usher.Authentication{UserID: somebody}))
	}
	for _, test := range []struct {
		name     string
		old, new usher.Key
	}{
		{"with ids", usher.SecretKey("2025", secret), usher.SecretKey("2026", newSecret)},
		{"without ids", usher.SecretKey("", secret), usher.SecretKey("", newSecret)},
		{"the old one without an id", usher.SecretKey("", secret), usher.SecretKey("2026", newSecret)},
		{"to another algorithm", usher.SecretKey("", secret), usher.PrivateKey("2026", edKey())},
		{"to another algorithm, back", usher.PrivateKey("", rsKey()), usher.SecretKey("", secret)},
	} {
		before, during, after := jwtOf(test.old), jwtOf(test.new, test.old), jwtOf(test.new)
		oldToken, newToken := write(before), write(during)
		accepts(t, test.name+": old token, both keys", during, oldToken)
		accepts(t, test.name+": new token, both keys", during, newToken)
		accepts(t, test.name+": new token, new key", after, newToken)
		refuses(t, test.name+": old token, old key dropped", after, oldToken)
		refuses(t, test.name+": new token, old key only", before, newToken)
	}
	// The id only chooses among our keys, and then that one has to fit.
	s := jwtOf(usher.SecretKey("2025", secret), usher.SecretKey("2026", newSecret))
	accepts(t, "kid of its key", s, signed(`{"alg":"HS256","kid":"2025"}`, claims()))
	accepts(t, "no kid", s, signed(`{"alg":"HS256"}`, claims()))
	refuses(t, "kid of the other key", s, signed(`{"alg":"HS256","kid":"2026"}`, claims()))
	refuses(t, "kid of no key", s, signed(`{"alg":"HS256","kid":"2024"}`, claims()))
}
