package oauth_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"usher/oauth"
)

// TestProviders: all that come with the package pass New together.
func TestProviders(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	all := []oauth.Provider{
		oauth.Google("id", "x"), oauth.GitHub("id", "x"), oauth.GitLab("id", "x"), oauth.Microsoft("common", "id", "x"), oauth.Discord("id", "x"),
		oauth.Facebook("id", "x"), oauth.LinkedIn("id", "x"), oauth.Slack("id", "x"), oauth.Twitch("id", "x"), oauth.Spotify("id", "x"),
		oauth.Keycloak("https://sso.example.com/", "staff", "id", "x"), oauth.Apple("id", "team", "key", key), oauth.OIDC("own", "https://own.example.com", "id", "x"),
	}
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Providers = all }})
	for _, p := range all {
		switch p.Name { // only these vouch for addresses
		case "github", "discord", "linkedin":
			if p.VerifiedField == "" && p.EmailsURL == "" {
				t.Errorf("%s: addresses are never verified", p.Name)
			}
		default:
			if p.Issuer == "" && p.VerifiedField != "" {
				t.Errorf("%s: addresses are verified", p.Name)
			}
		}
		if refusesPKCE := []string{"facebook", "linkedin", "slack"}; p.TrustEmail || p.InsecureNoPKCE != slices.Contains(refusesPKCE, p.Name) {
			t.Errorf("%s: %+v", p.Name, p)
		}
		if p.Issuer != "" {
			continue
		}
		names, values := paramsOf(t, s.browser().authorize(t, "/auth/"+p.Name))
		if values.Get("client_id") != "id" || len(names) < 5 {
			t.Errorf("%s: %v", p.Name, values)
		}
	}
	if all[10].Issuer != "https://sso.example.com/realms/staff" {
		t.Errorf("Keycloak's issuer is %s", all[10].Issuer)
	}
}

func TestApple(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := oauth.ParseAppleKey(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	if err != nil || !parsed.Equal(key) {
		t.Fatalf("%v, %v", parsed, err)
	}
	p := oauth.Apple("com.example.web", "TEAM", "KEY", parsed)
	now := time.Now()
	secret, err := p.MakeSecret(now)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Parse(secret, func(*jwt.Token) (any, error) { return &key.PublicKey, nil }, jwt.WithValidMethods([]string{"ES256"}))
	if err != nil || token.Header["kid"] != "KEY" {
		t.Fatalf("%+v, %v", token, err)
	}
	claims := token.Claims.(jwt.MapClaims)
	if claims["iss"] != "TEAM" || claims["sub"] != "com.example.web" || claims["aud"] != "https://appleid.apple.com" || claims["exp"].(float64) > float64(now.Add(time.Hour).Unix()) {
		t.Errorf("%v", claims)
	}
	other, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if oauth.Apple("id", "TEAM", "KEY", other).MakeSecret != nil {
		t.Error("a key on another curve")
	}
	wrong, err := x509.MarshalPKCS8PrivateKey(other)
	if err != nil {
		t.Fatal(err)
	}
	for name, file := range map[string]string{
		"empty": "", "not PEM": "x", "not a key": string(pem.EncodeToMemory(&pem.Block{Bytes: []byte("x")})),
		"another curve": string(pem.EncodeToMemory(&pem.Block{Bytes: wrong})),
	} {
		if _, err := oauth.ParseAppleKey([]byte(file)); err == nil || !strings.HasPrefix(err.Error(), "oauth: Apple key: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestMakeSecret: it is made for every request, with the program's clock.
func TestMakeSecret(t *testing.T) {
	t.Parallel()
	made := 0
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		p := s.plain("signs")
		p.ClientSecret = ""
		p.MakeSecret = func(time.Time) (string, error) { made++; return s.provider.ClientSecret, nil }
		basic := s.plain("basic")
		basic.BasicAuth = true
		c.Providers = append(c.Providers, p, basic)
	}})
	for _, path := range []string{"/auth/signs", "/auth/signs", "/auth/basic"} {
		s.browser().flow(t, path)
	}
	if a := s.browser().flow(t, "/auth/signs"); a.StatusCode != 204 || made != 3 {
		t.Errorf("%s %s, made %d times", a.Status, a.body, made)
	}
}
