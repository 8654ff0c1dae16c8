package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// client sends requests to the program, as somebody who is signed in or nobody.
type client struct {
	*testing.T
	url, token string
}

func (c client) send(method, path, contentType, body string, want int) []byte {
	c.Helper()
	r, err := http.NewRequestWithContext(c.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.Fatal(err)
	}
	if contentType != "" {
		r.Header.Set("Content-Type", contentType)
	}
	if c.token != "" {
		r.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != want {
		c.Fatalf("%s %s %s: %d %s, %v; want %d", method, path, body, response.StatusCode, text, err, want)
	}
	if strings.Contains(string(text), "came by himself") || bytes.Contains(bytes.ToLower(text), []byte(`"notes"`)) || bytes.Contains(text, []byte("argon2")) {
		c.Errorf("%s %s tells what stays on the server: %s", method, path, text)
	}
	return text
}

// json sends JSON and returns the members of the answer.
func (c client) json(method, path, body string, want int) map[string]any {
	c.Helper()
	decoder := json.NewDecoder(bytes.NewReader(c.send(method, path, "application/json", body, want)))
	decoder.UseNumber()
	var members map[string]any
	if err := decoder.Decode(&members); err != nil {
		c.Fatal(err)
	}
	return members
}

// user sends JSON and returns the user in the answer, which keeps the text of
// each member.
func (c client) user(method, path, body string) map[string]string {
	c.Helper()
	status := 200
	if method == "POST" {
		status = 201
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(c.send(method, path, "application/json", body, status), &members); err != nil {
		c.Fatal(err)
	}
	user := map[string]string{}
	for name, value := range members {
		user[name] = string(value)
	}
	return user
}

// signIn returns the client signed in.
func (c client) signIn(email string) client {
	c.Helper()
	form := url.Values{"username": {email}, "password": {password}}.Encode()
	var answer struct {
		Token string `json:"access_token"`
	}
	if err := json.Unmarshal(c.send("POST", "/auth/jwt/login", "application/x-www-form-urlencoded", form, 200), &answer); err != nil {
		c.Fatal(err)
	}
	c.token = answer.Token
	return c
}

const (
	password = "correct horse battery"
	ann      = `"email": "ann@example.com", "password": "` + password + `", "agreed_at": "2026-01-02T03:04:05+09:00"`
)

// start starts the program. Its first user is the administrator.
func start(t *testing.T) (*site, client) {
	t.Helper()
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	t.Cleanup(stop)
	site, err := newSite(ctx, filepath.Join(t.TempDir(), "usertype.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { site.db.Close() })
	if err := site.addAdmin(ctx, password); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(site)
	t.Cleanup(server.Close)
	return site, client{T: t, url: server.URL}
}

// want compares members, as JSON.
func want(t *testing.T, what string, user map[string]string, members map[string]string) {
	t.Helper()
	for name, value := range members {
		if user[name] != value {
			t.Errorf("%s: %s is %s, want %s", what, name, user[name], value)
		}
	}
}

func TestRegisterAndChange(t *testing.T) {
	site, c := start(t)
	user := c.user("POST", "/auth/register", `{`+ann+`, "address": {"lines": ["1 High Street"], "country": "GB"}, "interests": ["chess"],
		"credit": 9, "paid_until": "2030-01-01T00:00:00Z", "visits": 9, "notes": "x", "Notes": "x", "id": 77, "is_superuser": true}`)
	want(t, "registered", user, map[string]string{
		"id": "2", "email": `"ann@example.com"`, "is_superuser": "false", "display_name": "null", "language": `"en"`,
		"agreed_at": `"2026-01-01T18:04:05Z"`, "address": `{"lines":["1 High Street"],"country":"GB"}`, "interests": `["chess"]`,
		"credit": "0", "paid_until": "null", "visits": "0",
	})
	c = c.signIn("ann@example.com")

	// An absent member changes nothing; null does, where there can be none.
	changed := c.user("PATCH", "/users/me", `{"display_name": "Ann", "language": "ko", "credit": 9, "visits": 9, "notes": "x"}`)
	want(t, "changed", changed, map[string]string{
		"id": "2", "display_name": `"Ann"`, "language": `"ko"`, "agreed_at": user["agreed_at"], "address": user["address"],
		"interests": user["interests"], "credit": "0", "visits": "0",
	})
	if got := string(c.send("POST", "/visits", "", "", 200)); got != "Welcome, Ann!\n" {
		t.Errorf("greeted with %q", got)
	}
	want(t, "absent", c.user("PATCH", "/users/me", `{}`), map[string]string{"display_name": `"Ann"`, "language": `"ko"`, "visits": "1"})
	want(t, "null", c.user("PATCH", "/users/me", `{"display_name": null, "interests": null}`),
		map[string]string{"display_name": "null", "interests": "[]", "language": `"ko"`})
	// JSON is replaced, not merged.
	want(t, "another address", c.user("PATCH", "/users/me", `{"address": {"country": "DE"}}`), map[string]string{"address": `{"lines":null,"country":"DE"}`})
	if got := string(c.send("POST", "/visits", "", "", 200)); got != "Welcome, ann@example.com!\n" {
		t.Errorf("greeted with %q", got)
	}

	stored, err := site.db.UserByID(t.Context(), "2")
	if err != nil {
		t.Fatal(err)
	}
	if agreed := time.Date(2026, 1, 1, 18, 4, 5, 0, time.UTC); stored.Notes != "came by himself" || stored.Visits != 2 || !stored.AgreedAt.Equal(agreed) ||
		stored.DisplayName != nil || stored.Language != Korean || stored.Address.Country != "DE" {
		t.Errorf("stored %+v", stored)
	}
}

// What a type cannot hold, or Validate refuses, is a 422 that says where.
func TestRefused(t *testing.T) {
	_, c := start(t)
	refused := func(c client, method, path, body, field string) {
		t.Helper()
		var faults struct {
			Detail []struct {
				Loc       []any
				Type, Msg string
			}
		}
		if err := json.Unmarshal(c.send(method, path, "application/json", body, 422), &faults); err != nil {
			t.Fatal(err)
		}
		if d := faults.Detail; len(d) != 1 || len(d[0].Loc) != 2 || d[0].Loc[0] != "body" || d[0].Loc[1] != field || d[0].Msg == "" || d[0].Type == "" {
			t.Errorf("%s with %s: %+v, want one fault of %s", method, body, d, field)
		}
	}
	refused(c, "POST", "/auth/register", `{"email": "ann@example.com", "password": "`+password+`"}`, "agreed_at")
	admin := c.signIn("admin@example.com")
	c.user("POST", "/auth/register", `{`+ann+`}`)
	before := admin.user("GET", "/users/2", "")
	me := c.signIn("ann@example.com")
	for field, values := range map[string][]string{
		"display_name": {`""`, `1`, `{}`},
		"language":     {`"fr"`, `""`, `"EN"`, `null`, `1`},
		"agreed_at":    {`"yesterday"`, `"2999-01-01T00:00:00Z"`, `1`, `null`, `"0001-01-01T00:00:00Z"`},
		"address":      {`"x"`, `[]`, `null`, `{"lines": 1}`, `{"country": "GBR"}`},
		"interests":    {`"x"`, `[1]`, `[""]`, `["1","2","3","4","5","6","7","8","9","10","11"]`},
	} {
		for _, value := range values {
			member := `"` + field + `": ` + value
			refused(me, "PATCH", "/users/me", `{`+member+`}`, field)
			refused(admin, "PATCH", "/users/2", `{`+member+`}`, field)
			if field != "agreed_at" { // which is in the body
				refused(c, "POST", "/auth/register", `{`+strings.Replace(ann, "ann@", "bob@", 1)+`, `+member+`}`, field)
			}
		}
	}
	refused(admin, "PATCH", "/users/2", `{"credit": -1}`, "credit")
	refused(admin, "PATCH", "/users/2", `{"credit": 1.5}`, "credit")
	want(t, "after all that", admin.user("GET", "/users/2", ""), before)
	if found := admin.json("GET", "/users", "", 200)["items"].([]any); len(found) != 2 {
		t.Errorf("there are %d users", len(found))
	}
}

func TestAdministrator(t *testing.T) {
	_, c := start(t)
	admin := c.signIn("admin@example.com")
	c.user("POST", "/auth/register", `{`+ann+`}`)
	got := admin.user("PATCH", "/users/2", `{"credit": 5, "paid_until": "2030-01-01T00:00:00Z", "language": "de", "visits": 9, "notes": "x", "id": 3}`)
	want(t, "changed by an administrator", got, map[string]string{
		"id": "2", "credit": "5", "paid_until": `"2030-01-01T00:00:00Z"`, "language": `"de"`, "visits": "0",
	})
	want(t, "paid until", admin.user("PATCH", "/users/2", `{"paid_until": null}`), map[string]string{"paid_until": "null", "credit": "5"})
	me := c.signIn("ann@example.com")
	want(t, "read by the user", me.user("GET", "/users/me", ""), map[string]string{"credit": "5", "language": `"de"`})
	me.send("PATCH", "/users/2", "application/json", `{"credit": 9}`, 403)
	me.send("GET", "/users", "", "", 403)
}

// Users are numbered: on the wire, in paths and in tokens.
func TestNumbers(t *testing.T) {
	_, c := start(t)
	admin := c.signIn("admin@example.com")
	for _, path := range []string{"/users/1", "/users/me"} {
		if id, ok := admin.json("GET", path, "", 200)["id"].(json.Number); !ok || id != "1" {
			t.Errorf("%s: id %v, want the number 1", path, id)
		}
	}
	for _, path := range []string{"/users/42", "/users/0", "/users/01", "/users/+1", "/users/-1", "/users/1.0", "/users/99999999999999999999", "/users/x"} {
		admin.send("GET", path, "", "", 404)
	}
	c.user("POST", "/auth/register", `{`+ann+`}`)
	page := admin.json("GET", "/users?limit=1", "", 200)
	if next, ok := page["next"].(json.Number); !ok || next != "1" {
		t.Fatalf("page %v, want next to be the number 1", page)
	}
	if items := admin.json("GET", "/users?limit=1&after=1", "", 200)["items"].([]any); len(items) != 1 || items[0].(map[string]any)["id"] != json.Number("2") {
		t.Errorf("the next page is %v", items)
	}
	admin.send("DELETE", "/users/2", "", "", 204)
	admin.send("GET", "/users/2", "", "", 404)
}
