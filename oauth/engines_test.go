package oauth_test

import (
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
	"SQLite": onFile,
	"PostgreSQL": func(t testing.TB, _ *site) (*sqlstore.Store[User], error) {
		return postgres.Open[User](t.Context(), testservices.Postgres(t))
	},
	"MariaDB": func(t testing.TB, _ *site) (*sqlstore.Store[User], error) {
		return mysql.Open[User](t.Context(), testservices.MariaDB(t))
	},
}

func inMemory(t testing.TB, s *site) (*sqlstore.Store[User], error) {
	return sqlite.Open[User](t.Context(), sqlite.Memory)
}

// onFile is SQLite in a file, which several can read at once.
func onFile(t testing.TB, s *site) (*sqlstore.Store[User], error) {
	s.file = filepath.Join(t.TempDir(), "users.db")
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
