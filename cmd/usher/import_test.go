package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"usher/internal/testservices"

	"github.com/redis/rueidis"
)

// artefacts are what the original has left: see fastapiusers/testdata.
type artefacts struct {
	Secrets map[string]string
	Users   []struct {
		Key, ID, Email string
		FirstName      *string `json:"first_name"`
		IsSuperuser    bool    `json:"is_superuser"`
		IsVerified     bool    `json:"is_verified"`
		Expect         struct {
			Login struct {
				Password string
				Status   int
				User     string
			}
		}
	}
	AccessTokens []artefactToken `json:"access_tokens"`
	RedisTokens  []artefactToken `json:"redis_tokens"`
	JWTs         []artefactToken
	Links        []struct {
		Kind, User, Email, Token string
		Expect                   struct {
			Status int
			Detail any
		}
	}
}

type artefactToken struct {
	Token, User string
	Expect      map[string]struct {
		Status int
		ID     string
	}
}

// movedConfig is that of docs/moving-from-fastapi-users.md for the original that
// left the artefacts.
const movedConfig = `
database: %q
redis: %q
redis_options: {prefix: %q}
password: {argon2: {memory_kib: 1024, time: 1, lanes: 1}, insecure_allow_weak: true, queue_timeout: 60s}
backends:
  - {name: bearer-db, transport: bearer, strategy: database, lifetime: 87600h}
  - {name: cookie, transport: cookie, strategy: database, lifetime: 87600h, cookie: {name: ck_db}}
  - {name: redis, transport: bearer, strategy: redis, lifetime: 87600h}
  - {name: cookie-redis, transport: cookie, strategy: redis, lifetime: 87600h, cookie: {name: ck_redis}}
  - {name: jwt, transport: bearer, strategy: jwt, jwt: {keys: [{file: jwt.secret}]}}
  - {name: cookie-jwt, transport: cookie, strategy: jwt, jwt: {keys: [{file: jwt.secret}]}, cookie: {name: ck_jwt}}
profile:
  first_name: {type: string, access: write, nullable: true, max_length: 255}
fastapi_users: {verify_secret_file: verify.secret, reset_secret_file: reset.secret, redis_tokens: true}
`

// After `usher import fastapi-users` the server takes every password, token, cookie
// and link that the original took, and no other.
func TestMoveFromFastAPIUsers(t *testing.T) {
	t.Parallel()
	databases := map[string]func(testing.TB) string{
		"SQLite":     func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "usher.db") },
		"PostgreSQL": func(t testing.TB) string { return testservices.Postgres(t) },
		"MariaDB":    func(t testing.TB) string { return testservices.MariaDB(t) },
	}
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var m artefacts
			text, err := os.ReadFile("../../fastapiusers/testdata/manifest.json")
			if err == nil {
				err = json.Unmarshal(text, &m)
			}
			if err != nil {
				t.Fatal(err)
			}
			folder, redis, prefix := t.TempDir(), testservices.Redis(t), testservices.Prefix(t)
			write := func(name, text string) string {
				path := filepath.Join(folder, name)
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				return path
			}
			config := movedConfig
			for name, secret := range map[string]string{"jwt.secret": "JWT_SECRET", "verify.secret": "VERIFY_SECRET", "reset.secret": "RESET_SECRET"} {
				config = strings.ReplaceAll(config, name, write(name, m.Secrets[secret]))
			}
			file := write("usher.yaml", fmt.Sprintf(config, database(t), redis, prefix))
			loadRedis(t, redis, prefix+"original:")

			source, err := filepath.Abs("../../fastapiusers/testdata/users.db")
			if err != nil {
				t.Fatal(err)
			}
			for run, want := range [][]string{
				{"users: 36 read, 34 new, 2 collided\n", "oauth accounts: 6 read, 6 new\n", "access tokens: 27 read, 19 new, 3 expired, 4 of inactive users, 1 without a user\n", "redis tokens: 28 read, 23 new, ", "own columns carried: first_name\n"},
				{"users: 36 read, 34 same, 2 collided\n", "oauth accounts: 6 read, 6 same\n", "access tokens: 27 read, 19 same, ", "redis tokens: 28 read, 23 same, "},
			} {
				command := exec.Command("usher", "import", "fastapi-users", "--config", file, "--from", "sqlite:"+source, "--redis", redis,
					"--redis-prefix", prefix+"original:", "--token-lifetime", "87600h", "--problems", filepath.Join(folder, "problems.csv"))
				output, err := command.CombinedOutput()
				if err != nil {
					t.Fatalf("run %d: %v: %s", run, err, output)
				}
				for _, line := range want {
					if !strings.Contains(string(output), line) {
						t.Errorf("run %d says nothing of %q: %s", run, line, output)
					}
				}
			}
			settings, err := Settings{ConfigFile: file}.load()
			if err != nil {
				t.Fatal(err)
			}
			m.check(boot(t, settings))
		})
	}
}

// check asks the server what the original was asked.
func (m artefacts) check(b *booted) {
	b.t.Helper()
	left := map[string]bool{} // whose address is another user's
	for _, u := range m.Users {
		left[u.ID] = u.Key == "email-case-twin" || u.Key == "email-unicode-lower"
	}
	for _, token := range append(append(m.AccessTokens, m.RedisTokens...), m.JWTs...) {
		for how, want := range token.Expect {
			header, value := "Authorization", "Bearer "+token.Token
			if cookie, is := strings.CutPrefix(how, "cookie "); is {
				header, value = "Cookie", cookie+"="+token.Token
			}
			if left[token.User] {
				want.Status, want.ID = 401, ""
			}
			a := b.do("GET", "/users/me", "", header, value)
			var user struct{ ID string }
			_ = json.Unmarshal([]byte(a.body), &user)
			if a.StatusCode != want.Status || user.ID != want.ID {
				b.t.Errorf("%s %s…: %d %s, want %d %s", how, token.Token[:8], a.StatusCode, user.ID, want.Status, want.ID)
			}
		}
	}
	for _, link := range m.Links {
		path, body := "/auth/verify", map[string]string{"token": link.Token}
		if link.Kind == "reset" { // which a refused password does not use up
			path, body["password"] = "/auth/reset-password", "ab"
		}
		a := b.do("POST", path, jsonOf(body))
		wanted, _ := link.Expect.Detail.(string)
		if details, is := link.Expect.Detail.(map[string]any); is {
			wanted, _ = details["code"].(string)
		}
		if link.Kind == "verify" && link.Email == "gone@example.com" { // who is inactive: DEFECTS F
			link.Expect.Status, wanted = 400, "VERIFY_USER_BAD_TOKEN"
		}
		if a.StatusCode != link.Expect.Status || !strings.Contains(a.body, wanted) {
			b.t.Errorf("%s of %s: %d %s, want %d %s", link.Kind, link.Email, a.StatusCode, a.body, link.Expect.Status, wanted)
		}
	}
	for _, u := range m.Users {
		want := u.Expect.Login.Status
		switch {
		case u.Key == "email-mixed-case": // the original has two of the address, and answers 500
			want = 200
		case left[u.ID], want == 500, u.Key == "argon2d":
			want = 400
		}
		form := url.Values{"username": {u.Email}, "password": {u.Expect.Login.Password}}.Encode()
		a := b.do("POST", "/auth/bearer-db/login", form)
		if a.StatusCode != want {
			b.t.Errorf("%s: login: %d %s, want %d", u.Key, a.StatusCode, a.body, want)
		}
		if a.StatusCode != 200 {
			continue
		}
		var token struct {
			AccessToken string `json:"access_token"`
		}
		_ = json.Unmarshal([]byte(a.body), &token)
		var user struct {
			ID, Email   string
			IsSuperuser bool `json:"is_superuser"`
			Profile     struct {
				FirstName *string `json:"first_name"`
			}
		}
		read := b.want(200, "GET", "/users/me", "", "Authorization", "Bearer "+token.AccessToken)
		_ = json.Unmarshal([]byte(read.body), &user)
		if user.ID != u.ID || user.Email != u.Email || user.IsSuperuser != u.IsSuperuser || jsonOf(user.Profile.FirstName) != jsonOf(u.FirstName) {
			b.t.Errorf("%s: %s", u.Key, read.body)
		}
	}
}

// loadRedis makes the original's keys, under another prefix.
func loadRedis(t testing.TB, address, prefix string) {
	t.Helper()
	options := rueidis.MustParseURL(address)
	options.DisableCache = true
	redis, err := rueidis.NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	defer redis.Close()
	f, err := os.Open("../../fastapiusers/testdata/redis.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	n := 0
	for lines := bufio.NewScanner(f); lines.Scan(); n++ {
		words := strings.Fields(strings.Replace(lines.Text(), "fastapi_users_token:", prefix, 1))
		if words[len(words)-1] == "315360000" { // nothing of a test shall stay long in Redis
			words[len(words)-1] = "3600"
		}
		if err := redis.Do(t.Context(), redis.B().Arbitrary(words...).Build()).Error(); err != nil {
			t.Fatal(err)
		}
	}
	if n == 0 {
		t.Fatal("no keys")
	}
	expired := redis.B().Exists().Key(prefix + "sw4lhKx9zd0YYgY_lXpMd0XKlBev4mxxehiOAZrHpSI").Build() // after a second
	eventually(t, 10*time.Second, "expired", func() bool { there, err := redis.Do(t.Context(), expired.Pin()).AsBool(); return err == nil && !there })
}
