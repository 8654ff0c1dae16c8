package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/oauth"
)

// rights say who sets each field of a user: who registers, changes himself, is
// changed by a superuser. A provider at which somebody signs up sets none.
var rights = []struct {
	field, kind, sent   string
	register, me, admin bool
}{
	{"id", "base", `77`, false, false, false},
	{"is_active", "base", `false`, false, false, true},
	{"is_superuser", "base", `true`, false, false, true},
	{"is_verified", "base", `true`, false, false, true},
	{"display_name", "write, nullable", `"Eve"`, true, true, true},
	{"language", "write, of a few values", `"ko"`, true, true, true},
	{"agreed_at", "write, time", `"2020-01-02T03:04:05Z"`, true, true, true},
	{"address", "write, JSON column", `{"lines":["1 High Street"],"country":"GB"}`, true, true, true},
	{"interests", "write, JSON column", `["chess"]`, true, true, true},
	{"credit", "admin", `9`, false, false, true},
	{"paid_until", "admin, nullable", `"2030-01-01T00:00:00Z"`, false, false, true},
	{"visits", "read-only", `9`, false, false, false},
	{"notes", "server-only", `"eve"`, false, false, false},
}

// stored is a user as the database has him, in JSON by field.
func (s *site) stored(t *testing.T, email string) map[string]string {
	t.Helper()
	user, err := s.db.UserByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	plan, err := usher.FieldsOf[User]()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]any{"is_active": user.IsActive, "is_superuser": user.IsSuperuser, "is_verified": user.IsVerified, "id": json.RawMessage(user.ID)}
	for _, f := range plan.Custom() {
		values[cmp.Or(f.JSON, f.Column)] = reflect.ValueOf(user).Elem().FieldByIndex(f.Index).Interface()
	}
	fields := map[string]string{}
	for name, value := range values {
		text, err := json.Marshal(value)
		if err != nil {
			t.Fatal(err)
		}
		fields[name] = string(text)
	}
	return fields
}

// signUp signs up with a provider that says everything of somebody.
func (s *site) signUp(t *testing.T, claims map[string]json.RawMessage) {
	t.Helper()
	provider := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		said := any(claims)
		if r.URL.Path == "/token" {
			said = map[string]string{"access_token": "x", "token_type": "bearer"}
		}
		_ = json.NewEncoder(w).Encode(said)
	}))
	defer provider.Close()
	o, err := oauth.New(s.auth, oauth.Config[User]{
		Providers: []oauth.Provider{{
			Name: "careless", ClientID: "id", ClientSecret: "secret", VerifiedField: "email_verified",
			AuthURL: provider.URL + "/authorize", TokenURL: provider.URL + "/token", UserInfoURL: provider.URL + "/userinfo",
		}},
		Backend: "jwt", Accounts: s.db, OneTime: s.db, Secret: bytes.Repeat([]byte("0123456789abcdef"), 2), BaseURL: "https://app.example.com",
		NewUser: func(_ context.Context, user *User, _ oauth.Identity) error {
			user.AgreedAt = time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	o.Mount(mux)
	query := url.Values{}
	for name, value := range claims {
		query.Set(name, string(value))
	}
	get := func(path, cookie string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "GET", path+"?"+query.Encode(), nil)
		r.Header.Set("Cookie", cookie)
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s", path, w.Code, w.Body)
		}
		return w
	}
	begun := get("/auth/careless/authorize", "")
	var answer struct {
		URL string `json:"authorization_url"`
	}
	if err := json.Unmarshal(begun.Body.Bytes(), &answer); err != nil {
		t.Fatal(err)
	}
	there, err := url.Parse(answer.URL)
	if err != nil {
		t.Fatal(err)
	}
	query.Set("state", there.Query().Get("state"))
	query.Set("code", "x")
	cookie, _, _ := strings.Cut(begun.Header().Get("Set-Cookie"), ";")
	get("/auth/careless/callback", cookie)
}

// Every field by every route that writes users: nobody sets what is not his to
// set. With -v it prints the table.
func TestRights(t *testing.T) {
	site, c := start(t)
	admin := c.signIn("admin@example.com")
	n := 0
	register := func(more string) (email string) {
		t.Helper()
		n++
		email = fmt.Sprintf("user%d@example.com", n)
		c.user("POST", "/auth/register", fmt.Sprintf(`{"email": %q, "password": %q, %s}`, email, password, more))
		return email
	}
	const agreed = `"agreed_at": "2001-01-01T00:00:00Z"`
	plain := site.stored(t, register(agreed))

	var fields []string
	claims := map[string]json.RawMessage{}
	for _, f := range rights {
		fields = append(fields, f.field)
		claims[f.field] = json.RawMessage(f.sent)
	}
	slices.Sort(fields)
	if all := slices.Sorted(maps.Keys(plain)); !slices.Equal(fields, all) {
		t.Fatalf("the table has %q of %q", fields, all)
	}
	claims["sub"], claims["email"], claims["email_verified"] = json.RawMessage(`"eve"`), json.RawMessage(`"eve@example.com"`), json.RawMessage(`false`)
	site.signUp(t, claims)
	provided := site.stored(t, "eve@example.com")

	table := &strings.Builder{}
	row := func(cells ...any) { fmt.Fprintf(table, "%-13s %-23s %-9s %-16s %-18s %s\n", cells...) }
	row("field", "kind", "register", "PATCH /users/me", "PATCH /users/{id}", "OAuth sign-up")
	for _, f := range rights {
		outcome := func(route string, was, is string, want bool) string {
			t.Helper()
			if f.field == "id" && was != is && is != f.sent {
				is = was // another user has another one
			}
			if wanted := map[bool]string{true: f.sent, false: was}[want]; is != wanted || was == f.sent {
				t.Errorf("%s by %s: %s became %s, want %s", f.field, route, was, is, wanted)
			}
			return map[bool]string{true: "set", false: "ignored"}[is == f.sent]
		}
		member := fmt.Sprintf("%q: %s", f.field, f.sent)
		body := agreed + ", " + member
		if f.field == "agreed_at" {
			body = member
		}
		got := []any{f.field, f.kind, outcome("register", plain[f.field], site.stored(t, register(body))[f.field], f.register)}
		mine := register(agreed)
		before := site.stored(t, mine)
		c.signIn(mine).user("PATCH", "/users/me", "{"+member+"}")
		got = append(got, outcome("PATCH /users/me", before[f.field], site.stored(t, mine)[f.field], f.me))
		other := register(agreed)
		before = site.stored(t, other)
		admin.user("PATCH", "/users/"+before["id"], "{"+member+"}")
		got = append(got, outcome("PATCH /users/{id}", before[f.field], site.stored(t, other)[f.field], f.admin))
		row(append(got, outcome("OAuth", plain[f.field], provided[f.field], false))...)
	}
	t.Log("\n" + table.String())
}
