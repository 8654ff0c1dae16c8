package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Dialect is a kind of SQL database.
type Dialect string

const (
	// SQLite is SQLite 3.37 or newer.
	SQLite Dialect = "sqlite"
	// PostgreSQL is PostgreSQL 12 or newer.
	PostgreSQL Dialect = "postgres"
	// MySQL is MariaDB 10.6 or newer, or MySQL 8.0.19 or newer.
	MySQL Dialect = "mysql"
)

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
	kindUUID
	kindOther  // what a driver.Valuer makes of it: any column may hold it
	kindUserID // kindUUID or kindInt, as the store's userIDs say
)

// syntax is everything in which a dialect differs from the others. Statements
// are otherwise written once, with ? for parameters, from what all dialects
// understand: no RETURNING, no upsert, no LIMIT in an IN subquery.
type syntax struct {
	ids userIDs // of the store; everything else is the dialect's

	rebind func(query string) string // ? to the dialect's placeholders
	quote  func(name string) string  // an identifier that may be a keyword
	time   func(t time.Time) any     // what a time is sent as
	uuid   func(id string) any       // what a UUID in canonical text is sent as
	// read is the expression that yields a column of a kind as the store reads it
	// in any dialect: times as microseconds since 1970-01-01 UTC, booleans as
	// numbers, UUIDs in canonical text.
	read func(k kind, column string) string
	// separator is the text of one character 31.
	separator string
	// refuse says why a text cannot be kept as a kind, or is nil.
	refuse func(k kind, text string) error

	// inProcess: a lookup by key takes microseconds and waits for nobody, so
	// that letting a context interrupt it costs more than the lookup.
	inProcess bool
	// settings says which setting the store relies on is missing.
	settings func(ctx context.Context, db *sql.DB) error

	// double recognises that a statement broke the unique index of a column;
	// userMissing that it named a user who is gone; and again that it lost
	// against another transaction, and nothing of it was done.
	double      func(err error, table, column string) bool
	userMissing func(err error) bool
	again       func(err error) bool
	// misfit recognises that a value does not fit its column, or breaks a rule that
	// the application made for it.
	misfit func(err error) bool
	// discreet takes the values out of an error's text.
	discreet func(err error) error
	// orNothing ends an INSERT that is to write nothing if the columns are not
	// unique: where an error would end the transaction too.
	orNothing func(columns string) string
	// isolation of transactions is READ COMMITTED where there is a choice: the
	// guards of the statements are made for it.
	isolation sql.IsolationLevel
	// lock is a statement that makes a transaction wait for all others that
	// write, where only one can; empty where several can.
	lock string
	// skipLocked ends a SELECT, in a transaction, of rows that nobody else is to
	// get meanwhile; rows that somebody else has got already are left out.
	skipLocked string
	// sweep deletes of a table up to a number of rows that expired before a time;
	// key is its primary key.
	sweep func(table, key string) string

	// columns is a query for name, type and "must be given" of the columns of
	// the table ?; it has no rows if there is no such table.
	columns string
	// columnType is the type of a new column; the column of a field that cannot
	// be nil gets its zero value for the rows that exist.
	columnType func(k kind, nullable bool) string
	// holds tells whether a column of a type can hold every value of a kind, and
	// exact whether it keeps and compares them as usher's own columns must.
	holds, exact func(columnType string, k kind) bool
	// uniques is a query for the unique indexes of the table ?: the name of each,
	// with each of its columns.
	uniques string

	// nextID finds the number of a new user, and keepID keeps a number that
	// somebody brought from being found; both are empty where INSERT does it.
	nextID, keepID string
	// placeholders are the pairs of what stands in the migrations for what
	// depends on the kind of the users' ids, and what it stands for.
	placeholders map[kind][]string
	// begin starts a transaction and waits for all others that change the schema;
	// end is run after it, however it ended.
	begin func(ctx context.Context, conn *sql.Conn) error
	end   string
	// tableThere recognises that a table exists already.
	tableThere func(err error) bool
	// forGood: a change of the schema cannot be taken back. A migration that was
	// interrupted then goes on after the tables that are there.
	forGood bool
	// versions makes the table of the migrations' versions if there is none, as
	// goose does: it wants to find a version 0.
	versions []string
}

func (d Dialect) syntax(options []Option) (syntax, error) {
	integers, err := integerIDs(options)
	if err != nil {
		return syntax{}, err
	}
	var y syntax
	switch d {
	case SQLite:
		y = sqliteSyntax()
	case PostgreSQL:
		y = postgresSyntax()
	case MySQL:
		y = mysqlSyntax()
	default:
		return syntax{}, fmt.Errorf("sqlstore: unknown dialect %q", string(d))
	}
	y.ids = uuids(y.uuid)
	if integers {
		y.ids = numbers
	}
	return y, nil
}

// numbered tells whether the type of a column is one of integers.
func (y syntax) numbered(columnType string) bool {
	return y.holds(columnType, kindInt) && !y.holds(columnType, kindUUID)
}

// pack is the expression that yields columns as one text, for unpack.
func (y syntax) pack(columns ...string) string {
	return `concat_ws(` + y.separator + `, ` + strings.Join(columns, `, `) + `)`
}

// numberParameters makes $1, $2, … of every ?. There is none in a literal or a
// name: the store writes neither.
func numberParameters(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// execEach runs statements that begin something.
func execEach(statements ...string) func(ctx context.Context, conn *sql.Conn) error {
	return func(ctx context.Context, conn *sql.Conn) error {
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return err
			}
		}
		return nil
	}
}
