package fastapiusers

import (
	"context"
	"database/sql"
	"errors"
	"os"
	"strings"

	"usher/sqlstore"
)

var errRunning = errors.New("another import into this database is running: wait until it has ended")

// lock keeps other imports out until it is released or this process ends: what two
// carry at once, each would take for somebody else's.
func lock(ctx context.Context, db *sql.DB, dialect sqlstore.Dialect, address string) (release func(), err error) {
	switch dialect {
	case sqlstore.SQLite:
		return lockFile(ctx, address)
	case sqlstore.PostgreSQL:
		tx, err := db.BeginTx(context.WithoutCancel(ctx), nil) // a pooler may be in front, which knows no sessions
		if err != nil {
			return nil, err
		}
		release = func() { _ = tx.Rollback() }
		return locked(release, tx.QueryRowContext(ctx, `SELECT pg_try_advisory_xact_lock(hashtextextended('usher import ' || coalesce(current_schema(), ''), 0))`))
	default:
		conn, err := db.Conn(ctx)
		if err != nil {
			return nil, err
		}
		release = func() { // for the connection may go on living
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), `DO release_lock(concat('usher import ', md5(database())))`)
			_ = conn.Close()
		}
		return locked(release, conn.QueryRowContext(ctx, `SELECT get_lock(concat('usher import ', md5(database())), 0)`))
	}
}

func locked(release func(), row *sql.Row) (func(), error) {
	var got sql.NullBool
	err := row.Scan(&got)
	if err == nil && !got.Bool {
		err = errRunning
	}
	if err != nil {
		release()
		return nil, err
	}
	return release, nil
}

// lockFile locks a file beside a SQLite database, for whose own locks keep the
// application out.
func lockFile(ctx context.Context, address string) (release func(), err error) {
	_, rest, _ := strings.Cut(address, ":")
	path := pathOf(rest) + "-import"
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	_ = file.Close()
	db, err := openSQLite(ctx, path, false)
	if err == nil {
		if _, err = db.ExecContext(ctx, `BEGIN EXCLUSIVE`); err != nil {
			_ = db.Close()
		}
	}
	switch {
	case err == nil:
		return func() { _ = os.Remove(path); _ = db.Close() }, nil
	case strings.Contains(err.Error(), "SQLITE_BUSY"):
		return nil, errRunning
	}
	return nil, err
}
