package sqlstore

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
)

// filledAccounts opens a store with 20 000 users and as many of everything else.
func filledAccounts(t *testing.T, d Dialect, driver, dsn, fill string, options ...Option) *Store[account] {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Migrate(t.Context(), db, d, options...); err != nil {
		t.Fatal(err)
	}
	if _, err := AddColumns[account](t.Context(), db, d); err != nil {
		t.Fatal(err)
	}
	s, err := New[account](t.Context(), db, db, d, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	if _, err := db.Exec(fill); err != nil {
		t.Fatal(err)
	}
	return s
}

// ofBothKinds runs a test with each kind of id. ID is the expression in place of
// {id} for the id of user i.
func ofBothKinds(t *testing.T, fill, uuid, integer string, test func(t *testing.T, fill string, options ...Option)) {
	t.Parallel()
	t.Run("UUIDs", func(t *testing.T) { test(t, strings.ReplaceAll(fill, "{id}", uuid)) })
	t.Run("integers", func(t *testing.T) { test(t, strings.ReplaceAll(fill, "{id}", integer), IntegerIDs) })
}

// searches are queries for users with what their plan should begin with.
func searches(f func(q usher.UserQuery, byEmail bool)) {
	yes, when := true, time.Date(2024, 1, 1, 3, 0, 0, 0, time.UTC)
	for i := range 1 << 6 {
		q := usher.UserQuery{Limit: 100}
		for bit, set := range []func(){
			func() { q.Email = "user77" },
			func() { q.IsActive = &yes }, func() { q.IsSuperuser = &yes }, func() { q.IsVerified = &yes },
			func() { q.CreatedAfter = when }, func() { q.CreatedBefore = when.Add(time.Hour) },
		} {
			if i>>bit&1 == 1 {
				set()
			}
		}
		f(q, q.Email != "")
	}
}

const postgresFill = `
	INSERT INTO users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
		SELECT {id}, '', 'user' || i || '@example.com', '', TRUE, i % 2 = 0, i % 3 = 0, at, at FROM n;
	INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, ip, user_agent)
		SELECT sha256(i::text::bytea), i, {id}, at, at, at, at, '', '' FROM n;
	INSERT INTO used_tokens SELECT sha256(i::text::bytea), at FROM n;
	INSERT INTO oauth_accounts (id, user_id, provider, account_id, email, created_at, updated_at) SELECT i, {id}, 'github', i, '', at, at FROM n;
	INSERT INTO outbox (id, kind, email, created_at, due_at, attempts, last_error, dead) SELECT i, 'verify', '', at, at, 0, '', FALSE FROM n;
	ANALYZE users, sessions, used_tokens, oauth_accounts, outbox;`

// No statement looks through a whole table, also as PostgreSQL plans it once for
// all values (DEFECTS I).
func TestQueryPlansOfPostgreSQL(t *testing.T) {
	fill := strings.ReplaceAll(postgresFill, "FROM n", `FROM (SELECT i, timestamptz '2024-01-01' + i * interval '1 second' AS at FROM generate_series(1, 20000) AS i) AS n`)
	ofBothKinds(t, fill, `md5(i::text)::uuid`, `i`, func(t *testing.T, fill string, options ...Option) {
		s := filledAccounts(t, PostgreSQL, "pgx", testservices.Postgres(t), fill, options...)
		s.write.SetMaxOpenConns(1) // that of the settings
		planned(t, s.write, `SET plan_cache_mode = force_generic_plan`)
		reads, writes := s.queries()
		sorted := []*statement{&s.statements.dueMessages, &s.statements.listMessages, &s.statements.sweepSessions, &s.statements.sweepUsedTokens}
		for _, queries := range []map[*statement]string{reads, writes} {
			for where, query := range queries {
				if where == &s.statements.ping {
					continue // stops at the first row
				}
				planned(t, s.write, `PREPARE asked AS `+s.syntax.rebind(query))
				nulls := ""
				if n := strings.Count(query, "?"); n > 0 {
					nulls = "(" + strings.Repeat(", NULL", n)[2:] + ")"
				}
				plan := planned(t, s.write, `EXPLAIN EXECUTE asked`+nulls)
				if strings.Contains(plan, "Seq Scan") || plan == "" || slices.Contains(sorted, where) && strings.Contains(plan, "Sort") {
					t.Errorf("%s:\n%s", query, plan)
				}
				planned(t, s.write, `DEALLOCATE asked`)
			}
		}
		searches(func(q usher.UserQuery, byEmail bool) {
			index := "users_pkey"
			if byEmail {
				index = "users_email_key_key"
			}
			query, args := s.listQuery(q, s.syntax.ids.least)
			if plan := planned(t, s.write, `EXPLAIN `+query, args...); strings.Contains(plan, "Seq Scan") || !strings.Contains(plan, index) {
				t.Errorf("%s: not by %s:\n%s", query, index, plan)
			}
		})
	})
}

// planned returns what a statement yields, one line for each row.
func planned(t *testing.T, db *sql.DB, query string, args ...any) string {
	t.Helper()
	rows, err := db.Query(query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return strings.Join(lines, "\n")
}

const mariadbFill = `
	INSERT INTO users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
		SELECT {id}, '', concat('user', i, '@example.com'), '', TRUE, i % 2 = 0, i % 3 = 0, at, at FROM n;
	INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, ip, user_agent)
		SELECT unhex(sha2(i, 256)), i, {id}, at, at, at, at, '', '' FROM n;
	INSERT INTO used_tokens SELECT unhex(sha2(i, 256)), at FROM n;
	INSERT INTO oauth_accounts (id, user_id, provider, account_id, email, created_at, updated_at) SELECT i, {id}, 'github', i, '', at, at FROM n;
	INSERT INTO outbox (id, kind, email, created_at, due_at, attempts, last_error, dead) SELECT i, 'verify', '', at, at, 0, '', FALSE FROM n;
	ANALYZE TABLE users, sessions, used_tokens, oauth_accounts, outbox`

func TestQueryPlansOfMariaDB(t *testing.T) {
	fill := strings.ReplaceAll(mariadbFill, "FROM n", `FROM (SELECT seq AS i, TIMESTAMP'2024-01-01 00:00:00' + INTERVAL seq SECOND AS at FROM seq_1_to_20000) AS n`)
	ofBothKinds(t, fill, `unhex(md5(i))`, `i`, func(t *testing.T, fill string, options ...Option) {
		s := filledAccounts(t, MySQL, "mysql", testservices.DSN(testservices.MariaDB(t)), fill, options...)
		reads, writes := s.queries()
		sorted := []*statement{&s.statements.dueMessages, &s.statements.listMessages, &s.statements.sweepSessions, &s.statements.sweepUsedTokens}
		for _, queries := range []map[*statement]string{reads, writes} {
			for where, query := range queries {
				if where == &s.statements.ping || strings.HasPrefix(query, "INSERT") {
					continue // stops at the first row; has no plan
				}
				args := make([]any, strings.Count(query, "?"))
				for i := range args {
					args[i] = "2024-01-01 00:10:00" // found by no key, or the time of some rows
				}
				if before, _, limited := strings.Cut(query, "LIMIT ?"); limited {
					args[strings.Count(before, "?")] = 100
				}
				steps := explained(t, s.write, query, args...)
				for _, step := range steps {
					inOrder := where == &s.statements.listMessages && step.Type == "index" && step.Key == "PRIMARY"
					if step.Type == "ALL" || step.Type == "index" && !inOrder || slices.Contains(sorted, where) && strings.Contains(step.Extra, "filesort") {
						t.Errorf("%s: %+v", query, step)
					}
				}
			}
		}
		searches(func(q usher.UserQuery, byEmail bool) {
			index := "PRIMARY"
			if byEmail {
				index = "users_email_key"
			}
			query, args := s.listQuery(q, s.syntax.ids.least)
			if step := explained(t, s.write, query, args...)[0]; step.Type != "range" || step.Key != index {
				t.Errorf("%s: not by %s: %+v", query, index, step)
			}
		})
	})
}

// step is how MariaDB reads one table.
type step struct{ Type, Key, Extra string }

func explained(t *testing.T, db *sql.DB, query string, args ...any) (steps []step) {
	t.Helper()
	rows, err := db.Query("EXPLAIN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		values := make([]sql.NullString, len(columns))
		targets := make([]any, len(columns))
		for i := range values {
			targets[i] = &values[i]
		}
		if err := rows.Scan(targets...); err != nil {
			t.Fatal(err)
		}
		row := map[string]string{}
		for i, name := range columns {
			row[name] = values[i].String
		}
		steps = append(steps, step{row["type"], row["key"], row["Extra"]})
	}
	if err := rows.Err(); err != nil || len(steps) == 0 {
		t.Fatalf("%s: %d steps, %v", query, len(steps), err)
	}
	return steps
}
