package ushertest_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

func TestTransportBearer(t *testing.T) {
	ushertest.TestTransport(t, usher.Bearer{}, nil)
}

func TestTransportCookie(t *testing.T) {
	for name, cookie := range map[string]usher.Cookie{
		"default": {},
		"shared":  {Name: "__Secure-app", Domain: "example.com", Path: "/app", SameSite: http.SameSiteNoneMode},
		"session": {Name: "app", MaxAge: -time.Second},
	} {
		t.Run(name, func(t *testing.T) { ushertest.TestTransport(t, cookie, nil) })
	}
}

// header carries tokens in headers of its own, both ways.
type header struct{}

func (header) Token(r *http.Request) (string, bool) {
	values := r.Header["X-Token"]
	if len(values) != 1 || values[0] == "" {
		return "", false
	}
	return values[0], true
}

func (header) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	w.Header().Set("X-Token", token)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (header) WriteLogout(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func carryHeader(login *http.Response, next *http.Request) {
	next.Header.Set("X-Token", login.Header.Get("X-Token"))
}

func TestTransportOfItsOwn(t *testing.T) {
	ushertest.TestTransport(t, header{}, carryHeader)
}

func TestTransportNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		transport  usher.Transport
		carry      func(*http.Response, *http.Request)
	}{
		{"wrong settings", "settings", usher.Cookie{InsecureHTTP: true}, nil},
		{"cuts the token", "round trip", spoiling{usher.Bearer{}, func(token string) string { return token[:min(len(token), 64)] }}, nil},
		{"escapes the token", "round trip", spoiling{usher.Bearer{}, func(token string) string { return strings.ReplaceAll(token, "+", "%2B") }}, nil},
		{"refused by browsers", "round trip", overlong{usher.Cookie{}, "__Host-x", "/app"}, nil},
		{"lets it be cached", "login answer", cacheable{usher.Bearer{}}, nil},
		{"lets scripts read it", "login answer", usher.Cookie{InsecureScriptAccess: true}, nil},
		{"lets everybody read it", "login answer", usher.Cookie{Name: "x", InsecureHTTP: true}, nil},
		{"says it twice", "login answer", twice{usher.Cookie{}}, nil},
		{"redirects with it", "login answer", redirecting{usher.Cookie{}}, nil},
		{"fails at logins", "login answer", failing{usher.Bearer{}}, nil},
		{"sets a cookie too long", "long token", overlong{usher.Cookie{}, "x", "/"}, nil},
		{"fails too late", "long token", tooLate{usher.Cookie{}}, nil},
		{"does not forget", "logout", forgetful{usher.Cookie{}}, nil},
		{"forgets on another path", "logout", wrongPath{usher.Cookie{Name: "x", Path: "/app"}}, nil},
		{"denies being ambient", "ambient", denying{usher.Cookie{}}, nil},
		{"reads the query", "no token", querying{usher.Bearer{}}, nil},
		{"always has a token", "no token", certain{usher.Bearer{}}, nil},
		{"reads a form", "no token", forming{usher.Bearer{}}, nil},
		{"panics on short headers", "garbage", fragile{}, carryHeader},
		{"takes nothing for a token", "garbage", emptyHanded{}, carryHeader},
		{"eats the body", "leaves the request alone", eating{usher.Bearer{}}, nil},
		{"eats the header", "leaves the request alone", consuming{usher.Bearer{}}, nil},
		{"remembers the last login", "at once", &remembering{}, func(_ *http.Response, r *http.Request) { r.Header.Set("X-Signed-In", "yes") }},
		{"travels in the URL", "round trip", inURL{}, func(login *http.Response, r *http.Request) {
			q := *r.URL
			q.RawQuery = "t=" + login.Header.Get("X-Token")
			r.URL = &q
		}},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) { ushertest.TestTransport(t, d.transport, d.carry) }})
	}
	mustFail(t, defects)
}

type spoiling struct {
	usher.Bearer
	spoil func(string) string
}

func (b spoiling) WriteLogin(w http.ResponseWriter, r *http.Request, token string, a usher.Authentication) error {
	return b.Bearer.WriteLogin(w, r, b.spoil(token), a)
}

// overlong sets its cookie without asking what browsers keep.
type overlong struct {
	usher.Cookie
	cookieName, path string
}

func (b overlong) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	http.SetCookie(w, &http.Cookie{Name: b.cookieName, Value: token, Path: b.path, Secure: true, HttpOnly: true})
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b overlong) Token(r *http.Request) (string, bool) {
	c, err := r.Cookie(b.cookieName)
	if err != nil || c.Value == "" {
		return "", false
	}
	return c.Value, true
}

type cacheable struct{ usher.Bearer }

func (b cacheable) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	_, err := fmt.Fprintf(w, `{"access_token":%q}`, token)
	return err
}

type twice struct{ usher.Cookie }

func (b twice) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	http.SetCookie(w, &http.Cookie{Name: "__Host-usher", Value: token, Path: "/", Secure: true, HttpOnly: true})
	w.Header().Set("Cache-Control", "no-store")
	_, err := fmt.Fprintf(w, `{"token":%q}`, token)
	return err
}

type redirecting struct{ usher.Cookie }

func (b redirecting) WriteLogin(w http.ResponseWriter, r *http.Request, token string, a usher.Authentication) error {
	w.Header().Set("Location", "/welcome?token="+token)
	return b.Cookie.WriteLogin(w, r, token, a)
}

type failing struct{ usher.Bearer }

func (failing) WriteLogin(w http.ResponseWriter, _ *http.Request, _ string, _ usher.Authentication) error {
	http.Error(w, "oh no", http.StatusInternalServerError)
	return nil
}

type tooLate struct{ usher.Cookie }

func (b tooLate) WriteLogin(w http.ResponseWriter, r *http.Request, token string, a usher.Authentication) error {
	err := b.Cookie.WriteLogin(w, r, token, a)
	if err != nil {
		w.WriteHeader(http.StatusNoContent)
		w.Header().Set("X-Signed-In", "yes")
	}
	return err
}

type forgetful struct{ usher.Cookie }

func (forgetful) WriteLogout(w http.ResponseWriter, _ *http.Request) error {
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type wrongPath struct{ usher.Cookie }

func (wrongPath) WriteLogout(w http.ResponseWriter, _ *http.Request) error {
	http.SetCookie(w, &http.Cookie{Name: "x", Path: "/auth", MaxAge: -1})
	w.WriteHeader(http.StatusNoContent)
	return nil
}

type denying struct{ usher.Cookie }

func (denying) Ambient() bool { return false }

type querying struct{ usher.Bearer }

func (b querying) Token(r *http.Request) (string, bool) {
	if token := r.URL.Query().Get("access_token"); token != "" {
		return token, true
	}
	return b.Bearer.Token(r)
}

type certain struct{ usher.Bearer }

func (b certain) Token(r *http.Request) (string, bool) {
	token, _ := b.Bearer.Token(r)
	return token, true
}

type forming struct{ usher.Bearer }

func (b forming) Token(r *http.Request) (string, bool) {
	if token := r.PostFormValue("access_token"); token != "" {
		return token, true
	}
	return b.Bearer.Token(r)
}

type fragile struct{ header }

func (fragile) Token(r *http.Request) (string, bool) {
	if values, ok := r.Header["X-Token"]; ok {
		return values[0], values[0] != ""
	}
	return "", false
}

type emptyHanded struct{ header }

func (emptyHanded) Token(r *http.Request) (string, bool) {
	_, ok := r.Header["X-Token"]
	return r.Header.Get("X-Token"), ok
}

type eating struct{ usher.Bearer }

func (b eating) Token(r *http.Request) (string, bool) {
	_ = r.ParseForm()
	return b.Bearer.Token(r)
}

type consuming struct{ usher.Bearer }

func (b consuming) Token(r *http.Request) (string, bool) {
	defer r.Header.Del("Authorization")
	return b.Bearer.Token(r)
}

// remembering keeps the token on the server, for whoever asks next.
type remembering struct {
	header
	mu    sync.Mutex
	token string
}

func (b *remembering) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, _ usher.Authentication) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.token = token
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (b *remembering) Token(r *http.Request) (string, bool) {
	time.Sleep(time.Millisecond) // somebody else signs in
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.token, r.Header.Get("X-Signed-In") != "" && b.token != ""
}

type inURL struct{ header }

func (inURL) Token(r *http.Request) (string, bool) {
	token := r.URL.Query().Get("t")
	return token, token != ""
}
