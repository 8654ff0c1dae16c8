package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"usher"
)

// AddColumns adds the columns that the table of users lacks for the fields of
// U, and returns their names. It changes no column that exists. A field that
// can be nil gets a column that can be NULL; the rows that exist read as the
// zero value in every new field.
func AddColumns[U any, P usher.UserOf[U]](ctx context.Context, db *sql.DB, d Dialect) (added []string, err error) {
	y, err := d.syntax(nil) // no field's column depends on an option
	if err != nil {
		return nil, err
	}
	p, err := planOf[U, P](y)
	if err != nil {
		return nil, err
	}
	err = inTransaction(ctx, db, y, func(conn *sql.Conn) error {
		live, err := columnsOf(ctx, conn, y, usersTable)
		if err != nil {
			return err
		}
		if len(live) == 0 {
			applied, err := upToDate(ctx, conn, d, y)
			return errors.Join(fmt.Errorf("there is no table %s%s", usersTable, toHaveIt(applied)), err)
		}
		for _, c := range p.custom {
			if _, there := live[c.name]; there {
				continue
			}
			if _, err := conn.ExecContext(ctx, `ALTER TABLE `+usersTable+` ADD COLUMN `+y.quote(c.name)+` `+y.columnType(c.codec.kind, c.codec.nullable)); err != nil {
				return fmt.Errorf("column %s.%s: %w", usersTable, c.name, err)
			}
			added = append(added, c.name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sqlstore: add columns: %w", err)
	}
	return added, nil
}

// check holds the live tables against the plan. The error names every mismatch
// and says what to do about it.
func (p *plan[U]) check(ctx context.Context, db *sql.DB, d Dialect, y syntax) error {
	applied, err := upToDate(ctx, db, d, y)
	if err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	var faults []error
	var otherIDs error
	users := table{usersTable, append(baseColumns[:len(baseColumns):len(baseColumns)], p.custom...), []string{"email_key"}}
	for _, table := range append([]table{users}, otherTables...) {
		live, err := columnsOf(ctx, db, y, table.name)
		if err != nil {
			return fmt.Errorf("sqlstore: look at table %s: %w", table.name, err)
		}
		if len(live) == 0 {
			fault := fmt.Errorf("sqlstore: there is no table %s%s", table.name, toHaveIt(applied))
			// MySQL hides from a user the tables that he has no right to.
			if _, err := db.ExecContext(ctx, `SELECT 1 FROM `+table.name); err != nil && strings.Contains(err.Error(), "Error 1142 ") {
				fault = fmt.Errorf("sqlstore: look at table %s: %w", table.name, err)
			}
			faults = append(faults, fault)
			continue
		}
		if unique, err := hasUnique(ctx, db, y, table); err != nil {
			return fmt.Errorf("sqlstore: look at the indexes of table %s: %w", table.name, err)
		} else if !unique {
			faults = append(faults, fmt.Errorf("sqlstore: table %s has no unique index of %s, without which several get what one may have%s", table.name, strings.Join(table.unique, " and "), toHaveIt(applied)))
		}
		if table.name == usersTable {
			if otherIDs = y.checkUserIDs(live); otherIDs != nil {
				faults = append(faults, fmt.Errorf("sqlstore: %w", otherIDs))
			}
		}
		for _, c := range table.columns {
			column, there := live[c.name]
			delete(live, c.name)
			if c.kind == kindUserID {
				if otherIDs != nil {
					continue // which is said already
				}
				c.kind = y.ids.kind
			}
			switch {
			case !there && c.field == "":
				faults = append(faults, fmt.Errorf("sqlstore: table %s has no column %s%s", table.name, c.name, toHaveIt(applied)))
			case !there:
				faults = append(faults, fmt.Errorf("sqlstore: table %s has no column %s for the field %s: add it by a migration of the application or by sqlstore.AddColumns, or tag the field db:\"-\"", table.name, c.name, c.field))
			case c.field == "" && !(y.holds(column.sqlType, c.kind) && y.exact(column.sqlType, c.kind)):
				faults = append(faults, fmt.Errorf("sqlstore: column %s.%s is %s, but usher needs %s: change it to what sqlstore.Script (usher migrate --print) shows", table.name, c.name, column.sqlType, y.columnType(c.kind, true)))
			case !y.holds(column.sqlType, c.kind):
				faults = append(faults, fmt.Errorf("sqlstore: column %s.%s is %s, but usher needs %s: change it by a migration of the application", table.name, c.name, column.sqlType, y.columnType(c.kind, true)))
			}
		}
		for name, column := range live {
			if column.required {
				faults = append(faults, fmt.Errorf("sqlstore: column %s.%s has no default and must be given, but no field gives it: add a field, or give the column a default", table.name, name))
			}
		}
	}
	return errors.Join(faults...)
}

// toHaveIt ends the text about something that is missing: what to do depends on
// whether migrating would make it.
func toHaveIt(applied bool) string {
	if applied {
		return " (table " + versionTable + " says that it was made): restore it from a backup, or make it as sqlstore.Script (usher migrate --print) shows"
	}
	return ": run sqlstore.Migrate (usher migrate) first"
}

// hasUnique tells whether the table has the unique index by which the database
// decides who of several is first.
func hasUnique(ctx context.Context, db queryer, y syntax, t table) (bool, error) {
	if t.unique == nil {
		return true, nil
	}
	rows, err := db.QueryContext(ctx, y.rebind(y.uniques), t.name)
	if err != nil {
		return false, err
	}
	defer rows.Close()
	indexes := map[string][]string{}
	for rows.Next() {
		var index, column string
		if err := rows.Scan(&index, &column); err != nil {
			return false, err
		}
		indexes[index] = append(indexes[index], column)
	}
	for _, columns := range indexes {
		slices.Sort(columns)
		if slices.Equal(columns, t.unique) {
			return true, rows.Err()
		}
	}
	return false, rows.Err()
}

type liveColumn struct {
	sqlType  string
	required bool // an INSERT must name it
}

// queryer is a *sql.DB or a *sql.Conn.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func columnsOf(ctx context.Context, db queryer, y syntax, table string) (map[string]liveColumn, error) {
	rows, err := db.QueryContext(ctx, y.rebind(y.columns), table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	columns := map[string]liveColumn{}
	for rows.Next() {
		var name string
		var c liveColumn
		if err := rows.Scan(&name, &c.sqlType, &c.required); err != nil {
			return nil, err
		}
		columns[name] = c
	}
	return columns, rows.Err()
}
