package fastapiusers

import (
	"context"
	"fmt"
)

// UsherSchema returns the version of usher's tables in the ledger's database, 0 if
// there are none, and the columns of the table users, which may be another
// program's then. It only reads, for dry runs: a store migrates when it is opened.
func (l *Ledger) UsherSchema(ctx context.Context) (version int64, columns []string, err error) {
	rows, err := l.db.QueryContext(ctx, `SELECT * FROM users WHERE 1 = 0`)
	if err == nil {
		columns, err = rows.Columns()
		_ = rows.Close()
	}
	if err == nil || noSuchTable(err) {
		err = l.db.QueryRowContext(ctx, `SELECT coalesce(max(version_id), 0) FROM usher_migrations WHERE is_applied = TRUE`).Scan(&version)
	}
	if err != nil && !noSuchTable(err) {
		return 0, nil, fmt.Errorf("fastapiusers: read the schema: %w", err)
	}
	return version, columns, nil
}
