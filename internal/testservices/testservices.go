// Package testservices gives tests the services that they run against: real ones, whose addresses
// are in the environment.
//
// `make test` (scripts/with-services) starts what is missing and sets the addresses and
// USHER_TEST_REQUIRE=1, with which a missing service fails a test. Without either, as in a plain
// `go test ./...`, the test is skipped; `go test -v` shows why.
package testservices

import (
	"crypto/rand"
	"os"
	"os/exec"
	"strings"
	"testing"
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
