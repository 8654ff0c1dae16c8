package main

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
)

func TestQuickstart(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	site, err := newSite(ctx, filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewTLSServer(site) // browsers take http://localhost for as good
	defer server.Close()
	browser, app := server.Client(), *server.Client()
	browser.Jar, _ = cookiejar.New(nil)

	// send makes a request and checks the status.
	send := func(client *http.Client, request *http.Request, want int) string {
		t.Helper()
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			t.Fatal(err)
		}
		if response.StatusCode != want {
			t.Fatalf("%s %s: %s %s, want %d", request.Method, request.URL.Path, response.Status, body, want)
		}
		return string(body)
	}
	request := func(method, path, contentType, body string) *http.Request {
		t.Helper()
		r, err := http.NewRequestWithContext(ctx, method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		return r
	}
	hello := func() *http.Request { return request("GET", "/hello", "", "") }
	login := url.Values{"username": {"Ann@example.com"}, "password": {"correct horse battery"}}.Encode()
	const form = "application/x-www-form-urlencoded"

	send(browser, hello(), 401)
	send(browser, request("POST", "/auth/register", "application/json",
		`{"email": "ann@example.com", "password": "correct horse battery", "first_name": "Ann", "plan": "gold"}`), 201)
	send(browser, hello(), 401) // registering is not signing in

	// With a cookie.
	send(browser, request("POST", "/auth/cookie/login", form, login), 204)
	if got := send(browser, hello(), 200); got != "Hello, Ann!\n" {
		t.Errorf("greeted with %q", got)
	}
	var me User
	if err := json.Unmarshal([]byte(send(browser, request("GET", "/users/me", "", ""), 200)), &me); err != nil {
		t.Fatal(err)
	}
	if me.Email != "ann@example.com" || me.Plan != "" {
		t.Errorf("address %q and plan %q, want ann@example.com and no plan: clients cannot set it", me.Email, me.Plan)
	}
	send(browser, request("POST", "/auth/cookie/logout", "", ""), 204)
	send(browser, hello(), 401)

	// With a bearer token.
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(send(&app, request("POST", "/auth/jwt/login", form, login), 200)), &answer); err != nil {
		t.Fatal(err)
	}
	signedIn := hello()
	signedIn.Header.Set("Authorization", "Bearer "+answer.Token)
	if got := send(&app, signedIn, 200); got != "Hello, Ann!\n" {
		t.Errorf("greeted with %q", got)
	}
	send(&app, hello(), 401)
}
