package sqlite

import (
	"database/sql"
	"path/filepath"
	"testing"
)

// Every connection has the settings that the promises rest on.
func TestSettings(t *testing.T) {
	t.Parallel()
	name, err := nameOf(filepath.Join(t.TempDir(), "app.db"))
	if err != nil {
		t.Fatal(err)
	}
	db, err := openPool(name, 3)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := useWAL(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	var conns []*sql.Conn
	for range 3 { // at the same time: three connections
		conn, err := db.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		conns = append(conns, conn)
	}
	for _, conn := range conns {
		for pragma, want := range map[string]string{
			"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000", "fullfsync": "1", "checkpoint_fullfsync": "1",
		} {
			var got string
			if err := conn.QueryRowContext(t.Context(), "PRAGMA "+pragma).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %s", pragma, got, err, want)
			}
		}
		if _, err := conn.ExecContext(t.Context(), `SELECT "a string"`); err == nil {
			t.Error("a name that is no column was taken for a string")
		}
	}
}
