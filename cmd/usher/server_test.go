package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"usher/internal/testlog"
)

func TestSignInWithCookieAndJWT(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	b.register("ada@example.com")
	cookie, jwt := b.cookie("ada@example.com"), b.bearer("jwt", "ada@example.com")

	for _, header := range [][]string{{"Cookie", cookie}, {"Authorization", jwt}} {
		me := b.want(200, "GET", "/users/me", "", header...)
		var members map[string]any
		if err := json.Unmarshal([]byte(me.body), &members); err != nil {
			t.Fatal(err)
		}
		delete(members, "id")
		if got, want := jsonOf(members), `{"email":"ada@example.com","is_active":true,"is_superuser":false,"is_verified":false}`; got != want {
			t.Errorf("with %s: got %s, want %s", header[0], got, want)
		}
	}

	second := b.cookie("ada@example.com")
	var sessions []struct {
		ID      string
		Current bool
	}
	list := b.want(200, "GET", "/users/me/sessions", "", "Cookie", cookie)
	if err := json.Unmarshal([]byte(list.body), &sessions); err != nil || len(sessions) != 2 {
		t.Fatalf("sessions: %s: %v", list.body, err)
	}
	other := sessions[slices.IndexFunc(sessions, func(s struct {
		ID      string
		Current bool
	}) bool {
		return !s.Current
	})]
	b.want(204, "DELETE", "/users/me/sessions/"+other.ID, "", "Cookie", cookie)
	b.want(401, "GET", "/users/me", "", "Cookie", second)
	b.want(204, "POST", "/auth/cookie/logout", "", "Cookie", cookie)
	b.want(401, "GET", "/users/me", "", "Cookie", cookie)
	b.want(200, "GET", "/users/me", "", "Authorization", jwt) // a JWT lives until it expires
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestSessionsOutliveTheProcess(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	b := boot(t, c)
	b.register("ada@example.com")
	cookie, jwt := b.cookie("ada@example.com"), b.bearer("jwt", "ada@example.com")
	if err := b.stop(); err != nil {
		t.Fatal(err)
	}
	b = boot(t, c)
	b.want(200, "GET", "/users/me", "", "Cookie", cookie)
	b.want(200, "GET", "/users/me", "", "Authorization", jwt)
	if !strings.Contains(b.log.String(), `"created":false`) {
		t.Error("the secret was made anew")
	}
}

func TestAnswersToWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	for _, c := range []struct {
		method, path string
		status       int
		detail       string
	}{
		{"GET", "/", 404, "Not Found"},
		{"GET", "/nope", 404, "Not Found"},
		{"POST", "/auth/nope/login", 404, "Not Found"},
		{"GET", "//users/me", 404, "Not Found"},
		{"GET", "/x/../users/me", 404, "Not Found"},
		{"GET", "/users/./me", 404, "Not Found"},
		{"GET", "/nope/", 404, "Not Found"},
		{"POST", "/healthz", 404, "Not Found"},
		{"GET", "/auth/cookie/login", 405, "Method Not Allowed"},
		{"PUT", "/users/me", 405, "Method Not Allowed"},
		{"OPTIONS", "/users/me", 405, "Method Not Allowed"},
	} {
		a := b.do(c.method, c.path, "")
		if a.StatusCode != c.status || a.detail() != c.detail {
			t.Errorf("%s %s: got %d %s", c.method, c.path, a.StatusCode, a.body)
		}
		for name, want := range map[string]string{
			"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
			"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s %s: %s is %q", c.method, c.path, name, got)
			}
		}
	}
}

// As in FastAPI: a client that puts a slash at the end is sent to where it meant.
func TestSlashAtTheEnd(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	for path, location := range map[string]string{"/users/me/": "/users/me", "/auth/register/?x=1": "/auth/register?x=1", "/users/": "/users"} {
		if a := b.want(307, "POST", path, ""); a.Header.Get("Location") != location {
			t.Errorf("%s: to %q, want %q", path, a.Header.Get("Location"), location)
		}
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	for _, path := range []string{"/healthz", "/readyz"} {
		if a := b.want(200, "GET", path, ""); a.body != `{"status":"ok"}`+"\n" {
			t.Errorf("%s: %s", path, a.body)
		}
		b.want(200, "HEAD", path, "")
	}
}

func TestReadyzNamesADatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	c := testConfig(t).withDefaults()
	s, err := openServer(t.Context(), c, c.Log.logger(&testlog.Buffer{}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", "/readyz", nil))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Body.String() != `{"status":"unavailable","away":["database"]}`+"\n" {
		t.Errorf("got %d %v %s", w.Code, w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	s.handler().ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
	if w.Code != 200 {
		t.Errorf("healthz: got %d", w.Code)
	}
}

func TestPanicIsA500(t *testing.T) {
	t.Parallel()
	log := &testlog.Buffer{}
	c := testConfig(t)
	s := &server{config: c, log: c.Log.logger(log)}
	w := httptest.NewRecorder()
	s.observe(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("a bug") })).
		ServeHTTP(w, httptest.NewRequest("GET", "/x", nil))
	if w.Code != 500 || strings.TrimSpace(w.Body.String()) != `{"detail":"Internal Server Error"}` {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	if got := log.String(); !strings.Contains(got, "a bug") || !strings.Contains(got, "server_test.go") {
		t.Errorf("the log has no message or no stack: %s", got)
	}
}

func TestPanicAfterTheAnswerBeganAbortsIt(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	s := &server{config: c, log: c.Log.logger(&testlog.Buffer{})}
	web := httptest.NewServer(s.observe(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte("half"))
		_ = http.NewResponseController(w).Flush()
		panic("a bug")
	})))
	defer web.Close()
	response, err := http.Get(web.URL)
	if err == nil {
		defer response.Body.Close()
		_, err = response.Body.Read(make([]byte, 100))
		for err == nil {
			_, err = response.Body.Read(make([]byte, 100))
		}
	}
	if err == nil || err.Error() == "EOF" {
		t.Error("half an answer looks like a whole one")
	}
}

func TestHSTSIsForThoseWhoAsk(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	if got := boot(t, c).do("GET", "/healthz", "").Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("by default: %q", got)
	}
	c = testConfig(t)
	c.HSTS = true
	if got := boot(t, c).do("GET", "/healthz", "").Header.Get("Strict-Transport-Security"); got != "max-age=31536000; includeSubDomains" {
		t.Errorf("got %q", got)
	}
}

func TestRequireVerified(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.RequireVerified = true
	b := boot(t, c)
	b.register("ada@example.com")
	if a := b.do("POST", "/auth/jwt/login", loginForm("ada@example.com")); a.StatusCode != 400 || a.detail() != "LOGIN_USER_NOT_VERIFIED" {
		t.Errorf("got %d %s", a.StatusCode, a.body)
	}
}

// No secret may ever be in a log, whatever its level (ASVS 16.2.5).
func TestLogHasNoSecrets(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Secret = "canary-server-secret-0123456789abcdef"
	b := boot(t, c)
	const email, wrong = "canary-address@example.com", "canary wrong password"
	b.register(email)
	cookie, jwt := b.cookie(email), b.bearer("jwt", email)
	secrets := []string{c.Secret, goodPassword, wrong, email, strings.SplitN(cookie, "=", 2)[1], strings.TrimPrefix(jwt, "Bearer ")}

	b.want(400, "POST", "/auth/jwt/login", "username="+email+"&password="+strings.ReplaceAll(wrong, " ", "+"))
	b.want(422, "POST", "/auth/register", jsonOf(map[string]any{"email": "x", "password": wrong}))
	b.want(400, "POST", "/auth/register", jsonOf(map[string]any{"email": email, "password": wrong}))
	b.want(200, "PATCH", "/users/me", jsonOf(map[string]any{"password": wrong, "current_password": goodPassword}), "Authorization", jwt)
	b.want(401, "GET", "/users/me", "", "Authorization", "Bearer canary-forged-token")
	b.want(401, "GET", "/users/me?access_token=canary-query", "")
	b.want(404, "POST", "/nope?password=canary-query", `{"password": "canary-body"}`, "X-Canary", "canary-header")
	b.want(401, "GET", "/users/me", "", "Cookie", "__Host-usher="+strings.Repeat("c", 43))
	if err := b.stop(); err != nil {
		t.Error(err)
	}
	secrets = append(secrets, "canary", strings.Repeat("c", 43), "argon2id")
	log := b.log.String()
	for _, secret := range secrets {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %q", secret)
		}
	}
	if !strings.Contains(log, `"msg":"usher: login"`) || !strings.Contains(log, `"path":"/users/me","status":401`) {
		t.Error("the log lacks events or requests")
	}
}

func TestDatabaseThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	file := filepath.Join(t.TempDir(), "usher.db")
	if err := os.WriteFile(file, []byte(strings.Repeat("this is no database\n", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	c.Database = "sqlite:" + file
	_, err := openServer(t.Context(), c.withDefaults(), c.Log.logger(&testlog.Buffer{}))
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("got %v", err)
	}
}
