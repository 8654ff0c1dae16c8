package oauth_test

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"usher/oauth"
)

// claimsOf reads a JWT without verifying it.
func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("not a JWT: %q", token)
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		t.Fatal(err)
	}
	var claims map[string]any
	if err := json.Unmarshal(raw, &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func paramsOf(t testing.TB, address string) (names []string, values url.Values) {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		name, _, _ := strings.Cut(pair, "=")
		names = append(names, name)
	}
	return names, u.Query()
}

// TestS_H2_Authorize: the parameters are FastAPI Users', in its order, and PKCE's
// (DEFECTS F).
func TestS_H2_Authorize(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	for _, test := range []struct {
		provider, names, scope string
	}{
		{"fake", "response_type,client_id,redirect_uri,state,scope,code_challenge,code_challenge_method", "profile email"},
		{"sso", "response_type,client_id,redirect_uri,state,scope,code_challenge,code_challenge_method,nonce", "openid email profile"},
	} {
		a := b.get(t, "/auth/"+test.provider+"/authorize")
		if a.StatusCode != 200 || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %v", a.Status, a.Header)
		}
		address := b.authorize(t, "/auth/"+test.provider)
		names, values := paramsOf(t, address)
		if got := strings.Join(names, ","); got != test.names || !strings.HasPrefix(address, s.provider.URL+"/authorize?") {
			t.Errorf("%s", address)
		}
		for name, want := range map[string]string{
			"response_type": "code", "client_id": "client-id", "scope": test.scope,
			"redirect_uri": s.URL + "/auth/" + test.provider + "/callback", "code_challenge_method": "S256",
		} {
			if values.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, values.Get(name), want)
			}
		}
		if len(values.Get("code_challenge")) != 43 {
			t.Errorf("code_challenge %q", values.Get("code_challenge"))
		}
		cookies := b.Jar.Cookies(mustURL(t, s.URL))
		claims := claimsOf(t, values.Get("state"))
		if len(cookies) != 1 || cookies[0].Name != "__Host-usher-oauth" || claims["csrftoken"] != cookies[0].Value || len(cookies[0].Value) != 43 {
			t.Errorf("cookies %v, claims %v", cookies, claims)
		}
		if claims["aud"] != "fastapi-users:oauth-state" || claims["iss"] != "/auth/"+test.provider || claims["sub"] != nil {
			t.Errorf("claims %v", claims)
		}
		if in := int64(claims["exp"].(float64)) - time.Now().Unix(); in < 3590 || in > 3600 {
			t.Errorf("the state lives %d s", in)
		}
	}
	if _, values := paramsOf(t, b.authorize(t, "/auth/fake")); values.Get("state") == "" {
		t.Error("no state")
	}
}

func mustURL(t testing.TB, text string) *url.URL {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAuthorizeScopes(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	for query, want := range map[string]string{
		"": "profile email", "?scopes=a": "a", "?scopes=a&scopes=b": "a b", "?scopes=": "", "?scopes=a%26state=x": "a&state=x",
	} {
		a := b.get(t, "/auth/fake/authorize"+query)
		if _, values := paramsOf(t, member(t, a, "authorization_url")); values.Get("scope") != want || len(values["state"]) != 1 {
			t.Errorf("%q: scope %q, want %q", query, values.Get("scope"), want)
		}
	}
	for query, want := range map[string]string{"?scopes=email": "openid email", "?scopes=": "openid"} {
		if _, values := paramsOf(t, member(t, b.get(t, "/auth/sso/authorize"+query), "authorization_url")); values.Get("scope") != want {
			t.Errorf("without openid there is no ID token: %q", values.Get("scope"))
		}
	}
}

func member(t testing.TB, a answer, name string) string {
	t.Helper()
	var members map[string]string
	if err := json.Unmarshal([]byte(a.body), &members); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return members[name]
}

func TestS_D2_StateCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		c.Path, c.AssociatePath, c.AccountsPath = "/auth/oauth", "-", "-"
	}})
	mux := http.NewServeMux()
	c := s.config()
	c.CookieName, c.InsecureHTTP = "fastapiusersoauthcsrf", true
	s.mount(t, mux, c)
	for path, want := range map[string]string{
		"/auth/oauth/fake/authorize": "__Host-usher-oauth=*; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
	} {
		header := s.browser().get(t, path).Header["Set-Cookie"]
		if len(header) != 1 || withoutValue(header[0]) != want {
			t.Errorf("%s: %q", path, header)
		}
	}
	w := newRecorder()
	mux.ServeHTTP(w, newRequest(t, "/auth/fake/authorize"))
	if got := withoutValue(w.Header().Get("Set-Cookie")); got != "fastapiusersoauthcsrf=*; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax" {
		t.Errorf("%q", got)
	}
}

func withoutValue(cookie string) string {
	name, rest, _ := strings.Cut(cookie, "=")
	_, attributes, _ := strings.Cut(rest, ";")
	return name + "=*;" + attributes
}

// TestS_H4_RedirectURI: nothing in a request decides where the provider sends
// browsers.
func TestS_H4_RedirectURI(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		fixed := s.plain("fixed")
		fixed.RedirectURL = "https://front.example.com/oauth-callback"
		c.Providers = append(c.Providers, fixed)
	}})
	for provider, want := range map[string]string{"fake": s.URL + "/auth/fake/callback", "fixed": "https://front.example.com/oauth-callback"} {
		r := newRequest(t, s.URL+"/auth/"+provider+"/authorize")
		r.RequestURI, r.Host = "", "evil.example"
		r.Header = http.Header{"X-Forwarded-Host": {"evil.example"}, "Forwarded": {"host=evil.example"}, "X-Forwarded-Proto": {"http"}}
		a := s.browser().send(t, r)
		if _, values := paramsOf(t, member(t, a, "authorization_url")); values.Get("redirect_uri") != want {
			t.Errorf("redirect_uri %q, want %q", values.Get("redirect_uri"), want)
		}
	}
}

func TestMethods(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		apple := s.oidc("posts")
		apple.FormPost = true
		c.Providers = append(c.Providers, apple)
	}})
	b := s.browser()
	for _, test := range []struct{ method, path, allow string }{
		{"POST", "/auth/fake/authorize", "GET"},
		{"HEAD", "/auth/fake/authorize", "GET"},
		{"POST", "/auth/fake/callback", "GET"},
		{"PUT", "/auth/posts/callback", "GET, POST"},
		{"POST", "/auth/associate/fake/authorize", "GET"},
		{"POST", "/users/me/oauth-accounts", "GET"},
		{"GET", "/users/me/oauth-accounts/1", "DELETE"},
	} {
		a := b.do(t, test.method, test.path)
		if a.StatusCode != 405 || a.Header.Get("Allow") != test.allow {
			t.Errorf("%s %s: %s, Allow %q", test.method, test.path, a.Status, a.Header.Get("Allow"))
		}
	}
	w := newRecorder()
	s.oauth.Handler().ServeHTTP(w, newRequest(t, "/auth/unknown/authorize"))
	if w.Code != 404 {
		t.Errorf("unknown provider: %d", w.Code)
	}
}

// TestNewNamesEveryFault: one error says all that is wrong.
func TestNewNamesEveryFault(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	_, err := oauth.New(s.auth, oauth.Config[User]{
		Backend: "nobody", Secret: []byte("short"), EncryptionKeys: []oauth.Key{{ID: "a", Secret: []byte("short")}},
		BaseURL: "http://app.example.com", Path: "auth", AssociatePath: "/a/../b", AccountsPath: "/x/",
		RedirectTargets: []string{"/relative", "http://front.example.com/"}, StateLifetime: -1, CookieName: "a b",
		Providers: []oauth.Provider{
			{Name: "Big", AuthURL: "http://p.example/a", TokenURL: "nowhere", Params: map[string]string{"state": "x"}},
			oauth.OIDC("sso", "https://user@sso.example.com", "", "x"),
			oauth.OIDC("sso", "https://sso.example.com#x", "id", ""),
			{Name: "both", Issuer: "https://sso.example.com", AuthURL: "https://sso.example.com/a", ClientID: "id", ClientSecret: "x"},
			oauth.Apple("id", "team", "key", nil),
		},
	})
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{
		`no backend is named "nobody"`, "Accounts is nil", "OneTime is nil", "Secret: the secret has 5 bytes", "EncryptionKeys: key 0 has 5 bytes",
		"BaseURL:", `Path "auth"`, `AssociatePath "/a/../b"`, `AccountsPath "/x/"`, `RedirectTargets: "/relative"`, `"http://front.example.com/" is not https`,
		"StateLifetime", `CookieName "a b"`, `provider "Big": the name`, `provider "Big": ClientID is empty`, "either ClientSecret or MakeSecret",
		`AuthURL: "http://p.example/a" is not https`, `TokenURL: "nowhere"`, "UserInfoURL", "the parameter state is not yours", `two providers are named "sso"`,
		`Issuer: "https://user@sso.example.com"`, `Issuer: "https://sso.example.com#x"`, "AuthURL is discovered from the Issuer", `provider "apple": it needs either`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q:\n%v", want, err)
		}
	}
	if _, err := oauth.New[User](nil, s.config()); err == nil {
		t.Error("no fault without an Auth")
	}
	c := s.config()
	c.BaseURL = ""
	if _, err := oauth.New(s.auth, c); err == nil || !strings.Contains(err.Error(), "needs a RedirectURL") {
		t.Errorf("without BaseURL: %v", err)
	}
	c = s.config()
	c.InsecureHTTP, c.CookieName = true, "__Host-x"
	if _, err := oauth.New(s.auth, c); err == nil || !strings.Contains(err.Error(), "needs Secure") {
		t.Errorf("__Host- without Secure: %v", err)
	}
	c = s.config()
	c.Providers, c.Path, c.AssociatePath = nil, "/a", "/a"
	if _, err := oauth.New(s.auth, c); err == nil || !strings.Contains(err.Error(), "no Providers") || !strings.Contains(err.Error(), `both "/a"`) {
		t.Errorf("%v", err)
	}
}
