package main

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"usher/internal/testlog"
)

// testConfig is the default configuration with cheap hashes, in a directory of
// its own.
func testConfig(t testing.TB) Config {
	t.Helper()
	c := defaultConfig()
	c.Database = "sqlite:" + filepath.Join(t.TempDir(), "usher.db")
	c.Limits.RequestTimeout = 25 * time.Second // the machine may be busy
	c.Log = LogConfig{Level: "debug", Format: "json"}
	c.Password = PasswordConfig{Argon2: Argon2Config{MemoryKiB: 64, Time: 1, Lanes: 1}, Parallel: 2, InsecureAllowWeak: true}
	return c
}

// booted is a server that listens.
type booted struct {
	t    testing.TB
	url  string
	addr string
	log  *testlog.Buffer
	// mails is the folder of the mailer.
	mails string
	// stop asks the server to stop and returns what serve returned.
	stop func() error
}

// boot starts the server as `usher serve` does, and stops it with the test.
func boot(t testing.TB, c Config) *booted {
	t.Helper()
	log := &testlog.Buffer{}
	c = c.withDefaults()
	s, err := openServer(t.Context(), c, c.Log.logger(log))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.introduce(ln.Addr())
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.serve(ctx, ln) }()
	stop := sync.OnceValue(func() error {
		cancel()
		err := <-ended
		if closeErr := s.close(); closeErr != nil {
			t.Errorf("close: %v", closeErr)
		}
		return err
	})
	t.Cleanup(func() { _ = stop() })
	return &booted{t: t, url: "http://" + ln.Addr().String(), addr: ln.Addr().String(), log: log, mails: c.Mail.Folder, stop: stop}
}

// answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

// detail is the member of the body.
func (a answer) detail() string {
	var body struct{ Detail string }
	_ = json.Unmarshal([]byte(a.body), &body)
	return body.Detail
}

// do sends a request. The body is JSON if it begins with a brace, else a form;
// headers are names and values in turn.
func (b *booted) do(method, path, body string, headers ...string) answer {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, path, err)
	}
	return answer{response, string(text)}
}

// want is do that requires a status.
func (b *booted) want(status int, method, path, body string, headers ...string) answer {
	b.t.Helper()
	a := b.do(method, path, body, headers...)
	if a.StatusCode != status {
		b.t.Fatalf("%s %s: got %d %s, want %d", method, path, a.StatusCode, a.body, status)
	}
	return a
}

const goodPassword = "correct horse battery staple"

func (b *booted) register(email string) {
	b.t.Helper()
	b.want(201, "POST", "/auth/register", jsonOf(map[string]string{"email": email, "password": goodPassword}))
}

func loginForm(email string) string {
	return url.Values{"username": {email}, "password": {goodPassword}}.Encode()
}

// bearer signs in through a bearer backend and returns the header.
func (b *booted) bearer(backend, email string) string {
	b.t.Helper()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	a := b.want(200, "POST", "/auth/"+backend+"/login", loginForm(email))
	if err := json.Unmarshal([]byte(a.body), &token); err != nil || token.AccessToken == "" {
		b.t.Fatalf("login: %s: %v", a.body, err)
	}
	return "Bearer " + token.AccessToken
}

// cookie signs in through the backend cookie and returns the header.
func (b *booted) cookie(email string) string {
	b.t.Helper()
	a := b.want(204, "POST", "/auth/cookie/login", loginForm(email))
	cookie := a.Cookies()[0]
	return cookie.Name + "=" + cookie.Value
}

func jsonOf(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// eventually waits until f is true.
func eventually(t testing.TB, within time.Duration, what string, f func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !f(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
