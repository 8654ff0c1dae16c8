package usher_test

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"usher"
)

// jsonRoutes are the routes that take JSON, "METHOD path".
func jsonRoutes(id usher.ID) []string {
	return []string{
		"POST /auth/register", "PATCH /users/me", "PATCH /users/" + string(id),
		"POST /auth/request-verify-token", "POST /auth/verify", "POST /auth/forgot-password", "POST /auth/reset-password", "POST /auth/confirm-email", "DELETE /users/me",
	}
}

// rootSite is a site with one superuser, and the header that is him.
func rootSite(t testing.TB, options ...siteOption) (s *site, u *User, header string) {
	t.Helper()
	s = newSite(t, options...)
	u = s.add(t, "root@example.com", asSuperuser)
	return s, u, s.signedIn(t, "jwt", "root@example.com")
}

func zipped(t testing.TB, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// Whatever the body is, the answer is a 4xx: never a 2xx, a 5xx or silence
// (DEFECTS G, F24, recordings bodies.malformed and bodies.json-edge).
func TestDefect_G_MalformedJSON(t *testing.T) {
	t.Parallel()
	s, u, header := rootSite(t, configured(func(c *usher.Config[User]) { c.MaxBodyBytes = 4 << 20 }))
	rest := `,"password":"` + goodPassword + `","token":1,"current_password":"` + goodPassword + `"}`
	var manyMembers strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&manyMembers, `"a%d":%d,`, i, i)
	}
	bodies := map[string]string{
		"white space":               "  \r\n\t ",
		"null":                      "null",
		"array":                     "[]",
		"array of objects":          `[{"email":"a@example.com"}]`,
		"number":                    "1",
		"string":                    `"x"`,
		"true":                      "true",
		"words":                     "hello",
		"trailing comma":            `{"email":"a@example.com",}`,
		"trailing data":             `{"email":"a@example.com"` + rest + ` x`,
		"two objects":               `{}{}`,
		"cut off":                   `{"email": "a`,
		"cut off in an escape":      `{"email": "a\`,
		"cut off in a unicode one":  `{"email": "a\u00`,
		"cut off in a number":       `{"email": -`,
		"only a brace":              `{`,
		"single quotes":             `{'email':'a@example.com'}`,
		"no quotes":                 `{email:1}`,
		"comment":                   `{"email":"a@example.com"/**/` + rest,
		"number with a zero":        `{"email":01` + rest,
		"number with a plus":        `{"email":+1` + rest,
		"hexadecimal":               `{"email":0x1` + rest,
		"NaN":                       `{"email":NaN` + rest,
		"Infinity":                  `{"email":-Infinity` + rest,
		"1e999":                     `{"email":1e999` + rest,
		"a number of 5000 digits":   `{"email":` + strings.Repeat("9", 5000) + rest,
		"lone high surrogate":       `{"email":"a\ud800@example.com"` + rest,
		"lone low surrogate":        `{"email":"a\udfff@example.com"` + rest,
		"surrogates the wrong way":  `{"email":"a\udc00\ud800@example.com"` + rest,
		"lone surrogate, upper":     `{"email":"a\uD800@example.com"` + rest,
		"lone surrogate, then text": `{"email":"a\ud800\u0041@example.com"` + rest,
		"control character":         "{\"email\":\"a\x01@example.com\"" + rest,
		"line break in a string":    "{\"email\":\"a\n@example.com\"" + rest,
		"escaped NUL":               `{"email":"a\u0000@example.com"` + rest,
		"NUL bytes":                 "\x00\x00\x00\x00",
		"invalid UTF-8":             "{\"email\":\"\xff@example.com\"" + rest,
		"overlong UTF-8":            "{\"email\":\"\xc0\xaf@example.com\"" + rest,
		"surrogate in UTF-8":        "{\"email\":\"\xed\xa0\x80@example.com\"" + rest,
		"invalid UTF-8 elsewhere":   "{\"email\":1,\"x\":\"\xff\"" + rest,
		"UTF-16":                    "\xff\xfe{\x00}\x00",
		"member twice":              `{"email":"a@example.com","email":"b@example.com"` + rest,
		"member twice, escaped":     `{"email":"a@example.com","\u0065mail":"b@example.com"` + rest,
		"100000 arrays":             strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
		"100000 arrays in email":    `{"email":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + rest,
		"100000 objects":            strings.Repeat(`{"email":`, 100_000),
		"100000 arrays, open":       `{"x":` + strings.Repeat("[", 100_000),
		"20000 members":             "{" + manyMembers.String() + `"email":1` + rest,
		"a name of 1 MiB":           `{"` + strings.Repeat("x", 1<<20) + `":1,"email":1` + rest,
		"an email of 1 MiB":         `{"email":"` + strings.Repeat("x", 1<<20) + `@example.com"` + rest,
		"an email of @s":            `{"email":"` + strings.Repeat("@", 1<<16) + `"` + rest,
		"an email of dots":          `{"email":"a@` + strings.Repeat("x.", 1<<15) + `com"` + rest,
		"an email of marks":         `{"email":"a` + strings.Repeat("\u0301", 1<<15) + `@example.com"` + rest,
		"an email of combinations":  `{"email":"` + strings.Repeat("\u0345\u0301\u0323", 80) + `@example.com"` + rest,
		"gzip":                      zipped(t, `{"email":"a@example.com"`+rest),
		"a zip bomb":                zipped(t, strings.Repeat(" ", 10<<20)),
		"a form":                    "email=a%40example.com&password=x",
		"multipart":                 multi("email", "a@example.com"),
	}
	for name, body := range bodies {
		routes := jsonRoutes(u.ID)
		routes = routes[:len(routes)-1] // to delete an account, no address has to be good
		if len(body) > 64<<10 {         // these take time
			routes = routes[:1]
		}
		for _, route := range routes {
			method, path, _ := strings.Cut(route, " ")
			headers := []string{header, "Content-Type: application/json"}
			if strings.Contains(name, "zip") {
				headers = append(headers, "Content-Encoding: gzip")
			}
			start := time.Now()
			a := s.send(t, method, path, body, headers...).wantSecureHeaders(t)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%s: %s takes %v", route, name, took)
			}
			if a.status != 422 && a.status != 400 || !json.Valid([]byte(a.body)) {
				t.Errorf("%s: %s: %d %.300s", route, name, a.status, a.body)
			}
			if len(a.body) > len(body)+4096 {
				t.Errorf("%s: %s: %d bytes are answered with %d", route, name, len(body), len(a.body))
			}
			if name == "an email of 1 MiB" && len(a.body) > 4096 { // DEFECTS D: echoed whole
				t.Errorf("%s: a bad address of 1 MiB is answered with %d bytes", route, len(a.body))
			}
		}
	}
	sameUser(t, "a malformed body", s.only(t), u)

	// What is odd and good all the same (recording bodies.json-edge).
	for i, body := range []string{
		"\ufeff" + `{"email":"u0@example.com","password":"correct horse"}`,
		" \n\t" + `{"email":"u1@example.com","password":"correct horse"}` + " \n",
		`{"email":"u2@example.com","password":"correct \u0068orse","x":{"a":1,"b":[null,{}]}}`,
		`{"\u0065mail":"u3@example.com","password":"correct horse"}`,
		`{"email":"u4@example.com","password":"correct horse","x":NaN,"y":1e999}`,
		`{"email":"u5@example.com","password":"correct \ud83d\ude00 horse"}`,
	} {
		if u := s.send(t, "POST", "/auth/register", body, "Content-Type: application/json").wantUser(t, 201); u.Email != fmt.Sprintf("u%d@example.com", i) {
			t.Errorf("%s registers %s", body, u.Email)
		}
	}
	s.send(t, "POST", "/auth/jwt/login", loginForm("u5@example.com", "correct 😀 horse")).want(t, 200)
	s.send(t, "POST", "/auth/jwt/login", loginForm("u2@example.com", "correct horse")).want(t, 200)
}

// JSON is read only from a body that says it is JSON: what a form of another
// site can send is a 422 (D10, CVE-2021-32677, recording bodies.content-types).
func TestS_D10_ContentTypes(t *testing.T) {
	t.Parallel()
	s, u, header := rootSite(t)
	body := func(i int) string {
		return fmt.Sprintf(`{"email":"new%d@example.com","password":%q,"token":"x"}`, i, goodPassword)
	}
	for i, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON", " application/json ", "application/vnd.api+json", "application/ld+json;x=y", "application/json;", `application/json; charset="utf-8"`} {
		if a := s.send(t, "POST", "/auth/register", body(i), "Content-Type: "+contentType); a.status != 201 {
			t.Errorf("%q: %d %s", contentType, a.status, a.body)
		}
	}
	for _, contentType := range []string{
		"", "text/plain", "text/plain; application/json", "multipart/form-data", "multipart/form-data; boundary=X", "application/x-www-form-urlencoded",
		"application/xml", "application/jsonp", "application/json, text/plain", "text/json", "json", "*/*", "application/*", "application/octet-stream", ";;", "application", "+json", "application/json\\",
	} {
		for _, route := range jsonRoutes(u.ID) {
			method, path, _ := strings.Cut(route, " ")
			headers := []string{header}
			if contentType != "" {
				headers = append(headers, "Content-Type: "+contentType)
			}
			a := s.send(t, method, path, body(99), headers...)
			if a.status != 422 || strings.Contains(a.body, goodPassword) {
				t.Errorf("%s as %q: %d %s", route, contentType, a.status, a.body)
			}
		}
	}
	for _, route := range jsonRoutes(u.ID) { // no body at all
		method, path, _ := strings.Cut(route, " ")
		s.send(t, method, path, nil, header).want(t, 422)
		s.send(t, method, path, nil, header, "Content-Type: application/json").want(t, 422)
	}
	if _, err := s.auth.UserByEmail(t.Context(), "new99@example.com"); err == nil {
		t.Error("a body that does not say it is JSON made an account")
	}
	// A body where none is expected is not read.
	s.send(t, "GET", "/users/me", `{"broken`, header, "Content-Type: application/json").want(t, 200)
	s.send(t, "GET", "/users/me/sessions", strings.Repeat("x", 1<<20), header).want(t, 200)
	s.send(t, "DELETE", "/users/me/sessions", "\xff\xfe", header).want(t, 204)
	s.send(t, "POST", "/auth/jwt/logout", "garbage", header, "Content-Type: application/json").want(t, 204)
}

// chunks is a reader that does not tell how long it is, so that it is sent in
// chunks.
type chunks struct{ io.Reader }

// A body over the limit is a 413, whether it says how long it is or not, and
// costs neither a hash nor the time to read it (F21, DEFECTS D).
func TestF21_BodyTooLarge(t *testing.T) {
	t.Parallel()
	const limit = 64 << 10 // the default
	s, u, header := rootSite(t)
	before := s.hasher.Hashes()
	pad := func(body string, size int) string { return body + strings.Repeat(" ", size-len(body)) }
	for _, route := range append(jsonRoutes(u.ID), "POST /auth/jwt/login", "POST /auth/cookie/login") {
		method, path, _ := strings.Cut(route, " ")
		if path == "/auth/register" {
			exact := pad(`{"email":"exact@example.com","password":"`+goodPassword+`"}`, limit)
			s.send(t, method, path, exact, "Content-Type: application/json").want(t, 201)
			before++
		}
		for _, contentType := range []string{"application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=X"} {
			body := `{"email":"large@example.com","username":"root@example.com","password":"` + goodPassword + `"}`
			if strings.Contains(contentType, "form") {
				body = loginForm("root@example.com", goodPassword).Encode() + "&x="
			}
			for _, reader := range []io.Reader{strings.NewReader(pad(body, limit+1)), chunks{strings.NewReader(pad(body, limit+1))}} {
				a := s.send(t, method, path, reader, header, "Content-Type: "+contentType)
				if a.wantDetail(t, http.StatusRequestEntityTooLarge, "Request body is too large").wantSecureHeaders(t); t.Failed() {
					t.Fatal(route, contentType)
				}
			}
		}
	}
	for _, password := range []string{strings.Repeat("x", 60_000), strings.Repeat("\u0000", 9000)} { // within the limit of bodies
		s.send(t, "POST", "/auth/register", map[string]any{"email": "large@example.com", "password": password}).wantReason(t, "REGISTER_INVALID_PASSWORD", "Password should be at most 1024 bytes")
	}
	if n := s.hasher.Hashes() - before; n != 0 {
		t.Errorf("%d hashes for bodies that are too large", n)
	}
	if _, err := s.auth.UserByEmail(t.Context(), "large@example.com"); err == nil {
		t.Error("a body that is too large made an account")
	}

	// A client that announces 100 MiB is answered after the first 64 KiB.
	for _, path := range []string{"/auth/register", "/auth/jwt/login"} {
		c := s.dial(t)
		c.write(t, "POST "+path+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 104857600\r\n\r\n"+strings.Repeat(" ", limit+1))
		start := time.Now()
		c.want(t, 413)
		if took := time.Since(start); took > time.Second {
			t.Errorf("%s: the 413 takes %v", path, took)
		}
		c.wantClosed(t, 5*time.Second)
	}
}

// A million fields are read in time proportional to their number (F24, F9).
func TestF24_ManyFormFields(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) { c.MaxBodyBytes = 32 << 20 }))
	s.add(t, "ann@example.com")
	good := loginForm("ann@example.com", goodPassword).Encode()
	many := strings.Repeat("a&", 1_000_000)
	parts := make([]string, 0, 4_000)
	for range cap(parts) / 2 {
		parts = append(parts, "a", "b")
	}
	for name, test := range map[string]struct {
		body, contentType string
		status            int
	}{
		"a million names":            {many + good, "application/x-www-form-urlencoded", 200},
		"200000 ampersands":          {strings.Repeat("&", 200_000) + good, "application/x-www-form-urlencoded", 200},
		"200000 escapes":             {"a=" + strings.Repeat("%41", 200_000) + "&" + good, "application/x-www-form-urlencoded", 200},
		"200000 broken escapes":      {"a=" + strings.Repeat("%", 200_000) + "&" + good, "application/x-www-form-urlencoded", 200},
		"50000 usernames":            {strings.Repeat("username=x&", 50_000) + good, "application/x-www-form-urlencoded", 422},
		"2000 parts":                 {multi(append(parts, "username", "ann@example.com", "password", goodPassword)...), "multipart/form-data; boundary=X", 200},
		"a part with a long header":  {"--X\r\nX: " + strings.Repeat("x", 11<<20) + "\r\n\r\n\r\n" + multi("username", "x", "password", "y"), "multipart/form-data; boundary=X", 400},
		"nothing but hyphens":        {strings.Repeat("--X", 200_000), "multipart/form-data; boundary=X", 400},
		"a boundary of 1000":         {multi("username", "x"), "multipart/form-data; boundary=" + strings.Repeat("X", 1000), 400},
		"an empty boundary":          {multi("username", "x"), `multipart/form-data; boundary=""`, 400},
		"a boundary with line break": {multi("username", "x"), `multipart/form-data; boundary="a\\rb"`, 400},
		"multipart of another kind":  {multi("username", "x"), "multipart/mixed; boundary=X", 422},
		"quoted-printable":           {strings.ReplaceAll(multi("username", "ann=40example.com", "password", goodPassword), "\r\n\r\n", "\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"), "multipart/form-data; boundary=X", 200},
	} {
		start := time.Now()
		a := s.send(t, "POST", "/auth/jwt/login", test.body, "Content-Type: "+test.contentType)
		if a.status != test.status {
			t.Errorf("%s: %d %.200s, want %d", name, a.status, a.body, test.status)
		}
		if took := time.Since(start); took > 10*time.Second {
			t.Errorf("%s takes %v", name, took)
		}
	}
}
