package usher_test

import (
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
	"unicode"

	"usher"
	"usher/ushertest"
)

func TestCookieContract(t *testing.T) {
	t.Parallel()
	for name, cookie := range map[string]usher.Cookie{
		"zero value": {},
		"own name":   {Name: "session", Path: "/app", MaxAge: time.Hour, SameSite: http.SameSiteStrictMode},
		"domain":     {Name: "__Secure-session", Domain: "example.test", SameSite: http.SameSiteNoneMode},
		"browser":    {MaxAge: -1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ushertest.TestTransport(t, cookie, nil)
		})
	}
}

// D6: the Cookie header is read as RFC 6265 says, and never decoded.
func TestS_D6_CookieHeader(t *testing.T) {
	t.Parallel()
	const name, token = "__Host-usher", "Abc-._~+/123=="
	good := name + "=" + token
	for _, test := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"alone", []string{good}, token},
		{"last", []string{"a=1; " + good}, token},
		{"first", []string{good + "; a=1"}, token},
		{"between", []string{"a=1;" + good + ";b=2"}, token},
		{"semicolon behind", []string{good + ";"}, token},
		{"quoted", []string{name + `="` + token + `"`}, token},
		{"spaces around the =", []string{name + " = " + token}, token},
		{"two headers", []string{"a=1", good}, token},
		{"RFC 2965", []string{"$Version=1; " + good + "; $Path=/"}, token},
		{"twice: the last counts", []string{name + "=planted; " + good}, token},
		{"twice: the last counts, even if it is wrong", []string{good + "; " + name + "=planted"}, "planted"},
		{"twice in two headers", []string{name + "=planted", good}, token},
		{"broken neighbours", []string{`x; =; ;; "; a="; ` + good}, token},

		{"none", nil, ""},
		{"empty header", []string{""}, ""},
		{"empty value", []string{name + "="}, ""},
		{"empty quoted value", []string{name + `=""`}, ""},
		{"spaces", []string{name + `="  "`}, ""},
		{"no =", []string{name}, ""},
		{"twice: the last is empty", []string{good + "; " + name + "="}, ""},
		{"token alone", []string{token}, ""},
		{"lower case", []string{strings.ToLower(good)}, ""},
		{"upper case", []string{strings.ToUpper(name) + "=" + token}, ""},
		{"percent escape of H: CVE-2020-8184", []string{"__%48ost-usher=" + token}, ""},
		{"percent escape of _", []string{"%5F%5FHost-usher=" + token}, ""},
		{"plus", []string{"__Host+usher=" + token}, ""},
		{"without the prefix", []string{"usher=" + token}, ""},
		{"longer name", []string{"x" + good}, ""},
		{"name with more behind", []string{name + "x=" + token}, ""},
		{"no-break space in front of the name", []string{"\u00a0" + good}, ""},
		{"en quad in front of the name", []string{"\u2000" + good}, ""},
		{"NUL in front of the name", []string{"\x00" + good}, ""},
		{"dollar in front of the name", []string{"$" + good}, ""},
		{"comma list", []string{"a=1, " + good}, ""},
		{"inside another value", []string{"a=" + good}, ""},
		{"inside a quoted value", []string{`a="` + good + `"`}, ""},
		{"Latin-1", []string{name + "=\xe9"}, ""},
		{"UTF-8", []string{name + "=é"}, ""},
		{"NUL in the value", []string{name + "=a\x00b"}, ""},
		{"line break in the value", []string{name + "=a\nb"}, ""},
		{"quote in the value", []string{name + `=a"b`}, ""},
		{"backslash in the value", []string{name + `=a\b`}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Cookie"] = test.headers
		got, ok := usher.Cookie{}.Token(r)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s: Token of %q = %q, %v, want %q", test.name, test.headers, got, ok, test.want)
		}
	}
	// The value is what was sent, decoded by nobody.
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", name+"=a%20b%3D")
	if got, _ := (usher.Cookie{}).Token(r); got != "a%20b%3D" {
		t.Errorf("Token = %q, want a%%20b%%3D", got)
	}
}

// D6, CVE-2025-58186: thousands of cookies cost little and carry no token.
func TestS_D6_ManyCookies(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := usher.Cookie{Name: "s"}.Token(r)
		fmt.Fprint(w, token)
	}))
	t.Cleanup(server.Close)
	for _, test := range []struct {
		junk int
		want string
	}{{0, "token"}, {2998, "token"}, {3000, ""}, {250_000, ""}} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL, nil)
		r.Header.Set("Cookie", strings.Repeat("a=;", test.junk)+"s=token")
		answer, err := server.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if got := bodyOf(t, answer); answer.StatusCode != http.StatusOK || got != test.want {
			t.Errorf("%d cookies: %d, token %q, want %q", test.junk+1, answer.StatusCode, got, test.want)
		}
		answer.Body.Close()
	}
}

// Not parallel: AllocsPerRun counts everybody's.
func TestS_D6_ManyCookiesAllocateNothing(t *testing.T) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Cookie", strings.Repeat("a=;", 1<<18)+"s=token")
	if n := testing.AllocsPerRun(10, func() { usher.Cookie{Name: "s"}.Token(r) }); n > 5 {
		t.Errorf("%v allocations for 2^18 cookies, want no more than for one", n)
	}
}

// cookieOf returns the cookie that a login with the token sets.
func cookieOf(t *testing.T, c usher.Cookie, token string, lifetime time.Duration) (*http.Cookie, *httptest.ResponseRecorder) {
	t.Helper()
	a := usher.Authentication{IssuedAt: epoch}
	if lifetime > 0 {
		a.ExpiresAt = epoch.Add(lifetime)
	}
	w := httptest.NewRecorder()
	if err := c.WriteLogin(w, httptest.NewRequest("POST", "/", nil), token, a); err != nil {
		t.Fatalf("%+v: WriteLogin: %v", c, err)
	}
	cookies := w.Result().Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%+v: %d cookies, want 1: %v", c, len(cookies), w.Header())
	}
	return cookies[0], w
}

// D1, D2, D5: the whole Set-Cookie line of login and logout. Logging out takes
// the same attributes, or the browser would keep the other cookie.
func TestS_D1_D2_D5_SetCookie(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name        string
		cookie      usher.Cookie
		login, gone string
	}{
		{
			"zero value", usher.Cookie{},
			"__Host-usher=tok; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
			"__Host-usher=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"everything else", usher.Cookie{Name: "s", MaxAge: time.Minute, Path: "/app", Domain: "example.com", SameSite: http.SameSiteStrictMode},
			"s=tok; Path=/app; Domain=example.com; Max-Age=60; HttpOnly; Secure; SameSite=Strict",
			"s=; Path=/app; Domain=example.com; Max-Age=0; HttpOnly; Secure; SameSite=Strict",
		},
		{
			"third party", usher.Cookie{Name: "__Secure-s", SameSite: http.SameSiteNoneMode},
			"__Secure-s=tok; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=None",
			"__Secure-s=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=None",
		},
		{
			"insecure", usher.Cookie{Name: "s", InsecureHTTP: true, InsecureScriptAccess: true},
			"s=tok; Path=/; Max-Age=3600; SameSite=Lax",
			"s=; Path=/; Max-Age=0; SameSite=Lax",
		},
		{
			"until the browser closes", usher.Cookie{MaxAge: -1},
			"__Host-usher=tok; Path=/; HttpOnly; Secure; SameSite=Lax",
			"__Host-usher=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
		{
			"default mode of net/http, which would leave SameSite out", usher.Cookie{SameSite: http.SameSiteDefaultMode},
			"__Host-usher=tok; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax",
			"__Host-usher=; Path=/; Max-Age=0; HttpOnly; Secure; SameSite=Lax",
		},
	} {
		if err := test.cookie.Validate(); err != nil {
			t.Errorf("%s: Validate: %v", test.name, err)
		}
		_, w := cookieOf(t, test.cookie, "tok", time.Hour)
		if got := w.Header().Get("Set-Cookie"); got != test.login {
			t.Errorf("%s: login sets\n%s, want\n%s", test.name, got, test.login)
		}
		if w.Code != http.StatusNoContent || w.Body.Len() > 0 || w.Header().Get("Cache-Control") != "no-store" { // D3, C15
			t.Errorf("%s: login answers %d %q, Cache-Control %q, want 204 without a body, no-store", test.name, w.Code, w.Body, w.Header().Get("Cache-Control"))
		}
		w = httptest.NewRecorder()
		if err := test.cookie.WriteLogout(w, httptest.NewRequest("POST", "/", nil)); err != nil {
			t.Errorf("%s: WriteLogout: %v", test.name, err)
		}
		if got := w.Header().Get("Set-Cookie"); got != test.gone {
			t.Errorf("%s: logout sets\n%s, want\n%s", test.name, got, test.gone)
		}
		if w.Code != http.StatusNoContent || w.Body.Len() > 0 {
			t.Errorf("%s: logout answers %d %q, want 204 without a body", test.name, w.Code, w.Body)
		}
	}
}

// Max-Age follows the token, unless it was chosen.
func TestCookieMaxAge(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name             string
		maxAge, lifetime time.Duration
		want             int
	}{
		{"as the token", 0, 90 * time.Minute, 5400},
		{"rounded", 0, 1400 * time.Millisecond, 1},
		{"a token that never expires", 0, 0, 0},
		{"chosen", time.Minute, time.Hour, 60},
		{"chosen, token never expires", time.Minute, 0, 60},
		{"the browser's session", -1, time.Hour, 0},
		// Max-Age=0 would be no attribute at all: a cookie that stays longest.
		{"less than a second", 0, 300 * time.Millisecond, 1},
		{"chosen less than a second", time.Millisecond, time.Hour, 1},
	} {
		if cookie, _ := cookieOf(t, usher.Cookie{MaxAge: test.maxAge}, "tok", test.lifetime); cookie.MaxAge != test.want {
			t.Errorf("%s: Max-Age %d, want %d", test.name, cookie.MaxAge, test.want)
		}
	}
}

// D4: what no browser keeps is an error, and then nothing has been written.
func TestS_D4_CookieTooLarge(t *testing.T) {
	t.Parallel()
	c := usher.Cookie{}
	room := 4096 - len("__Host-usher")
	if cookie, _ := cookieOf(t, c, strings.Repeat("x", room), time.Hour); len(cookie.Name)+len(cookie.Value) != 4096 {
		t.Errorf("the largest cookie has %d bytes, want 4096", len(cookie.Name)+len(cookie.Value))
	}
	for name, token := range map[string]string{
		"a byte too long": strings.Repeat("x", room+1), "a megabyte": strings.Repeat("x", 1<<20),
		// net/http would silently leave these out, and the token would be another.
		"semicolon": "a;b", "quote": `a"b`, "line break": "a\nb", "not ASCII": "é",
	} {
		w := httptest.NewRecorder()
		if err := c.WriteLogin(w, httptest.NewRequest("POST", "/", nil), token, usher.Authentication{}); err == nil {
			t.Errorf("%s: no error", name)
		} else if strings.Contains(err.Error(), token) {
			t.Errorf("%s: the error repeats the token", name)
		}
		if len(w.Header()) > 0 || w.Body.Len() > 0 {
			t.Errorf("%s: something was written: %v", name, w.Header())
		}
	}
}

func TestS_D1_CookieValidate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		cookie usher.Cookie
		fault  string // empty: none
	}{
		{"zero value", usher.Cookie{}, ""},
		{"plain", usher.Cookie{Name: "s", Domain: "example.com", Path: "/x", SameSite: http.SameSiteStrictMode}, ""},
		{"development", usher.Cookie{Name: "s", InsecureHTTP: true}, ""},
		{"__Secure- with a domain", usher.Cookie{Name: "__Secure-s", Domain: "example.com", Path: "/x"}, ""},

		{"__Host- with a domain", usher.Cookie{Domain: "example.com"}, "needs Secure, Path=/ and no Domain"},
		{"__Host- with a path", usher.Cookie{Path: "/app"}, "needs Secure, Path=/ and no Domain"},
		{"__Host- over HTTP", usher.Cookie{InsecureHTTP: true}, "needs Secure, Path=/ and no Domain"},
		{"__Secure- over HTTP", usher.Cookie{Name: "__Secure-s", InsecureHTTP: true}, "a __Secure- name needs Secure"},
		// Browsers know the prefixes in any case (RFC 6265bis §5.7, steps 20 and 21).
		{"__host- with a domain", usher.Cookie{Name: "__host-s", Domain: "example.com"}, "needs Secure, Path=/ and no Domain"},
		{"__SECURE- over HTTP", usher.Cookie{Name: "__SECURE-s", InsecureHTTP: true}, "a __Secure- name needs Secure"},
		{"SameSite=None over HTTP", usher.Cookie{Name: "s", SameSite: http.SameSiteNoneMode, InsecureHTTP: true}, "SameSite=None needs Secure"},
		{"no such SameSite", usher.Cookie{SameSite: 9}, "SameSite"},
		{"name with a space", usher.Cookie{Name: "a b"}, `Cookie "a b"`},
		{"name with =", usher.Cookie{Name: "a=b"}, `Cookie "a=b"`},
		{"name with a line break", usher.Cookie{Name: "a\r\nSet-Cookie: b"}, "Cookie"},
		{"path with a semicolon", usher.Cookie{Name: "s", Path: "/;x"}, `Cookie "s"`},
		{"domain with a space", usher.Cookie{Name: "s", Domain: "a b"}, `Cookie "s"`},
	} {
		err := test.cookie.Validate()
		if test.fault == "" && err != nil || test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)) {
			t.Errorf("%s: Validate: %v, want %q", test.name, err, test.fault)
		}
	}
	// Several faults are named together.
	err := usher.Cookie{Name: "__Host-a b", InsecureHTTP: true, SameSite: http.SameSiteNoneMode}.Validate()
	if err == nil || len(strings.Split(err.Error(), "\n")) != 3 {
		t.Errorf("Validate: %v, want three faults", err)
	}
}

// D5 with a browser's own cookie jar, over TLS: logging out deletes the cookie,
// and no other.
func TestS_D5_CookieJar(t *testing.T) {
	t.Parallel()
	for _, cookie := range []usher.Cookie{{}, {Name: "s", Path: "/app", MaxAge: time.Hour}, {MaxAge: -1}} {
		server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/app/login":
				http.SetCookie(w, &http.Cookie{Name: "other", Value: "1", Path: "/", Secure: true})
				if err := cookie.WriteLogin(w, r, "tok", usher.Authentication{}); err != nil {
					t.Error(err)
				}
			case "/app/logout":
				if err := cookie.WriteLogout(w, r); err != nil {
					t.Error(err)
				}
			default:
				token, _ := cookie.Token(r)
				fmt.Fprintf(w, "%q %d", token, len(r.Cookies()))
			}
		}))
		client := server.Client()
		client.Jar, _ = cookiejar.New(nil)
		for _, step := range []struct{ path, want string }{
			{"/app/me", `"" 0`}, {"/app/login", ""}, {"/app/me", `"tok" 2`}, {"/app/logout", ""}, {"/app/me", `"" 1`},
		} {
			answer, err := client.Get(server.URL + step.path)
			if err != nil {
				t.Fatal(err)
			}
			if got := bodyOf(t, answer); got != step.want {
				t.Errorf("%+v: %s: %s, want %s", cookie, step.path, got, step.want)
			}
			answer.Body.Close()
		}
		server.Close()
	}
}

func FuzzCookie(f *testing.F) {
	for _, header := range []string{"s=abc", "a=1; s=abc; b", `s="a b"`, "s=", "s", ";;;=s=;s", "s=a; s=b", "S=a", "%73=a", "s=\xff", "s=a\x00", " s = a ", "s==", `s="`} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Cookie": {header}}}
		token, ok := usher.Cookie{Name: "s"}.Token(r)
		if ok != (token != "") {
			t.Errorf("Token of %q = %q, %v", header, token, ok)
		}
		if strings.ContainsFunc(token, func(c rune) bool {
			return c > unicode.MaxASCII || unicode.IsControl(c) || strings.ContainsRune(`;"\`, c)
		}) {
			t.Errorf("Token of %q = %q with characters that no cookie holds", header, token)
		}
		if ok && !strings.Contains(header, token) {
			t.Errorf("Token of %q = %q, which was not sent", header, token)
		}
	})
}
