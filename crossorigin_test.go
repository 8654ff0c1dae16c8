package usher_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"usher"
)

const trustedOrigin = "https://app.example.com"

// newGuarded returns a TLS server behind Require, whose user is ann by the cookie
// __Host-usher=c, by the bearer token b and by the header X, whose transport does
// not say whether it is ambient.
func newGuarded(t *testing.T, trusted ...string) (*httptest.Server, *usher.Auth[User]) {
	t.Helper()
	store := newMemory()
	ann := store.add(t, person(t, "ann@example.com"))
	auth := newAuth(t, store, func(c *usher.Config[User]) {
		c.TrustedOrigins = trusted
		c.Backends = []usher.Backend{
			{Name: "cookie", Transport: usher.Cookie{}, Strategy: tokens{"c": of(ann)}},
			{Name: "bearer", Transport: usher.Bearer{}, Strategy: tokens{"b": of(ann), "away": errOutage}},
			{Name: "own", Transport: inHeader("X"), Strategy: tokens{"x": of(ann)}},
		}
	})
	server := httptest.NewTLSServer(auth.Require()(okHandler))
	t.Cleanup(server.Close)
	return server, auth
}

// send sends a request as it is written, as a client that is no Go program could,
// and returns the status.
func send(t *testing.T, server *httptest.Server, method string, headers ...string) int {
	t.Helper()
	host := strings.TrimPrefix(server.URL, "https://")
	conn, err := tls.Dial("tcp", host, server.Client().Transport.(*http.Transport).TLSClientConfig)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	var text strings.Builder
	fmt.Fprintf(&text, "%s / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 0\r\n", method, host)
	for i := 0; i < len(headers); i += 2 {
		fmt.Fprintf(&text, "%s: %s\r\n", headers[i], headers[i+1])
	}
	if _, err := conn.Write([]byte(text.String() + "\r\n")); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// D7, CVE-2025-24358, CVE-2025-46721: who may send a state-changing request with
// a cookie, through a real listener with TLS.
func TestS_D7_CrossOriginMatrix(t *testing.T) {
	t.Parallel()
	trusting, _ := newGuarded(t, trustedOrigin, "https://other-app.example.com")
	strict, _ := newGuarded(t)
	origins := []string{"same", "https://evil.example", "null", "", trustedOrigin}
	for _, row := range []struct {
		site    string    // Sec-Fetch-Site
		allowed [5]string // by origin, "T" if it has to be trusted
	}{
		{"none", [5]string{"yes", "yes", "yes", "yes", "yes"}}, // typed by the user himself
		{"same-origin", [5]string{"yes", "yes", "yes", "yes", "yes"}},
		{"same-site", [5]string{"no", "no", "no", "no", "T"}},
		{"cross-site", [5]string{"no", "no", "no", "no", "T"}},
		{"", [5]string{"yes", "no", "no", "yes", "T"}}, // an old browser, or none
		{"something-new", [5]string{"no", "no", "no", "no", "T"}},
	} {
		for i, origin := range origins {
			for name, server := range map[string]*httptest.Server{"trusting": trusting, "strict": strict} {
				headers := []string{"Cookie", "__Host-usher=c"}
				if row.site != "" {
					headers = append(headers, "Sec-Fetch-Site", row.site)
				}
				if origin == "same" {
					headers = append(headers, "Origin", server.URL)
				} else if origin != "" {
					headers = append(headers, "Origin", origin)
				}
				want := http.StatusForbidden
				if row.allowed[i] == "yes" || row.allowed[i] == "T" && name == "trusting" {
					want = http.StatusOK
				}
				for _, method := range []string{"POST", "DELETE"} {
					if got := send(t, server, method, headers...); got != want {
						t.Errorf("%s server: %s, Sec-Fetch-Site %q, Origin %q: %d, want %d", name, method, row.site, origin, got, want)
					}
				}
				if got := send(t, server, "GET", headers...); got != http.StatusOK { // changes nothing: D9
					t.Errorf("%s server: GET, Sec-Fetch-Site %q, Origin %q: %d, want 200", name, row.site, origin, got)
				}
			}
		}
	}
	for _, method := range []string{"PUT", "PATCH", "TRACE", "PROPFIND", "post", "get"} { // what is not known to be safe is not
		if got := send(t, strict, method, "Cookie", "__Host-usher=c", "Sec-Fetch-Site", "cross-site"); got != http.StatusForbidden {
			t.Errorf("%s: %d, want 403", method, got)
		}
	}
}

// D12, CVE-2025-47909: a trusted origin is compared as a whole.
func TestS_D12_TrustedOriginsExactly(t *testing.T) {
	t.Parallel()
	server, _ := newGuarded(t, trustedOrigin, "http://localhost:5173")
	for origin, trusted := range map[string]bool{
		trustedOrigin: true, "http://localhost:5173": true,
		"http://app.example.com": false, "https://app.example.com:443": false, "https://app.example.com:8443": false, "https://app.example.com.evil.example": false,
		"https://evil-app.example.com": false, "https://evilapp.example.com": false, "https://example.com": false, "https://app.example.co": false, "https://app.example.comx": false,
		"https://APP.example.com": false, "https://app.example.com/": false, "https://app.example.com@evil.example": false, "https://evil.example/https://app.example.com": false,
		"https://evil.example#https://app.example.com": false, "https://app.example.com https://evil.example": false, "https://evil.example, https://app.example.com": false,
		"app.example.com": false, "//app.example.com": false, "https://app.example.com\x00.evil.example": false,
		"http://localhost:5174": false, "https://localhost:5173": false, "http://localhost": false, "http://127.0.0.1:5173": false, "http://localhost:51733": false,
	} {
		want := http.StatusForbidden
		if trusted {
			want = http.StatusOK
		}
		for _, site := range []string{"cross-site", "same-site", ""} {
			headers := []string{"Cookie", "__Host-usher=c", "Origin", origin}
			if site != "" {
				headers = append(headers, "Sec-Fetch-Site", site)
			}
			got := send(t, server, "POST", headers...)
			if strings.Contains(origin, "\x00") && got == http.StatusBadRequest {
				continue // net/http does not even read it
			}
			if got != want {
				t.Errorf("Origin %q, Sec-Fetch-Site %q: %d, want %d", origin, site, got, want)
			}
		}
	}
}

// D7: what a browser sends by itself is checked, what it does not is not, and one
// does not spoil the other.
func TestS_D7_AmbientTransports(t *testing.T) {
	t.Parallel()
	server, _ := newGuarded(t)
	const cookie, junkCookie, bearer, junkBearer, own = "__Host-usher=c", "__Host-usher=junk", "Bearer b", "Bearer junk", "x"
	for _, test := range []struct {
		name          string
		headers       []string
		same, another int // status of a POST of the same origin, and of another site's
	}{
		{"nothing", nil, 401, 401},
		{"cookie", []string{"Cookie", cookie}, 200, 403},
		{"a cookie that is no good", []string{"Cookie", junkCookie}, 401, 403}, // not even looked at
		{"bearer", []string{"Authorization", bearer}, 200, 200},
		{"bearer beats a refused cookie", []string{"Authorization", bearer, "Cookie", cookie}, 200, 200},
		{"bearer that is no good beside a cookie", []string{"Authorization", junkBearer, "Cookie", cookie}, 200, 403},
		{"both no good", []string{"Authorization", junkBearer, "Cookie", junkCookie}, 401, 403},
		{"bearer that is no good", []string{"Authorization", junkBearer}, 401, 401},
		{"a bearer token that nobody can judge", []string{"Authorization", "Bearer away"}, 503, 503},
		{"the same beside a cookie", []string{"Authorization", "Bearer away", "Cookie", cookie}, 200, 503}, // it may be a good one
		{"a transport that does not say", []string{"X", own}, 200, 403},                                    // the safe side
		{"another site's cookie", []string{"Cookie", "other=1"}, 401, 401},
	} {
		for site, want := range map[string]int{"same-origin": test.same, "cross-site": test.another} {
			if got := send(t, server, "POST", append([]string{"Sec-Fetch-Site", site}, test.headers...)...); got != want {
				t.Errorf("%s, %s: %d, want %d", test.name, site, got, want)
			}
		}
	}
}

// The refusal says what it is; optional authentication takes it for nobody.
func TestCrossOriginRefusal(t *testing.T) {
	t.Parallel()
	_, auth := newGuarded(t)
	cross := func() *http.Request {
		r := httptest.NewRequest("POST", "https://example.com/", nil)
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Cookie", "__Host-usher=c")
		return r
	}
	answer := ask(auth.Require()(okHandler), cross())
	if body := bodyOf(t, answer); answer.StatusCode != http.StatusForbidden || body != `{"detail":"CROSS_ORIGIN_REQUEST"}` {
		t.Errorf("%d %s, want 403 CROSS_ORIGIN_REQUEST", answer.StatusCode, body)
	}
	answer = ask(auth.Optional()(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if u := auth.CurrentUser(r.Context()); u != nil {
			t.Errorf("optional: the user is %+v, want nobody", u)
		}
	})), cross())
	if answer.StatusCode != http.StatusOK {
		t.Errorf("optional: %d, want 200", answer.StatusCode)
	}
	if authn, err := auth.ReadToken(cross()); err == nil || authn.UserID != "" {
		t.Errorf("ReadToken: %+v, %v, want %v", authn, err, usher.ErrCrossOrigin)
	}
}

// A page of another site can open a WebSocket, and the browser sends the cookies
// along.
func TestS_D7_WebSocketUpgrade(t *testing.T) {
	t.Parallel()
	server, _ := newGuarded(t)
	for _, test := range []struct {
		name, site string
		want       int
	}{
		{"same origin", "same-origin", http.StatusOK},
		{"another site", "cross-site", http.StatusForbidden},
		{"no upgrade", "", http.StatusOK},
	} {
		headers := []string{"Cookie", "__Host-usher=c", "Sec-Fetch-Site", test.site, "Connection", "Upgrade", "Upgrade", "websocket"}
		if test.site == "" {
			headers = []string{"Cookie", "__Host-usher=c", "Sec-Fetch-Site", "cross-site"}
		}
		if got := send(t, server, http.MethodGet, headers...); got != test.want {
			t.Errorf("%s: %d, want %d", test.name, got, test.want)
		}
	}
}
