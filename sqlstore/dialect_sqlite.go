package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

func sqliteSyntax() syntax {
	return syntax{
		rebind:     func(query string) string { return query },
		quote:      func(name string) string { return `"` + name + `"` },
		time:       func(t time.Time) any { return t.UnixMicro() },
		uuid:       func(id string) any { return id },
		read:       func(_ kind, column string) string { return column },
		separator:  `char(31)`,
		refuse:     func(kind, string) error { return nil },
		inProcess:  true,
		settings:   sqliteSettings,
		discreet:   func(err error) error { return err },
		again:      func(error) bool { return false }, // who must wait has waited
		orNothing:  func(string) string { return "" },
		columnType: sqliteColumnType,
		holds:      sqliteHolds,
		exact:      func(string, kind) bool { return true }, // there is one type of each

		// By their text, which is SQLite's own and the same in every driver.
		double: func(err error, table, column string) bool {
			_, columns, found := strings.Cut(err.Error(), "UNIQUE constraint failed: ")
			return found && slices.Contains(strings.FieldsFunc(columns, func(c rune) bool { return c == ',' || c == ' ' }), table+"."+column)
		},
		userMissing: func(err error) bool { return strings.Contains(err.Error(), "FOREIGN KEY constraint failed") },
		misfit:      func(err error) bool { return strings.Contains(err.Error(), "CHECK constraint failed") },
		// BEGIN IMMEDIATE would do it too, if database/sql could say it.
		lock: `DELETE FROM used_tokens WHERE FALSE`,
		sweep: func(table, key string) string {
			return fmt.Sprintf(`DELETE FROM %[1]s WHERE %[2]s IN (SELECT %[2]s FROM %[1]s WHERE expires_at < ? ORDER BY expires_at LIMIT ?)`, table, key)
		},
		columns: `SELECT name, type, "notnull" AND dflt_value IS NULL FROM pragma_table_info(?)`,
		uniques: `SELECT l.name, i.name FROM pragma_index_list(?) l, pragma_index_info(l.name) i WHERE l."unique" AND NOT l.partial`,

		placeholders: map[kind][]string{
			kindUUID: {
				"{users.id}", "TEXT    NOT NULL PRIMARY KEY, -- UUID in canonical text",
				"{users}", "STRICT, WITHOUT ROWID",
				"{user_id}", "TEXT   ",
			},
			kindInt: {
				"{users.id}", "INTEGER PRIMARY KEY AUTOINCREMENT, -- no number is used again",
				"{users}", "STRICT", // AUTOINCREMENT wants its row id; the id is it
				"{user_id}", "INTEGER",
			},
		},
		begin:      execEach(`BEGIN IMMEDIATE`),
		tableThere: func(err error) bool { return strings.Contains(err.Error(), " already exists") },
		versions: []string{
			`CREATE TABLE IF NOT EXISTS ` + versionTable + ` (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    version_id INTEGER NOT NULL,
    is_applied INTEGER NOT NULL,
    tstamp     TIMESTAMP DEFAULT (datetime('now'))
)`,
			`INSERT INTO ` + versionTable + ` (version_id, is_applied)
    SELECT 0, 1 WHERE NOT EXISTS (SELECT 1 FROM ` + versionTable + `)`,
		},
	}
}

func sqliteSettings(ctx context.Context, db *sql.DB) error {
	var on bool
	if err := db.QueryRowContext(ctx, `SELECT foreign_keys FROM pragma_foreign_keys`).Scan(&on); err != nil {
		return err
	}
	if !on {
		return errors.New("every connection needs PRAGMA foreign_keys=ON, or deleting a user would leave its sessions")
	}
	return nil
}

var sqliteTypes = map[kind]string{
	kindText: "TEXT", kindBool: "INTEGER", kindInt: "INTEGER", kindFloat: "REAL",
	kindBytes: "BLOB", kindTime: "INTEGER", kindJSON: "TEXT", kindUUID: "TEXT",
}

func sqliteColumnType(k kind, nullable bool) string {
	t := sqliteTypes[k]
	switch {
	case nullable:
		return t
	case k == kindText:
		return t + ` NOT NULL DEFAULT ''`
	case k == kindBool || k == kindInt || k == kindFloat:
		return t + ` NOT NULL DEFAULT 0`
	}
	return t // NULL is read as the zero value
}

// sqliteHolds: a table that the application made need not be STRICT, and its
// columns can then have any type at all; so only the types that refuse are
// refused.
func sqliteHolds(columnType string, k kind) bool {
	columnType = strings.Replace(strings.ToUpper(columnType), "INTEGER", "INT", 1)
	switch columnType {
	case "INT", "REAL", "TEXT", "BLOB":
		return k == kindOther || columnType == strings.Replace(sqliteTypes[k], "INTEGER", "INT", 1)
	}
	return true
}
