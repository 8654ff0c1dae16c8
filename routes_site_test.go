package usher_test

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/internal/testlog"
	"usher/internal/testservices"
	"usher/password"
	"usher/redisstore"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"

	"github.com/redis/rueidis"
)

// site is a program with usher's routes behind a listener, over a database (a
// SQLite file unless it says otherwise) and, if it asks for one, a Redis.
type site struct {
	url    string
	auth   *usher.Auth[User]
	db     *sqlstore.Store[User]
	file   string // of db, if that is SQLite
	redis  *redisstore.Store
	keys   func(t testing.TB) string // everything that redis holds
	hasher *password.Hasher          // its own: tests count what it does
	jwt    *usher.JWT
	log    *testlog.Buffer
	events *eventLog
	client *http.Client
}

// The backends of a site.
var (
	plainBackends = []string{"jwt", "cookie-jwt", "bearer-db", "cookie"}
	redisBackends = []string{"redis", "cookie-redis"}
	allBackends   = slices.Concat(plainBackends, redisBackends)
)

func isCookie(backend string) bool { return strings.HasPrefix(backend, "cookie") }
func isJWT(backend string) bool    { return strings.HasSuffix(backend, "jwt") }
func isRedis(backend string) bool  { return strings.HasSuffix(backend, "redis") }

// cookieName is the name of a backend's cookie.
func cookieName(backend string) string {
	switch {
	case isJWT(backend):
		return "ck_jwt"
	case isRedis(backend):
		return "ck_redis"
	}
	return "ck_db"
}

const sessionLifetime = time.Hour

// linkSecret signs the links that are mailed.
var linkSecret = []byte("7d1e0b3a9c5f2468e0b1d3f5a7c9e2b4d6f8a0c1")

// siteOption changes a site before it opens.
type siteOption func(t testing.TB, s *site, c *usher.Config[User])

// configured is the option of changing the configuration.
func configured(change func(*usher.Config[User])) siteOption {
	return func(_ testing.TB, _ *site, c *usher.Config[User]) { change(c) }
}

// withRedis adds the two backends over Redis; the test is skipped if there is
// none.
func withRedis(t testing.TB, s *site, c *usher.Config[User]) {
	t.Helper()
	option, err := rueidis.ParseURL(testservices.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	option.DisableCache = true
	client, err := rueidis.NewClient(option)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	prefix := testservices.Prefix(t)
	s.redis = redisstore.New(client, redisstore.Options{Prefix: prefix})
	s.keys = func(t testing.TB) string { return dumpRedis(t, client, prefix) }
	c.Backends = append(c.Backends, redisPair(s.redis)...)
}

// redisPair is the two backends over a store that is, or stands for, Redis.
func redisPair(store usher.SessionStore) []usher.Backend {
	keys := usher.Sessions{Store: store, Lifetime: sessionLifetime}
	return []usher.Backend{
		{Name: "redis", Transport: usher.Bearer{}, Strategy: keys},
		{Name: "cookie-redis", Transport: usher.Cookie{Name: "ck_redis"}, Strategy: keys},
	}
}

// backendOptions are those that a site needs to have the backend.
func backendOptions(backend string) []siteOption {
	if isRedis(backend) {
		return []siteOption{withRedis}
	}
	return nil
}

// emptyDatabase is a file with the schema and no rows: to make it takes longer
// than many a test.
var emptyDatabase = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "usher-site")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "empty.db")
	db, err := sqlite.Open[User](context.Background(), file)
	if err != nil {
		return nil, err
	}
	if err := db.Close(); err != nil {
		return nil, err
	}
	return os.ReadFile(file)
})

// newSite opens a site with the plain backends.
func newSite(t testing.TB, options ...siteOption) *site {
	t.Helper()
	return newSiteOn(t, onSQLite, options...)
}

func newSiteOn(t testing.TB, on engine, options ...siteOption) *site {
	t.Helper()
	s := &site{log: &testlog.Buffer{}, events: &eventLog{}, hasher: newWeakPasswords()}
	var err error
	if s.db, err = on(t, s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close() })
	rows := s.db.Sessions(sessionLifetime)
	s.jwt = &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}, Lifetime: sessionLifetime}
	c := usher.Config[User]{
		Store:          s.db,
		Secret:         linkSecret,
		Passwords:      s.hasher,
		RequestTimeout: time.Minute, // the machine may be busy
		Logger:         s.log.Logger(),
		Backends: []usher.Backend{
			{Name: "jwt", Transport: usher.Bearer{}, Strategy: s.jwt},
			{Name: "cookie-jwt", Transport: usher.Cookie{Name: "ck_jwt"}, Strategy: s.jwt},
			{Name: "bearer-db", Transport: usher.Bearer{}, Strategy: rows},
			{Name: "cookie", Transport: usher.Cookie{Name: "ck_db"}, Strategy: rows},
		},
		Hooks: usher.Hooks[User]{OnEvent: s.events.add},
	}
	for _, option := range options {
		option(t, s, &c)
	}
	if s.auth, err = usher.New(c); err != nil {
		t.Fatal(err)
	}
	s.listen(t, s.auth.Handler())
	return s
}

// listen puts another handler behind the site's listener.
func (s *site) listen(t testing.TB, h http.Handler) {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s.url = server.URL
	s.client = server.Client()
	s.client.Timeout = 30 * time.Second
	s.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

// add stores a user with goodPassword as it is after the changes.
func (s *site) add(t testing.TB, email string, change ...func(*User)) *User {
	t.Helper()
	u := person(t, email)
	for _, f := range change {
		f(&u)
	}
	if err := s.db.CreateUser(t.Context(), &u); err != nil {
		t.Fatal(err)
	}
	return &u
}

func asSuperuser(u *User) { u.IsSuperuser = true }
func asInactive(u *User)  { u.IsActive = false }

// stored returns the user as the database has it.
func (s *site) stored(t testing.TB, id usher.ID) *User {
	t.Helper()
	u, err := s.db.UserByID(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// send sends a request and reads the answer. The body is nil, a string to send
// as it is, url.Values for a form, or what becomes JSON. Headers are written
// "Name: value".
func (s *site) send(t testing.TB, method, path string, body any, headers ...string) answer {
	t.Helper()
	a, err := s.try(t.Context(), method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return a
}

func (s *site) try(ctx context.Context, method, path string, body any, headers ...string) (answer, error) {
	var reader io.Reader
	contentType := ""
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	case url.Values:
		reader, contentType = strings.NewReader(b.Encode()), "application/x-www-form-urlencoded"
	case io.Reader:
		reader = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		reader, contentType = bytes.NewReader(text), "application/json"
	}
	r, err := http.NewRequestWithContext(ctx, method, s.url+path, reader)
	if err != nil {
		return answer{}, err
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		r.Header.Add(name, value)
	}
	response, err := s.client.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return answer{response.StatusCode, response.Header, string(text)}, err
}

// loginForm is the body of a login.
func loginForm(email, plain string) url.Values {
	return url.Values{"username": {email}, "password": {plain}}
}

// login signs in with goodPassword and returns the token.
func (s *site) login(t testing.TB, backend, email string) (token string) {
	t.Helper()
	a := s.send(t, "POST", "/auth/"+backend+"/login", loginForm(email, goodPassword))
	if token = a.token(backend); token == "" {
		t.Fatalf("login through %s: %d %s", backend, a.status, a.body)
	}
	return token
}

// carrying is the header in which a token travels.
func carrying(backend, token string) string {
	if isCookie(backend) {
		return "Cookie: " + cookieName(backend) + "=" + token
	}
	return "Authorization: Bearer " + token
}

// signedIn is login and the header in which its token travels.
func (s *site) signedIn(t testing.TB, backend, email string) (header string) {
	t.Helper()
	return carrying(backend, s.login(t, backend, email))
}

// wantAlive checks that a credential is good, or is not.
func (s *site) wantAlive(t testing.TB, what, header string, alive bool) {
	t.Helper()
	want := 401
	if alive {
		want = 200
	}
	if a := s.send(t, "GET", "/users/me", nil, header); a.status != want {
		t.Errorf("%s: /users/me says %d %s, want %d", what, a.status, a.body, want)
	}
}

// eventLog collects events.
type eventLog struct {
	mu   sync.Mutex
	list []usher.Event
}

func (l *eventLog) add(_ context.Context, e usher.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(l.list, e)
}

// of returns the events of one kind.
func (l *eventLog) of(kind usher.EventKind) (events []usher.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.list {
		if e.Kind == kind {
			events = append(events, e)
		}
	}
	return events
}

// atOnce calls f n times at the same moment and waits for all.
func atOnce(n int, f func(i int)) {
	var start, end sync.WaitGroup
	start.Add(1)
	for i := range n {
		end.Go(func() {
			start.Wait()
			f(i)
		})
	}
	start.Done()
	end.Wait()
}

// browser moves the site to TLS and returns a client with a cookie jar.
func (s *site) browser(t testing.TB) *http.Client {
	t.Helper()
	server := httptest.NewTLSServer(s.auth.Handler())
	t.Cleanup(server.Close)
	s.url, s.client = server.URL, server.Client()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Transport: server.Client().Transport, Jar: jar, Timeout: 30 * time.Second}
}

func mustURL(t testing.TB, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// sessionRows returns how many sessions the database holds, of whatever age.
func (s *site) sessionRows(t testing.TB) (n int) {
	t.Helper()
	db := s.open(t)
	defer db.Close()
	if err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM sessions`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// open opens the site's database beside the store.
func (s *site) open(t testing.TB) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", s.file)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// only returns the only user there is.
func (s *site) only(t testing.TB) *User {
	t.Helper()
	users, err := s.db.ListUsers(t.Context(), usher.UserQuery{Limit: 2})
	if err != nil || len(users) != 1 {
		t.Fatalf("%d users, %v, want one", len(users), err)
	}
	return users[0]
}
