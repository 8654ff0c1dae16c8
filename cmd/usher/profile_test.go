package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"usher/ushertest"
)

// withProfile declares a field of each right and of each type.
func withProfile(t testing.TB) Config {
	c := testConfig(t)
	c.Profile = map[string]ProfileField{
		"name":    {Type: "string", Access: "write", MaxLength: 5},
		"plan":    {Type: "enum", Values: []string{"free", "pro", "team"}, Access: "admin", Default: "free"},
		"score":   {Type: "integer", Default: 0},
		"ledger":  {Type: "string", Access: "hidden", Default: "canary"},
		"motto":   {Type: "string", Access: "write", Nullable: true, Default: "none", Pattern: "^[a-z]+$"},
		"age":     {Type: "integer", Access: "write", Min: new(0.0), Max: new(150.0)},
		"weight":  {Type: "number", Access: "write"},
		"news":    {Type: "boolean", Access: "write", Nullable: true},
		"born":    {Type: "timestamp", Access: "write"},
		"options": {Type: "json", Access: "write", MaxLength: 400},
	}
	return c
}

// profileOf is the profile of an answer.
func profileOf(t testing.TB, a answer) map[string]any {
	t.Helper()
	var user struct{ Profile map[string]any }
	if err := json.Unmarshal([]byte(a.body), &user); err != nil || user.Profile == nil {
		t.Fatalf("%s: %v", a.body, err)
	}
	return user.Profile
}

// superuser makes one of a user by other means, and returns the header.
func (b *booted) superuser(c Config, email string) string {
	b.t.Helper()
	b.register(email)
	db, err := openDatabase(b.t.Context(), c.Database, c.userIDs()...)
	if err != nil {
		b.t.Fatal(err)
	}
	defer db.Close()
	user, err := db.UserByEmail(b.t.Context(), email)
	if err != nil {
		b.t.Fatal(err)
	}
	root := *user
	root.IsSuperuser = true
	if err := db.UpdateUser(b.t.Context(), user, &root); err != nil {
		b.t.Fatal(err)
	}
	return b.bearer("jwt", email)
}

func registrationWith(email, profile string) string {
	return fmt.Sprintf(`{"email": %q, "password": %q, "profile": %s}`, email, goodPassword, profile)
}

// Without declared fields the wire is FastAPI Users' own.
func TestNoProfile(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	const want = `{"email":"ada@example.com","is_active":true,"is_superuser":false,"is_verified":false}`
	check := func(a answer) {
		t.Helper()
		var members map[string]any
		if err := json.Unmarshal([]byte(a.body), &members); err != nil {
			t.Fatal(err)
		}
		if delete(members, "id"); jsonOf(members) != want {
			t.Errorf("got %s, want %s", a.body, want)
		}
	}
	check(b.want(201, "POST", "/auth/register", registrationWith("ada@example.com", `{"name": "Ada"}`)))
	jwt := b.bearer("jwt", "ada@example.com")
	check(b.want(200, "PATCH", "/users/me", `{"profile": 5}`, "Authorization", jwt))
	check(b.want(200, "GET", "/users/me", "", "Authorization", jwt))
	check(b.want(200, "GET", "/users/me", "", "Cookie", b.cookie("ada@example.com")))
}

// PATCH merges: a member that is absent stays, and null is a value.
func TestProfilePatch(t *testing.T) {
	t.Parallel()
	c := withProfile(t)
	b := boot(t, c)
	unset := map[string]any{
		"name": nil, "plan": "free", "score": 0.0, "motto": "none", "age": nil, "weight": nil, "news": nil, "born": nil, "options": nil,
	}
	check := func(a answer, changes map[string]any) {
		t.Helper()
		want := map[string]any{}
		for _, members := range []map[string]any{unset, changes} {
			for name, value := range members {
				want[name] = value
			}
		}
		if got := profileOf(t, a); jsonOf(got) != jsonOf(want) {
			t.Errorf("got  %s\nwant %s", jsonOf(got), jsonOf(want))
		}
	}
	check(b.want(201, "POST", "/auth/register", registration("bob@example.com", goodPassword)), nil)
	type m = map[string]any
	check(b.want(201, "POST", "/auth/register", registrationWith("ada@example.com", `{"name": "Ädäé!", "age": 36, "weight": 5.5}`)),
		m{"name": "Ädäé!", "age": 36, "weight": 5.5})
	jwt, cookie := b.bearer("jwt", "ada@example.com"), b.cookie("ada@example.com")
	now := m{"name": "Ädäé!", "age": 36, "weight": 5.5}
	for _, step := range []struct {
		body    string
		changes m
	}{
		{`{}`, nil},
		{`{"profile": {}}`, nil},
		{`{"profile": {"name": ""}}`, m{"name": ""}},
		{`{"profile": {"motto": null}}`, m{"motto": nil}},
		{`{"profile": {"motto": "onward", "news": false}}`, m{"motto": "onward", "news": false}},
		{`{"profile": {"news": null, "age": 0}}`, m{"news": nil, "age": 0}},
		{`{"profile": {"born": "1815-12-10T12:00:00.1234567+01:00"}}`, m{"born": "1815-12-10T11:00:00.123456Z"}},
		{`{"profile": {"options": {"a": [1, {"b": "é"}], "n": 1.50}}}`, m{"options": m{"a": []any{1, m{"b": "é"}}, "n": 1.5}}},
		{`{"profile": {"options": []}}`, m{"options": []any{}}}, // in place of the old value: nothing is merged in it
	} {
		for name, value := range step.changes {
			now[name] = value
		}
		check(b.want(200, "PATCH", "/users/me", step.body, "Authorization", jwt), now)
		check(b.want(200, "GET", "/users/me", "", "Authorization", jwt), now)
		check(b.want(200, "GET", "/users/me", "", "Cookie", cookie), now) // read together with its session
	}
}

// Numbers are kept exactly where 64 bits are enough.
func TestProfileKeepsIntegers(t *testing.T) {
	t.Parallel()
	c := withProfile(t)
	c.Profile["big"] = ProfileField{Type: "integer", Access: "write"}
	b := boot(t, c)
	a := b.want(201, "POST", "/auth/register", registrationWith("ada@example.com", `{"big": 9223372036854775807, "options": {"n": -9223372036854775808}}`))
	for _, a := range []answer{a, b.want(200, "GET", "/users/me", "", "Cookie", b.cookie("ada@example.com"))} {
		if !strings.Contains(a.body, `"big":9223372036854775807`) || !strings.Contains(a.body, `{"n":-9223372036854775808}`) {
			t.Error(a.body)
		}
	}
}

// Who sets what, on every route that creates or changes a user (mass assignment:
// G10, H6). What may not be set is ignored, as is_superuser is; a hidden field is
// as good as none.
func TestProfileRights(t *testing.T) {
	t.Parallel()
	c := withProfile(t)
	p := ushertest.NewFakeProvider(t)
	c.OAuth = withProvider(t, p).OAuth
	b := boot(t, c)
	root := b.superuser(c, "root@example.com")
	stored := func(email string) map[string]json.RawMessage {
		t.Helper()
		db, err := openDatabase(t.Context(), c.Database)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		user, err := db.UserByEmail(t.Context(), email)
		if err != nil {
			t.Fatal(err)
		}
		return user.Profile
	}
	routes := map[string]func(email, profile string) answer{
		"register": func(email, profile string) answer {
			return b.do("POST", "/auth/register", registrationWith(email, profile))
		},
		"me": func(email, profile string) answer {
			b.register(email)
			return b.do("PATCH", "/users/me", `{"profile": `+profile+`}`, "Authorization", b.bearer("jwt", email))
		},
		"superuser on me": func(email, profile string) answer { // who is a user there
			header := b.superuser(c, email)
			return b.do("PATCH", "/users/me", `{"profile": `+profile+`}`, "Authorization", header)
		},
		"superuser": func(email, profile string) answer {
			a := b.want(201, "POST", "/auth/register", registration(email, goodPassword))
			var user struct{ ID string }
			if err := json.Unmarshal([]byte(a.body), &user); err != nil {
				t.Fatal(err)
			}
			return b.do("PATCH", "/users/"+user.ID, `{"profile": `+profile+`}`, "Authorization", root)
		},
		"user on another": func(email, profile string) answer {
			a := b.want(201, "POST", "/auth/register", registration(email, goodPassword))
			var user struct{ ID string }
			if err := json.Unmarshal([]byte(a.body), &user); err != nil {
				t.Fatal(err)
			}
			return b.do("PATCH", "/users/"+user.ID, `{"profile": `+profile+`}`, "Authorization", b.bearer("jwt", email))
		},
	}
	n := 0
	for _, test := range []struct {
		route, profile string
		status         int
		stored         string
	}{
		{"register", `{"name": "Ada"}`, 201, `{"name":"Ada"}`},
		{"register", `{"name": "Ada", "plan": "pro", "score": 9}`, 201, `{"name":"Ada"}`},
		{"register", `{"plan": "pro"}`, 201, `null`},
		{"register", `{"score": 9}`, 201, `null`},
		{"register", `{"score": "of another type"}`, 201, `null`},
		{"register", `{"ledger": "x"}`, 422, ``},
		{"me", `{"name": "Ada", "plan": "pro", "score": 9}`, 200, `{"name":"Ada"}`},
		{"me", `{"plan": "pro"}`, 200, `null`},
		{"me", `{"plan": null}`, 200, `null`},
		{"me", `{"score": 9}`, 200, `null`},
		{"me", `{"ledger": "x"}`, 422, `null`},
		{"superuser on me", `{"name": "Ada", "plan": "pro", "score": 9}`, 200, `{"name":"Ada"}`},
		{"superuser", `{"name": "Ada", "plan": "pro", "score": 9}`, 200, `{"name":"Ada","plan":"pro"}`},
		{"superuser", `{"score": 9}`, 200, `null`},
		{"superuser", `{"ledger": "x"}`, 422, `null`},
		{"superuser", `{"plan": "gold"}`, 422, `null`},
		{"user on another", `{"name": "Eve", "plan": "pro"}`, 403, `null`},
	} {
		n++
		email := fmt.Sprintf("u%d@example.com", n)
		a := routes[test.route](email, test.profile)
		if a.StatusCode != test.status {
			t.Errorf("%s %s: got %d %s, want %d", test.route, test.profile, a.StatusCode, a.body, test.status)
			continue
		}
		if test.stored == "" {
			continue
		}
		if got := jsonOf(stored(email)); got != test.stored {
			t.Errorf("%s %s: stored %s, want %s", test.route, test.profile, got, test.stored)
		}
	}

	// What comes back from a provider sets nothing.
	p.SetUser(ushertest.ProviderUser{ID: "1", Email: "sso@example.com", EmailVerified: true})
	if a := b.callback(p, "/auth/sso"); a.StatusCode != 204 {
		t.Fatalf("%d %s", a.StatusCode, a.body)
	}
	if got := jsonOf(stored("sso@example.com")); got != "null" {
		t.Errorf("a provider set %s", got)
	}
	// Who has an account at one is shown with the profile, too.
	if a := b.callback(p, "/auth/associate/forge", "Authorization", b.bearer("jwt", "u1@example.com")); a.StatusCode != 200 || profileOf(t, a)["name"] != "Ada" {
		t.Errorf("%d %s", a.StatusCode, a.body)
	}

	// Nobody is shown what is hidden.
	list := b.want(200, "GET", "/users?limit=100", "", "Authorization", root)
	if strings.Contains(list.body, "ledger") || strings.Contains(list.body, "canary") || strings.Count(list.body, `"plan":"free"`) < n {
		t.Error(list.body)
	}
}

// Everything that is wrong is told at once, with its place.
func TestProfileRefusals(t *testing.T) {
	t.Parallel()
	c := withProfile(t)
	b := boot(t, c)
	b.register("ada@example.com")
	jwt := b.bearer("jwt", "ada@example.com")
	deep := strings.Repeat("[", 31) + strings.Repeat("]", 31)
	for _, test := range []struct{ profile, faults string }{
		{`5`, "profile model_attributes_type"},
		{`null`, "profile model_attributes_type"},
		{`["name"]`, "profile model_attributes_type"},
		{`{"colour": "red"}`, "profile.colour extra_forbidden"},
		{`{"ledger": "x"}`, "profile.ledger extra_forbidden"}, // not to be told from what there is not
		{`{"Name": "x"}`, "profile.Name extra_forbidden"},
		{`{"name": "x", "name": "y"}`, "profile.name value_error"},
		{`{"name": 5}`, "profile.name string_type"},
		{`{"name": null}`, "profile.name string_type"},
		{`{"name": "sixsix"}`, "profile.name string_too_long"},
		{`{"name": "\u0000"}`, "profile.name value_error"},
		{`{"name": "\ud800"}`, "profile.name string_unicode"},
		{`{"options": ["\ud800"]}`, "profile.options string_unicode"},
		{`{"motto": "UP"}`, "profile.motto string_pattern_mismatch"},
		{`{"age": "5"}`, "profile.age int_type"},
		{`{"age": 5.5}`, "profile.age int_type"},
		{`{"age": 9223372036854775808}`, "profile.age int_type"},
		{`{"age": -1}`, "profile.age greater_than_equal"},
		{`{"age": 151}`, "profile.age less_than_equal"},
		{`{"weight": "5"}`, "profile.weight float_type"},
		{`{"weight": 1e999}`, "profile.weight float_type"},
		{`{"weight": NaN}`, "profile.weight value_error"},
		{`{"weight": null}`, "profile.weight float_type"},
		{`{"news": "yes"}`, "profile.news bool_type"},
		{`{"born": "yesterday"}`, "profile.born value_error"},
		{`{"born": 5}`, "profile.born value_error"},
		{`{"born": null}`, "profile.born value_error"},
		{`{"born": "0000-01-01T00:00:00+01:00"}`, "profile.born value_error"},
		{`{"options": null}`, "profile.options value_error"},
		{`{"options": {"a": "\u0000"}}`, "profile.options value_error"},
		{`{"options": {"\u0000": 1}}`, "profile.options value_error"},
		{`{"options": [1e999]}`, "profile.options value_error"},
		{`{"options": ` + deep + `}`, "profile.options value_error"},
		{`{"options": "` + strings.Repeat("x", 399) + `"}`, "profile.options too_long"},
		{`{"name": 5, "age": "x", "colour": 1}`, "profile.age int_type, profile.colour extra_forbidden, profile.name string_type"},
	} {
		before := b.want(200, "GET", "/users/me", "", "Authorization", jwt).body
		for route, a := range map[string]answer{
			"PATCH":    b.do("PATCH", "/users/me", `{"profile": `+test.profile+`}`, "Authorization", jwt),
			"register": b.do("POST", "/auth/register", registrationWith("new@example.com", test.profile)),
		} {
			if got := faultsOf(t, a); got != test.faults {
				t.Errorf("%s %s: got %d %s, want %s", route, test.profile, a.StatusCode, got, test.faults)
			}
		}
		if after := b.want(200, "GET", "/users/me", "", "Authorization", jwt).body; after != before {
			t.Errorf("%s: changed to %s", test.profile, after)
		}
	}
	// Together with what is wrong with the rest.
	a := b.do("POST", "/auth/register", `{"email": "x", "profile": {"name": 5}}`)
	if got := faultsOf(t, a); !strings.Contains(got, "email value_error") || !strings.Contains(got, "password missing") || !strings.Contains(got, "profile.name string_type") {
		t.Errorf("got %s", got)
	}
	// An answer is not much longer than what it answers.
	var many []string
	for i := range 5000 {
		many = append(many, fmt.Sprintf(`"x%d":0`, i))
	}
	a = b.do("PATCH", "/users/me", `{"profile": {`+strings.Join(many, ",")+`}}`, "Authorization", jwt)
	if a.StatusCode != 422 || len(a.body) > 20_000 {
		t.Errorf("%d with %d bytes", a.StatusCode, len(a.body))
	}
}

// faultsOf are the places and types of a 422, sorted.
func faultsOf(t testing.TB, a answer) string {
	t.Helper()
	var body struct {
		Detail []struct {
			Type string
			Loc  []string
		}
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil || a.StatusCode != 422 {
		t.Errorf("%d %s: %v", a.StatusCode, a.body, err)
	}
	var faults []string
	for _, fault := range body.Detail {
		faults = append(faults, strings.TrimPrefix(strings.Join(fault.Loc, "."), "body.")+" "+fault.Type)
	}
	slices.Sort(faults)
	return strings.Join(faults, ", ")
}

func TestProfileRequired(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	p := ushertest.NewFakeProvider(t)
	c.OAuth = withProvider(t, p).OAuth
	c.Profile = map[string]ProfileField{"name": {Type: "string", Access: "write", Required: true}, "nick": {Type: "string", Access: "write"}}
	b := boot(t, c)
	for _, body := range []string{registration("ada@example.com", goodPassword), registrationWith("ada@example.com", `{"nick": "x"}`)} {
		if got := faultsOf(t, b.do("POST", "/auth/register", body)); got != "profile.name missing" {
			t.Errorf("%s: %s", body, got)
		}
	}
	b.want(201, "POST", "/auth/register", registrationWith("ada@example.com", `{"name": ""}`))
	b.want(200, "PATCH", "/users/me", `{"profile": {"nick": "x"}}`, "Authorization", b.bearer("jwt", "ada@example.com"))
	if a := b.callback(p, "/auth/sso"); a.StatusCode != 204 { // where nobody is asked
		t.Errorf("%d %s", a.StatusCode, a.body)
	}
}
