package usher_test

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"usher"
	"usher/ushertest"

	"github.com/golang-jwt/jwt/v5"
)

const somebody = usher.ID("018f2f5e-7d53-7a2f-8b1e-3c4d5e6f7a8b")

// The key pairs of these tests.
var (
	edKey = sync.OnceValue(func() ed25519.PrivateKey { return ed25519.NewKeyFromSeed(secret[:32]) })
	ecKey = sync.OnceValue(func() *ecdsa.PrivateKey { return must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)) })
	rsKey = sync.OnceValue(func() *rsa.PrivateKey { return must(rsa.GenerateKey(rand.Reader, 2048)) })
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// jwtOf is a strategy with these keys whose clock stands at epoch.
func jwtOf(keys ...usher.Key) *usher.JWT {
	return &usher.JWT{Keys: keys, Now: ushertest.NewClock(epoch).Now}
}

// hs256 is the strategy of the secret.
func hs256() *usher.JWT { return jwtOf(usher.SecretKey("", secret)) }

func b64(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }

// sign makes a token with an HMAC over the two parts exactly as they are given.
func sign(new func() hash.Hash, key []byte, header, payload string) string {
	mac := hmac.New(new, key)
	mac.Write([]byte(header + "." + payload))
	return header + "." + payload + "." + base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const plainHeader = `{"alg":"HS256","typ":"JWT"}`

// signed makes an HS256 token of the secret with this header and payload.
func signed(header, payload string) string {
	return sign(sha256.New, secret, b64(header), b64(payload))
}

// claims is the payload of a good token, with members set to these JSON values;
// an empty value leaves the member out.
func claims(changes ...string) string {
	members := map[string]string{
		"sub": `"` + string(somebody) + `"`, "aud": `["fastapi-users:auth"]`, "exp": fmt.Sprint(epoch.Unix() + 60), "iat": fmt.Sprint(epoch.Unix()),
	}
	for i := 0; i < len(changes); i += 2 {
		members[changes[i]] = changes[i+1]
	}
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		if members[name] != "" {
			parts = append(parts, fmt.Sprintf("%q:%s", name, members[name]))
		}
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// accepts and refuses check what a fresh strategy says of a token.
func accepts(t *testing.T, what string, s *usher.JWT, token string) usher.Authentication {
	t.Helper()
	a, err := s.ReadToken(t.Context(), token)
	if err != nil || a.UserID != somebody {
		t.Errorf("%s: ReadToken: user %q, %v, want %q\n%s", what, a.UserID, err, somebody, shorter(token))
	}
	return a
}

func refuses(t *testing.T, what string, s *usher.JWT, token string) {
	t.Helper()
	a, err := s.ReadToken(t.Context(), token)
	if !errors.Is(err, usher.ErrInvalidToken) {
		t.Errorf("%s: ReadToken: user %q, error %v, want %v\n%s", what, a.UserID, err, usher.ErrInvalidToken, shorter(token))
	}
	if err != nil && (a.UserID != "" || a.SessionID != "" || a.Methods != nil) {
		t.Errorf("%s: ReadToken: %+v beside the error", what, a)
	}
}

func shorter(s string) string { return s[:min(len(s), 400)] }

func TestJWTContract(t *testing.T) {
	t.Parallel()
	for name, keys := range map[string][]usher.Key{
		"HS256":    {usher.SecretKey("", secret)},
		"EdDSA":    {usher.PrivateKey("", edKey())},
		"ES256":    {usher.PrivateKey("", ecKey())},
		"RS256":    {usher.PrivateKey("", rsKey())},
		"rotation": {usher.PrivateKey("new", edKey()), usher.SecretKey("old", secret), usher.PublicKey("theirs", &ecKey().PublicKey)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
				s := &usher.JWT{Keys: keys, Issuer: "https://auth.example.com", Now: clock.Now}
				if err := s.Validate(); err != nil {
					t.Fatal(err)
				}
				return s, nil
			})
		})
	}
}

// E14, CVE-2025-30204: what is too long is not parsed. Not parallel:
// AllocsPerRun counts everybody's.
func TestS_E14_LongTokensCostNothing(t *testing.T) {
	s := hs256()
	longest := ""
	for pad := 1; len(longest) < 8<<10; pad++ {
		token := signed(plainHeader, claims("pad", `"`+strings.Repeat("x", 5900+pad)+`"`))
		if len(token) > 8<<10 {
			refuses(t, "a valid token of more than 8 KiB", s, token)
			break
		}
		longest = token
	}
	accepts(t, fmt.Sprintf("a valid token of %d bytes", len(longest)), s, longest)
	for name, token := range map[string]string{
		"a megabyte of dots":    strings.Repeat(".", 1<<20),
		"a megabyte of a.":      strings.Repeat("a.", 1<<19),
		"a megabyte":            strings.Repeat("a", 1<<20),
		"a megabyte and 2 dots": strings.Repeat("a", 1<<20) + ".a.a",
		"8 KiB of dots":         strings.Repeat(".", 8<<10),
		"8 KiB of a.":           strings.Repeat("a.", 4<<10),
	} {
		refuses(t, name, s, token)
		if n := testing.AllocsPerRun(100, func() { _, _ = s.ReadToken(t.Context(), token) }); n > 0 {
			t.Errorf("%s: %v allocations, want none", name, n)
		}
	}
	// Of the largest that is parsed, memory stays in proportion.
	deep := signed(plainHeader, claims("pad", strings.Repeat("[", 2900)+strings.Repeat("]", 2900)))
	if len(deep) > 8<<10 {
		t.Fatalf("%d bytes", len(deep))
	}
	accepts(t, "a deep token", s, deep)
	if n := testing.AllocsPerRun(10, func() { _, _ = hs256().ReadToken(t.Context(), deep) }); n > 1000 {
		t.Errorf("a deep token: %v allocations", n)
	}
}

// E15, CVE-2024-51744: the signature speaks first.
func TestS_E15_ErrorKind(t *testing.T) {
	t.Parallel()
	expired := claims("exp", fmt.Sprint(epoch.Unix()-1))
	_, err := hs256().ReadToken(t.Context(), signed(plainHeader, expired))
	if !errors.Is(err, usher.ErrInvalidToken) || !errors.Is(err, jwt.ErrTokenExpired) || errors.Is(err, jwt.ErrTokenSignatureInvalid) {
		t.Errorf("expired: %v, want %v and %v", err, usher.ErrInvalidToken, jwt.ErrTokenExpired)
	}
	forged := sign(sha256.New, []byte("evil"), b64(plainHeader), b64(expired))
	_, err = hs256().ReadToken(t.Context(), forged)
	if !errors.Is(err, usher.ErrInvalidToken) || !errors.Is(err, jwt.ErrTokenSignatureInvalid) || errors.Is(err, jwt.ErrTokenExpired) {
		t.Errorf("expired and forged: %v, want %v and %v only", err, usher.ErrInvalidToken, jwt.ErrTokenSignatureInvalid)
	}
	if strings.Contains(err.Error(), forged) || strings.Contains(err.Error(), string(secret)) { // E18
		t.Errorf("the error repeats a secret: %v", err)
	}
	// An error never stands beside an authentication: see refuses.
	for _, token := range []string{forged, signed(plainHeader, expired), signed(plainHeader, claims("aud", `"other"`, "amr", `["pwd"]`, "sid", `"s"`))} {
		refuses(t, "error", hs256(), token)
	}
}

// The cache: what was verified once is still held against the clock.
func TestJWTCacheExpires(t *testing.T) {
	t.Parallel()
	clock := ushertest.NewClock(epoch)
	s := &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}, Now: clock.Now}
	token := signed(plainHeader, claims())
	forged := token[:len(token)-2] + "AA"
	for range 3 {
		accepts(t, "cached", s, token)
		refuses(t, "another signature", s, forged)
	}
	clock.Set(epoch.Add(time.Minute - time.Nanosecond))
	accepts(t, "just before it expires", s, token)
	clock.Set(epoch.Add(time.Minute))
	refuses(t, "expired in the cache", s, token)
	clock.Set(epoch)
	a := accepts(t, "again", s, signed(plainHeader, claims("amr", `["pwd"]`)))
	a.Methods[0] = "vandal"
	if a := accepts(t, "again", s, signed(plainHeader, claims("amr", `["pwd"]`))); !slices.Equal(a.Methods, []string{"pwd"}) {
		t.Errorf("a reader changed what the next one gets: %q", a.Methods)
	}
}

// A token that lost its restriction would be good for everything.
func TestJWTRefusesScopes(t *testing.T) {
	t.Parallel()
	for _, scopes := range [][]string{{}, {"read"}} {
		if token, err := hs256().WriteToken(t.Context(), &usher.Authentication{UserID: somebody, Scopes: scopes}); err == nil {
			t.Errorf("scopes %q: a token, %s", scopes, token)
		}
	}
}

// E17: what cannot be revoked says so.
func TestS_E17_NotRevocable(t *testing.T) {
	t.Parallel()
	for _, token := range []string{signed(plainHeader, claims()), "", "junk"} {
		if err := hs256().DestroyToken(t.Context(), token); !errors.Is(err, usher.ErrNotRevocable) {
			t.Errorf("DestroyToken: %v, want %v", err, usher.ErrNotRevocable)
		}
	}
}

// FuzzJWT gives the verifier anything. What it accepts has a good signature, by
// the standard library's word.
func FuzzJWT(f *testing.F) {
	good := signed(plainHeader, claims())
	for _, token := range []string{
		good, good + ".", good[:20], "..", "a.b.c", "{}", signed(`{"alg":"HS256","crit":["x"]}`, claims()), signed(plainHeader, "null"),
		b64(`{"alg":"none"}`) + "." + b64(claims()) + ".", strings.Replace(good, ".", ".\n", 1), signed(plainHeader, claims("exp", "1e308")),
	} {
		f.Add(token)
	}
	s := hs256()
	f.Fuzz(func(t *testing.T, token string) {
		a, err := s.ReadToken(t.Context(), token)
		if err != nil {
			if !errors.Is(err, usher.ErrInvalidToken) || a.UserID != "" {
				t.Errorf("%q: %+v, %v", token, a, err)
			}
			return
		}
		parts := strings.Split(token, ".")
		if len(parts) != 3 || sign(sha256.New, secret, parts[0], parts[1]) != token {
			t.Errorf("accepted without a good signature: %q", token)
		}
	})
}

// FuzzJWTSigned signs anything. What is accepted means what it says.
func FuzzJWTSigned(f *testing.F) {
	f.Add(plainHeader, claims())
	for _, header := range []string{`{"alg":"HS256","kid":"x"}`, `{"alg":"HS256","crit":[]}`, `{"alg":"none"}`, `{"alg":"HS256","alg":"none"}`, "null", "\xff"} {
		f.Add(header, claims())
	}
	for _, payload := range []string{claims("exp", "1e308"), claims("aud", `["x","fastapi-users:auth"]`), claims("amr", `["pwd",1]`), claims("exp", "null"), `{"sub":"a","sub":"b"}`, "null", "[]", ""} {
		f.Add(plainHeader, payload)
	}
	f.Fuzz(func(t *testing.T, header, payload string) {
		a, err := hs256().ReadToken(t.Context(), signed(header, payload))
		if err != nil {
			if !errors.Is(err, usher.ErrInvalidToken) || a.UserID != "" {
				t.Errorf("%q %q: %+v, %v", header, payload, a, err)
			}
			return
		}
		var h, p map[string]any
		if json.Unmarshal([]byte(header), &h) != nil || json.Unmarshal([]byte(payload), &p) != nil || !utf8.ValidString(header+payload) {
			t.Fatalf("accepted what is no JSON: %q %q", header, payload)
		}
		_, crit := h["crit"]
		exp, _ := p["exp"].(float64)
		audience, _ := p["aud"].([]any)
		if h["alg"] != "HS256" || crit || p["sub"] != string(a.UserID) || a.UserID == "" || exp <= float64(epoch.Unix()) ||
			p["aud"] != usher.FastAPIUsersAudience && !slices.Contains(audience, any(usher.FastAPIUsersAudience)) {
			t.Errorf("accepted %q %q as %+v", header, payload, a)
		}
	})
}
