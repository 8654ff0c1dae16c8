package usher

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/big"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// E1, E2: the vectors of RFC 7515, appendix A. Our keys verify their signatures;
// none of them is an access token.
func TestS_E1_RFC7515(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("testdata/rfc7515_appendixA.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Vectors []struct {
			ID, Alg, JWS string
			JWK          map[string]string
		}
	}
	if err := json.Unmarshal(text, &file); err != nil || len(file.Vectors) != 5 {
		t.Fatalf("%d vectors, %v", len(file.Vectors), err)
	}
	for _, v := range file.Vectors {
		key := keyOf(t, v.JWK)
		s := &JWT{Keys: []Key{key}, Now: func() time.Time { return time.Unix(1300819380-1, 0) }} // not expired yet
		if supported := v.Alg == "HS256" || v.Alg == "RS256" || v.Alg == "ES256"; supported != (s.Keys[0].check() == nil) {
			t.Errorf("%s: the key: %v", v.ID, key.check())
		} else if supported {
			header, err := readJWTHeader(v.JWS)
			if err != nil || header.Algorithm != v.Alg {
				t.Errorf("%s: header %+v, %v", v.ID, header, err)
			}
			found, err := keysFor(s.Keys, header)
			if err != nil {
				t.Fatalf("%s: %v", v.ID, err)
			}
			dot := strings.LastIndexByte(v.JWS, '.')
			signature, err := base64.RawURLEncoding.Strict().DecodeString(v.JWS[dot+1:])
			if err != nil {
				t.Fatal(err)
			}
			verify := func(text string) error {
				return key.method.Verify(text, signature, found.(jwt.VerificationKeySet).Keys[0])
			}
			if err := verify(v.JWS[:dot]); err != nil {
				t.Errorf("%s: the signature is refused: %v", v.ID, err)
			}
			if err := verify(v.JWS[:dot-1]); err == nil {
				t.Errorf("%s: the signature is good for another text", v.ID)
			}
			if _, err := s.ReadToken(t.Context(), v.JWS); !strings.Contains(err.Error(), "sub: ") {
				t.Errorf("%s: ReadToken: %v, want the missing subject", v.ID, err)
			}
		} else {
			s.Keys = []Key{SecretKey("", []byte("3f9c1b7e5a2d4860b1c8e6f3a7d5092e"))}
		}
		if a, err := s.ReadToken(t.Context(), v.JWS); !errors.Is(err, ErrInvalidToken) || a.UserID != "" {
			t.Errorf("%s: ReadToken: %+v, %v, want %v", v.ID, a, err, ErrInvalidToken)
		}
	}
}

func keyOf(t *testing.T, jwk map[string]string) Key {
	t.Helper()
	raw := func(name string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(jwk[name])
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	switch jwk["kty"] {
	case "oct":
		return SecretKey("", raw("k"))
	case "RSA":
		e := binary.BigEndian.Uint32(append(make([]byte, 4-len(raw("e"))), raw("e")...))
		return PublicKey("", &rsa.PublicKey{N: new(big.Int).SetBytes(raw("n")), E: int(e)})
	case "EC":
		curve := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-521": elliptic.P521()}[jwk["crv"]]
		key, err := ecdsa.ParseUncompressedPublicKey(curve, append(append([]byte{4}, raw("x")...), raw("y")...))
		if err != nil {
			t.Fatal(err)
		}
		return PublicKey("", key)
	}
	return Key{}
}

// E14: the cache is bounded, and keeps what was used last.
func TestS_E14_VerifiedTokensAreBounded(t *testing.T) {
	t.Parallel()
	var cache verifiedTokens
	digest := func(i int) (h TokenHash) {
		binary.BigEndian.PutUint64(h[:], uint64(i))
		return h
	}
	const n = 5*generation + 7
	for i := range n {
		cache.put(digest(i), Authentication{})
		if size := len(cache.young) + len(cache.old); size > 2*generation {
			t.Fatalf("%d tokens after %d, want no more than %d", size, i+1, 2*generation)
		}
	}
	if _, known := cache.get(digest(n - 1)); !known {
		t.Error("the newest token is forgotten")
	}
	if _, known := cache.get(digest(n - generation)); !known {
		t.Error("a token of the last generation is forgotten")
	}
	if _, known := cache.get(digest(0)); known {
		t.Error("the oldest token is still there")
	}
}
