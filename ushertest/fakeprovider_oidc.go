package ushertest

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// Fault is a way in which an endpoint of a FakeProvider misbehaves.
type Fault string

// Faults of any endpoint.
const (
	FaultHTML        Fault = "answers with a page"
	FaultHuge        Fault = "answers with 10 MB"
	FaultError       Fault = "answers 500"
	FaultUnavailable Fault = "answers 503"
	FaultRedirect    Fault = "redirects to another host"
	FaultHang        Fault = "does not answer"
	FaultReset       Fault = "closes the connection"
)

// Faults of ID tokens, at /token.
const (
	FaultNoIDToken    Fault = "no ID token"
	FaultNonce        Fault = "another nonce"
	FaultNoNonce      Fault = "no nonce"
	FaultAudience     Fault = "another audience"
	FaultNoAudience   Fault = "no audience"
	FaultTwoAudiences Fault = "two audiences and no azp"
	FaultParty        Fault = "another azp"
	FaultExpired      Fault = "expired"
	FaultNoExpiry     Fault = "no exp"
	FaultAlgNone      Fault = "alg none"
	FaultHMAC         Fault = "HS256 with the public key"
	FaultSignature    Fault = "another key's signature"
	FaultAccessHash   Fault = "another access token's hash"
	FaultNoSubject    Fault = "no sub"
)

// Faults of several endpoints.
const (
	FaultIssuer  Fault = "another issuer"  // at /token, /authorize, and the discovery document
	FaultSubject Fault = "another subject" // at /userinfo
	FaultDenied  Fault = "denied"          // at /authorize

	FaultNoRefreshToken Fault = "no refresh token" // at /token
)

// answer answers a request if the fault is one of any endpoint.
func (f Fault) answer(w http.ResponseWriter, r *http.Request) bool {
	switch f {
	case FaultHTML:
		w.Header().Set("Content-Type", "text/html")
		_, _ = w.Write([]byte("<html><body>We are sorry</body></html>"))
	case FaultHuge:
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"access_token": "`))
		for range 10 << 4 {
			if _, err := w.Write([]byte(strings.Repeat("x", 1<<16))); err != nil {
				break
			}
		}
		_, _ = w.Write([]byte(`"}`))
	case FaultError:
		answerJSON(w, http.StatusInternalServerError, map[string]any{"error": "boom"})
	case FaultUnavailable:
		answerJSON(w, http.StatusServiceUnavailable, map[string]any{"error": "maintenance"})
	case FaultRedirect:
		w.Header().Set("Location", "http://127.0.0.1:1/elsewhere")
		w.WriteHeader(http.StatusTemporaryRedirect)
	case FaultHang:
		_ = r.ParseForm() // the server notices that the client went away only after the body
		<-r.Context().Done()
	case FaultReset:
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			conn.Close()
		}
	default:
		return false
	}
	return true
}

func (p *FakeProvider) configuration(w http.ResponseWriter, _ *http.Request, fault Fault) {
	issuer := p.URL
	if fault == FaultIssuer {
		issuer = "https://attacker.example"
	}
	algorithms := []string{"ES256"}
	if fault == FaultAlgNone {
		algorithms = []string{"none", "HS256"}
	}
	answerJSON(w, http.StatusOK, map[string]any{
		"issuer": issuer, "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"userinfo_endpoint": p.URL + "/userinfo", "jwks_uri": p.URL + "/jwks",
		"id_token_signing_alg_values_supported": algorithms, "response_types_supported": []string{"code"},
		"subject_types_supported": []string{"public"}, "code_challenge_methods_supported": []string{"S256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_basic"},
	})
}

func (p *FakeProvider) jwks(w http.ResponseWriter, _ *http.Request, _ Fault) {
	point, _ := p.key.PublicKey.Bytes() // 4, x, y
	answerJSON(w, http.StatusOK, map[string]any{"keys": []any{map[string]any{
		"kty": "EC", "crv": "P-256", "use": "sig", "alg": "ES256", "kid": "1",
		"x": base64.RawURLEncoding.EncodeToString(point[1:33]), "y": base64.RawURLEncoding.EncodeToString(point[33:]),
	}}})
}

// idToken is OpenID Connect Core §2, with a fault.
func (p *FakeProvider) idToken(g grant, access string, fault Fault) string {
	hash := sha256.Sum256([]byte(access))
	now := time.Now()
	claims := jwt.MapClaims{
		"iss": p.URL, "sub": g.user.ID, "aud": p.ClientID, "azp": p.ClientID, "nonce": g.nonce,
		"iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix(),
		"at_hash": base64.RawURLEncoding.EncodeToString(hash[:len(hash)/2]),
	}
	if g.user.Email != "" && !g.user.HideEmail {
		claims["email"], claims["email_verified"] = g.user.Email, g.user.EmailVerified
	}
	switch fault {
	case FaultIssuer:
		claims["iss"] = "https://attacker.example"
	case FaultNonce:
		claims["nonce"] = secretText()
	case FaultNoNonce:
		delete(claims, "nonce")
	case FaultAudience:
		claims["aud"] = "another-client"
	case FaultNoAudience:
		delete(claims, "aud")
	case FaultTwoAudiences:
		claims["aud"] = []string{"another-client", p.ClientID}
		delete(claims, "azp")
	case FaultParty:
		claims["azp"] = "another-client"
	case FaultExpired:
		claims["exp"] = now.Add(-time.Minute).Unix()
	case FaultNoExpiry:
		delete(claims, "exp")
	case FaultAccessHash:
		claims["at_hash"] = base64.RawURLEncoding.EncodeToString(make([]byte, 16))
	case FaultNoSubject:
		delete(claims, "sub")
	}
	return p.sign(claims, fault)
}

func (p *FakeProvider) sign(claims jwt.MapClaims, fault Fault) string {
	token := jwt.NewWithClaims(jwt.SigningMethodES256, claims)
	var key any = p.key
	switch fault {
	case FaultAlgNone:
		token.Method, key = jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType
	case FaultHMAC:
		token.Method = jwt.SigningMethodHS256
		key, _ = x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	}
	token.Header["alg"], token.Header["kid"] = token.Method.Alg(), "1"
	signed, _ := token.SignedString(key)
	if fault == FaultSignature {
		head, signature := signed[:strings.LastIndex(signed, ".")+1], signed[strings.LastIndex(signed, ".")+1:]
		signed = head + strings.Map(func(c rune) rune {
			if c == 'A' {
				return 'B'
			}
			return 'A'
		}, signature[:8]) + signature[8:]
	}
	return signed
}
