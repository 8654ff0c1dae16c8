package usher_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/http/httputil"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"usher"

	"github.com/redis/rueidis"
)

// dumpSQL returns every value of every table of the site's database, as text,
// and the bytes of its files.
func (s *site) dumpSQL(t testing.TB) string {
	t.Helper()
	db := s.open(t)
	defer db.Close()
	var b strings.Builder
	tables := column(t, db.QueryRowContext, `SELECT group_concat(name, ' ') FROM sqlite_master WHERE type = 'table'`)
	for _, table := range strings.Fields(tables) {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM "`+table+`"`)
		if err != nil {
			t.Fatal(err)
		}
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		values, targets := make([]any, len(names)), make([]any, len(names))
		for i := range values {
			targets[i] = &values[i]
		}
		for rows.Next() {
			if err := rows.Scan(targets...); err != nil {
				t.Fatal(err)
			}
			for i, v := range values {
				if raw, ok := v.([]byte); ok {
					v = fmt.Sprintf("%s %x", raw, raw)
				}
				fmt.Fprintf(&b, "%s.%s: %v\n", table, names[i], v)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		rows.Close()
	}
	for _, suffix := range []string{"", "-wal"} { // what was deleted may still be on the disk
		raw, err := os.ReadFile(s.file + suffix)
		if err != nil {
			t.Fatal(err)
		}
		b.Write(raw)
	}
	return b.String()
}

func column[R interface{ Scan(...any) error }](t testing.TB, query func(context.Context, string, ...any) R, text string) (value string) {
	t.Helper()
	if err := query(t.Context(), text).Scan(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// dumpRedis returns the names and values of all keys with the prefix.
func dumpRedis(t testing.TB, client rueidis.Client, prefix string) string {
	t.Helper()
	var b strings.Builder
	for cursor := uint64(0); ; {
		page, err := client.Do(t.Context(), client.B().Scan().Cursor(cursor).Match(prefix+"*").Count(1000).Build()).AsScanEntry()
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range page.Elements {
			kind, err := client.Do(t.Context(), client.B().Type().Key(key).Build()).ToString()
			if err != nil {
				t.Fatal(err)
			}
			var values []string
			switch kind {
			case "string":
				value, err := client.Do(t.Context(), client.B().Get().Key(key).Build()).ToString()
				if err != nil {
					t.Fatal(err)
				}
				values = append(values, value)
			case "zset":
				if values, err = client.Do(t.Context(), client.B().Zrange().Key(key).Min("0").Max("-1").Build()).AsStrSlice(); err != nil {
					t.Fatal(err)
				}
			case "none": // expired meanwhile
			default:
				t.Fatalf("key %q is a %s", key, kind)
			}
			fmt.Fprintf(&b, "%s: %q\n", key, values)
		}
		if cursor = page.Cursor; cursor == 0 {
			return b.String()
		}
	}
}

// recorder keeps every answer that passes it.
type recorder struct {
	http.RoundTripper
	mu      sync.Mutex
	answers []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.RoundTripper.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	dump, err := httputil.DumpResponse(response, true)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answers = append(r.answers, request.Method+" "+request.URL.RequestURI()+"\n"+string(dump))
	return response, err
}

// After all that can be done has been done, well and badly, nothing that any
// client knows as a secret is in a table, in a key, in the log or in an answer,
// but a token in the answer to its own login (C2, E18, A11, D3, KNOWN-FLAWS 73).
func TestS_E18_C2_NoSecretAnywhere(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	mailed := []string{} // tokens that were handed to the hooks
	mail := func(_ context.Context, _ *User, token string) {
		mu.Lock()
		defer mu.Unlock()
		mailed = append(mailed, token)
	}
	broken := &failing{err: errOutage}
	s := newSite(t, withRedis, func(_ testing.TB, s *site, c *usher.Config[User]) {
		c.Hooks.AfterForgotPassword, c.Hooks.AfterRequestVerify = mail, mail
		c.Hooks.BeforeLogin = func(_ context.Context, _ *User, a *usher.Authentication) error {
			a.Data["device"] = "canary device" // no secret: the positive control
			return nil
		}
		broken.SessionStore = s.db
		c.Backends = append(c.Backends, usher.Backend{Name: "fragile", Transport: usher.Cookie{Name: "ck_fragile"}, Strategy: usher.Sessions{Store: broken}})
	})
	answers := &recorder{RoundTripper: s.client.Transport}
	s.client.Transport = answers

	secrets := []string{string(secret), string(linkSecret)}
	n := 0
	fresh := func() string { // a new password
		n++
		plain := fmt.Sprintf("canary-password-%04d-%s", n, strings.Repeat("z", n%7))
		secrets = append(secrets, plain)
		return plain
	}
	own := map[string]int{} // token → which answer may hold it
	keep := func(backend string, a answer) (header string) {
		t.Helper()
		token := a.token(backend)
		if token == "" {
			t.Fatalf("no token through %s: %d %s", backend, a.status, a.body)
		}
		own[token] = len(answers.answers) - 1
		return carrying(backend, token)
	}
	type m = map[string]any

	// Registering, well and badly.
	password := fresh()
	s.send(t, "POST", "/auth/register", m{"email": "ann@example.com", "password": password, "first_name": "Ann"}).want(t, 201)
	s.send(t, "POST", "/auth/register", m{"email": "ann@example.com", "password": fresh()}).want(t, 400)
	s.send(t, "POST", "/auth/register", m{"email": "x", "password": fresh(), "is_active": "x"}).want(t, 422)
	s.send(t, "POST", "/auth/register", m{"password": []any{fresh()}}).want(t, 422)
	s.send(t, "POST", "/auth/register", `{"password":"`+fresh(), "Content-Type: application/json").want(t, 422)
	s.send(t, "POST", "/auth/register", m{"email": "long@example.com", "password": strings.Repeat(fresh(), 100)}).want(t, 400)
	s.add(t, "root@example.com", asSuperuser)
	old := fresh()
	crypt := oldHashes(t)["argon2id of other cost"]
	s.add(t, "bob@example.com", func(u *User) { u.HashedPassword = hashOf(t, old) })
	s.add(t, "cat@example.com", func(u *User) { u.HashedPassword = crypt })

	// Signing in, well and badly, in every form.
	headers := map[string]string{}
	for _, backend := range allBackends {
		path := "/auth/" + backend + "/login"
		headers[backend] = keep(backend, s.send(t, "POST", path, loginForm("ann@example.com", password)))
		keep(backend, s.send(t, "POST", path, m{"username": "ann@example.com", "password": password}))
		keep(backend, s.send(t, "POST", path, multi("username", "ann@example.com", "password", password), "Content-Type: multipart/form-data; boundary=X"))
		keep(backend, s.send(t, "POST", path, loginForm("cat@example.com", goodPassword)))
		s.send(t, "POST", path, loginForm("ann@example.com", fresh())).want(t, 400)
		s.send(t, "POST", path, loginForm("nobody@example.com", fresh())).want(t, 400)
		s.send(t, "POST", path, loginForm("", fresh())).want(t, 422)
		s.send(t, "POST", path, m{"username": 1, "password": m{"x": fresh()}}).want(t, 422)
	}
	admin := keep("jwt", s.send(t, "POST", "/auth/jwt/login", loginForm("root@example.com", goodPassword)))
	// A store that fails.
	broken.set(true, "CreateSession")
	s.send(t, "POST", "/auth/fragile/login", loginForm("ann@example.com", password)).want(t, 503)
	broken.set(true)
	unknown := "canaryToken_" + strings.Repeat("x", 31)
	secrets = append(secrets, unknown)
	s.send(t, "GET", "/users/me", nil, "Cookie: ck_fragile="+unknown).want(t, 503)
	broken.set(false, "CreateSession", "")

	// Tokens that are none, wherever they are put.
	stolen := headers["jwt"][len("Authorization: Bearer "):]
	for _, bad := range []string{unknown, "canary.token.jwt", stolen + "x", stolen[:len(stolen)-3] + "AAA", "canary-" + strings.Repeat("y", 5000), "ck canary token \"quoted\""} {
		secrets = append(secrets, bad)
		s.send(t, "GET", "/users/me", nil, "Authorization: Bearer "+bad).want(t, 401)
		s.send(t, "PATCH", "/users/me", m{}, "Cookie: ck_db="+strings.ReplaceAll(bad, `"`, "")).want(t, 401)
		s.send(t, "POST", "/auth/verify", m{"token": bad}).want(t, 400)
		s.send(t, "POST", "/auth/reset-password", m{"token": bad, "password": fresh()}).want(t, 400)
		s.send(t, "POST", "/auth/reset-password", m{"token": []any{bad}}).want(t, 422)
	}

	// Everything that a signed-in user does.
	for _, backend := range allBackends {
		s.send(t, "GET", "/users/me", nil, headers[backend]).want(t, 200)
		s.send(t, "GET", "/users/me/sessions", nil, headers[backend]).want(t, 200)
		s.send(t, "PATCH", "/users/me", m{"password": fresh(), "current_password": fresh()}, headers[backend]).want(t, 400)
		s.send(t, "PATCH", "/users/me", m{"password": 1, "current_password": []any{fresh()}}, headers[backend]).want(t, 422)
		s.send(t, "PATCH", "/users/me", m{"password": fresh(), "email": "x", "current_password": password}, headers[backend]).want(t, 422)
	}
	next := fresh()
	s.send(t, "PATCH", "/users/me", m{"password": next, "current_password": password, "first_name": "Anna"}, headers["cookie"]).want(t, 200)
	ann, err := s.auth.UserByEmail(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	path := "/users/" + string(ann.ID)
	for _, request := range []string{"GET " + path, "GET " + path + "/sessions", "GET /users"} {
		method, path, _ := strings.Cut(request, " ")
		s.send(t, method, path, nil, admin).want(t, 200)
	}
	s.send(t, "PATCH", path, m{"password": fresh(), "plan": "gold"}, admin).want(t, 200)

	// The links.
	for _, email := range []string{"ann@example.com", "nobody@example.com"} {
		s.send(t, "POST", "/auth/forgot-password", m{"email": email}).want(t, 202)
		s.send(t, "POST", "/auth/request-verify-token", m{"email": email}).want(t, 202)
	}
	mu.Lock()
	links := slices.Clone(mailed)
	mu.Unlock()
	if len(links) != 2 {
		t.Fatalf("%d links were mailed, want 2", len(links))
	}
	secrets = append(secrets, links...)
	s.send(t, "POST", "/auth/verify", m{"token": links[1]}).want(t, 200)
	s.send(t, "POST", "/auth/reset-password", m{"token": links[0], "password": "short"}).want(t, 400)
	s.send(t, "POST", "/auth/reset-password", m{"token": links[0], "password": fresh()}).want(t, 200)
	for _, link := range links {
		s.send(t, "POST", "/auth/verify", m{"token": link}).want(t, 400)
		s.send(t, "POST", "/auth/reset-password", m{"token": link, "password": fresh()}).want(t, 400)
	}

	// The dumps are made while sessions live.
	for _, backend := range allBackends {
		headers[backend] = keep(backend, s.send(t, "POST", "/auth/"+backend+"/login", loginForm("bob@example.com", old)))
	}
	places := map[string]string{"SQLite": s.dumpSQL(t), "Redis": s.keys(t)}
	for _, backend := range allBackends {
		s.send(t, "POST", "/auth/"+backend+"/logout", nil, headers[backend]).want(t, 204)
	}
	s.send(t, "DELETE", path, nil, admin).want(t, 204)
	places["SQLite afterwards"], places["Redis afterwards"], places["the log"] = s.dumpSQL(t), s.keys(t), s.log.String()

	for name, control := range map[string]string{"SQLite": "canary device", "Redis": "canary device", "the log": string(ann.ID)} {
		if !strings.Contains(places[name], control) {
			t.Errorf("%s lacks %q: the dump is not what it should be", name, control)
		}
	}
	tokens := make([]string, 0, len(own))
	for token := range own {
		tokens = append(tokens, token)
	}
	for name, text := range places {
		for _, secret := range append(slices.Clone(secrets), tokens...) {
			for _, form := range []string{secret, hex.EncodeToString([]byte(secret)), base64.StdEncoding.EncodeToString([]byte(secret)), fmt.Sprintf("%q", secret)} {
				if strings.Contains(text, form) {
					t.Errorf("%s holds %.60q", name, form)
				}
			}
		}
	}
	if strings.Contains(places["the log"], "$argon2") || strings.Contains(places["the log"], "$2") {
		t.Error("the log holds a hash")
	}
	for i, answer := range answers.answers {
		for _, secret := range secrets {
			if strings.Contains(answer, secret) {
				t.Errorf("%.60q is in the answer to %.200s", secret, answer)
			}
		}
		for token, at := range own {
			if i != at && strings.Contains(answer, token) {
				t.Errorf("the token of answer %d is in answer %d: %.200s", at, i, answer)
			}
		}
		for _, mark := range []string{"$argon2", "$2a$", "$2b$", "hashed_password", "HashedPassword", "epoch", "email_key"} { // A11
			if strings.Contains(answer, mark) {
				t.Errorf("%q is in the answer to %.200s", mark, answer)
			}
		}
	}
	if len(answers.answers) < 100 || len(own) < 30 {
		t.Errorf("only %d answers and %d tokens", len(answers.answers), len(own))
	}
}
