package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"usher/ushertest"
)

func withProvider(t testing.TB, p *ushertest.FakeProvider) Config {
	c := testConfig(t)
	c.OAuth = OAuthConfig{
		BaseURL: "http://localhost:8000",
		Providers: []ProviderConfig{
			{Type: "oidc", Name: "sso", Issuer: p.URL, ClientID: p.ClientID, ClientSecret: p.ClientSecret},
			{
				Type: "oauth2", Name: "forge", AuthURL: p.URL + "/authorize", TokenURL: p.URL + "/token", UserInfoURL: p.URL + "/userinfo",
				IDField: "sub", VerifiedField: "email_verified", ClientID: p.ClientID, ClientSecret: p.ClientSecret,
			},
		},
	}
	return c
}

// callback asks authorize, goes to the provider, and comes back with the answer.
func (b *booted) callback(p *ushertest.FakeProvider, path string, headers ...string) answer {
	b.t.Helper()
	start := b.want(200, "GET", path+"/authorize", "", headers...)
	var body struct {
		URL string `json:"authorization_url"`
	}
	if err := json.Unmarshal([]byte(start.body), &body); err != nil {
		b.t.Fatal(err)
	}
	back, err := url.Parse(p.Authorize(b.t, body.URL))
	if err != nil {
		b.t.Fatal(err)
	}
	if want := "http://localhost:8000" + path + "/callback"; !strings.HasPrefix(back.String(), want) {
		b.t.Fatalf("the provider sends the browser to %s, want %s", back, want)
	}
	csrf := start.Cookies()[0].Name + "=" + start.Cookies()[0].Value
	for i := 0; i+1 < len(headers); i += 2 {
		if headers[i] == "Cookie" {
			csrf += "; " + headers[i+1]
		}
	}
	return b.do("GET", back.RequestURI(), "", append([]string{"Cookie", csrf}, headers...)...)
}

func TestSignInWithProvider(t *testing.T) {
	t.Parallel()
	p := ushertest.NewFakeProvider(t)
	b := boot(t, withProvider(t, p))
	for _, name := range []string{"sso", "forge"} {
		p.SetUser(ushertest.ProviderUser{ID: name + "-1", Email: name + "@example.com", EmailVerified: true})
		for range 2 { // the second time it is the same user
			a := b.callback(p, "/auth/"+name)
			if a.StatusCode != 204 || len(a.Cookies()) == 0 {
				t.Fatalf("%s: %d %s", name, a.StatusCode, a.body)
			}
			var cookie string
			for _, c := range a.Cookies() {
				if c.Name == "__Host-usher" {
					cookie = c.Name + "=" + c.Value
				}
			}
			me := b.want(200, "GET", "/users/me", "", "Cookie", cookie)
			if !strings.Contains(me.body, `"email":"`+name+`@example.com"`) || !strings.Contains(me.body, `"is_verified":true`) {
				t.Error(me.body)
			}
			list := b.want(200, "GET", "/users/me/oauth-accounts", "", "Cookie", cookie)
			if strings.Count(list.body, `"oauth_name":"`+name+`"`) != 1 {
				t.Error(list.body)
			}
		}
	}
	log := b.log.String()
	if strings.Contains(log, p.ClientSecret) || !strings.Contains(log, `"callback":"http://localhost:8000/auth/sso/callback"`) {
		t.Error(log)
	}
}

func TestLinkAndUnlinkProvider(t *testing.T) {
	t.Parallel()
	p := ushertest.NewFakeProvider(t)
	b := boot(t, withProvider(t, p))
	b.register("ann@example.com")
	if a := b.callback(p, "/auth/sso"); a.StatusCode != 400 || a.detail() != "OAUTH_USER_ALREADY_EXISTS" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	bearer := b.bearer("jwt", "ann@example.com")
	if a := b.callback(p, "/auth/associate/sso", "Authorization", bearer); a.StatusCode != 200 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	var accounts []struct{ ID string }
	list := b.want(200, "GET", "/users/me/oauth-accounts", "", "Authorization", bearer)
	if err := json.Unmarshal([]byte(list.body), &accounts); err != nil || len(accounts) != 1 {
		t.Fatalf("%s: %v", list.body, err)
	}
	if a := b.callback(p, "/auth/sso"); a.StatusCode != 204 {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
	b.want(204, "DELETE", "/users/me/oauth-accounts/"+accounts[0].ID, "", "Authorization", bearer)
}

func TestAssociateByEmail(t *testing.T) {
	t.Parallel()
	p := ushertest.NewFakeProvider(t)
	c := withProvider(t, p)
	c.OAuth.AssociateByEmail, c.OAuth.Backend = true, "jwt"
	b := boot(t, c)
	b.register("ann@example.com")
	if a := b.callback(p, "/auth/sso"); a.StatusCode != 200 || !strings.Contains(a.body, "access_token") {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}

// Apple has a key in place of a secret.
func TestAppleKey(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write(t, dir, "apple.p8", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
	c := testConfig(t)
	c.OAuth = OAuthConfig{BaseURL: "https://auth.example.com", Providers: []ProviderConfig{
		{Type: "apple", ClientID: "com.example.web", TeamID: "team", KeyID: "key", KeyFile: filepath.Join(dir, "apple.p8")},
	}}
	if err := c.withDefaults().check(); err != nil {
		t.Error(err)
	}
}
