package usher_test

import (
	"bytes"
	"encoding/json"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"usher"
)

// fuzzed sends a body to a handler and checks what holds for every answer: it is
// no 5xx, it is JSON or nothing, and it is not to be cached.
func fuzzed(t *testing.T, h http.Handler, path, contentType string, body []byte) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), "POST", path, bytes.NewReader(body))
	r.Header.Set("Content-Type", contentType)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
		t.Errorf("status %d for %q as %q", w.Code, body, contentType)
	}
	if !json.Valid(w.Body.Bytes()) {
		t.Errorf("the answer %q to %q is no JSON", w.Body, body)
	}
	if w.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("Cache-Control %q", w.Header().Get("Cache-Control"))
	}
	return w
}

// Whatever is sent as a login, nobody gets in who does not send the address and
// the password, and nothing breaks.
func FuzzLoginForm(f *testing.F) {
	store := newMemory()
	store.add(f, person(f, "ann@example.com"))
	handler := newAuth(f, store, func(c *usher.Config[User]) {
		c.Backends = []usher.Backend{{Name: "jwt", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}}}}
		c.MaxBodyBytes = 1 << 20
	}).Handler()
	good := loginForm("ann@example.com", goodPassword).Encode()
	for _, seed := range []struct{ contentType, body string }{
		{"application/x-www-form-urlencoded", good},
		{"application/x-www-form-urlencoded", "username=%&password=%zz&grant_type=%70assword"},
		{"application/x-www-form-urlencoded", "username=a&username=b&password"},
		{"application/x-www-form-urlencoded", "&&==&%00=%ff;" + good},
		{"application/x-www-form-urlencoded; charset=latin1", good},
		{"multipart/form-data; boundary=X", multi("username", "ann@example.com", "password", goodPassword)},
		{"multipart/form-data; boundary=X", strings.ReplaceAll(multi("username", "a"), "\r\n", "\n")},
		{"multipart/form-data; boundary=X", "--X\r\nContent-Disposition: form-data; name=\"username\"; filename=\"x\"\r\n\r\na\r\n--X--"},
		{"multipart/form-data; boundary=\"\\\"\"", "--\"--"},
		{"multipart/form-data", "--X--"},
		{"application/json", `{"username":"ann@example.com","password":"` + goodPassword + `"}`},
		{"application/json", `{"username":["a"],"password":{},"grant_type":NaN}`},
		{"text/plain", good},
		{";", ""},
	} {
		f.Add(seed.contentType, []byte(seed.body))
	}
	f.Fuzz(func(t *testing.T, contentType string, body []byte) {
		w := fuzzed(t, handler, "/auth/jwt/login", contentType, body)
		switch w.Code {
		case 200, 400, 413, 422:
		default:
			t.Errorf("status %d for %q as %q", w.Code, body, contentType)
		}
		media, _, err := mime.ParseMediaType(contentType)
		if err != nil || len(body) > 1<<20 {
			return
		}
		if media == "application/json" && w.Code == 200 {
			sent := members(body)
			if key, err := usher.EmailKey(sent["username"]); err != nil || key != "ann@example.com" || sent["password"] != goodPassword {
				t.Errorf("%q signs in", body)
			}
		}
		// What the standard library reads of a form, we read too.
		if media != "application/x-www-form-urlencoded" {
			return
		}
		form, err := url.ParseQuery(string(body))
		if err != nil || len(form["username"]) != 1 || len(form["password"]) != 1 || form.Get("username") == "" || form.Get("password") == "" || form.Has("grant_type") {
			return
		}
		key, err := usher.EmailKey(form.Get("username"))
		want := 400
		if err == nil && key == "ann@example.com" && form.Get("password") == goodPassword {
			want = 200
		}
		if w.Code != want {
			t.Errorf("status %d for %q, want %d", w.Code, body, want)
		}
	})
}

// members returns the strings of a JSON object, also of one with numbers that
// only Python knows.
func members(body []byte) map[string]string {
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	for _, word := range []string{"-Infinity", "Infinity", "NaN"} {
		body = bytes.ReplaceAll(body, []byte(word), []byte("0"))
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber() // 1e999 is one
	var raw map[string]any
	if d.Decode(&raw) != nil {
		return nil
	}
	texts := map[string]string{}
	for name, value := range raw {
		if text, ok := value.(string); ok {
			texts[name] = text
		}
	}
	return texts
}

// Whatever is sent as a registration, only a JSON object with a good address and
// a good password makes an account, an ordinary one, and nothing breaks.
func FuzzRegisterJSON(f *testing.F) {
	for _, seed := range []string{
		`{"email":"ann@example.com","password":"correct horse","first_name":"Ann"}`,
		`{"email":"ann@example.com","password":"correct horse","first_name":null,"is_superuser":true,"is_active":"off","plan":"gold","score":7,"id":1}`,
		`{"email":"ann@example.com","password":"correct horse","x":NaN,"y":-Infinity,"z":1e999}`,
		"\ufeff" + `{"email":"ａnn@EXAMPLE.com","password":"\ud83d\ude00\u0000abcdefgh"}`,
		`{"email":"a\ud800@example.com","password":"\udfff"}`,
		`{"email":"ann@example.com","email":"bob@example.com","password":"correct horse"}`,
		`{"email":[],"password":{},"is_verified":2}`,
		`[[[[{"a":` + strings.Repeat("[", 100), `{"a":1,}`, `{} {}`, ` null `, `"x`, `{"email":"\u12`, "{\"a\xff\":1}", strings.Repeat("9", 5000), `{"":1}`,
		`{"email":"josé@bücher.example","password":"12345678"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		store := newMemory()
		handler := newAuth(t, store).Handler()
		w := fuzzed(t, handler, "/auth/register", "application/json", body)
		users, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		if (w.Code == 201) != (len(users) == 1) {
			t.Errorf("status %d and %d users for %q", w.Code, len(users), body)
		}
		text := bytes.TrimPrefix(body, []byte("\ufeff"))
		python := bytes.Contains(body, []byte("NaN")) || bytes.Contains(body, []byte("Infinity"))
		switch w.Code {
		case 201:
			u := users[0]
			if !u.IsActive || u.IsSuperuser || u.IsVerified || u.Plan != "" || u.Score != 0 || u.Notes != "" || !isCurrent(u.HashedPassword) {
				t.Errorf("%q made %+v", body, *u)
			}
			if key, err := usher.EmailKey(u.Email); err != nil {
				t.Errorf("%q made a user with the address %q (%q, %v)", body, u.Email, key, err)
			}
			if !json.Valid(text) && !python {
				t.Errorf("%q is no JSON and made an account", body)
			}
			sent := members(body)
			if n := utf8.RuneCountInString(sent["password"]); n < 8 && !python || len(sent["password"]) > 1024 || sent["email"] == "" {
				t.Errorf("%q made an account with the address %q and the password %q", body, sent["email"], sent["password"])
			}
		case 400, 413, 422:
			if json.Valid(text) && strings.Contains(w.Body.String(), `"json_invalid"`) {
				t.Errorf("%q is JSON, and is refused as none: %s", body, w.Body)
			}
		default:
			t.Errorf("status %d for %q", w.Code, body)
		}
	})
}
