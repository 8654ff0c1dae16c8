package fastapiusers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"usher/sqlstore"
)

// The tables of FastAPI Users with SQLAlchemy, and their columns.
const (
	userTable    = "user"
	accountTable = "oauth_account"
	tokenTable   = "accesstoken"
)

var tableColumns = map[string][]string{
	userTable:    {"id", "email", "hashed_password", "is_active", "is_superuser", "is_verified"},
	accountTable: {"id", "user_id", "oauth_name", "access_token", "expires_at", "refresh_token", "account_id", "account_email"},
	tokenTable:   {"token", "user_id", "created_at"},
}

// table is a table of the source. Names on the left are FastAPI Users', or
// usher's for the application's own columns of the users.
type table struct {
	name    string // FastAPI Users'
	source  string // empty: there is none
	columns map[string]string
	own     []string // the application's own columns, by usher's names
	key     string   // FastAPI Users' name of the primary key
}

// Source is a database of FastAPI Users.
type Source struct {
	db      *sql.DB
	tx      *sql.Tx // nil: none, see snapshot
	dialect sqlstore.Dialect
	tidy    func()

	users, accounts, tokens table
}

// Open opens the database of FastAPI Users at address (sqlite:PATH,
// postgresql://… or mysql://…, also as SQLAlchemy writes them), to read only. names
// maps names of FastAPI Users' tables and columns to others that the database has
// instead: {"user": "members", "user.email": "mail"}; the key of an own column of
// the users is the column that it goes to in usher. The tables oauth_account and
// accesstoken may be missing.
//
// The error says which table or column is not there. The caller must Close the
// Source, which holds one snapshot of the database.
func Open(ctx context.Context, address string, names map[string]string) (_ *Source, err error) {
	after := tidy(address)
	db, dialect, err := openSQL(ctx, address, true)
	if err != nil {
		return nil, fmt.Errorf("fastapiusers: open the source: %w", err)
	}
	s := &Source{db: db, dialect: dialect, tidy: after}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("fastapiusers: the source: %w", err), s.Close())
		}
	}()
	if err := checkNames(names); err != nil {
		return nil, err
	}
	if err := s.snapshot(ctx); err != nil {
		return nil, err
	}
	var faults []error
	for _, t := range []struct {
		name string
		to   *table
	}{{userTable, &s.users}, {accountTable, &s.accounts}, {tokenTable, &s.tokens}} {
		*t.to, err = s.resolve(ctx, t.name, names)
		faults = append(faults, err)
	}
	return s, errors.Join(faults...)
}

// Close ends the snapshot and the connection.
func (s *Source) Close() error {
	if s.tx != nil {
		_ = s.tx.Rollback()
	}
	defer s.tidy()
	return s.db.Close()
}

// snapshot begins a transaction that reads only, and sees the database as it is
// now. A SQLite database without a write-ahead log is read in many short ones
// instead: a long one would keep the application from writing.
func (s *Source) snapshot(ctx context.Context) error {
	options := &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}
	if s.dialect == sqlstore.SQLite {
		options = nil // mode=ro
		var mode string
		if err := s.db.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&mode); err != nil {
			return err
		}
		if mode != "wal" {
			return nil
		}
	}
	tx, err := s.db.BeginTx(context.WithoutCancel(ctx), options) // a cancelled run ends in Close
	s.tx = tx
	return err
}

func (s *Source) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.tx != nil {
		return s.tx.QueryContext(ctx, query, args...)
	}
	return s.db.QueryContext(ctx, query, args...)
}

// checkNames refuses keys that name nothing.
func checkNames(names map[string]string) error {
	var faults []error
	for _, key := range slices.Sorted(maps.Keys(names)) {
		name, column, hasColumn := strings.Cut(key, ".")
		known, isTable := tableColumns[name]
		switch {
		case !isTable:
			faults = append(faults, fmt.Errorf("map %s: the tables are user, oauth_account and accesstoken, and their columns are written as user.email", key))
		case names[key] == "":
			faults = append(faults, fmt.Errorf("map %s: to what?", key))
		case hasColumn && name != userTable && !slices.Contains(known, column):
			faults = append(faults, fmt.Errorf("map %s: the columns of %s are %s", key, name, strings.Join(known, ", ")))
		}
	}
	return errors.Join(faults...)
}

// resolve finds a table and its columns.
func (s *Source) resolve(ctx context.Context, name string, names map[string]string) (table, error) {
	t := table{name: name, source: name, columns: map[string]string{}, key: tableColumns[name][0]}
	mapped, isMapped := names[name]
	if isMapped {
		t.source = mapped
	}
	live, err := s.columnsOf(ctx, t.source)
	if err != nil {
		if !noSuchTable(err) {
			return t, err
		}
		if name == userTable || isMapped {
			return t, fmt.Errorf("there is no table %s: name the one with FastAPI Users' %s by --map %s=TABLE", t.source, name, name)
		}
		return table{name: name}, nil
	}
	var faults []error
	taken := map[string]bool{}
	take := func(column, source string) bool {
		i := slices.IndexFunc(live, func(c string) bool { return c == source })
		if i < 0 {
			i = slices.IndexFunc(live, func(c string) bool { return strings.EqualFold(c, source) })
		}
		if i >= 0 {
			t.columns[column], taken[live[i]] = live[i], true
		}
		return i >= 0
	}
	for _, column := range tableColumns[name] {
		source := column
		if other, is := names[name+"."+column]; is {
			source = other
		}
		if !take(column, source) {
			faults = append(faults, fmt.Errorf("table %s has no column %s (it has %s): name the one with FastAPI Users' %s by --map %s.%s=COLUMN",
				t.source, source, strings.Join(live, ", "), column, name, column))
		}
	}
	if name != userTable {
		return t, errors.Join(faults...)
	}
	for _, key := range slices.Sorted(maps.Keys(names)) {
		column, isColumn := strings.CutPrefix(key, userTable+".")
		if !isColumn || slices.Contains(tableColumns[name], column) {
			continue
		}
		if take(column, names[key]) {
			t.own = append(t.own, column)
		} else {
			faults = append(faults, fmt.Errorf("table %s has no column %s (it has %s)", t.source, names[key], strings.Join(live, ", ")))
		}
	}
	for _, column := range live {
		if _, is := t.columns[column]; !taken[column] && !is {
			t.columns[column] = column
			t.own = append(t.own, column)
		}
	}
	return t, errors.Join(faults...)
}

func (s *Source) columnsOf(ctx context.Context, name string) ([]string, error) {
	if s.tx != nil { // PostgreSQL ends a transaction with the first error
		if _, err := s.tx.ExecContext(ctx, `SAVEPOINT look`); err != nil {
			return nil, err
		}
		defer func() { _, _ = s.tx.ExecContext(ctx, `ROLLBACK TO SAVEPOINT look`) }()
	}
	rows, err := s.query(ctx, `SELECT * FROM `+s.quote(name)+` WHERE 1 = 0`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	return rows.Columns()
}

// quote quotes a name, which may have a schema before a dot.
func (s *Source) quote(name string) string {
	mark := `"`
	if s.dialect == sqlstore.MySQL {
		mark = "`"
	}
	parts := strings.Split(name, ".")
	for i, part := range parts {
		parts[i] = mark + strings.ReplaceAll(part, mark, mark+mark) + mark
	}
	return strings.Join(parts, ".")
}

// count returns how many rows a table has, and how many of these have a key.
func (s *Source) count(ctx context.Context, t table) (all, keyed int64, err error) {
	rows, err := s.query(ctx, `SELECT count(*), count(`+s.quoteColumn(t, t.key)+`) FROM `+s.quote(t.source))
	if err != nil {
		return 0, 0, err
	}
	defer rows.Close()
	if rows.Next() {
		err = rows.Scan(&all, &keyed)
	}
	return all, keyed, errors.Join(err, rows.Err())
}

func (s *Source) quoteColumn(t table, column string) string {
	source := s.quote(strings.ReplaceAll(t.columns[column], ".", "\x00"))
	return strings.ReplaceAll(source, "\x00", ".") // a dot in it divides nothing
}

// pages calls f with the rows of a table in the order of its key, up to size at a
// time, with their columns in the order given.
func (s *Source) pages(ctx context.Context, t table, columns []string, size int, f func(rows [][]any) error) error {
	var list []string
	for _, column := range append([]string{t.key}, columns...) {
		list = append(list, s.quoteColumn(t, column))
	}
	key := list[0]
	from := `SELECT ` + strings.Join(list, `, `) + ` FROM ` + s.quote(t.source) + ` WHERE ` + key
	end := fmt.Sprintf(` ORDER BY %s LIMIT %d`, key, size)
	parameter := ` > ?`
	if s.dialect == sqlstore.PostgreSQL {
		parameter = ` > $1`
	}
	query, args := from+` IS NOT NULL`+end, []any(nil)
	for {
		rows, err := s.page(ctx, query, args, len(list))
		if err != nil {
			return fmt.Errorf("fastapiusers: read table %s: %w", t.source, err)
		}
		if len(rows) == 0 {
			return nil
		}
		query, args = from+parameter+end, []any{rows[len(rows)-1][0]}
		more := len(rows) == size
		for i := range rows {
			rows[i] = rows[i][1:]
		}
		if err := f(rows); err != nil || !more {
			return err
		}
	}
}

func (s *Source) page(ctx context.Context, query string, args []any, width int) (page [][]any, err error) {
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, err
	}
	for rows.Next() {
		row, targets := make([]any, width), make([]any, width)
		for i := range row {
			targets[i] = &row[i]
		}
		if err := rows.Scan(targets...); err != nil {
			return nil, err
		}
		for i := range row {
			if t, is := row[i].(time.Time); is && types[i].DatabaseTypeName() == "DATE" {
				row[i] = t.Format(time.DateOnly) // as MySQL's driver has it
			}
		}
		page = append(page, row)
	}
	return page, errors.Join(rows.Err(), rows.Close())
}
