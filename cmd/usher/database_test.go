package main

import (
	"database/sql"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"usher/internal/testservices"
)

// Every command refuses a database that is not what it says it is, names the table
// and the column, and says what to do.
func TestDatabaseThatIsNotOurs(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(testing.TB) (address, driver, dsn string){
		"SQLite": func(t testing.TB) (string, string, string) {
			path := filepath.Join(t.TempDir(), "usher.db")
			return "sqlite:" + path, "sqlite", path
		},
		"PostgreSQL": func(t testing.TB) (string, string, string) {
			address := testservices.Postgres(t)
			return address, "pgx", address
		},
		"MariaDB": func(t testing.TB) (string, string, string) {
			address := testservices.MariaDB(t)
			return address, "mysql", testservices.DSN(address)
		},
	} {
		for what, test := range map[string]struct {
			change string
			want   []string
		}{
			"missing table":   {`DROP TABLE outbox`, []string{"no table outbox", "restore it"}},
			"missing column":  {`ALTER TABLE sessions DROP COLUMN ip`, []string{"table sessions has no column ip", "restore it"}},
			"wrong type":      {`ALTER TABLE outbox DROP COLUMN last_error; ALTER TABLE outbox ADD COLUMN last_error INTEGER`, []string{"column outbox.last_error is", "but usher needs"}},
			"newer schema":    {`INSERT INTO usher_migrations (version_id, is_applied) VALUES (99, TRUE)`, []string{"version 99 in table usher_migrations", "run a newer one"}},
			"another's table": {`DROP TABLE usher_migrations`, []string{"there is a table already", "users", "a database of its own"}},
			"numbered users":  {`DROP TABLE sessions; DROP TABLE oauth_accounts; DROP TABLE users; CREATE TABLE users (id INTEGER PRIMARY KEY)`, []string{"column users.id is"}},
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				t.Parallel()
				address, driver, dsn := place(t)
				usher := func(args ...string) (string, error) {
					command := exec.Command("usher", append(args, "--database", address)...)
					command.Dir = t.TempDir()
					output, err := command.CombinedOutput()
					return string(output), err
				}
				if output, err := usher("migrate"); err != nil {
					t.Fatalf("migrate: %v: %s", err, output)
				}
				db, err := sql.Open(driver, dsn)
				if err == nil {
					_, err = db.Exec(test.change)
				}
				if err != nil {
					t.Fatal(err)
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
				for _, args := range [][]string{{"serve", "--addr", "127.0.0.1:0"}, {"migrate"}, {"user", "list"}} {
					output, err := usher(args...)
					if err == nil {
						t.Errorf("%s: no error", args[0])
					}
					for _, want := range test.want {
						if !strings.Contains(output, want) {
							t.Errorf("%s does not say %q: %s", args[0], want, output)
						}
					}
				}
			})
		}
	}
}
