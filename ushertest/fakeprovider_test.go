package ushertest_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"usher/ushertest"
)

// TestFakeProvider: a client that does all right gets its tokens, and each that
// does one thing wrong does not.
func TestFakeProvider(t *testing.T) {
	t.Parallel()
	p := ushertest.NewFakeProvider(t)
	verifier := oauth2.GenerateVerifier()
	authorize := func(changes ...string) url.Values {
		t.Helper()
		q := url.Values{
			"response_type": {"code"}, "client_id": {p.ClientID}, "redirect_uri": {"https://app.example.com/callback?a=b"}, "state": {"s"}, "scope": {"openid email"},
			"nonce": {"n"}, "code_challenge": {oauth2.S256ChallengeFromVerifier(verifier)}, "code_challenge_method": {"S256"},
		}
		for i := 0; i < len(changes); i += 2 {
			q.Set(changes[i], changes[i+1])
		}
		back, err := url.Parse(p.Authorize(t, p.URL+"/authorize?"+q.Encode()))
		if err != nil || back.Host != "app.example.com" || back.Path != "/callback" || back.Query().Get("a") != "b" || back.Query().Get("state") != "s" {
			t.Fatalf("%v, %v", back, err)
		}
		return back.Query()
	}
	redeem := func(code string, changes ...string) (int, map[string]any) {
		t.Helper()
		form := url.Values{
			"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {"https://app.example.com/callback?a=b"},
			"client_id": {p.ClientID}, "client_secret": {p.ClientSecret}, "code_verifier": {verifier},
		}
		for i := 0; i < len(changes); i += 2 {
			form.Set(changes[i], changes[i+1])
		}
		answer, err := http.PostForm(p.URL+"/token", form)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		var members map[string]any
		if err := json.NewDecoder(answer.Body).Decode(&members); err != nil {
			t.Fatal(err)
		}
		return answer.StatusCode, members
	}
	code := authorize().Get("code")
	status, tokens := redeem(code)
	if status != 200 || tokens["access_token"] == nil || tokens["id_token"] == nil || tokens["refresh_token"] == nil || tokens["expires_in"] != 3600.0 {
		t.Fatalf("%d %v", status, tokens)
	}
	if status, members := redeem(code); status != 400 || members["error"] != "invalid_grant" {
		t.Errorf("a code twice: %d %v", status, members)
	}
	for name, changes := range map[string][]string{
		"redirect_uri": {"redirect_uri", "https://app.example.com/callback"}, "grant": {"grant_type", "password"}, "code": {"code", "x"},
		"no verifier": {"code_verifier", ""}, "verifier": {"code_verifier", oauth2.GenerateVerifier()}, "short verifier": {"code_verifier", "x"},
		"client": {"client_id", "x"}, "secret": {"client_secret", "x"},
	} {
		if status, members := redeem(authorize().Get("code"), changes...); status < 400 || members["access_token"] != nil {
			t.Errorf("another %s: %d %v", name, status, members)
		}
	}
	for name, changes := range map[string][]string{
		"response_type": {"response_type", "token"}, "no challenge": {"code_challenge", ""}, "plain challenge": {"code_challenge_method", "plain"},
	} {
		if back := authorize(changes...); back.Get("error") != "invalid_request" || back.Has("code") {
			t.Errorf("%s: %v", name, back)
		}
	}
	refresh := []string{"grant_type", "refresh_token", "refresh_token", tokens["refresh_token"].(string)}
	if status, members := redeem("", refresh...); status != 200 || members["access_token"] == tokens["access_token"] {
		t.Errorf("refresh: %d %v", status, members)
	}
	if status, _ := redeem("", refresh...); status != 400 {
		t.Errorf("a refresh token twice: %d", status)
	}
	if n := p.Count("/authorize"); n != 12 {
		t.Errorf("counted %d", n)
	}
	p.Forget()
	for _, path := range []string{"/userinfo", "/emails"} {
		r, _ := http.NewRequestWithContext(t.Context(), "GET", p.URL+path, nil)
		r.Header.Set("Authorization", "Bearer "+tokens["access_token"].(string))
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if answer.StatusCode != 401 {
			t.Errorf("%s of a forgotten token: %s", path, answer.Status)
		}
	}
	if !strings.HasPrefix(p.URL, "http://127.0.0.1:") {
		t.Errorf("at %s", p.URL)
	}
}
