package usher_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/mysql"
	"usher/sqlstore/postgres"
)

// While the database takes no writes, because its disk is full (FAULTS.md, F25) or
// it only reads (F26, a standby after a failover), what writes is answered 503 and
// does nothing, sessions go on, and all works again when the database does.
func TestF25_F26_DatabaseWithoutWrites(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(t *testing.T) (s *site, writes func(bool)){
		"a full disk, SQLite": func(t *testing.T) (*site, func(bool)) {
			s := newSite(t)
			return s, func(on bool) {
				pages := 1 // as many as there are
				if on {
					pages = 1 << 20
				}
				err := s.db.InTx(t.Context(), func(ctx context.Context) error {
					_, err := s.db.Tx(ctx).ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", pages))
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
			}
		},
		"only reads, PostgreSQL": func(t *testing.T) (*site, func(bool)) {
			address := testservices.Postgres(t)
			admin, role := openSQL(t, "pgx", address), testservices.Prefix(t)+"role"
			admin(`CREATE ROLE ` + role + ` LOGIN PASSWORD 's3cret'`)
			admin(`DO $$ BEGIN EXECUTE 'GRANT ALL ON SCHEMA ' || current_schema() || ' TO ` + role + `'; END $$`)
			t.Cleanup(func() { admin(`DROP OWNED BY ` + role + `; DROP ROLE ` + role) })
			s := newSiteOn(t, func(testing.TB, *site) (*sqlstore.Store[User], error) {
				return postgres.Open[User](t.Context(), as(address, role))
			})
			return s, func(on bool) {
				admin(fmt.Sprintf(`ALTER ROLE %s SET default_transaction_read_only = %t`, role, !on))
				admin(`SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE usename = '` + role + `'`)
			}
		},
		"no right to write, MariaDB": func(t *testing.T) (*site, func(bool)) {
			address := testservices.MariaDB(t)
			admin, user := openSQL(t, "mysql", testservices.DSN(address)), testservices.Prefix(t)+"user"
			u, _ := url.Parse(address)
			admin(`CREATE USER ` + user + ` IDENTIFIED BY 's3cret'`)
			admin(`GRANT ALL ON ` + u.Path[1:] + `.* TO ` + user)
			t.Cleanup(func() { admin(`DROP USER ` + user) })
			s := newSiteOn(t, func(testing.TB, *site) (*sqlstore.Store[User], error) {
				return mysql.Open[User](t.Context(), as(address, user))
			})
			return s, func(on bool) {
				verb, to := "REVOKE", "FROM"
				if on {
					verb, to = "GRANT", "TO"
				}
				admin(verb + ` INSERT, UPDATE, DELETE ON ` + u.Path[1:] + `.* ` + to + ` ` + user)
				admin(`KILL USER ` + user) // a connection keeps its rights
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, writes := open(t)
			s.add(t, "ann@example.com")
			session, jwt := s.signedIn(t, "cookie", "ann@example.com"), s.signedIn(t, "jwt", "ann@example.com")
			register := func(email string) answer {
				return s.send(t, "POST", "/auth/register", map[string]any{"email": email, "password": goodPassword})
			}
			notice := func() { // which connections ended
				for range 8 {
					s.send(t, "GET", "/users/me", nil, session)
				}
			}

			writes(false)
			notice()
			refused := func(what string, does func(n int) answer) (n int) {
				for n = range 200 { // pages that are not full take some more
					switch a := does(n); {
					case a.status == 503 && a.header.Get("Retry-After") != "":
						return n
					case a.status >= 400:
						t.Fatalf("%s: %d %s, want 503", what, a.status, a.body)
					}
				}
				t.Fatalf("%s is never refused", what)
				return
			}
			n := refused("registration", func(n int) answer { return register(fmt.Sprintf("user%d@example.com", n)) })
			refused("login", func(int) answer {
				return s.send(t, "POST", "/auth/cookie/login", loginForm("ann@example.com", goodPassword))
			})
			s.wantAlive(t, "a session", session, true)
			s.wantAlive(t, "a JWT", jwt, true)
			s.wantAlive(t, "nobody", "Authorization: Bearer "+strings.Repeat("A", 43), false)
			if a := s.send(t, "POST", "/auth/cookie/login", loginForm("ann@example.com", "wrong")); a.status != 400 {
				t.Errorf("a wrong password: %d %s", a.status, a.body)
			}

			writes(true)
			notice()
			if a := register(fmt.Sprintf("user%d@example.com", n)); a.status != 201 {
				t.Errorf("registration afterwards: %d %s, want 201: nothing was done before", a.status, a.body)
			}
			s.wantAlive(t, "a new session", s.signedIn(t, "cookie", "ann@example.com"), true)
			if a := s.send(t, "POST", "/auth/cookie/logout", nil, session); a.status != 204 {
				t.Errorf("logout: %d %s", a.status, a.body)
			}
			s.wantAlive(t, "a session that was ended", session, false)
		})
	}
}

// openSQL returns a function that runs a statement past the store.
func openSQL(t *testing.T, driver, address string) func(statement string) {
	t.Helper()
	db, err := sql.Open(driver, address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return func(statement string) {
		t.Helper()
		if _, err := db.Exec(statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// as is an address for another user.
func as(address, user string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User = url.UserPassword(user, "s3cret")
	return u.String()
}
