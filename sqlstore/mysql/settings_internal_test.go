package mysql

import (
	"database/sql"
	"strings"
	"testing"

	"usher/internal/testservices"
)

// Whichever modes a server has: ours is strict, keeps what is empty, and has the
// others, for the application's own statements.
func TestModes(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	config, _, err := parse(address)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("mysql", testservices.DSN(address))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context()) // modes are a connection's
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, modes := range []string{"", "ANSI_QUOTES", "TRADITIONAL", "STRICT_ALL_TABLES,EMPTY_STRING_IS_NULL,ANSI_QUOTES"} {
		if _, err := conn.ExecContext(t.Context(), `SET sql_mode = '`+modes+`'`); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.ExecContext(t.Context(), `SET sql_mode = `+config.Params["sql_mode"]); err != nil {
			t.Fatalf("%q: %v", modes, err)
		}
		var got string
		if err := conn.QueryRowContext(t.Context(), `SELECT @@sql_mode`).Scan(&got); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(got, "STRICT_TRANS_TABLES") || strings.Contains(got, "EMPTY_STRING_IS_NULL") || strings.Contains(modes, "ANSI_QUOTES") != strings.Contains(got, "ANSI_QUOTES") {
			t.Errorf("%q: %q", modes, got)
		}
	}
}
