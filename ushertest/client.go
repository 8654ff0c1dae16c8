package ushertest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
)

// The clients of TestTransport.

// carryBearer is a client of RFC 6750.
func carryBearer(login *http.Response, next *http.Request) {
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.NewDecoder(login.Body).Decode(&answer) == nil && answer.AccessToken != "" {
		next.Header.Set("Authorization", "Bearer "+answer.AccessToken)
	}
}

// browser keeps cookies as a browser does.
type browser struct {
	jar *cookiejar.Jar
	at  *url.URL
}

// receive takes the answer to a login or a logout as a browser does.
func (s *transportSuite) receive(b *browser, a answer) {
	s.Helper()
	first := b.jar == nil
	if first {
		b.jar, _ = cookiejar.New(nil)
		b.at = &url.URL{Scheme: "https", Host: "example.test", Path: "/"}
	}
	var kept []*http.Cookie
	for _, cookie := range a.Cookies() {
		if err := refused(cookie); err != nil {
			s.Errorf("browsers refuse the cookie %s: %v", cookie.Name, err)
			continue
		}
		if first && cookie.Path != "" { // go where it is sent
			b.at.Path = cookie.Path
		}
		if first && cookie.Domain != "" {
			b.at.Host = strings.TrimPrefix(cookie.Domain, ".")
		}
		kept = append(kept, cookie)
	}
	b.jar.SetCookies(b.at, kept)
}

// refused tells why browsers do not keep a cookie (RFC 6265bis §5.7).
func refused(c *http.Cookie) error {
	switch {
	case strings.HasPrefix(c.Name, "__Host-") && (!c.Secure || c.Path != "/" || c.Domain != ""):
		return errors.New("a __Host- name needs Secure, Path=/ and no Domain")
	case strings.HasPrefix(c.Name, "__Secure-") && !c.Secure:
		return errors.New("a __Secure- name needs Secure")
	case c.SameSite == http.SameSiteNoneMode && !c.Secure:
		return errors.New("SameSite=None needs Secure")
	case len(c.Name)+len(c.Value) > 4096:
		return fmt.Errorf("name and value have %d bytes, at most 4096 are kept", len(c.Name)+len(c.Value))
	}
	return nil
}

// request is the browser's next one, with its cookies and nothing else.
func (b *browser) request(method string) *http.Request {
	r := newRequest(method, "/users/me")
	r.URL = b.at
	r.Host = b.at.Host
	for _, cookie := range b.jar.Cookies(b.at) {
		r.AddCookie(cookie)
	}
	return r
}

// answer is a recorded answer whose body can be read often.
type answer struct {
	*http.Response
	body []byte
}

func (a answer) response() *http.Response {
	r := *a.Response
	r.Body = io.NopCloser(bytes.NewReader(a.body))
	return &r
}

func record(w *httptest.ResponseRecorder) answer {
	return answer{w.Result(), w.Body.Bytes()}
}
