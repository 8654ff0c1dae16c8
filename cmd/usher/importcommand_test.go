package main

import (
	"bufio"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"usher/internal/testservices"
	"usher/ushertest"
)

// originalDatabase is the artefacts' database, which nobody may change.
func originalDatabase(t testing.TB) string {
	t.Helper()
	path, err := filepath.Abs("../../fastapiusers/testdata/users.db")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// importCommand is `usher import fastapi-users` in a folder.
func importCommandIn(folder string, args ...string) *exec.Cmd {
	command := exec.Command("usher", append([]string{"import", "fastapi-users"}, args...)...)
	command.Dir = folder
	return command
}

// A dry run says what a run would do, and writes nothing but its list of problems:
// not to the source, and not to usher's database, whether or not that has tables.
func TestImportDryRun(t *testing.T) {
	t.Parallel()
	for kind, place := range map[string]func(testing.TB) string{
		"SQLite":     func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "usher.db") },
		"PostgreSQL": func(t testing.TB) string { return testservices.Postgres(t) },
		"MariaDB":    func(t testing.TB) string { return testservices.MariaDB(t) },
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			database, folder, source := place(t), t.TempDir(), originalDatabase(t)
			original := contentOf(t, "sqlite:"+source)
			run := func(want string, more ...string) {
				t.Helper()
				output, err := importCommandIn(folder, append(more, "--database", database, "--from", "sqlite:"+source, "--token-lifetime", "87600h")...).CombinedOutput()
				if err != nil || !strings.Contains(string(output), want) || !strings.Contains(string(output), "problems: ") {
					t.Fatalf("%v: %s\nwant %s", err, output, want)
				}
			}
			dryRun := func(want string) {
				t.Helper()
				before := contentOf(t, database)
				run("dry run: nothing was written\n"+want, "--dry-run")
				if after := contentOf(t, database); after != before {
					t.Errorf("the dry run has written:\n%s\nbefore:\n%s", after, before)
				}
			}
			dryRun("users: 36 read, 34 new, 2 collided\n")
			if files := filesIn(t, folder); files != "fastapi-users-problems.csv" { // no secret, no database
				t.Errorf("there are %s now", files)
			}
			run("users: 36 read, 34 new, 2 collided\n")
			dryRun("users: 36 read, 34 same, 2 collided\n")
			if got := contentOf(t, "sqlite:"+source); got != original {
				t.Error("the source has changed")
			}
		})
	}
}

// A dry run neither brings tables up to date nor makes them beside another
// program's.
func TestImportDryRunRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, change, want string }{
		{"older", `DELETE FROM usher_migrations WHERE version_id > 1`, "run usher migrate first"},
		{"without profiles", `ALTER TABLE users DROP COLUMN profile`, "run usher migrate first"},
		{"another program's", `DROP TABLE usher_migrations`, "a table users that is not usher's"},
	} {
		folder := t.TempDir()
		path := filepath.Join(folder, "usher.db")
		if output, err := exec.Command("usher", "migrate", "--database", "sqlite:"+path).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		db, err := sql.Open("sqlite", path)
		if err == nil {
			_, err = db.Exec(c.change)
		}
		if err = errors.Join(err, db.Close()); err != nil {
			t.Fatal(err)
		}
		before := contentOf(t, "sqlite:"+path)
		output, err := importCommandIn(folder, "--database", "sqlite:"+path, "--from", "sqlite:"+originalDatabase(t), "--dry-run").CombinedOutput()
		if err == nil || !strings.Contains(string(output), c.want) {
			t.Errorf("%s: %v: %s", c.name, err, output)
		}
		if contentOf(t, "sqlite:"+path) != before {
			t.Errorf("%s: the dry run has written", c.name)
		}
	}
}

// contentOf is all that is in a database: files with their hashes, or tables with
// their rows.
func contentOf(t testing.TB, database string) string {
	t.Helper()
	var text strings.Builder
	scheme, path, _ := strings.Cut(database, ":")
	if scheme == "sqlite" {
		names, err := filepath.Glob(path + "*")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			content, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&text, "%s %x\n", name, sha256.Sum256(content))
		}
		return text.String()
	}
	driver, name, schema := "pgx", database, "current_schema()"
	if scheme == "mysql" {
		driver, name, schema = "mysql", testservices.DSN(database), "database()"
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tables := rowsOf(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema = `+schema+` ORDER BY 1`)
	for _, table := range tables {
		fmt.Fprintln(&text, table, rowsOf(t, db, `SELECT * FROM `+table+` ORDER BY 1, 2`))
	}
	return text.String()
}

// rowsOf is each row as text.
func rowsOf(t testing.TB, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values, targets := make([]sql.NullString, len(columns)), make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		var texts []string
		for _, value := range values {
			texts = append(texts, value.String)
		}
		all = append(all, strings.Join(texts, "|"))
	}
	return all
}

func filesIn(t testing.TB, folder string) string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

// Faults F01: killed while it carries users, accounts or tokens, an import goes on
// where it was.
func TestImportKilled(t *testing.T) {
	t.Parallel()
	const n = 6000
	folder := t.TempDir()
	source, target := filepath.Join(folder, "app.db"), filepath.Join(folder, "usher.db")
	makeOriginal(t, source, n)
	original := contentOf(t, "sqlite:"+source)
	args := []string{"--database", "sqlite:" + target, "--from", "sqlite:" + source, "--token-lifetime", "87600h"}
	for _, at := range []string{"user: ", "user: ", "oauth_account: ", "accesstoken: "} {
		command := importCommandIn(folder, args...)
		stderr, err := command.StderrPipe()
		if err == nil {
			err = command.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		all := ""
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			all += lines.Text() + "\n"
			if strings.HasPrefix(lines.Text(), at) {
				_ = command.Process.Kill()
			}
		}
		if err := command.Wait(); !strings.Contains(fmt.Sprint(err), "killed") || !strings.Contains(all, at) {
			t.Fatalf("not killed in %s: %v\n%s", at, err, all)
		}
	}
	for _, last := range []bool{false, true} {
		output, err := importCommandIn(folder, args...).Output()
		if err != nil {
			t.Fatalf("%v: %s", err, output)
		}
		if want := "users: 6000 read, 6000 same\noauth accounts: 3000 read, 3000 same\naccess tokens: 6000 read, 6000 same\n"; last && !strings.HasPrefix(string(output), want) {
			t.Errorf("the last run: %s", output)
		}
	}
	db, err := sql.Open("sqlite", target)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for table, want := range map[string]string{"users": "6000", "oauth_accounts": "3000", "sessions": "6000"} {
		if got := rowsOf(t, db, `SELECT count(*) FROM `+table); got[0] != want {
			t.Errorf("%s: %s", table, got[0])
		}
	}
	if got := contentOf(t, "sqlite:"+source); got != original {
		t.Error("the source has changed")
	}
}

// makeOriginal makes a database of FastAPI Users with n users.
func makeOriginal(t testing.TB, path string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	numbers := fmt.Sprintf(` FROM (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) SELECT i, printf('%%08x-0000-4000-8000-%%012x', i * 7919, i) AS id FROM n)`, n)
	for _, statement := range []string{
		`CREATE TABLE user (id CHAR(36) NOT NULL PRIMARY KEY, email VARCHAR(320), hashed_password VARCHAR(1024), is_active BOOLEAN, is_superuser BOOLEAN, is_verified BOOLEAN)`,
		`CREATE TABLE oauth_account (id CHAR(36) NOT NULL PRIMARY KEY, user_id CHAR(36), oauth_name VARCHAR(100), access_token VARCHAR(1024), expires_at INTEGER, refresh_token VARCHAR(1024), account_id VARCHAR(320), account_email VARCHAR(320))`,
		`CREATE TABLE accesstoken (user_id CHAR(36), token VARCHAR(43) NOT NULL PRIMARY KEY, created_at TIMESTAMP)`,
		`INSERT INTO user SELECT id, 'u' || i || '@example.com', '$2b$04$hash', 1, 0, 0` + numbers,
		`INSERT INTO oauth_account SELECT id, id, 'fake', 'at', NULL, NULL, 'acc-' || i, 'u' || i || '@example.com'` + numbers + ` WHERE i % 2 = 0`,
		`INSERT INTO accesstoken SELECT id, printf('%043d', i * 7919), '2026-11-23 09:00:00.000000'` + numbers,
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

// Wrong calls exit with 2, what fails with 1; both say why, without passwords.
func TestImportRefused(t *testing.T) {
	t.Parallel()
	original := "sqlite:" + originalDatabase(t)
	for _, c := range []struct {
		name string
		code int
		want string
		args []string

		environment []string
	}{
		{name: "no source", code: 2, want: "--from"},
		{name: "a wrong lifetime", code: 2, want: "neither a duration such as 3600s or 24h nor none", args: []string{"--from", original, "--token-lifetime", "3600"}},
		{name: "a wrong map", code: 1, want: "map users", args: []string{"--from", original, "--map", "users=members"}},
		{name: "no such column", code: 1, want: "table user has no column mail (it has ", args: []string{"--from", original, "--map", "user.email=mail"}},
		{name: "no such file", code: 1, want: "there is no file", args: []string{"--from", "sqlite:nowhere.db"}},
		{name: "nobody there", code: 1, want: "refused", args: []string{"--from", "postgresql+asyncpg://app:canary@127.0.0.1:1/app"}},
		{name: "no Redis", code: 1, want: "Redis", args: []string{"--from", original, "--redis", "redis://app:canary@127.0.0.1:1/0"}},
		{name: "not a Redis", code: 1, want: "redis://", args: []string{"--from", original, "--redis", "http://app:canary@127.0.0.1:1/0"}},
		{name: "no database of usher's", code: 1, want: "refused", args: []string{"--from", original, "--database", "postgres://app:canary@127.0.0.1:1/usher"}},
		{name: "numbers for UUIDs", code: 1, want: "have UUIDs", args: []string{"--from", original, "--config", "numbers.yaml"}},
		{name: "no right to list problems", code: 1, want: "nowhere", args: []string{"--from", original, "--problems", "nowhere/problems.csv"}},
		{name: "a source of the environment", code: 1, want: "open the source", environment: []string{"USHER_IMPORT_FROM=postgresql://app:canary@127.0.0.1:1/app"}},
		{name: "a Redis of the environment", code: 1, want: "open Redis", args: []string{"--from", original}, environment: []string{"USHER_IMPORT_REDIS=redis://app:canary@127.0.0.1:1/0"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			write(t, folder, "numbers.yaml", "integer_ids: true\n")
			command := importCommandIn(folder, c.args...)
			command.Env = append(command.Environ(), c.environment...)
			output, err := command.CombinedOutput()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != c.code || !strings.Contains(string(output), c.want) || strings.Contains(string(output), "canary") {
				t.Errorf("%v, want %d: %s\nwant %s", err, c.code, output, c.want)
			}
		})
	}
}

// The list of problems says who was left out and why, and only its owner reads it.
func TestImportProblems(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	args := []string{"--from", "sqlite:" + originalDatabase(t), "--token-lifetime", "87600h", "--problems", "left-out.csv"}
	output, err := importCommandIn(folder, args...).Output()
	if err != nil || !strings.HasSuffix(string(output), "problems: 4, listed in left-out.csv\n") {
		t.Fatalf("%v: %s", err, output)
	}
	info, err := os.Stat(filepath.Join(folder, "left-out.csv"))
	if err != nil || info.Mode() != fs.FileMode(0o600) {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "left-out.csv"))
	for _, want := range []string{
		"table,id,email,reason,detail\n",
		"user,ae05e1cb-43fc-4c14-8b72-eaa4a92643d0,mixed.case@example.com,email_collision,the address is that of user c342e8f7-4248-481e-ae11-5d84811dd196\n",
		"user,e37faa3f-63fc-4b7b-b326-ca414a8d4782,émile@example.com,email_collision,the address is that of user 525d87d0-7f2d-4fa8-9e01-dbbef745b8d1\n",
		",unusable@example.com,unusable_password,",
		",ard@example.com,unusable_password,",
	} {
		if !strings.Contains(string(text), want) {
			t.Errorf("%v: %s\nwant %s", err, text, want)
		}
	}
	if strings.Count(string(text), "\n") != 5 {
		t.Errorf("%s", text)
	}
}

// Who signed in with a provider at the original is the same user here.
func TestImportedAccountsSignIn(t *testing.T) {
	t.Parallel()
	p := ushertest.NewFakeProvider(t)
	c := withProvider(t, p)
	folder := filepath.Dir(strings.TrimPrefix(c.Database, "sqlite:"))
	c.OAuth.Providers[1].Name, c.OAuth.Backend = "fake", "jwt"
	if output, err := importCommandIn(folder, "--from", "sqlite:"+originalDatabase(t), "--database", c.Database).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	b := boot(t, c)
	for account, user := range map[string]string{
		"acc-1": "23d02ccc-c984-4546-a038-68855a067f81", "1234567890": "475a0a34-95eb-4748-858d-09b5c660a2b2",
		"as-1": "a7284b0a-9a5a-4379-b0ed-cc04315b2d41", "as-2": "a7284b0a-9a5a-4379-b0ed-cc04315b2d41",
	} {
		p.SetUser(ushertest.ProviderUser{ID: account, Email: "another@example.com", EmailVerified: true})
		a := b.callback(p, "/auth/fake")
		var token struct {
			AccessToken string `json:"access_token"`
		}
		if err := json.Unmarshal([]byte(a.body), &token); err != nil || a.StatusCode != 200 {
			t.Fatalf("%s: %d %s", account, a.StatusCode, a.body)
		}
		if me := b.want(200, "GET", "/users/me", "", "Authorization", "Bearer "+token.AccessToken); !strings.Contains(me.body, user) {
			t.Errorf("%s: %s", account, me.body)
		}
	}
}
