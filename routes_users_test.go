package usher_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"usher"
)

// userMembers are the members of a user in an answer: no more, no less.
var userMembers = []string{"email", "first_name", "id", "is_active", "is_superuser", "is_verified", "plan", "score"}

// wantUser checks that an answer is a user and nothing else, and returns it.
func (a answer) wantUser(t testing.TB, status int) (u User) {
	t.Helper()
	a.want(t, status).wantSecureHeaders(t)
	var members map[string]json.RawMessage
	a.json(t, &members)
	if got := slices.Sorted(maps.Keys(members)); !slices.Equal(got, userMembers) {
		t.Errorf("members %q, want %q", got, userMembers)
	}
	if a.header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type %q", a.header.Get("Content-Type"))
	}
	a.json(t, &u)
	return u
}

// What a client sends for a member that it may not set.
var forbidden = map[string][]any{
	"id":              {"00000000-0000-4000-8000-000000000000", 1, nil, map[string]any{}},
	"ID":              {"00000000-0000-4000-8000-000000000000"},
	"user_id":         {"00000000-0000-4000-8000-000000000000"},
	"userId":          {"00000000-0000-4000-8000-000000000000"},
	"sub":             {"00000000-0000-4000-8000-000000000000"},
	"hashed_password": {"$argon2id$v=19$m=8,t=1,p=1$YQ$YQ", "", nil, 1},
	"HashedPassword":  {"!"},
	"email_key":       {"eve@example.com"},
	"epoch":           {99, -1},
	"Epoch":           {99},
	"created_at":      {"1970-01-01T00:00:00Z", 0},
	"updated_at":      {"1970-01-01T00:00:00Z"},
	"score":           {1000, "x", nil},
	"Score":           {1000},
	"notes":           {"eve"},
	"Notes":           {"eve"},
	"User":            {map[string]any{"IsSuperuser": true, "is_superuser": true}},
	"IsSuperuser":     {true},
	"Is_Superuser":    {true},
	"isSuperuser":     {true},
	"role":            {"admin"},
	"oauth_accounts":  {[]any{map[string]any{"x": 1}}},
	"sessions":        {[]any{}},
	"__proto__":       {map[string]any{"is_superuser": true}},
	"":                {true},
}

var forbiddenFlags = map[string][]any{
	"is_active":    {false, 0, "no", nil},
	"is_superuser": {true, 1, "yes", "on", nil},
	"is_verified":  {true, "t", 1, nil},
	"plan":         {"gold", nil, 1}, // superusers may set it
}

// sameUser compares two users but for the time of the last change.
func sameUser(t testing.TB, what string, got, want *User) {
	t.Helper()
	a, b := *got, *want
	a.UpdatedAt, b.UpdatedAt = want.UpdatedAt, want.UpdatedAt
	a.FirstName, b.FirstName = nil, nil
	if a != b {
		t.Errorf("%s made %+v of %+v", what, *got, *want)
	}
	if (got.FirstName == nil) != (want.FirstName == nil) || got.FirstName != nil && *got.FirstName != *want.FirstName {
		t.Errorf("%s changed first_name", what)
	}
}

// Nobody sets what is not his to set: B14, KNOWN-FLAWS 48 and 99 (ids in the
// body replace no subject), recording me.patch.
func TestS_B14_MassAssignment(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com", func(u *User) { u.Plan, u.Score, u.Notes = "free", 7, "private" })
	eve := s.add(t, "eve@example.com")
	s.add(t, "root@example.com", asSuperuser)
	header, admin := s.signedIn(t, "bearer-db", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	ann = s.stored(t, ann.ID)
	all := maps.Clone(forbidden)
	maps.Copy(all, forbiddenFlags)
	all["id"] = append(all["id"], eve.ID)
	all["user_id"] = append(all["user_id"], eve.ID)
	i := 0
	for name, values := range all {
		for _, value := range values {
			what, _ := json.Marshal(map[string]any{name: value})
			i++
			email := "new" + strings.Repeat("x", i%50) + string(rune('a'+i%26)) + string(rune('a'+i/26)) + "@example.com"
			body := map[string]any{"email": email, "password": goodPassword, name: value}
			if name == "plan" && value == 1 {
				continue // for superusers, below
			}
			u := s.send(t, "POST", "/auth/register", body).wantUser(t, 201)
			got := s.stored(t, u.ID)
			if u.ID == "00000000-0000-4000-8000-000000000000" || u.ID == ann.ID || !isCurrent(got.HashedPassword) || !got.IsActive || got.IsSuperuser || got.IsVerified ||
				got.Plan != "" || got.Score != 0 || got.Notes != "" || got.Epoch != 0 || got.CreatedAt.Year() < 2000 {
				t.Errorf("register with %s made %+v", what, *got)
			}
			if u := s.send(t, "PATCH", "/users/me", map[string]any{name: value}, header).wantUser(t, 200); u.ID != ann.ID {
				t.Errorf("PATCH /users/me with %s answers for %s", what, u.Email)
			}
			sameUser(t, "PATCH /users/me with "+string(what), s.stored(t, ann.ID), ann)
			if _, flag := forbiddenFlags[name]; !flag { // even a superuser may not set those
				s.send(t, "PATCH", "/users/"+string(ann.ID), map[string]any{name: value}, admin).wantUser(t, 200)
				sameUser(t, "PATCH /users/{id} with "+string(what), s.stored(t, ann.ID), ann)
			}
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	if got := s.stored(t, eve.ID); got.Epoch != eve.Epoch || got.HashedPassword != eve.HashedPassword {
		t.Errorf("somebody else was changed: %+v", got)
	}
	// What may be set, is.
	s.send(t, "PATCH", "/users/me", map[string]any{"first_name": "Ann"}, header).wantUser(t, 200)
	got := s.send(t, "PATCH", "/users/"+string(ann.ID), map[string]any{"plan": "gold", "is_superuser": "yes", "is_verified": 0}, admin).wantUser(t, 200)
	if *got.FirstName != "Ann" || got.Plan != "gold" || !got.IsSuperuser || got.IsVerified || !got.IsActive {
		t.Errorf("after what may be set: %+v", got)
	}
	// On the other routes with a body, or where one is sent all the same.
	for _, name := range []string{"id", "user_id", "sub", "userId", "email"} {
		var me User
		s.send(t, "GET", "/users/me", map[string]any{name: eve.ID}, header).want(t, 200).json(t, &me)
		if me.ID != ann.ID {
			t.Errorf("GET /users/me with %s: %s", name, me.Email)
		}
		fresh := s.signedIn(t, "bearer-db", "ann@example.com")
		s.signedIn(t, "bearer-db", "eve@example.com")
		s.send(t, "POST", "/auth/bearer-db/logout", map[string]any{name: eve.ID}, fresh).want(t, 204)
		fresh = s.signedIn(t, "bearer-db", "ann@example.com")
		s.send(t, "DELETE", "/users/me/sessions", map[string]any{name: eve.ID}, fresh).want(t, 204)
		login := loginForm("ann@example.com", goodPassword)
		login.Set(name, string(eve.ID))
		token := s.send(t, "POST", "/auth/bearer-db/login", login).want(t, 200).token("bearer-db")
		header = carrying("bearer-db", token)
	}
	if list, err := s.auth.ListSessions(t.Context(), eve.ID); err != nil || len(list) != 5 {
		t.Errorf("somebody else's sessions: %d, %v, want 5", len(list), err)
	}
}

// Members of the wrong type are a 422 that names them, null included, and never
// a 500 (DEFECTS G, recordings register.types and me.patch); nothing is saved.
func TestDefect_G_WrongTypes(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	header, admin := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	ann = s.stored(t, ann.ID)
	id := "/users/" + string(ann.ID)
	type m = map[string]any
	for _, test := range []struct {
		request string
		body    m
		places  []string
	}{
		{"POST /auth/register", m{"email": nil, "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": 1.5, "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": []any{"a@example.com", "b@example.com"}, "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": "new@example.com", "password": nil}, []string{"body.password"}},
		{"POST /auth/register", m{"email": "new@example.com", "password": []any{"a"}}, []string{"body.password"}},
		{"POST /auth/register", m{"email": "new@example.com"}, []string{"body.password"}},
		{"POST /auth/register", m{"password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"Email": "new@example.com", "Password": goodPassword}, []string{"body.email", "body.password"}},
		{"POST /auth/register", m{}, []string{"body.email", "body.password"}},
		{"POST /auth/register", m{"email": 1, "password": 2, "is_active": "banana", "first_name": 3}, []string{"body.email", "body.password", "body.is_active", "body.first_name"}},
		{"POST /auth/register", m{"email": "new@example.com", "password": goodPassword, "is_superuser": 2}, []string{"body.is_superuser"}},
		{"POST /auth/register", m{"email": "new@example.com", "password": goodPassword, "first_name": m{}}, []string{"body.first_name"}},
		{"POST /auth/register", m{"email": "not an address", "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": "Ann <ann2@example.com>", "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": "a@example.com,b@example.com", "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": "a@example.com\r\nBcc: b@example.com", "password": goodPassword}, []string{"body.email"}},
		{"POST /auth/register", m{"email": "", "password": goodPassword}, []string{"body.email"}},
		{"PATCH /users/me", m{"email": nil, "current_password": goodPassword}, []string{"body.email"}},
		{"PATCH /users/me", m{"email": 1}, []string{"body.email"}},
		{"PATCH /users/me", m{"email": "x"}, []string{"body.email"}},
		{"PATCH /users/me", m{"password": 1}, []string{"body.password"}},
		{"PATCH /users/me", m{"password": m{}}, []string{"body.password"}},
		{"PATCH /users/me", m{"first_name": 1}, []string{"body.first_name"}},
		{"PATCH /users/me", m{"is_superuser": "banana"}, []string{"body.is_superuser"}},
		{"PATCH /users/me", m{"is_active": []any{}}, []string{"body.is_active"}},
		{"PATCH " + id, m{"email": nil}, []string{"body.email"}},
		{"PATCH " + id, m{"is_active": nil}, []string{"body.is_active"}},
		{"PATCH " + id, m{"is_superuser": nil, "is_verified": nil}, []string{"body.is_superuser", "body.is_verified"}},
		{"PATCH " + id, m{"plan": nil}, []string{"body.plan"}},
		{"PATCH " + id, m{"plan": 7}, []string{"body.plan"}},
		{"PATCH " + id, m{"is_active": 0.5}, []string{"body.is_active"}},
		{"PATCH " + id, m{"email": "fresh@example.com", "is_active": "maybe"}, []string{"body.is_active"}},
	} {
		method, path, _ := strings.Cut(test.request, " ")
		credential := header
		if path == id {
			credential = admin
		}
		a := s.send(t, method, path, test.body, credential).wantSecureHeaders(t)
		if a.wantInvalid(t, test.places...); t.Failed() {
			t.Fatalf("%s %v", test.request, test.body)
		}
	}
	sameUser(t, "a refused request", s.stored(t, ann.ID), ann)
	if users, err := s.db.ListUsers(t.Context(), usher.UserQuery{Limit: 10}); err != nil || len(users) != 2 {
		t.Errorf("%d users, %v, want 2", len(users), err)
	}
	// What may be null, is.
	s.send(t, "PATCH", "/users/me", m{"first_name": "Ann"}, header).wantUser(t, 200)
	if u := s.send(t, "PATCH", "/users/me", m{"first_name": nil, "password": nil, "is_active": nil, "id": nil}, header).wantUser(t, 200); u.FirstName != nil {
		t.Errorf("first_name %q", *u.FirstName)
	}
	s.send(t, "PATCH", "/users/me", m{}, header).wantUser(t, 200)
	sameUser(t, "null", s.stored(t, ann.ID), ann)
	s.login(t, "jwt", "ann@example.com")
}

// No answer repeats a password (DEFECTS D), whatever else is wrong, and no log
// line does.
func TestDefect_D_NoAnswerRepeatsAPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	header, admin := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com")
	const canary = "canary-8c1f"
	bodies := []string{
		`{"password":"` + canary + `"}`,
		`{"email":1,"password":"` + canary + `"}`,
		`{"email":"x","password":"` + canary + `","current_password":"` + canary + `"}`,
		`{"email":"b@example.com","password":["` + canary + `"]}`,
		`{"email":"b@example.com","password":{"p":"` + canary + `"}}`,
		`{"email":"b@example.com","password":"` + canary + `","current_password":["` + canary + `"]}`,
		`{"email":"b@example.com","password":"` + canary + `","password":"` + canary + `"}`,
		`{"email":"b@example.com","password":"` + canary + `","is_active":"banana"}`,
		`{"email":"b@example.com","password":"` + canary + `","first_name":1}`,
		`{"email":"b@example.com","password":"` + canary + `",}`,
		`{"email":"b@example.com","password":"` + canary,
		`{"email":"b@example.com","password":"` + canary + `\ud800"}`,
		`{"email":"b@example.com","password":"` + canary + `` + "\x01" + `"}`,
		`{"email":"canary-8c1@example.com","password":"canary-8c1@example.com` + canary + `"}`,
		`{"token":1,"password":"` + canary + `"}`,
		`{"token":"x","password":["` + canary + `"]}`,
		`["` + canary + `"]`, `"` + canary + `"`, `password=` + canary,
	}
	for _, path := range []string{"POST /auth/register", "PATCH /users/me", "PATCH /users/" + string(ann.ID), "POST /auth/reset-password", "POST /auth/verify", "POST /auth/forgot-password"} {
		for _, contentType := range []string{"application/json", "text/plain", "application/x-www-form-urlencoded"} {
			for _, body := range bodies {
				method, path, _ := strings.Cut(path, " ")
				a := s.send(t, method, path, body, "Content-Type: "+contentType, map[bool]string{true: header, false: admin}[path == "/users/me"])
				if a.status != 422 && a.status != 400 && a.status/100 != 2 {
					t.Errorf("%s with %s: %d", path, body, a.status)
				}
				if strings.Contains(a.everything(), canary) {
					t.Errorf("%s repeats the password of %s: %s", path, body, a.body)
				}
			}
		}
	}
	if strings.Contains(s.log.String(), canary) {
		t.Error("the log repeats a password")
	}
}

// On the superusers' routes 401 comes before 403 and that before 404, whatever
// the id (F7, recording users.get); an id is read in every spelling of a UUID.
func TestS_F7_UsersById(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	ann := s.add(t, "ann@example.com")
	s.add(t, "root@example.com", asSuperuser)
	s.add(t, "ex@example.com", asSuperuser)
	user, admin, ex := s.signedIn(t, "jwt", "ann@example.com"), s.signedIn(t, "jwt", "root@example.com"), s.signedIn(t, "jwt", "ex@example.com")
	exUser, err := s.auth.UserByEmail(t.Context(), "ex@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.auth.UpdateUser(t.Context(), exUser.ID, usher.Change[User]{IsActive: new(false)}); err != nil {
		t.Fatal(err)
	}
	id := string(ann.ID)
	good := []string{id, strings.ToUpper(id), "%7B" + id + "%7D", strings.ReplaceAll(id, "-", ""), "urn:uuid:" + id}
	bad := []string{
		string(usher.NewID()), "00000000-0000-4000-8000-000000000000", "00000000000000000000000000000000", "abc", "1", "-1", "0", "9223372036854775808",
		"%20" + id, id + "%20", id + "%00", "%00", id + "%0A", "%FF", "%FF%FE" + id, strings.Repeat("a", 500), id + id, id[:35], "%27%20OR%201=1", "me%00", "ME", "null", "%7B%7D",
	}
	for _, path := range append(slices.Clone(good), bad...) {
		path = "/users/" + path
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			var body any
			if method == "PATCH" {
				body = map[string]any{}
			}
			s.send(t, method, path, body).wantDetail(t, 401, "Unauthorized")
			s.send(t, method, path, body, "Authorization: Bearer x").wantDetail(t, 401, "Unauthorized")
			s.send(t, method, path, body, ex).wantDetail(t, 401, "Unauthorized")
			s.send(t, method, path, body, user).wantDetail(t, 403, "Forbidden")
			if t.Failed() {
				t.Fatalf("%s %s", method, path)
			}
		}
	}
	for _, path := range good {
		for _, method := range []string{"GET", "PATCH"} {
			u := s.send(t, method, "/users/"+path, map[string]any{}, admin).wantUser(t, 200)
			if u.ID != ann.ID {
				t.Errorf("%s %s: %s", method, path, u.Email)
			}
		}
	}
	for _, path := range bad {
		for _, method := range []string{"GET", "PATCH", "DELETE"} {
			if s.send(t, method, "/users/"+path, map[string]any{}, admin).wantDetail(t, 404, "Not Found"); t.Failed() {
				t.Fatalf("%s /users/%s", method, path)
			}
		}
	}
	// A slash at the end, however spelled, is a redirect for everybody, and a path
	// that would have to be cleaned is nobody's (D13, D16).
	for path, location := range map[string]string{"/users/" + id + "/": "/users/" + id, "/users/" + id + "%2F": "/users/" + id} {
		if got := s.send(t, "GET", path, nil).want(t, 307).wantSecureHeaders(t).header.Get("Location"); got != location {
			t.Errorf("%s redirects to %q, want %q", path, got, location)
		}
	}
	for _, path := range []string{"/users/%2E%2E", "/users/../users/" + id, "//users/" + id, "/%2Fevil.example/", "/users//" + id} {
		s.send(t, "GET", path, nil, admin).wantDetail(t, 404, "Not Found")
	}
	// Recording users.delete.
	s.send(t, "DELETE", "/users/"+good[1], map[string]any{}, admin).want(t, 204)
	s.send(t, "DELETE", "/users/"+id, nil, admin).wantDetail(t, 404, "Not Found")
	root, err := s.auth.UserByEmail(t.Context(), "root@example.com")
	if err != nil {
		t.Fatal(err)
	}
	s.send(t, "PATCH", "/users/"+string(root.ID), map[string]any{"is_superuser": false}, admin).wantUser(t, 200)
	s.send(t, "GET", "/users/"+string(root.ID), nil, admin).wantDetail(t, 403, "Forbidden")
	if _, err := s.auth.UpdateUser(t.Context(), root.ID, usher.Change[User]{IsSuperuser: new(true)}); err != nil {
		t.Fatal(err)
	}
	s.send(t, "DELETE", "/users/"+string(root.ID), nil, admin).want(t, 204)
	s.wantAlive(t, "a superuser who deleted himself", admin, false)
}
