package main

import (
	"database/sql"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// Own columns of every type come into the profile. NULL, and the null that SQLAlchemy
// writes into a JSON column for None, are as if the field was never set; a value that
// does not fit leaves the user out, and is named without being quoted.
func TestImportedProfile(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	db, err := sql.Open("sqlite", filepath.Join(folder, "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		`CREATE TABLE user (id INTEGER PRIMARY KEY, email VARCHAR(320) NOT NULL, hashed_password VARCHAR(1024) NOT NULL, is_active BOOLEAN NOT NULL, is_superuser BOOLEAN NOT NULL, is_verified BOOLEAN NOT NULL,
			full_name VARCHAR NOT NULL, settings JSON, created_at DATETIME, role VARCHAR(6), birthday DATE, balance NUMERIC(10, 2), age INTEGER, news BOOLEAN)`,
		`INSERT INTO user VALUES
			(1, 'ann@example.com', '!', 1, 0, 1, 'Zoë 😀', '{"a": [1, null]}', '2024-01-02 03:04:05.678901', 'ADMIN', '1990-01-02', 12.5, 33, 1),
			(2, 'bob@example.com', '!', 1, 0, 1, '', 'null', NULL, NULL, NULL, NULL, NULL, NULL),
			(3, 'eve@example.com', '!', 1, 0, 1, 'Eve', '{}', 'canary', 'USER', NULL, 1, 1, 0),
			(4, 'joe@example.com', '!', 1, 0, 1, 'Joe', '{}', NULL, 'canary', NULL, 1, 1, 0)`,
	} {
		_, fault := db.Exec(statement)
		err = errors.Join(err, fault)
	}
	if err = errors.Join(err, db.Close()); err != nil {
		t.Fatal(err)
	}
	write(t, folder, "usher.yaml", `
database: sqlite:usher.db
integer_ids: true
profile:
  full_name: {type: string}
  settings: {type: json, default: {a: 0}}
  created_at: {type: timestamp}
  role: {type: enum, values: [ADMIN, USER]}
  birthday: {type: string}
  balance: {type: number}
  age: {type: integer}
  news: {type: boolean, default: true}
`)
	output, err := importCommandIn(folder, "--config", "usher.yaml", "--from", "sqlite:app.db").CombinedOutput()
	if err != nil || !strings.Contains(string(output), "users: 4 read, 2 new, 2 refused\n") {
		t.Fatalf("%v: %s", err, output)
	}
	list := exec.Command("usher", "user", "list", "--config", "usher.yaml", "--json")
	list.Dir = folder
	output, err = list.Output()
	for _, want := range []string{
		`"profile":{"age":33,"balance":12.5,"birthday":"1990-01-02","created_at":"2024-01-02T03:04:05.678901Z","full_name":"Zoë 😀","news":true,"role":"ADMIN","settings":{"a":[1,null]}}`,
		`"profile":{"age":null,"balance":null,"birthday":null,"created_at":null,"full_name":"","news":true,"role":null,"settings":{"a":0}}`,
	} {
		if !strings.Contains(string(output), want) {
			t.Errorf("%v: %s\nwant %s", err, output, want)
		}
	}
	problems, err := os.ReadFile(filepath.Join(folder, "fastapi-users-problems.csv"))
	for _, want := range []string{"user,3,eve@example.com,refused,created_at is not a time\n", "user,4,joe@example.com,refused,role is refused: Input should be 'ADMIN' or 'USER'\n"} {
		if !strings.Contains(string(problems), want) || strings.Contains(string(problems), "canary") {
			t.Errorf("%v: %s\nwant %s", err, problems, want)
		}
	}
}
