package ushertest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"

	"usher"
)

// TestTransport proves that a Transport keeps its contract, over requests as a
// server gets them through HTTPS.
//
// carry does what a client of the transport does: it finds the token in the
// answer to a login and puts it into the next request. Cookies travel without
// it. It is nil for transports that need nothing else, or answer with
// {"access_token": …} and read Authorization: Bearer.
func TestTransport(t *testing.T, transport usher.Transport, carry func(login *http.Response, next *http.Request)) {
	if carry == nil {
		carry = carryBearer
	}
	for _, part := range []struct {
		name string
		test func(*transportSuite)
	}{
		{"settings", (*transportSuite).settings},
		{"round trip", (*transportSuite).roundTrip},
		{"login answer", (*transportSuite).loginAnswer},
		{"long token", (*transportSuite).longToken},
		{"logout", (*transportSuite).logout},
		{"ambient", (*transportSuite).ambient},
		{"no token", (*transportSuite).noToken},
		{"garbage", (*transportSuite).garbage},
		{"leaves the request alone", (*transportSuite).leavesRequestAlone},
		{"at once", (*transportSuite).atOnce},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(&transportSuite{T: t, transport: transport, carry: carry})
		})
	}
}

type transportSuite struct {
	*testing.T
	transport usher.Transport
	carry     func(login *http.Response, next *http.Request)
}

// Tokens as strategies make them: an opaque one, a JWT, every letter allowed.
var (
	opaqueToken = "Jx0Vv3n8qk5ZyR-2fT_W7uPq1sLdEoGh4iAbCcDdEeM"
	jwtToken    = strings.Repeat("eyJhbGciOiJFZERTQSJ9", 12) + "." + strings.Repeat("eyJzdWIiOiIwMTkyIn0", 20) + ".c2lnbmF0dXJl-_c2ln"
	everyLetter = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~+/=="
)

func authentication(lifetime time.Duration) usher.Authentication {
	now := time.Now()
	a := usher.Authentication{UserID: usher.NewID(), Methods: []string{"pwd"}, AuthTime: now, IssuedAt: now}
	if lifetime > 0 {
		a.ExpiresAt = now.Add(lifetime)
	}
	return a
}

func newRequest(method, target string) *http.Request {
	r := httptest.NewRequest(method, "https://example.test"+target, nil)
	r.Header = http.Header{}
	return r
}

// login answers a sign-in with the token. It returns an error only for WriteLogin's.
func (s *transportSuite) login(token string, lifetime time.Duration) (answer, error) {
	w := httptest.NewRecorder()
	err := s.transport.WriteLogin(w, newRequest("POST", "/auth/test/login"), token, authentication(lifetime))
	return record(w), err
}

// next is the request that follows a login.
func (s *transportSuite) next(b *browser, login answer) *http.Request {
	s.Helper()
	s.receive(b, login)
	r := b.request("GET")
	before := r.URL.String()
	s.carry(login.response(), r)
	if r.URL.String() != before {
		s.Error("the token travels in the URL, where logs, histories and Referer headers keep it (RFC 6750 §5.3)")
	}
	return r
}

// token is Token, but a panic is an error.
func (s *transportSuite) token(what string, r *http.Request) (token string, ok bool) {
	s.Helper()
	defer func() {
		if p := recover(); p != nil {
			s.Errorf("%s: Token panics: %v", what, p)
		}
	}()
	token, ok = s.transport.Token(r)
	if ok && token == "" {
		s.Errorf("%s: Token says yes, but the token is empty", what)
	}
	return token, ok
}

func (s *transportSuite) wantToken(what string, r *http.Request, want string) {
	s.Helper()
	if got, ok := s.token(what, r); !ok || got != want {
		s.Errorf("%s: Token: %s, %v, want %s", what, shorten(got), ok, shorten(want))
	}
}

func (s *transportSuite) wantNone(what string, r *http.Request) {
	s.Helper()
	if got, ok := s.token(what, r); ok {
		s.Errorf("%s: Token: %s, want none", what, shorten(got))
	}
}

func (s *transportSuite) settings() {
	if v, ok := s.transport.(interface{ Validate() error }); ok {
		wantError(s.T, "Validate", v.Validate(), nil)
	}
	if c, ok := s.transport.(interface{ Challenge() string }); ok && strings.ContainsAny(c.Challenge(), "\r\n\x00") {
		s.Errorf("Challenge: %q is no header's value", c.Challenge())
	}
}

func (s *transportSuite) roundTrip() {
	for _, lifetime := range []time.Duration{0, time.Hour} {
		for _, token := range []string{opaqueToken, jwtToken, everyLetter, "x"} {
			login, err := s.login(token, lifetime)
			wantError(s.T, "WriteLogin", err, nil)
			s.wantToken("the request after a login", s.next(new(browser), login), token)
		}
	}

	// The second login of a browser counts, not the first.
	b := new(browser)
	first, _ := s.login(opaqueToken, time.Hour)
	s.next(b, first)
	second, _ := s.login(everyLetter, time.Hour)
	s.wantToken("the request after a second login", s.next(b, second), everyLetter)
}

func (s *transportSuite) loginAnswer() {
	login, err := s.login(opaqueToken, time.Hour)
	wantError(s.T, "WriteLogin", err, nil)
	if login.StatusCode < 200 || login.StatusCode > 399 {
		s.Errorf("WriteLogin: status %d of a successful login", login.StatusCode)
	}
	if strings.Contains(login.Header.Get("Location"), opaqueToken) {
		s.Error("WriteLogin: the token is in the URL of a redirect, where logs, histories and Referer headers keep it")
	}
	inBody := bytes.Contains(login.body, []byte(opaqueToken))
	if inBody && !strings.Contains(login.Header.Get("Cache-Control"), "no-store") {
		s.Errorf("WriteLogin: a body with the token, but Cache-Control is %q, want no-store (RFC 6749 §5.1)", login.Header.Get("Cache-Control"))
	}
	for _, cookie := range login.Cookies() {
		if !strings.Contains(cookie.Value, opaqueToken) {
			continue
		}
		if !cookie.HttpOnly {
			s.Errorf("WriteLogin: the cookie %s is not HttpOnly: every script on the page can read the token", cookie.Name)
		}
		if !cookie.Secure {
			s.Errorf("WriteLogin: the cookie %s is not Secure: everybody on the way can read the token", cookie.Name)
		}
		if inBody {
			s.Errorf("WriteLogin: the token is in the cookie %s and in the body, where every script on the page can read it", cookie.Name)
		}
	}
}

// longToken: a login that the client could not keep is an error, and then
// nothing has been written: usher still answers.
func (s *transportSuite) longToken() {
	for _, size := range []int{1000, 4000, 4097, 8000, 100_000} {
		token := strings.Repeat("long", size/4+1)
		w := httptest.NewRecorder()
		err := s.transport.WriteLogin(w, newRequest("POST", "/auth/test/login"), token, authentication(time.Hour))
		what := fmt.Sprintf("a token of %d bytes", len(token))
		if err == nil {
			s.wantToken(what, s.next(new(browser), record(w)), token)
		} else if len(w.Header()) > 0 || w.Body.Len() > 0 {
			s.Errorf("%s: WriteLogin wrote an answer before it failed: %v, %s", what, w.Header(), w.Body)
		}
	}
}

func (s *transportSuite) logout() {
	b := new(browser)
	login, err := s.login(opaqueToken, time.Hour)
	wantError(s.T, "WriteLogin", err, nil)
	w := httptest.NewRecorder()
	wantError(s.T, "WriteLogout", s.transport.WriteLogout(w, s.next(b, login)), nil)
	if w.Code < 200 || w.Code > 399 {
		s.Errorf("WriteLogout: status %d of a successful logout", w.Code)
	}
	if answer := fmt.Sprint(w.Header(), w.Body); strings.Contains(answer, opaqueToken) {
		s.Error("WriteLogout: the answer repeats the token")
	}
	s.receive(b, record(w))
	s.wantNone("the browser's request after a logout", b.request("GET"))

	w = httptest.NewRecorder()
	wantError(s.T, "WriteLogout to a client without a token", s.transport.WriteLogout(w, newRequest("POST", "/auth/test/logout")), nil)
}

// ambient: what a browser sends by itself it also sends when another site makes
// it, so usher must know.
func (s *transportSuite) ambient() {
	b := new(browser)
	login, err := s.login(opaqueToken, time.Hour)
	wantError(s.T, "WriteLogin", err, nil)
	s.receive(b, login)
	_, carried := s.token("a browser's request", b.request("POST"))
	if a, ok := s.transport.(interface{ Ambient() bool }); ok && !a.Ambient() && carried {
		s.Error("Ambient is false, but a browser sends the token by itself: requests from other sites pass for the user's own")
	}
}

func (s *transportSuite) noToken() {
	for _, method := range []string{"GET", "POST"} {
		r := newRequest(method, "/users/me")
		s.wantNone("a request that carries nothing", r)
		for _, name := range []string{"access_token", "token", "id_token", "auth", "authorization", "bearer", "key", "api_key", "apikey", "jwt", "session", "sid", "t"} {
			s.wantNone("a token in the query as "+name, newRequest(method, "/users/me?"+name+"="+opaqueToken))
			r := httptest.NewRequest(method, "https://example.test/users/me", strings.NewReader(name+"="+opaqueToken))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			s.wantNone("a token in a form as "+name, r)
		}
	}
}

func (s *transportSuite) garbage() {
	login, err := s.login(opaqueToken, time.Hour)
	wantError(s.T, "WriteLogin", err, nil)
	headers := s.next(new(browser), login).Header
	for _, usual := range []string{"Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key"} {
		if headers[usual] == nil {
			headers.Set(usual, "Bearer "+opaqueToken)
		}
	}
	for name, good := range headers {
		for _, value := range garbageValues(good[0]) {
			r := newRequest("GET", "/")
			r.Header[name] = []string{value}
			s.token(fmt.Sprintf("%s: %s", name, shorten(value)), r)
			r.Header[name] = []string{good[0], value}
			s.token(fmt.Sprintf("%s: the good value and %s", name, shorten(value)), r)
			r.Header[name] = []string{value, good[0]}
			s.token(fmt.Sprintf("%s: %s and the good value", name, shorten(value)), r)
		}
		r := newRequest("GET", "/")
		r.Header[name] = []string{}
		s.token(name+" with no value", r)
		for range 10_000 {
			r.Header[name] = append(r.Header[name], good[0])
		}
		s.token(name+" ten thousand times", r)
	}
}

func garbageValues(good string) []string {
	values := []string{
		"", " ", "\t", "=", ";", ",", ":", `"`, `""`, "a=", "=b", "a=b;;; ;=;", "\x00", "\xff\xfe", "é", "%zz", "%00",
		"Bearer", "Bearer ", "Bearer  ", "bearer\t", "Bearer \x00", "Bearer a b", "Bearer a,Bearer b", "Basic Og==", "Basic ===", "Digest",
		strings.Repeat("a", 1<<20), strings.Repeat(" ", 1<<20), strings.Repeat("a=b; ", 1<<16), "Bearer " + strings.Repeat("a", 1<<20),
		good + " ", " " + good, good + good, good + "\x00", good + ";", `"` + good + `"`, good[:1], good[1:], good[:len(good)/2],
	}
	if name, _, ok := strings.Cut(good, "="); ok {
		values = append(values, name, name+"=", name+"==", name+`="`, name+`=""`, good+"; "+good, name+"="+strings.Repeat("a", 1<<20), strings.Repeat(good+"; ", 3000))
	}
	return values
}

func (s *transportSuite) leavesRequestAlone() {
	login, err := s.login(opaqueToken, time.Hour)
	wantError(s.T, "WriteLogin", err, nil)
	r := s.next(new(browser), login)
	r.Method, r.Body = "POST", io.NopCloser(strings.NewReader("a=b"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	before := r.Header.Clone()
	s.wantToken("the first time", r, opaqueToken)
	s.wantToken("the second time", r, opaqueToken)
	if !reflect.DeepEqual(before, r.Header) {
		s.Error("Token changes the headers")
	}
	if body, _ := io.ReadAll(r.Body); string(body) != "a=b" {
		s.Errorf("Token has read the body, the handler would get %q", body)
	}
}

func (s *transportSuite) atOnce() {
	for _, err := range together(callers, func(i int) error {
		for range 20 {
			token := fmt.Sprintf("%s%d", opaqueToken, i)
			login, err := s.login(token, time.Hour)
			if err != nil {
				return err
			}
			r := s.next(new(browser), login)
			if got, ok := s.transport.Token(r); !ok || got != token {
				return fmt.Errorf("got %q, want %q", got, token)
			}
			if err := s.transport.WriteLogout(httptest.NewRecorder(), r); err != nil {
				return err
			}
		}
		return nil
	}) {
		wantError(s.T, "WriteLogin, Token and WriteLogout at once", err, nil)
	}
}
