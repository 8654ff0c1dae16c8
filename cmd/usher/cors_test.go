package main

import (
	"slices"
	"testing"
)

const page = "https://app.example.com"

func TestNoCORSByDefault(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	for _, origin := range []string{page, b.url, "null"} {
		a := b.do("GET", "/users/me", "", "Origin", origin)
		for name := range a.Header {
			if len(name) > 14 && name[:14] == "Access-Control" {
				t.Errorf("%s: %s is %q", origin, name, a.Header.Get(name))
			}
		}
		b.want(405, "OPTIONS", "/users/me", "", "Origin", origin, "Access-Control-Request-Method", "PATCH")
	}
}

func TestCORSForNamedOrigins(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.CORSOrigins = []string{page}
	b := boot(t, c)
	b.register("ada@example.com")
	for origin, allowed := range map[string]bool{
		page: true, "http://app.example.com": false, page + ".evil.com": false, "https://evilapp.example.com": false,
		"https://app.example.com:8443": false, "https://example.com": false, "null": false, "*": false,
	} {
		preflight := b.do("OPTIONS", "/users/me", "", "Origin", origin,
			"Access-Control-Request-Method", "PATCH", "Access-Control-Request-Headers", "authorization,content-type")
		simple := b.do("GET", "/users/me", "", "Origin", origin)
		login := b.do("POST", "/auth/cookie/login", loginForm("ada@example.com"), "Origin", origin, "Sec-Fetch-Site", "cross-site")
		for _, a := range []answer{preflight, simple, login} {
			want, credentials := "", ""
			if allowed {
				want, credentials = origin, "true"
			}
			if got := a.Header.Get("Access-Control-Allow-Origin"); got != want {
				t.Errorf("%s: Access-Control-Allow-Origin is %q", origin, got)
			}
			if got := a.Header.Get("Access-Control-Allow-Credentials"); got != credentials {
				t.Errorf("%s: Access-Control-Allow-Credentials is %q", origin, got)
			}
			if !slices.ContainsFunc(a.Header.Values("Vary"), func(v string) bool { return v[:6] == "Origin" }) {
				t.Errorf("%s: Vary is %q", origin, a.Header.Values("Vary"))
			}
		}
		// An origin that may read answers may also use cookies; no other may.
		if want := map[bool]int{true: 204, false: 403}[allowed]; login.StatusCode != want {
			t.Errorf("%s: login: got %d %s", origin, login.StatusCode, login.body)
		}
	}
}
