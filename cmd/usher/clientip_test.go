package main

import (
	"net/http"
	"strings"
	"testing"
)

// Only what a trusted proxy says of its own caller is believed (B9, KNOWN-FLAWS 56).
func TestClientIP(t *testing.T) {
	for name, c := range map[string]struct {
		proxies   string
		remote    string
		forwarded []string
		want      string
	}{
		"no proxy, no header":       {"", "203.0.113.1:1", nil, "203.0.113.1"},
		"spoofed without a proxy":   {"", "203.0.113.1:1", []string{"1.1.1.1"}, "203.0.113.1"},
		"spoofed beside the proxy":  {"10.0.0.0/8", "203.0.113.1:1", []string{"1.1.1.1"}, "203.0.113.1"},
		"one proxy":                 {"10.0.0.0/8", "10.0.0.1:1", []string{"203.0.113.1"}, "203.0.113.1"},
		"spoofed through the proxy": {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.1"}, "203.0.113.1"},
		"a proxy's address spoofed": {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1, 10.9.9.9, 203.0.113.1"}, "203.0.113.1"},
		"two proxies":               {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1, 203.0.113.1, 10.0.0.2"}, "203.0.113.1"},
		"two headers":               {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1", "203.0.113.1"}, "203.0.113.1"},
		"only proxies":              {"10.0.0.0/8", "10.0.0.1:1", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"garbage":                   {"10.0.0.0/8", "10.0.0.1:1", []string{"1.1.1.1, unknown"}, "10.0.0.1"},
		"empty":                     {"10.0.0.0/8", "10.0.0.1:1", []string{""}, "10.0.0.1"},
		"proxy without a header":    {"10.0.0.0/8", "10.0.0.1:1", nil, "10.0.0.1"},
		"with a port":               {"10.0.0.1", "10.0.0.1:1", []string{"203.0.113.1:4711"}, "203.0.113.1"},
		"IPv6":                      {"2001:db8::/32", "[2001:db8::1]:1", []string{"2001:db9::7"}, "2001:db9::7"},
		"IPv4 in IPv6":              {"10.0.0.0/8", "[::ffff:10.0.0.1]:1", []string{"::ffff:203.0.113.1"}, "203.0.113.1"},
		"no address":                {"10.0.0.0/8", "@", []string{"1.1.1.1"}, "@"},
	} {
		config := Config{}
		if c.proxies != "" {
			config.TrustedProxies = strings.Split(c.proxies, ",")
		}
		r := &http.Request{RemoteAddr: c.remote, Header: http.Header{"X-Forwarded-For": c.forwarded}}
		if got := config.clientIP()(r); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func TestClientIPOfSessions(t *testing.T) {
	t.Parallel()
	for proxy, want := range map[string]string{"": "127.0.0.1", "127.0.0.1": "203.0.113.1"} {
		c := testConfig(t)
		if proxy != "" {
			c.TrustedProxies = []string{proxy}
		}
		b := boot(t, c)
		b.register("ada@example.com")
		forged := []string{"X-Forwarded-For", "1.1.1.1, 203.0.113.1", "X-Real-IP", "2.2.2.2", "Forwarded", "for=3.3.3.3"}
		login := b.want(204, "POST", "/auth/cookie/login", loginForm("ada@example.com"), forged...)
		cookie := login.Cookies()[0]
		list := b.want(200, "GET", "/users/me/sessions", "", "Cookie", cookie.Name+"="+cookie.Value)
		if !strings.Contains(list.body, `"ip":"`+want+`"`) {
			t.Errorf("proxy %q: %s", proxy, list.body)
		}
		if !strings.Contains(b.log.String(), `"path":"/auth/cookie/login","status":204`) || !strings.Contains(b.log.String(), `"ip":"`+want+`"`) {
			t.Errorf("proxy %q: not in the log", proxy)
		}
	}
}
