package usher_test

import (
	"os"
	"path/filepath"
	"testing"

	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/mysql"
	"usher/sqlstore/postgres"
	"usher/sqlstore/sqlite"
)

// engine opens a new database for a site.
type engine func(t testing.TB, s *site) (*sqlstore.Store[User], error)

// engines are the databases that keep a promise about what happens at once each by
// its own means.
var engines = map[string]engine{
	"SQLite": onSQLite,
	"PostgreSQL": func(t testing.TB, _ *site) (*sqlstore.Store[User], error) {
		return postgres.Open[User](t.Context(), testservices.Postgres(t))
	},
	"MariaDB": func(t testing.TB, _ *site) (*sqlstore.Store[User], error) {
		return mysql.Open[User](t.Context(), testservices.MariaDB(t))
	},
}

func onSQLite(t testing.TB, s *site) (*sqlstore.Store[User], error) {
	s.file = filepath.Join(t.TempDir(), "site.db")
	empty, err := emptyDatabase()
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(s.file, empty, 0o600); err != nil {
		return nil, err
	}
	return sqlite.Open[User](t.Context(), s.file)
}

// onEach runs a test on every engine.
func onEach(t *testing.T, test func(t *testing.T, on engine)) {
	t.Parallel()
	for name, on := range engines {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, on)
		})
	}
}
