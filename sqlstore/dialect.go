package sqlstore

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Dialect is a kind of SQL database.
type Dialect string

// SQLite is SQLite 3.37 or newer.
const SQLite Dialect = "sqlite"

// kind is what a column holds. Each dialect has a type for it.
type kind int

const (
	kindText kind = iota
	kindBool
	kindInt
	kindFloat
	kindBytes
	kindTime
	kindJSON
	kindOther  // a driver.Valuer, which decides for itself
	kindUserID // kindText or kindInt, as the store's userIDs say
)

// syntax is everything in which a dialect differs from the others. Statements
// are otherwise written once, with ? for parameters, from what all dialects
// understand: no RETURNING, no upsert, no LIMIT in DELETE or in an IN subquery.
type syntax struct {
	ids userIDs // of the store; everything else is the dialect's

	rebind func(query string) string // ? to the dialect's placeholders
	quote  func(name string) string  // an identifier that may be a keyword
	time   func(t time.Time) any     // what a time is sent as

	// inProcess: a lookup by key takes microseconds and waits for nobody, so
	// that letting a context interrupt it costs more than the lookup.
	inProcess bool
	// settings is a query for whether the connection has the settings that the
	// store relies on, and needed says which these are.
	settings, needed string

	// double recognises that a statement broke the unique index with the column
	// "table.column", and userMissing that it named a user who is gone.
	double      func(err error, column string) bool
	userMissing func(err error) bool
	// lock is a statement that makes a transaction wait for all others that
	// write, where only one can; empty where several can.
	lock string
	// skipLocked ends a SELECT, in a transaction, of rows that nobody else is to
	// get meanwhile; rows that somebody else has got already are left out.
	skipLocked string

	// columns is a query for name, type and "must be given" of the columns of
	// the table ?; it has no rows if there is no such table.
	columns string
	// columnType is the type of a new column; the column of a field that cannot
	// be nil gets its zero value for the rows that exist.
	columnType func(k kind, nullable bool) string
	// holds tells whether a column of a type can hold every value of a kind.
	holds func(columnType string, k kind) bool

	// numbered tells whether a column users.id of a type is one of integers that
	// the database itself finds.
	numbered func(columnType string) bool
	// placeholders are the pairs of what stands in the migrations for what
	// depends on the kind of the users' ids, and what it stands for.
	placeholders map[kind][]string
	// begin starts a transaction and waits for all others that change the schema.
	begin []string
	// versions makes the table of the migrations' versions if there is none, as
	// goose does: it wants to find a version 0.
	versions []string
}

func (d Dialect) syntax(options []Option) (syntax, error) {
	ids, err := userIDsOf(options)
	if err != nil {
		return syntax{}, err
	}
	var y syntax
	switch d {
	case SQLite:
		y = sqliteSyntax
	default:
		return syntax{}, fmt.Errorf("sqlstore: unknown dialect %q", string(d))
	}
	y.ids = ids
	return y, nil
}

var sqliteSyntax = syntax{
	rebind: func(query string) string { return query },
	quote:  func(name string) string { return `"` + name + `"` },
	time:   func(t time.Time) any { return t.UnixMicro() },

	inProcess: true,
	settings:  `SELECT foreign_keys FROM pragma_foreign_keys`,
	needed:    "PRAGMA foreign_keys=ON, or deleting a user would leave its sessions",

	// By their text, which is SQLite's own and the same in every driver.
	double: func(err error, column string) bool {
		_, columns, found := strings.Cut(err.Error(), "UNIQUE constraint failed: ")
		return found && slices.Contains(strings.FieldsFunc(columns, func(c rune) bool { return c == ',' || c == ' ' }), column)
	},
	userMissing: func(err error) bool { return strings.Contains(err.Error(), "FOREIGN KEY constraint failed") },
	// BEGIN IMMEDIATE would do it too, if database/sql could say it.
	lock: `DELETE FROM used_tokens WHERE FALSE`,

	columns: `SELECT name, type, "notnull" AND dflt_value IS NULL FROM pragma_table_info(?)`,
	columnType: func(k kind, nullable bool) string {
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
	},
	// A table that the application made need not be STRICT, and its columns can
	// then have any type at all; so only the types that refuse are refused.
	holds: func(columnType string, k kind) bool {
		columnType = strings.Replace(strings.ToUpper(columnType), "INTEGER", "INT", 1)
		switch columnType {
		case "INT", "REAL", "TEXT", "BLOB":
			return k == kindOther || columnType == strings.Replace(sqliteTypes[k], "INTEGER", "INT", 1)
		}
		return true
	},

	// This very word makes it the number of the row, which SQLite finds.
	numbered: func(columnType string) bool { return strings.EqualFold(columnType, "INTEGER") },
	placeholders: map[kind][]string{
		kindText: {
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
	begin: []string{`BEGIN IMMEDIATE`},
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

var sqliteTypes = map[kind]string{
	kindText: "TEXT", kindBool: "INTEGER", kindInt: "INTEGER", kindFloat: "REAL",
	kindBytes: "BLOB", kindTime: "INTEGER", kindJSON: "TEXT", kindOther: "ANY",
}
