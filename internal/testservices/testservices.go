// Package testservices gives tests the services that they run against: real ones, whose addresses
// are in the environment.
//
// `make test` (scripts/with-services) starts what is missing and sets the addresses and
// USHER_TEST_REQUIRE=1, with which a missing service fails a test. Without either, as in a plain
// `go test ./...`, the test is skipped; `go test -v` shows why.
package testservices

import (
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"

	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
)

// Redis returns the redis:// URL of a Redis server, for a test to use beside others: every key it
// writes starts with a [Prefix] of its own, and nothing is flushed.
func Redis(t testing.TB) string {
	t.Helper()
	return address(t, "redis", "USHER_TEST_REDIS")
}

// RedisServer returns the path of the redis-server program, for a test that ends or freezes a server
// of its own.
func RedisServer(t testing.TB) string {
	t.Helper()
	if path, err := exec.LookPath("redis-server"); err == nil {
		return path
	}
	return address(t, "redis-server", "USHER_TEST_REDIS_SERVER")
}

// Postgres returns the postgres:// URL of a schema that no other test has, which ends with the test.
func Postgres(t testing.TB) string {
	t.Helper()
	server := address(t, "postgres", "USHER_TEST_POSTGRES")
	schema := strings.TrimSuffix(Prefix(t), "_")
	perform(t, "pgx", server, "CREATE SCHEMA "+schema)
	t.Cleanup(func() { perform(t, "pgx", server, "DROP SCHEMA "+schema+" CASCADE") })
	return withParameter(server, "search_path="+schema)
}

// MariaDB returns the mysql:// URL of a database that no other test has, which ends with the test.
func MariaDB(t testing.TB) string {
	t.Helper()
	u, err := url.Parse(address(t, "mariadb", "USHER_TEST_MARIADB"))
	if err != nil {
		t.Fatal("mariadb: USHER_TEST_MARIADB is not a URL")
	}
	server := DSN(u.String())
	u.Path = "/" + strings.TrimSuffix(Prefix(t), "_")
	perform(t, "mysql", server, "CREATE DATABASE "+u.Path[1:])
	t.Cleanup(func() { perform(t, "mysql", server, "DROP DATABASE "+u.Path[1:]) })
	return u.String()
}

// DSN is a mysql:// URL as go-sql-driver/mysql wants it, with the settings that tests rely on.
func DSN(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	password, _ := u.User.Password()
	return fmt.Sprintf("%s:%s@tcp(%s)%s?clientFoundRows=true&multiStatements=true", u.User.Username(), password, u.Host, u.Path)
}

// PostgresServer returns the folder of the programs initdb and postgres, for a test that ends or
// freezes a server of its own.
func PostgresServer(t testing.TB) string {
	t.Helper()
	return address(t, "postgres programs", "USHER_TEST_POSTGRES_SERVER")
}

// MariaDBServer returns the path of the program mariadbd, for a test that ends or freezes a server of
// its own.
func MariaDBServer(t testing.TB) string {
	t.Helper()
	return address(t, "mariadbd", "USHER_TEST_MARIADB_SERVER")
}

func perform(t testing.TB, driver, address, statement string) {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func withParameter(address, parameter string) string {
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + parameter
}

// Prefix returns a name that no other test has, now or in another run: for keys, tables and databases.
// It is made of lower-case letters, digits and an underscore at the end, and starts with a letter.
func Prefix(t testing.TB) string {
	t.Helper()
	return "test" + strings.ToLower(rand.Text()) + "_"
}

func address(t testing.TB, service, variable string) string {
	t.Helper()
	url := os.Getenv(variable)
	if url != "" {
		return url
	}
	if os.Getenv("USHER_TEST_REQUIRE") == "1" {
		t.Fatalf("%s: %s is not set, and USHER_TEST_REQUIRE=1 lets no test skip for want of it", service, variable)
	}
	t.Skipf("%s: %s is not set; `make test` starts one", service, variable)
	return ""
}
