package oauth_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testlog"
	"usher/oauth"
	"usher/password"
	"usher/sqlstore"
	"usher/ushertest"
)

type User struct {
	usher.User
	FirstName string `json:"first_name" usher:"write"`
}

// secret and key are good ones. They are nobody's.
var (
	secret = []byte("7b1e4f0c9a86d2357e1b4c8f0a93d6e25c7b8d1f")
	key    = oauth.Key{ID: "2026", Secret: []byte("Q7v!x2Lp9#mZ4rT8wB1nK6cY3hF5jD0s")}
)

const goodPassword = "correct horse battery staple"

// site is a program with users behind a real listener, and a provider.
type site struct {
	URL, file string
	provider  *ushertest.FakeProvider
	db        *sqlstore.Store[User]
	auth      *usher.Auth[User]
	oauth     *oauth.OAuth[User]
	server    *httptest.Server
	log       *testlog.Buffer
	events    *events
	accounts  *faultyAccounts
	once      *faultyOnce
}

// options change a site before it is made.
type options struct {
	on    engine // nil: inMemory
	auth  func(*usher.Config[User])
	oauth func(*site, *oauth.Config[User])
}

func newSite(t testing.TB, o options) *site {
	t.Helper()
	s := &site{provider: ushertest.NewFakeProvider(t), log: &testlog.Buffer{}, events: &events{}}
	var err error
	if o.on == nil {
		o.on = inMemory
	}
	if s.db, err = o.on(t, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	passwords, err := password.New(password.Config{
		Params: password.Params{Memory: 8, Time: 1, Lanes: 1}, Parallel: 8, QueueTimeout: time.Minute, InsecureAllowWeak: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	sessions := s.db.Sessions(time.Hour)
	config := usher.Config[User]{
		Store: s.db, Passwords: passwords, Secret: []byte("e5c2a90b7d4f186380b2f7d5c9e1a46432f0d8b7"), RequestTimeout: time.Minute,
		Backends: []usher.Backend{
			{Name: "cookie", Transport: usher.Cookie{}, Strategy: sessions},
			{Name: "bearer", Transport: usher.Bearer{}, Strategy: sessions},
		},
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Hooks:  usher.Hooks[User]{OnEvent: s.events.add},
	}
	if o.auth != nil {
		o.auth(&config)
	}
	if s.auth, err = usher.New(config); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	s.server = httptest.NewTLSServer(mux)
	t.Cleanup(s.server.Close)
	s.URL = s.server.URL
	s.accounts, s.once = &faultyAccounts{OAuthAccountStore: s.db}, &faultyOnce{OneTimeStore: s.db}
	s.auth.Mount(mux)
	c := s.config()
	if o.oauth != nil {
		o.oauth(s, &c)
	}
	s.oauth = s.mount(t, mux, c)
	return s
}

func (s *site) config() oauth.Config[User] {
	return oauth.Config[User]{
		Providers: []oauth.Provider{s.plain("fake"), s.oidc("sso")},
		Backend:   "cookie", Accounts: s.accounts, OneTime: s.once, Secret: secret,
		EncryptionKeys: []oauth.Key{key}, BaseURL: s.URL,
		RedirectTargets: []string{"https://front.example.com/welcome?from=oauth"},
		ProviderTimeout: 5 * time.Second,
	}
}

func (s *site) mount(t testing.TB, mux *http.ServeMux, c oauth.Config[User]) *oauth.OAuth[User] {
	t.Helper()
	o, err := oauth.New(s.auth, c)
	if err != nil {
		t.Fatal(err)
	}
	o.Mount(mux)
	return o
}

// plain is the site's provider as one of OAuth 2.0.
func (s *site) plain(name string) oauth.Provider {
	return oauth.Provider{
		Name: name, ClientID: s.provider.ClientID, ClientSecret: s.provider.ClientSecret, Scopes: []string{"profile", "email"},
		AuthURL: s.provider.URL + "/authorize", TokenURL: s.provider.URL + "/token", UserInfoURL: s.provider.URL + "/userinfo",
		VerifiedField: "email_verified",
	}
}

// oidc is the site's provider as one of OpenID Connect.
func (s *site) oidc(name string) oauth.Provider {
	return oauth.OIDC(name, s.provider.URL, s.provider.ClientID, s.provider.ClientSecret)
}

// browser is one with a cookie jar that follows no redirects.
type browser struct {
	*site
	*http.Client
	header http.Header
}

func (s *site) browser() *browser {
	b := &browser{s, &http.Client{Transport: s.server.Client().Transport}, http.Header{}}
	b.Jar, _ = cookiejar.New(nil)
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return b
}

// answer is what a request was answered.
type answer struct {
	*http.Response
	body string
}

// detail is the `detail` of a refusal.
func (a answer) detail() string {
	var refusal struct {
		Detail string `json:"detail"`
	}
	_ = json.Unmarshal([]byte(a.body), &refusal)
	return refusal.Detail
}

func (b *browser) do(t testing.TB, method, target string, headers ...string) answer {
	t.Helper()
	if strings.HasPrefix(target, "/") {
		target = b.URL + target
	}
	r, err := http.NewRequestWithContext(t.Context(), method, target, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header = b.header.Clone()
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return b.send(t, r)
}

func (b *browser) send(t testing.TB, r *http.Request) answer {
	t.Helper()
	response, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response, string(body)}
}

func (b *browser) get(t testing.TB, target string, headers ...string) answer {
	t.Helper()
	return b.do(t, "GET", target, headers...)
}

// authorize begins a flow and returns the authorization URL.
func (b *browser) authorize(t testing.TB, path string) string {
	t.Helper()
	return b.authorizeWith(t, path, nil)
}

func (b *browser) authorizeWith(t testing.TB, path string, query url.Values) string {
	t.Helper()
	a := b.get(t, path+"/authorize?"+query.Encode())
	var members struct {
		URL string `json:"authorization_url"`
	}
	if err := json.Unmarshal([]byte(a.body), &members); err != nil || a.StatusCode != 200 {
		t.Fatalf("authorize: %s %s", a.Status, a.body)
	}
	return members.URL
}

// consent goes to the provider and returns the URL to which it sends the browser.
func (b *browser) consent(t testing.TB, path string) string {
	t.Helper()
	return b.provider.Authorize(t, b.authorize(t, path))
}

// flow does all of a flow.
func (b *browser) flow(t testing.TB, path string) answer {
	t.Helper()
	return b.get(t, b.consent(t, path))
}

// isIn tells whether the browser's session is good, and whose it is.
func (b *browser) isIn(t testing.TB) (User, bool) {
	t.Helper()
	a := b.get(t, "/users/me")
	var u User
	if a.StatusCode == 200 {
		if err := json.Unmarshal([]byte(a.body), &u); err != nil {
			t.Fatal(err)
		}
	}
	return u, a.StatusCode == 200
}

// login signs the browser in with a password.
func (b *browser) login(t testing.TB, email string) {
	t.Helper()
	form := url.Values{"username": {email}, "password": {goodPassword}}
	r, err := http.NewRequestWithContext(t.Context(), "POST", b.URL+"/auth/cookie/login", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if a := b.send(t, r); a.StatusCode != 204 {
		t.Fatalf("login: %s %s", a.Status, a.body)
	}
}

// user makes a user with a password.
func (s *site) user(t testing.TB, email string, verified bool) *User {
	t.Helper()
	u := &User{User: usher.User{Email: email, IsActive: true, IsVerified: verified}}
	if err := s.auth.CreateUser(t.Context(), u, goodPassword); err != nil {
		t.Fatal(err)
	}
	return u
}

// stored returns a user as the store has it.
func (s *site) stored(t testing.TB, email string) *User {
	t.Helper()
	u, err := s.auth.UserByEmail(t.Context(), email)
	if err != nil {
		t.Fatalf("user %s: %v", email, err)
	}
	return u
}

func (s *site) links(t testing.TB, user usher.ID) []usher.OAuthAccount {
	t.Helper()
	accounts, err := s.db.OAuthAccounts(t.Context(), user)
	if err != nil {
		t.Fatal(err)
	}
	return accounts
}

func (s *site) userCount(t testing.TB) int {
	t.Helper()
	users, err := s.db.ListUsers(t.Context(), usher.UserQuery{Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	return len(users)
}

// expect checks status and detail.
func expect(t testing.TB, a answer, status int, detail string) {
	t.Helper()
	if a.StatusCode != status || a.detail() != detail {
		t.Errorf("got %d %s, want %d %q", a.StatusCode, a.body, status, detail)
	}
}

func newRecorder() *httptest.ResponseRecorder { return httptest.NewRecorder() }

func newRequest(t testing.TB, target string) *http.Request {
	t.Helper()
	return httptest.NewRequestWithContext(t.Context(), "GET", target, nil)
}
