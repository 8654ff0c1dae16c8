package fastapiusers_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"usher/fastapiusers"
	"usher/internal/testservices"
)

// source is a database of FastAPI Users that a test fills.
type source struct {
	t       testing.TB
	kind    string // sqlite, postgres, mysql
	address string
	db      *sql.DB
}

// schemas are what SQLAlchemy makes of FastAPI Users' documented models, with an own
// column; {id} is the type of ids.
var schemas = map[string][]string{
	"sqlite": {
		`CREATE TABLE user (first_name VARCHAR(255), id {id} NOT NULL, email VARCHAR(320), hashed_password VARCHAR(1024), is_active BOOLEAN, is_superuser BOOLEAN, is_verified BOOLEAN, PRIMARY KEY (id))`,
		`CREATE TABLE oauth_account (id {id} NOT NULL, user_id {id} NOT NULL, oauth_name VARCHAR(100) NOT NULL, access_token VARCHAR(1024) NOT NULL, expires_at INTEGER, refresh_token VARCHAR(1024), account_id VARCHAR(320) NOT NULL, account_email VARCHAR(320) NOT NULL, PRIMARY KEY (id))`,
		`CREATE TABLE accesstoken (user_id {id} NOT NULL, token VARCHAR(43) NOT NULL, created_at TIMESTAMP NOT NULL, PRIMARY KEY (token))`,
	},
	"postgres": {
		`CREATE TABLE "user" (first_name VARCHAR(255), id {id} NOT NULL PRIMARY KEY, email VARCHAR(320), hashed_password VARCHAR(1024), is_active BOOLEAN, is_superuser BOOLEAN, is_verified BOOLEAN)`,
		`CREATE TABLE oauth_account (id {id} NOT NULL PRIMARY KEY, user_id {id} NOT NULL, oauth_name VARCHAR(100) NOT NULL, access_token VARCHAR(1024) NOT NULL, expires_at INTEGER, refresh_token VARCHAR(1024), account_id VARCHAR(320) NOT NULL, account_email VARCHAR(320) NOT NULL)`,
		`CREATE TABLE accesstoken (user_id {id} NOT NULL, token VARCHAR(43) NOT NULL PRIMARY KEY, created_at TIMESTAMP WITH TIME ZONE NOT NULL)`,
	},
	"mysql": {
		`CREATE TABLE user (first_name VARCHAR(255), id {id} NOT NULL PRIMARY KEY, email VARCHAR(320), hashed_password VARCHAR(1024), is_active BOOL, is_superuser BOOL, is_verified BOOL) DEFAULT CHARSET utf8mb4`,
		`CREATE TABLE oauth_account (id {id} NOT NULL PRIMARY KEY, user_id {id} NOT NULL, oauth_name VARCHAR(100) NOT NULL, access_token VARCHAR(1024) NOT NULL, expires_at INTEGER, refresh_token VARCHAR(1024), account_id VARCHAR(320) NOT NULL, account_email VARCHAR(320) NOT NULL) DEFAULT CHARSET utf8mb4`,
		`CREATE TABLE accesstoken (user_id {id} NOT NULL, token VARCHAR(43) COLLATE utf8mb4_bin NOT NULL PRIMARY KEY, created_at DATETIME(6) NOT NULL) DEFAULT CHARSET utf8mb4`,
	},
}

var kinds = []string{"sqlite", "postgres", "mysql"}

// uuidTypes are what SQLAlchemy makes of FastAPI Users' GUID.
var uuidTypes = map[string]string{"sqlite": "CHAR(36)", "postgres": "UUID", "mysql": "CHAR(36)"}

// newDatabase makes an empty one.
func newDatabase(t testing.TB, kind string) *source {
	t.Helper()
	var address string
	switch kind {
	case "sqlite":
		address = "sqlite:" + filepath.Join(t.TempDir(), "app.db")
	case "postgres":
		address = testservices.Postgres(t)
	case "mysql":
		address = testservices.MariaDB(t)
	}
	return database(t, kind, address)
}

// database is one that exists.
func database(t testing.TB, kind, address string) *source {
	t.Helper()
	s := &source{t: t, kind: kind, address: address}
	var err error
	switch kind {
	case "sqlite":
		s.db, err = sql.Open("sqlite", strings.TrimPrefix(address, "sqlite:"))
	case "postgres":
		s.db, err = sql.Open("pgx", address)
	case "mysql":
		s.db, err = sql.Open("mysql", testservices.DSN(address))
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.db.Close() })
	return s
}

// newSource makes one with FastAPI Users' tables.
func newSource(t testing.TB, kind, idType string) *source {
	t.Helper()
	s := newDatabase(t, kind)
	for _, statement := range schemas[kind] {
		s.exec(strings.ReplaceAll(statement, "{id}", idType))
	}
	return s
}

// exec runs a statement with ? for parameters and "user" for the table.
func (s *source) exec(query string, args ...any) {
	s.t.Helper()
	switch s.kind {
	case "postgres":
		parts := strings.Split(query, "?")
		for n := range args {
			parts[n] += fmt.Sprintf("$%d", n+1)
		}
		query = strings.Join(parts, "")
	case "mysql":
		query = strings.ReplaceAll(query, `"`, "`")
	}
	if _, err := s.db.Exec(query, args...); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

// boolean is a literal.
func (s *source) boolean(b bool) string {
	if s.kind == "postgres" {
		return fmt.Sprint(b)
	}
	return map[bool]string{true: "1", false: "0"}[b]
}

// replacer returns a function that fills in placeholders.
func replacer(pairs ...string) func(string) string { return strings.NewReplacer(pairs...).Replace }

func (s *source) addUser(id any, email any, more ...any) {
	s.t.Helper()
	values := append(more, []any{"$2b$04$hash", true, false, false, nil}[len(more):]...)
	s.exec(`INSERT INTO "user" (id, email, hashed_password, is_active, is_superuser, is_verified, first_name) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		append([]any{id, email}, values...)...)
}

// open opens it as an import does.
func (s *source) open(names map[string]string) *fastapiusers.Source {
	s.t.Helper()
	from, err := fastapiusers.Open(context.Background(), s.address, names)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = from.Close() })
	return from
}

// artefacts is the original's database as one of a kind.
func artefacts(t testing.TB, kind string) *source {
	t.Helper()
	switch kind {
	case "postgres":
		s := newDatabase(t, kind)
		s.load("testdata/postgres.sql")
		return s
	case "mysql":
		s := newSource(t, kind, "CHAR(36)")
		s.copyFrom("testdata/users.db")
		return s
	}
	path, err := filepath.Abs("testdata/users.db")
	if err != nil {
		t.Fatal(err)
	}
	return &source{t: t, kind: kind, address: "sqlite:" + path}
}

// load runs a dump of pg_dump.
func (s *source) load(name string) {
	s.t.Helper()
	f, err := os.Open(name)
	if err != nil {
		s.t.Fatal(err)
	}
	defer f.Close()
	unescape := strings.NewReplacer(`\\`, `\`, `\t`, "\t", `\n`, "\n", `\r`, "\r")
	insert, statement := "", ""
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		switch {
		case line == `\.`:
			insert = ""
		case insert != "":
			var values []any
			for _, field := range strings.Split(line, "\t") {
				if field == `\N` {
					values = append(values, nil)
				} else {
					values = append(values, unescape.Replace(field))
				}
			}
			s.exec(insert+"VALUES ("+strings.TrimSuffix(strings.Repeat("?,", len(values)), ",")+")", values...)
		case strings.HasPrefix(line, "COPY "):
			insert = "INSERT INTO " + strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(line, "COPY "), "FROM stdin;"), "public.", "")
		case strings.HasPrefix(line, "--"), strings.HasPrefix(line, "SET "), strings.HasPrefix(line, "SELECT "), strings.HasPrefix(line, `\`):
		default:
			statement += line + "\n"
			if strings.HasSuffix(line, ";") {
				s.exec(strings.ReplaceAll(statement, "public.", ""))
				statement = ""
			}
		}
	}
}

// copyFrom copies the rows of a SQLite database.
func (s *source) copyFrom(path string) {
	s.t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?mode=ro")
	if err != nil {
		s.t.Fatal(err)
	}
	defer db.Close()
	for _, table := range []string{"user", "oauth_account", "accesstoken"} {
		rows, err := db.Query(`SELECT * FROM "` + table + `"`)
		if err != nil {
			s.t.Fatal(err)
		}
		columns, err := rows.Columns()
		if err != nil {
			s.t.Fatal(err)
		}
		for rows.Next() {
			values, targets := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				targets[i] = &values[i]
			}
			if err := rows.Scan(targets...); err != nil {
				s.t.Fatal(err)
			}
			s.exec(fmt.Sprintf(`INSERT INTO "%s" (%s) VALUES (%s)`, table, strings.Join(columns, ", "), strings.TrimSuffix(strings.Repeat("?,", len(columns)), ",")), values...)
		}
		if err := rows.Close(); err != nil {
			s.t.Fatal(err)
		}
	}
}
