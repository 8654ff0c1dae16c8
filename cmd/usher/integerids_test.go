package main

import (
	"encoding/json"
	"strings"
	"testing"
)

// With integer_ids users are numbered, on every way that an id goes: answers, paths,
// tokens, pages and links (DESIGN.md §4).
func TestIntegerIDs(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.IntegerIDs = true
	b := boot(t, c)
	for i, email := range []string{"eve@example.com", "ada@example.com", "bob@example.com"} {
		var user map[string]any
		if err := json.Unmarshal([]byte(b.want(201, "POST", "/auth/register", registration(email, goodPassword)).body), &user); err != nil || user["id"] != float64(i+1) {
			t.Fatalf("%s has the id %v, want the number %d (%v)", email, user["id"], i+1, err)
		}
	}
	root, cookie := b.superuser(c, "boss@example.com"), b.cookie("ada@example.com")
	for path, want := range map[string]string{
		"/users/2":               `{"id":2,"email":"ada@example.com"`,
		"/users?limit=1&after=1": `{"items":[{"id":2,"email":"ada@example.com"`,
		"/users?limit=2":         `"next":2}`,
		"/users/2/sessions":      `"current":false`,
	} {
		if a := b.want(200, "GET", path, "", "Authorization", root); !strings.Contains(a.body, want) {
			t.Errorf("%s: %s, want %s in it", path, a.body, want)
		}
	}
	for _, path := range []string{"/users/42", "/users/02", "/users/0", "/users/-2", "/users/2.0", "/users/99999999999999999999", "/users/01890000-0000-7000-8000-000000000002", "/users?after=x"} {
		b.want(404, "GET", path, "", "Authorization", root)
	}
	if a := b.want(200, "GET", "/users/me", "", "Cookie", cookie); !strings.HasPrefix(a.body, `{"id":2,`) {
		t.Error(a.body)
	}
	// A number that was somebody's is not given again.
	b.want(204, "DELETE", "/users/3", "", "Authorization", root)
	if a := b.want(201, "POST", "/auth/register", registration("cyd@example.com", goodPassword)); !strings.HasPrefix(a.body, `{"id":5,`) {
		t.Error(a.body)
	}
	b.want(200, "POST", "/auth/verify", jsonOf(map[string]string{"token": b.token("ada@example.com", "Confirm")}))
}
