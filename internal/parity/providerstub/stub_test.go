package providerstub_test

import (
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"usher/internal/parity/providerstub"
)

func encode(code string) string { return base64.RawURLEncoding.EncodeToString([]byte(code)) }

func serve(r *http.Request) (status int, contentType, body string) {
	w := httptest.NewRecorder()
	providerstub.Handler().ServeHTTP(w, r)
	b, _ := io.ReadAll(w.Result().Body)
	return w.Code, w.Header().Get("Content-Type"), strings.TrimSpace(string(b))
}

func TestToken(t *testing.T) {
	const plain = `{"id":"1","email":"a@example.com"}`
	const full = `{"id":"1","expires_in":3600,"expires_at":1999999999,"refresh_token":"rt"}`
	tests := []struct {
		name, code, contentType, body string
		status                        int
	}{
		{"plain", encode(plain), "application/json", `{"access_token":"at.` + encode(plain) + `","token_type":"bearer"}`, 200},
		{"everything", encode(full), "application/json",
			`{"access_token":"at.` + encode(full) + `","expires_at":1999999999,"expires_in":3600,"refresh_token":"rt","token_type":"bearer"}`, 200},
		{"userinfo fails later", encode(`{"id":"1","fail":"userinfo"}`), "application/json",
			`{"access_token":"at.` + encode(`{"id":"1","fail":"userinfo"}`) + `","token_type":"bearer"}`, 200},
		{"fail token", encode(`{"id":"1","fail":"token"}`), "application/json", `{"error":"invalid_grant"}`, 400},
		{"fail token_json", encode(`{"id":"1","fail":"token_json"}`), "text/html", "<html>", 200},
		{"not base64url", "bad-code!", "application/json", `{"error":"invalid_grant"}`, 400},
		{"not JSON", "bad-code", "application/json", `{"error":"invalid_grant"}`, 400},
		{"not an object", encode(`[]`), "application/json", `{"error":"invalid_grant"}`, 400},
		{"null", encode(`null`), "application/json", `{"error":"invalid_grant"}`, 400},
		{"none", "", "application/json", `{"error":"invalid_grant"}`, 400},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			form := url.Values{"grant_type": {"authorization_code"}, "code": {tt.code}}
			r := httptest.NewRequest("POST", "/token", strings.NewReader(form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			status, contentType, body := serve(r)
			if status != tt.status || contentType != tt.contentType || body != tt.body {
				t.Errorf("got %d %s %s", status, contentType, body)
			}
		})
	}
}

func TestUserinfo(t *testing.T) {
	tests := []struct {
		name, authorization, body string
		status                    int
	}{
		{"id and e-mail", "Bearer at." + encode(`{"id":"1","email":"a@example.com","expires_in":1}`), `{"email":"a@example.com","id":"1"}`, 200},
		{"id only", "bearer at." + encode(`{"id":7}`), `{"id":7}`, 200},
		{"fail", "Bearer at." + encode(`{"id":"1","fail":"userinfo"}`), `{"error":"boom"}`, 500},
		{"code instead of token", "Bearer " + encode(`{"id":"1"}`), `{"error":"invalid_token"}`, 401},
		{"garbage", "Bearer at.garbage", `{"error":"invalid_token"}`, 401},
		{"another scheme", "Basic at." + encode(`{"id":"1"}`), `{"error":"invalid_token"}`, 401},
		{"nothing", "", `{"error":"invalid_token"}`, 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("GET", "/userinfo", nil)
			r.Header.Set("Authorization", tt.authorization)
			status, _, body := serve(r)
			if status != tt.status || body != tt.body {
				t.Errorf("got %d %s", status, body)
			}
		})
	}
}

func TestNothingElse(t *testing.T) {
	for _, path := range []string{"/authorize", "/"} {
		if status, _, _ := serve(httptest.NewRequest("GET", path, nil)); status != 404 {
			t.Errorf("%s: got %d", path, status)
		}
	}
}
