package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
			return errNoTable(usersTable)
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
func (p *plan[U]) check(ctx context.Context, db *sql.DB, y syntax) error {
	var faults []error
	var otherIDs error
	users := table{usersTable, append(baseColumns[:len(baseColumns):len(baseColumns)], p.custom...)}
	for _, table := range append([]table{users}, otherTables...) {
		live, err := columnsOf(ctx, db, y, table.name)
		if err != nil {
			return fmt.Errorf("sqlstore: look at table %s: %w", table.name, err)
		}
		if len(live) == 0 {
			faults = append(faults, fmt.Errorf("sqlstore: %w", errNoTable(table.name)))
			continue
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
				faults = append(faults, fmt.Errorf("sqlstore: table %s has no column %s: is it usher's? Run sqlstore.Migrate", table.name, c.name))
			case !there:
				faults = append(faults, fmt.Errorf("sqlstore: table %s has no column %s for the field %s: add it by a migration of the application or by sqlstore.AddColumns, or tag the field db:\"-\"", table.name, c.name, c.field))
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

func errNoTable(name string) error {
	return fmt.Errorf("there is no table %s: run sqlstore.Migrate first", name)
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
