package sqlstore_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// A program compiles the driver of the database that it opens, and no other.
func TestOneDriver(t *testing.T) {
	t.Parallel()
	drivers := map[string]string{
		"usher/sqlstore/sqlite":   "modernc.org/sqlite",
		"usher/sqlstore/postgres": "github.com/jackc/pgx/v5",
		"usher/sqlstore/mysql":    "github.com/go-sql-driver/mysql",
	}
	for _, program := range []string{"usher/sqlstore/sqlite", "usher/sqlstore/postgres", "usher/sqlstore/mysql", "usher/sqlstore", "usher/redisstore", "usher"} {
		output, err := exec.Command("go", "list", "-deps", program).Output()
		if err != nil {
			t.Fatalf("go list -deps %s: %v", program, err)
		}
		compiled := strings.Fields(string(output))
		for of, driver := range drivers {
			if slices.Contains(compiled, driver) != (of == program) {
				t.Errorf("%s compiles %s: %t", program, driver, of != program)
			}
		}
	}
}
