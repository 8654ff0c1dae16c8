package ushertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// FakeProvider is a provider of accounts on the local host, for tests of signing
// in with OAuth 2.0 and OpenID Connect. It is strict: it wants PKCE, takes a code
// once, and compares redirect_uri, client and secret. Somebody is always signed in
// there and always consents. It is safe for concurrent use.
//
// Its endpoints, below URL, are /authorize, /token, /userinfo and /emails (a list
// as GitHub's); with URL as the issuer also /.well-known/openid-configuration and
// /jwks.
type FakeProvider struct {
	URL                    string
	ClientID, ClientSecret string
	// NoPKCE makes it refuse the parameters of PKCE, as some providers do. Set it
	// before the first request.
	NoPKCE bool
	// TokenLifetime is that of access tokens; 0 leaves out expires_in.
	TokenLifetime time.Duration

	key *ecdsa.PrivateKey

	mu      sync.Mutex
	user    ProviderUser
	faults  map[string]Fault // by path
	counts  map[string]int   // of requests, by path
	codes   map[string]grant
	access  map[string]grant
	refresh map[string]grant
}

// ProviderUser is who is signed in at a FakeProvider.
type ProviderUser struct {
	ID            any    // a string, or a number
	Email         string // empty: the provider does not know it
	EmailVerified bool
	// HideEmail leaves the address out of ID tokens; the user info has it.
	HideEmail bool
}

// grant is what a code or a token stands for.
type grant struct {
	user                          ProviderUser
	redirectURI, challenge, nonce string
	scopes                        []string
}

// NewFakeProvider starts a provider that ends with the test.
func NewFakeProvider(t testing.TB) *FakeProvider {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	p := &FakeProvider{
		ClientID: "client-id", ClientSecret: "client-secret", TokenLifetime: time.Hour, key: key,
		user:   ProviderUser{ID: "1", Email: "ann@example.com", EmailVerified: true},
		faults: map[string]Fault{}, counts: map[string]int{},
		codes: map[string]grant{}, access: map[string]grant{}, refresh: map[string]grant{},
	}
	server := httptest.NewServer(p.handler())
	t.Cleanup(server.Close)
	p.URL = server.URL
	return p
}

// SetUser makes u the one who is signed in.
func (p *FakeProvider) SetUser(u ProviderUser) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.user = u
}

// SetFault makes the endpoint at path misbehave; "" makes it behave again. The
// faults of ID tokens belong to /token.
func (p *FakeProvider) SetFault(path string, f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults[path] = f
}

// Count returns how many requests there were of the endpoint at path.
func (p *FakeProvider) Count(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.counts[path]
}

// Forget takes back all codes and tokens that were given out.
func (p *FakeProvider) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	clear(p.codes)
	clear(p.access)
	clear(p.refresh)
}

// Authorize goes to an authorization URL as a browser does, and returns the URL
// to which the provider sends it back.
func (p *FakeProvider) Authorize(t testing.TB, authorizationURL string) string {
	t.Helper()
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	answer, err := client.Get(authorizationURL)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	location := answer.Header.Get("Location")
	if answer.StatusCode != http.StatusFound || location == "" {
		body, _ := io.ReadAll(io.LimitReader(answer.Body, 1000))
		t.Fatalf("fake provider: %s of %s: %s", answer.Status, authorizationURL, body)
	}
	return location
}

func (p *FakeProvider) handler() http.Handler {
	mux := http.NewServeMux()
	for path, handle := range map[string]func(http.ResponseWriter, *http.Request, Fault){
		"GET /authorize": p.authorize, "POST /token": p.token, "GET /userinfo": p.userInfo, "GET /emails": p.emails,
		"GET /.well-known/openid-configuration": p.configuration, "GET /jwks": p.jwks,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.counts[r.URL.Path]++
			fault := p.faults[r.URL.Path]
			p.mu.Unlock()
			if !fault.answer(w, r) {
				handle(w, r, fault)
			}
		})
	}
	return mux
}

// authorize is RFC 6749 §4.1.1.
func (p *FakeProvider) authorize(w http.ResponseWriter, r *http.Request, fault Fault) {
	q := r.URL.Query()
	redirect, err := url.Parse(q.Get("redirect_uri"))
	if err != nil || redirect.Host == "" || q.Get("client_id") != p.ClientID {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_client"})
		return
	}
	back := redirect.Query()
	back.Set("state", q.Get("state"))
	if fault == FaultIssuer {
		back.Set("iss", "https://attacker.example")
	}
	challenged := q.Get("code_challenge") != "" && q.Get("code_challenge_method") == "S256"
	switch {
	case fault == FaultDenied:
		back.Set("error", "access_denied")
	case q.Get("response_type") != "code" || challenged == p.NoPKCE:
		back.Set("error", "invalid_request")
	default:
		p.mu.Lock()
		code := secretText()
		p.codes[code] = grant{p.user, q.Get("redirect_uri"), q.Get("code_challenge"), q.Get("nonce"), strings.Fields(q.Get("scope"))}
		p.mu.Unlock()
		back.Set("code", code)
	}
	redirect.RawQuery = back.Encode()
	w.Header().Set("Location", redirect.String())
	w.WriteHeader(http.StatusFound)
}

// token is RFC 6749 §4.1.3 and §6.
func (p *FakeProvider) token(w http.ResponseWriter, r *http.Request, fault Fault) {
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if id != p.ClientID || secret != p.ClientSecret {
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_client"})
		return
	}
	g, good := p.redeem(r)
	if !good {
		answerJSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_grant"})
		return
	}
	access, refresh := secretText(), secretText()
	p.mu.Lock()
	p.access[access], p.refresh[refresh] = g, g
	p.mu.Unlock()
	answer := map[string]any{"access_token": access, "token_type": "Bearer"}
	if fault != FaultNoRefreshToken {
		answer["refresh_token"] = refresh
	}
	if p.TokenLifetime > 0 {
		answer["expires_in"] = int(p.TokenLifetime / time.Second)
	}
	if slices.Contains(g.scopes, "openid") && fault != FaultNoIDToken {
		answer["id_token"] = p.idToken(g, access, fault)
	}
	answerJSON(w, http.StatusOK, answer)
}

// redeem takes a code or a refresh token, once.
func (p *FakeProvider) redeem(r *http.Request) (grant, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.PostFormValue("grant_type") == "refresh_token" {
		token := r.PostFormValue("refresh_token")
		g, good := p.refresh[token]
		delete(p.refresh, token)
		return g, good
	}
	code, verifier := r.PostFormValue("code"), r.PostFormValue("code_verifier")
	g, known := p.codes[code]
	delete(p.codes, code)
	return g, known && r.PostFormValue("grant_type") == "authorization_code" &&
		r.PostFormValue("redirect_uri") == g.redirectURI && (verifier == "") == p.NoPKCE &&
		(p.NoPKCE || subtle.ConstantTimeCompare([]byte(challengeOf(verifier)), []byte(g.challenge)) == 1)
}

// challengeOf is RFC 7636 §4.2, for verifiers of §4.1.
func challengeOf(verifier string) string {
	if len(verifier) < 43 || len(verifier) > 128 {
		return ""
	}
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func (p *FakeProvider) bearer(r *http.Request) (grant, bool) {
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	p.mu.Lock()
	defer p.mu.Unlock()
	g, known := p.access[token]
	return g, known
}

func (p *FakeProvider) userInfo(w http.ResponseWriter, r *http.Request, fault Fault) {
	g, known := p.bearer(r)
	if !known {
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	info := map[string]any{"id": g.user.ID, "sub": g.user.ID}
	if g.user.Email != "" {
		info["email"], info["email_verified"] = g.user.Email, g.user.EmailVerified
	}
	if fault == FaultSubject {
		info["sub"] = "somebody else"
	}
	answerJSON(w, http.StatusOK, info)
}

func (p *FakeProvider) emails(w http.ResponseWriter, r *http.Request, _ Fault) {
	g, known := p.bearer(r)
	if !known {
		answerJSON(w, http.StatusUnauthorized, map[string]any{"error": "invalid_token"})
		return
	}
	type address struct {
		Email    string `json:"email"`
		Primary  bool   `json:"primary"`
		Verified bool   `json:"verified"`
	}
	answerJSON(w, http.StatusOK, []address{{"other." + g.user.Email, false, true}, {g.user.Email, true, g.user.EmailVerified}})
}

func answerJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func secretText() string { return rand.Text() + rand.Text() }
