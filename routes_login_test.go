package usher_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"usher"
)

var (
	opaqueToken = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)
	jwtToken    = regexp.MustCompile(`^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$`)
)

// The answers of the recording login.success.every-backend, and the headers of
// C15, D2, D3, D14 and F6.
func TestLoginAnswers(t *testing.T) {
	t.Parallel()
	for _, backend := range allBackends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, backendOptions(backend)...)
			s.add(t, "ann@example.com")
			a := s.send(t, "POST", "/auth/"+backend+"/login", loginForm("ann@example.com", goodPassword)).wantSecureHeaders(t)
			token := a.token(backend)
			shape := opaqueToken
			if isJWT(backend) {
				shape = jwtToken
			}
			if !shape.MatchString(token) {
				t.Fatalf("token %q in %d %s, want one like %s", token, a.status, a.body, shape)
			}
			if isCookie(backend) {
				a.want(t, 204)
				if a.body != "" || a.header.Get("Content-Type") != "" {
					t.Errorf("body %q of type %q, want none", a.body, a.header.Get("Content-Type"))
				}
				want := cookieName(backend) + "=" + token + "; Path=/; Max-Age=3600; HttpOnly; Secure; SameSite=Lax"
				if got := a.header.Values("Set-Cookie"); len(got) != 1 || got[0] != want {
					t.Errorf("Set-Cookie %q, want %q", got, want)
				}
				a.header.Del("Set-Cookie")
				if strings.Contains(a.everything(), token) { // D3
					t.Errorf("the token is not only in Set-Cookie: %s", a.everything())
				}
			} else {
				a.want(t, 200)
				if want := `{"access_token":"` + token + `","token_type":"bearer"}`; a.body != want {
					t.Errorf("body %s, want %s", a.body, want)
				}
				if got := a.header.Get("Content-Type"); got != "application/json" {
					t.Errorf("Content-Type %q", got)
				}
				if got := a.header.Values("Set-Cookie"); got != nil {
					t.Errorf("Set-Cookie %q", got)
				}
			}
			s.wantAlive(t, "the token", carrying(backend, token), true)
			// A token that one backend made is not good in another transport.
			for _, other := range allBackends {
				if isCookie(other) && cookieName(other) != cookieName(backend) {
					s.wantAlive(t, "in the cookie of "+other, carrying(other, token), false)
				}
			}
			if strings.Contains(s.log.String(), token) {
				t.Error("the token is in the log")
			}
		})
	}
}

// multi is a multipart body with the boundary X.
func multi(fields ...string) string {
	var b strings.Builder
	for i := 0; i < len(fields); i += 2 {
		fmt.Fprintf(&b, "--X\r\nContent-Disposition: form-data; name=%q\r\n\r\n%s\r\n", fields[i], fields[i+1])
	}
	return b.String() + "--X--\r\n"
}

// The recording login.forms, RFC 6749 §3.1 and §3.2 (F5), and the JSON form.
func TestLoginForms(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const plain = "p+w %&=é"
	s.add(t, "ann@example.com", func(u *User) { u.HashedPassword = hashOf(t, plain) })

	const (
		urlencoded = "Content-Type: application/x-www-form-urlencoded"
		multipart  = "Content-Type: multipart/form-data; boundary=X"
		asJSON     = "Content-Type: application/json"
		good       = "username=ann%40example.com&password=p%2Bw+%25%26%3D%C3%A9"
		broken     = "There was an error parsing the body"
	)
	both := []string{"body.username", "body.password"}
	tests := []struct {
		name, body string
		headers    []string
		status     int
		invalid    []string // places of a 422
		detail     string   // of another refusal
	}{
		{name: "special characters percent-encoded", body: good, headers: []string{urlencoded}, status: 200},
		{name: "charset parameter", body: good, headers: []string{urlencoded + "; charset=utf-8"}, status: 200},
		{name: "type in capitals", body: good, headers: []string{"Content-Type: Application/X-WWW-Form-URLEncoded"}, status: 200},
		{name: "raw UTF-8 is UTF-8", body: "username=ann%40example.com&password=p%2Bw+%25%26%3Dé", headers: []string{urlencoded}, status: 200},
		{name: "Latin-1 is not UTF-8", body: "username=ann%40example.com&password=p%2Bw+%25%26%3D%E9", headers: []string{urlencoded}, status: 400, detail: "LOGIN_BAD_CREDENTIALS"},
		{name: "spaces around the username", body: "username=+ann%40example.com+&password=p%2Bw+%25%26%3D%C3%A9", headers: []string{urlencoded}, status: 200},
		{name: "username in capitals", body: "username=ANN%40EXAMPLE.COM&password=p%2Bw+%25%26%3D%C3%A9", headers: []string{urlencoded}, status: 200},
		{name: "wildcards are literal", body: "username=%25nn%40example.com&password=p%2Bw+%25%26%3D%C3%A9", headers: []string{urlencoded}, status: 400, detail: "LOGIN_BAD_CREDENTIALS"},
		{name: "NUL in the username", body: "username=ann%00%40example.com&password=p%2Bw", headers: []string{urlencoded}, status: 400, detail: "LOGIN_BAD_CREDENTIALS"},
		{name: "semicolon separates nothing", body: "username=ann%40example.com;password=x", headers: []string{urlencoded}, status: 422, invalid: []string{"body.password"}},

		{name: "grant_type password", body: good + "&grant_type=password", headers: []string{urlencoded}, status: 200},
		{name: "grant_type empty is absent", body: good + "&grant_type=", headers: []string{urlencoded}, status: 200},
		{name: "grant_type client_credentials", body: good + "&grant_type=client_credentials", headers: []string{urlencoded}, status: 422, invalid: []string{"body.grant_type"}},
		{name: "grant_type with a space", body: good + "&grant_type=+password", headers: []string{urlencoded}, status: 422, invalid: []string{"body.grant_type"}},
		{name: "grant_type bad and no password", body: "username=x&grant_type=z", headers: []string{urlencoded}, status: 422, invalid: []string{"body.grant_type", "body.password"}},
		{name: "extra fields are ignored", body: good + "&foo=bar&scope=a+b&is_superuser=true", headers: []string{urlencoded}, status: 200},
		{name: "client credentials are ignored", body: good + "&client_id=x&client_secret=y", headers: []string{urlencoded}, status: 200},
		{name: "client credentials in HTTP Basic are ignored", body: good, headers: []string{urlencoded, "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("client:secret"))}, status: 200},
		{name: "HTTP Basic is no way in", headers: []string{urlencoded, "Authorization: Basic " + base64.StdEncoding.EncodeToString([]byte("ann@example.com:"+plain))}, status: 422, invalid: both},

		{name: "empty username is absent", body: "username=&password=x", headers: []string{urlencoded}, status: 422, invalid: []string{"body.username"}},
		{name: "empty password is absent", body: "username=x&password=", headers: []string{urlencoded}, status: 422, invalid: []string{"body.password"}},
		{name: "names without values", body: "username&password", headers: []string{urlencoded}, status: 422, invalid: both},
		{name: "names of another case", body: "Username=ann%40example.com&PASSWORD=x", headers: []string{urlencoded}, status: 422, invalid: both},
		{name: "name in brackets", body: "username[]=ann%40example.com&password[]=x", headers: []string{urlencoded}, status: 422, invalid: both},
		{name: "username twice", body: "username=other%40example.com&" + good, headers: []string{urlencoded}, status: 422, invalid: []string{"body.username"}},
		{name: "password twice", body: good + "&password=x", headers: []string{urlencoded}, status: 422, invalid: []string{"body.password"}},
		{name: "password twice, once empty", body: good + "&password=", headers: []string{urlencoded}, status: 422, invalid: []string{"body.password"}},
		{name: "grant_type twice", body: good + "&grant_type=password&grant_type=x", headers: []string{urlencoded}, status: 422, invalid: []string{"body.grant_type"}},

		{name: "no body", status: 422, invalid: both},
		{name: "no type", body: good, status: 422, invalid: both},
		{name: "text/plain", body: good, headers: []string{"Content-Type: text/plain"}, status: 422, invalid: both},
		{name: "broken type", body: good, headers: []string{"Content-Type: ;;;"}, status: 422, invalid: both},
		{name: "two types", body: good, headers: []string{"Content-Type: application/x-www-form-urlencoded, application/json"}, status: 422, invalid: both},

		{name: "multipart", body: multi("username", "ann@example.com", "password", plain), headers: []string{multipart}, status: 200},
		{name: "multipart, twice", body: multi("username", "ann@example.com", "password", plain, "username", "x"), headers: []string{multipart}, status: 422, invalid: []string{"body.username"}},
		{name: "multipart, a file is no text", body: strings.Replace(multi("username", "ann@example.com", "password", plain), `"password"`, `"password"; filename="p"`, 1), headers: []string{multipart}, status: 422, invalid: []string{"body.password"}},
		{name: "multipart without boundary", body: "--X--\r\n", headers: []string{"Content-Type: multipart/form-data"}, status: 400, detail: "Missing boundary in multipart."},
		{name: "multipart cut off", body: "--X\r\nContent-Disposition: form-data; name=\"username\"\r\n\r\nab", headers: []string{multipart}, status: 422, invalid: both},
		{name: "multipart with another boundary", body: multi("username", "ann@example.com"), headers: []string{"Content-Type: multipart/form-data; boundary=Y"}, status: 400, detail: broken},
		{name: "multipart with something before", body: "x\r\n" + multi("username", "ann@example.com", "password", plain), headers: []string{multipart}, status: 400, detail: broken},
		{name: "multipart with a longer boundary", body: strings.ReplaceAll(multi("username", "ann@example.com", "password", plain), "--X", "--XY"), headers: []string{multipart}, status: 400, detail: broken},
		{name: "multipart with bare line feeds", body: strings.ReplaceAll(multi("username", "ann@example.com", "password", plain), "\r", ""), headers: []string{multipart}, status: 400, detail: broken},
		{name: "multipart with a bad header", body: strings.Replace(multi("username", "ann@example.com", "password", plain), "Content-Disposition:", "Content Disposition", 1), headers: []string{multipart}, status: 400, detail: broken},
		{name: "multipart after line breaks", body: "\r\n" + multi("username", "ann@example.com", "password", plain), headers: []string{multipart}, status: 200},
		{name: "multipart of nothing", body: "", headers: []string{multipart}, status: 422, invalid: both},

		{name: "JSON", body: `{"username":"ann@example.com","password":"` + plain + `"}`, headers: []string{asJSON}, status: 200},
		{name: "JSON with extra members", body: `{"username":"ann@example.com","password":"` + plain + `","scope":["a"],"client_secret":7,"grant_type":"password"}`, headers: []string{asJSON}, status: 200},
		{name: "JSON, password null is absent", body: `{"username":"ann@example.com","password":null}`, headers: []string{asJSON}, status: 422, invalid: []string{"body.password"}},
		{name: "JSON, empty is absent", body: `{"username":"","password":""}`, headers: []string{asJSON}, status: 422, invalid: both},
		{name: "JSON, a list of usernames (CVE-2023-7028)", body: `{"username":["ann@example.com","eve@example.com"],"password":"` + plain + `"}`, headers: []string{asJSON}, status: 422, invalid: []string{"body.username"}},
		{name: "JSON, username twice", body: `{"username":"ann@example.com","password":"` + plain + `","username":"eve@example.com"}`, headers: []string{asJSON}, status: 422, invalid: []string{"body.username"}},
		{name: "JSON, wrong grant_type", body: `{"username":"ann@example.com","password":"` + plain + `","grant_type":"implicit"}`, headers: []string{asJSON}, status: 422, invalid: []string{"body.grant_type"}},
		{name: "JSON array", body: `[]`, headers: []string{asJSON}, status: 422, invalid: []string{"body"}},
		{name: "JSON sent as a form", body: `{"username":"ann@example.com","password":"x"}`, headers: []string{urlencoded}, status: 422, invalid: both},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			before := s.hasher.Hashes()
			a := s.send(t, "POST", "/auth/jwt/login", test.body, test.headers...).wantSecureHeaders(t)
			switch {
			case test.invalid != nil:
				a.wantInvalid(t, test.invalid...)
			case test.detail != "":
				a.wantDetail(t, test.status, test.detail)
			default:
				a.want(t, test.status)
			}
			if a.status != 200 && a.token("jwt") != "" {
				t.Error("refused, with a token")
			}
			hashes := uint64(1)
			if test.status == 422 || test.detail == "Missing boundary in multipart." || test.detail == broken {
				hashes = 0
			}
			if got := s.hasher.Hashes() - before; got != hashes {
				t.Errorf("%d hashes, want %d", got, hashes)
			}
		})
	}
	t.Run("query parameters are no form", func(t *testing.T) {
		s.send(t, "POST", "/auth/jwt/login?"+good, nil).wantInvalid(t, both...)
	})
}

// DEFECTS D: no 422 and no 400 repeats a password, of whatever type it was sent.
func TestDefect_D_LoginNeverRepeatsThePassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const canary = "canary-8c1f"
	for _, body := range []string{
		`{"password":"` + canary + `"}`,
		`{"username":1,"password":"` + canary + `"}`,
		`{"username":"a","password":["` + canary + `"]}`,
		`{"username":"a","password":{"x":"` + canary + `"}}`,
		`{"username":"a","password":"` + canary + `","grant_type":{"p":"` + canary + `"}}`,
		`{"username":"a","password":"` + canary + `","grant_type":"nope"}`,
		`{"username":"a","password":"` + canary + `","password":"` + canary + `"}`,
		`{"username":"a","password":"` + canary + `"`,
		`{"username":"a","password":"` + canary,
		`["` + canary + `"]`,
		`"` + canary + `"`,
	} {
		a := s.send(t, "POST", "/auth/jwt/login", body, "Content-Type: application/json").want(t, 422)
		if strings.Contains(a.everything(), canary) {
			t.Errorf("the password %s is repeated: %s", body, a.body)
		}
	}
	for _, body := range []string{"password=" + canary, "username=a&password=" + canary + "&grant_type=x", "username=a&password=" + canary + "&password=" + canary} {
		a := s.send(t, "POST", "/auth/jwt/login", body, "Content-Type: application/x-www-form-urlencoded").want(t, 422)
		if strings.Contains(a.everything(), canary) {
			t.Errorf("the password in %s is repeated: %s", body, a.body)
		}
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the password is in the log")
	}
}

// Whoever does not have the right password of an active user learns nothing but
// that, from status, headers and body (B1); and each way of failing costs
// exactly one hash (B4, A13, A14, DEFECTS B and G).
func TestS_B1_LoginFailuresLookTheSame(t *testing.T) {
	t.Parallel()
	for _, backend := range allBackends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, append(backendOptions(backend), configured(func(c *usher.Config[User]) { c.RequireVerified = true }))...)
			stored := func(hash string) func(*User) { return func(u *User) { u.HashedPassword = hash } }
			good := hashOf(t, goodPassword)
			s.add(t, "ann@example.com")
			s.add(t, "unverified@example.com", func(u *User) { u.IsVerified = false })
			s.add(t, "inactive@example.com", asInactive)
			s.add(t, "both@example.com", asInactive, func(u *User) { u.IsVerified = false })
			s.add(t, "nopassword@example.com", stored(""))
			s.add(t, "unusable@example.com", stored("!"))
			s.add(t, "malformed@example.com", stored(good[:len(good)-5]))
			s.add(t, "django@example.com", stored("pbkdf2_sha256$1000000$abc$def="))
			s.add(t, "hostile@example.com", stored("$argon2id$v=19$m=4294967295,t=4294967295,p=255$c2FsdHNhbHQ$aGFzaA"))
			s.add(t, "bcrypt@example.com", stored("$2b$04$BHzQIxVtZiAiBuxIJ3nqXu/n7FDxsekTTCibmA/GkeGmkhMkg882i"))

			fail := func(email, plain string) answer {
				t.Helper()
				before := s.hasher.Hashes()
				a := s.send(t, "POST", "/auth/"+backend+"/login", loginForm(email, plain))
				if n := s.hasher.Hashes() - before; n != 1 {
					t.Errorf("%s with %.20q: %d hashes, want 1 (B4)", email, plain, n)
				}
				return a
			}
			model := fail("nobody@example.com", goodPassword).wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS").wantSecureHeaders(t)
			for _, test := range []struct{ what, email, password string }{
				{"wrong password", "ann@example.com", "wrong"},
				{"wrong password, unverified", "unverified@example.com", "wrong"},
				{"inactive, right password", "inactive@example.com", goodPassword},
				{"inactive, wrong password", "inactive@example.com", "wrong"},
				{"inactive and unverified, right password", "both@example.com", goodPassword},
				{"no password", "nopassword@example.com", goodPassword},
				{"no password, a blank", "nopassword@example.com", " "},
				{"unusable hash", "unusable@example.com", "!"},
				{"malformed hash", "malformed@example.com", goodPassword},
				{"unknown kind of hash", "django@example.com", goodPassword},
				{"hash of absurd cost", "hostile@example.com", goodPassword},
				{"bcrypt, wrong password", "bcrypt@example.com", "wrong"},
				{"bcrypt, more than 72 bytes", "bcrypt@example.com", strings.Repeat("x", 73)},
				{"password over the limit", "ann@example.com", strings.Repeat("x", 1025)},
				{"password over the limit, nobody's", "nobody@example.com", strings.Repeat("x", 1025)},
				{"NUL behind the right password", "ann@example.com", goodPassword + "\x00"},
				{"no address", "not an address", goodPassword},
				{"a list of addresses", "ann@example.com,nobody@example.com", goodPassword},
				{"an address of 5000 bytes", strings.Repeat("a", 5000) + "@example.com", goodPassword},
				{"bad UTF-8", "\xff\xfe@example.com", goodPassword},
			} {
				if a := fail(test.email, test.password); withoutDate(a) != withoutDate(model) {
					t.Errorf("%s differs from an unknown user:\n%s\n%s", test.what, withoutDate(a), withoutDate(model))
				}
			}
			// The right password may be told more.
			fail("unverified@example.com", goodPassword).wantDetail(t, 400, "LOGIN_USER_NOT_VERIFIED")
			if token := fail("ann@example.com", goodPassword).token(backend); token == "" {
				t.Error("the positive control does not sign in")
			}
			for _, e := range s.events.of(usher.EventLogin)[:20] {
				if e.Err == nil || e.Backend != backend || e.IP != "127.0.0.1" {
					t.Errorf("event of a failed login: %+v", e)
				}
			}
		})
	}
}

// A token that the client brings along is never adopted, and the token of one
// login is never that of another (C4, CVE-2024-38513).
func TestS_C4_LoginAdoptsNoToken(t *testing.T) {
	t.Parallel()
	for _, backend := range allBackends {
		t.Run(backend, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, backendOptions(backend)...)
			s.add(t, "ann@example.com")
			eve := s.add(t, "eve@example.com")
			evil := s.login(t, backend, "eve@example.com")
			for _, planted := range []string{strings.Repeat("A", 43), evil} {
				a := s.send(t, "POST", "/auth/"+backend+"/login", loginForm("ann@example.com", goodPassword), carrying(backend, planted))
				token := a.token(backend)
				if token == "" || token == planted {
					t.Fatalf("login with a planted token: %d, token %q", a.status, token)
				}
				s.wantAlive(t, "the new token", carrying(backend, token), true)
			}
			s.wantAlive(t, "the planted token", carrying(backend, strings.Repeat("A", 43)), false)
			var me User
			s.send(t, "GET", "/users/me", nil, carrying(backend, evil)).want(t, 200).json(t, &me)
			if me.ID != eve.ID {
				t.Errorf("the planted token is now that of %s", me.Email)
			}
			seen := map[string]bool{}
			for range 5 {
				seen[s.login(t, backend, "ann@example.com")] = true
			}
			if len(seen) != 5 {
				t.Errorf("5 logins made %d tokens", len(seen))
			}
		})
	}
}

// A browser's cookie jar takes what login sets, on TLS, and forgets it at
// logout (D1, D5).
func TestS_D5_CookieJarOverTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) {
		c.Backends = []usher.Backend{{Name: "cookie", Transport: usher.Cookie{}, Strategy: usher.Sessions{Store: c.Store.(usher.SessionStore)}}}
	}))
	s.add(t, "ann@example.com")
	browser := s.browser(t)
	get := func(want int) {
		t.Helper()
		response, err := browser.Get(s.url + "/users/me")
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("/users/me says %d, want %d", response.StatusCode, want)
		}
	}
	get(401)
	for _, path := range []string{"/auth/cookie/login", "/auth/cookie/logout"} {
		response, err := browser.PostForm(s.url+path, loginForm("ann@example.com", goodPassword))
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusNoContent {
			t.Fatalf("%s: %d", path, response.StatusCode)
		}
		get(map[bool]int{true: 200, false: 401}[path == "/auth/cookie/login"])
	}
	if n := len(browser.Jar.Cookies(mustURL(t, s.url))); n != 0 {
		t.Errorf("the jar holds %d cookies after logout", n)
	}
}
