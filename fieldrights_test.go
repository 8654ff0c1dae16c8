package usher_test

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/oauth"
)

// What becomes of a member that a request sends.
const (
	set     = "set"
	ignored = "ignored"
	policed = "verified" // only if it is the provider that says so, of the address
)

// fieldRight is the right to a field of a user, by route.
type fieldRight struct {
	kind, field string
	sent        any
	read        func(u *User) any
	// Who registers, changes himself, is changed by a superuser, signs up with a
	// provider.
	register, me, admin, provider string
	answered                      bool
}

// fieldRights are those of every field.
var fieldRights = []fieldRight{
	{"base", "id", "00000000-0000-4000-8000-000000000000", func(u *User) any { return u.ID }, ignored, ignored, ignored, ignored, true},
	{"base", "email", "new@example.com", func(u *User) any { return u.Email }, set, set, set, set, true},
	{"base", "is_active", false, func(u *User) any { return u.IsActive }, ignored, ignored, set, ignored, true},
	{"base", "is_superuser", true, func(u *User) any { return u.IsSuperuser }, ignored, ignored, set, ignored, true},
	{"base", "is_verified", true, func(u *User) any { return u.IsVerified }, ignored, ignored, set, policed, true},
	{"base", "hashed_password", "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ", func(u *User) any { return u.HashedPassword }, ignored, ignored, ignored, ignored, false},
	{"base", "password", anotherPassword, func(u *User) any { return passwordOf(u) }, set, set, set, ignored, false},
	{"base", "epoch", 99, func(u *User) any { return u.Epoch }, ignored, ignored, ignored, ignored, false},
	{"base", "created_at", "2001-01-01T00:00:00Z", func(u *User) any { return u.CreatedAt.UTC().Format(time.RFC3339) }, ignored, ignored, ignored, ignored, false},
	{"base", "updated_at", "2001-01-01T00:00:00Z", func(u *User) any { return u.UpdatedAt.UTC().Format(time.RFC3339) }, ignored, ignored, ignored, ignored, false},
	{"write", "first_name", "Eve", func(u *User) any { return u.FirstName }, set, set, set, ignored, true},
	{"admin", "plan", "gold", func(u *User) any { return u.Plan }, ignored, ignored, set, ignored, true},
	{"read-only", "score", 1000, func(u *User) any { return u.Score }, ignored, ignored, ignored, ignored, true},
	{"server-only", "notes", "eve", func(u *User) any { return u.Notes }, ignored, ignored, ignored, ignored, false},
	// Other spellings, which encoding/json would take for the names.
	{"misspelled", "IS_SUPERUSER", true, func(u *User) any { return u.IsSuperuser }, ignored, ignored, ignored, ignored, false},
	{"misspelled", "IsSuperuser", true, func(u *User) any { return u.IsSuperuser }, ignored, ignored, ignored, ignored, false},
	{"misspelled", "HashedPassword", "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ", func(u *User) any { return u.HashedPassword }, ignored, ignored, ignored, ignored, false},
	{"misspelled", "Plan", "gold", func(u *User) any { return u.Plan }, ignored, ignored, ignored, ignored, false},
	{"misspelled", "Notes", "eve", func(u *User) any { return u.Notes }, ignored, ignored, ignored, ignored, false},
	{"misspelled", "-", "eve", func(u *User) any { return u.Notes }, ignored, ignored, ignored, ignored, false},
}

const anotherPassword = "another password"

// passwordOf is anotherPassword, if that is u's.
func passwordOf(u *User) string {
	if found, err := weakPasswords().Verify(context.Background(), u.HashedPassword, anotherPassword); err != nil || !found.OK {
		return ""
	}
	return anotherPassword
}

// careless is a provider that knows everybody, and says whatever it is told to of
// who signs in.
type careless struct{ claims map[string]any }

func (c *careless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	said := any(c.claims)
	if r.URL.Path == "/token" {
		said = map[string]any{"access_token": "x", "token_type": "bearer"}
	}
	_ = json.NewEncoder(w).Encode(said)
}

type providerStore interface {
	usher.OAuthAccountStore
	usher.OneTimeStore
}

// withProvider adds oauth's routes with a careless provider to a site.
func (s *site) withProvider(t testing.TB, store providerStore) *careless {
	t.Helper()
	c := &careless{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	mux := http.NewServeMux()
	s.auth.Mount(mux)
	s.listen(t, mux)
	o, err := oauth.New(s.auth, oauth.Config[User]{
		Providers: []oauth.Provider{{
			Name: "careless", ClientID: "id", ClientSecret: "secret", VerifiedField: "email_verified",
			AuthURL: server.URL + "/authorize", TokenURL: server.URL + "/token", UserInfoURL: server.URL + "/userinfo",
		}},
		Backend: "jwt", Accounts: store, OneTime: store, Secret: linkSecret, BaseURL: s.url,
	})
	if err != nil {
		t.Fatal(err)
	}
	o.Mount(mux)
	return c
}

// through goes through a flow with the provider, which says claims. They are in the
// queries, too.
func (s *site) through(t testing.TB, c *careless, flow string, claims map[string]any, headers ...string) answer {
	t.Helper()
	c.claims = claims
	query := url.Values{}
	for name, value := range claims {
		query.Set(name, fmt.Sprint(value))
	}
	a := s.send(t, "GET", flow+"/authorize?"+query.Encode(), nil, headers...).want(t, 200)
	var begun struct {
		URL string `json:"authorization_url"`
	}
	a.json(t, &begun)
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	query.Set("code", "x")
	query.Set("state", mustURL(t, begun.URL).Query().Get("state"))
	return s.send(t, "GET", flow+"/callback?"+query.Encode(), nil, append(headers, "Cookie: "+cookie)...).want(t, 200)
}

// Every kind of field by every route that writes users: what is set, what is
// ignored, and what is answered (B14). With -v it prints the table.
func TestS_B14_RightsByFieldAndRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	provider := s.withProvider(t, s.db)
	s.add(t, "root@example.com", asSuperuser)
	admin := s.signedIn(t, "jwt", "root@example.com")
	n := 0
	fresh := func() string { n++; return fmt.Sprintf("user%d@example.com", n) }
	asJSON := func(v any) string { return string(must(json.Marshal(v))) }
	registered := s.stored(t, s.send(t, "POST", "/auth/register", registering(fresh())).wantUser(t, 201).ID)

	plan, err := usher.FieldsOf[User]()
	if err != nil {
		t.Fatal(err)
	}
	for _, own := range plan.Custom() {
		if name := cmp.Or(own.JSON, own.Column); !slices.ContainsFunc(fieldRights, func(f fieldRight) bool { return f.field == name }) {
			t.Errorf("the table does not have %s", name)
		}
	}
	table := &strings.Builder{}
	row := func(cells ...any) { fmt.Fprintf(table, "%-12s %-16s %-9s %-16s %-18s %-14s %s\n", cells...) }
	row("kind", "field", "register", "PATCH /users/me", "PATCH /users/{id}", "OAuth sign-up", "answered")
	for _, f := range fieldRights {
		// Of what each user has his own two users cannot be compared.
		own := slices.Contains([]string{"id", "email", "hashed_password", "HashedPassword", "created_at", "updated_at"}, f.field)
		outcome := func(before, after *User, comparable bool) string {
			switch was, is := asJSON(f.read(before)), asJSON(f.read(after)); {
			case is == asJSON(f.sent):
				return set
			case comparable && is != was:
				return "changed to " + is
			}
			return ignored
		}
		free := func(body map[string]any) map[string]any { // the address may be set once
			if f.field == "email" {
				if u, err := s.db.UserByEmail(t.Context(), "new@example.com"); err == nil {
					if err := s.auth.DeleteUser(t.Context(), u.ID); err != nil {
						t.Fatal(err)
					}
				}
			}
			body[f.field] = f.sent
			return body
		}
		var got [4]string
		var answers []answer

		a := s.send(t, "POST", "/auth/register", free(registering(fresh())))
		got[0] = outcome(registered, s.stored(t, a.wantUser(t, 201).ID), !own)
		answers = append(answers, a)

		for i, header := range []string{"", admin} {
			u := s.add(t, fresh(), asUnverified)
			path := "/users/" + string(u.ID)
			if i == 0 {
				path, header = "/users/me", s.signedIn(t, "jwt", u.Email)
			}
			u = s.stored(t, u.ID)
			a := s.send(t, "PATCH", path, free(map[string]any{"current_password": goodPassword}), header)
			a.wantUser(t, 200)
			got[1+i] = outcome(u, s.stored(t, u.ID), f.field != "updated_at")
			answers = append(answers, a)
		}

		for _, verified := range []bool{false, true} {
			email := fresh()
			claims := free(map[string]any{"email": email, "email_verified": verified, "name": "Eve"})
			claims["sub"] = email
			if f.field != "id" { // which is the account's
				claims["id"] = email
			}
			token := s.through(t, provider, "/auth/careless", claims).token("jwt")
			a := s.send(t, "GET", "/users/me", nil, carrying("jwt", token))
			u := s.stored(t, a.wantUser(t, 200).ID)
			if u.HashedPassword != "" || u.IsSuperuser || !u.IsActive || u.IsVerified != verified {
				t.Errorf("signed up with %s: %+v", asJSON(claims), u)
			}
			answers = append(answers, a)
			switch result := outcome(registered, u, !own && f.field != "is_verified"); {
			case !verified:
				got[3] = result
			case f.field == "is_verified" && got[3] == ignored && result == set:
				got[3] = policed
			case result != got[3]:
				got[3] += ", then " + result
			}
			if f.field == "id" { // the account is one and the same
				if err := s.auth.DeleteUser(t.Context(), u.ID); err != nil {
					t.Fatal(err)
				}
			}
		}

		for _, a := range answers {
			var members map[string]any
			a.json(t, &members)
			if _, answered := members[f.field]; answered != f.answered {
				t.Errorf("%s is answered: %t, in %s", f.field, answered, a.body)
			}
		}
		row(f.kind, f.field, got[0], got[1], got[2], got[3], fmt.Sprint(f.answered))
		if want := [4]string{f.register, f.me, f.admin, f.provider}; got != want {
			t.Errorf("%s (%s): %q, want %q", f.field, f.kind, got, want)
		}
	}
	t.Log("\n" + table.String())
	if _, err := s.db.UserByID(t.Context(), usher.ID("00000000-0000-4000-8000-000000000000")); err == nil {
		t.Error("somebody has chosen his id")
	}
}

// What else a user can send changes no more of him than it is for, whatever is in
// it (B14). With -v it prints the table.
func TestS_B14_OtherRoutesSetNoFields(t *testing.T) {
	t.Parallel()
	x := newFlows(t)
	provider := x.withProvider(t, x.store)
	all := func(more map[string]any) map[string]any {
		body := map[string]any{}
		for _, f := range fieldRights {
			body[f.field] = f.sent
		}
		delete(body, "email") // which some of them are about
		delete(body, "password")
		for name, value := range more {
			body[name] = value
		}
		return body
	}
	form := func(fields url.Values) url.Values {
		for name, value := range all(nil) {
			fields.Set(name, fmt.Sprint(value))
		}
		return fields
	}
	table := &strings.Builder{}
	for _, test := range []struct {
		method, path string
		status       int
		body         func(u *User, header string) any
		changes      []string
	}{
		{"POST", "/auth/jwt/login", 200, func(u *User, _ string) any { return form(loginForm(u.Email, goodPassword)) }, nil},
		{"POST", "/auth/cookie/login", 204, func(u *User, _ string) any { return form(loginForm(u.Email, goodPassword)) }, nil},
		{"POST", "/auth/request-verify-token", 202, func(u *User, _ string) any { return all(map[string]any{"email": u.Email}) }, nil},
		{"POST", "/auth/forgot-password", 202, func(u *User, _ string) any { return all(map[string]any{"email": u.Email}) }, nil},
		{"POST", "/auth/verify", 200, func(u *User, _ string) any { return all(map[string]any{"token": x.verifyToken(t, u.Email)}) }, []string{"is_verified"}},
		{"POST", "/auth/reset-password", 200, func(u *User, _ string) any {
			return all(map[string]any{"token": x.resetToken(t, u.Email), "password": "the new password"})
		}, []string{"hashed_password", "epoch"}},
		{"POST", "/auth/confirm-email", 200, func(u *User, header string) any {
			return all(map[string]any{"token": x.emailToken(t, header, "new."+u.Email)})
		}, []string{"email", "is_verified", "epoch"}},
		{"PATCH", "/users/{id}", 403, func(*User, string) any { return all(nil) }, nil},
		{"DELETE", "/users/{id}", 403, func(*User, string) any { return all(nil) }, nil},
		{"POST", "/auth/jwt/logout", 204, func(*User, string) any { return all(nil) }, nil},
		{"GET", "/auth/associate/careless", 200, nil, []string{"epoch"}}, // the links mailed before end
	} {
		u := x.add(t, string(usher.NewID())+"@example.com", asUnverified)
		header := x.signedIn(t, "jwt", u.Email)
		var body any
		if test.body != nil {
			body = test.body(u, header)
		}
		before := x.stored(t, u.ID)
		if body == nil {
			claims := all(map[string]any{"email": u.Email, "email_verified": true, "sub": u.Email, "id": u.Email})
			x.through(t, provider, test.path, claims, header)
		} else {
			query := "?" + form(url.Values{}).Encode()
			x.send(t, test.method, strings.ReplaceAll(test.path, "{id}", string(u.ID))+query, body, header).want(t, test.status)
		}
		after := x.stored(t, u.ID)
		changes := []string{}
		for _, f := range fieldRights {
			if f.kind != "misspelled" && f.field != "updated_at" && fmt.Sprint(f.read(before)) != fmt.Sprint(f.read(after)) {
				changes = append(changes, f.field)
			}
		}
		slices.Sort(changes)
		slices.Sort(test.changes)
		if !slices.Equal(changes, test.changes) {
			t.Errorf("%s %s changes %q, want %q", test.method, test.path, changes, test.changes)
		}
		if after.IsSuperuser || !after.IsActive || after.HashedPassword == "$argon2id$v=19$m=8,t=1,p=1$YQ$YQ" {
			t.Errorf("%s %s: %+v", test.method, test.path, after)
		}
		fmt.Fprintf(table, "%-6s %-28s %d  changes %s\n", test.method, test.path, test.status, strings.Join(changes, ", "))
	}
	t.Log("\n" + table.String())
}
