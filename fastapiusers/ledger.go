package fastapiusers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"usher/sqlstore"
)

// Ledger is the table in which imports write down what they carried, so that a
// later one can tell what has changed since, and where. It holds hashes and no
// personal data but the users' ids. When the move is over the table
// fastapi_users_import can be dropped.
type Ledger struct {
	db      *sql.DB
	dialect sqlstore.Dialect
	tidy    func()
	unlock  func()
	there   bool // the table is
	// fresh are the kinds of which there is nothing but what this run has written,
	// which it need not look up.
	fresh map[string]bool
}

// OpenLedger opens the ledger in the database at address, which should be usher's
// own. Unless readOnly, for dry runs, it makes the table if there is none, and keeps
// other imports out: only one at a time may have it open. The caller must Close it.
func OpenLedger(ctx context.Context, address string, readOnly bool) (*Ledger, error) {
	after := tidy(address)
	db, dialect, err := openSQL(ctx, address, readOnly)
	if err != nil {
		return nil, fmt.Errorf("fastapiusers: open the ledger: %w", err)
	}
	l := &Ledger{db: db, dialect: dialect, tidy: after, unlock: func() {}, fresh: map[string]bool{}}
	if !readOnly {
		unlock, refused := lock(ctx, db, dialect, address)
		if refused != nil {
			return nil, errors.Join(fmt.Errorf("fastapiusers: open the ledger: %w", refused), l.Close())
		}
		l.unlock = unlock
		clustered := "" // as MySQL does by itself
		if dialect == sqlstore.SQLite {
			clustered = " WITHOUT ROWID"
		}
		_, err = db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS fastapi_users_import (kind VARCHAR(8) NOT NULL, item VARCHAR(80) NOT NULL, state VARCHAR(255) NOT NULL, PRIMARY KEY (kind, item))`+clustered)
	}
	if err == nil {
		_, err = l.list(ctx, `SELECT item, state FROM fastapi_users_import WHERE 1 = 0`)
	}
	l.there = err == nil
	for _, kind := range []string{ledgerUser, ledgerAccount, ledgerToken} {
		if l.there && err == nil {
			var any []entry
			any, err = l.after(ctx, kind, "", 1)
			l.fresh[kind] = len(any) == 0
		}
	}
	if err != nil && !(readOnly && noSuchTable(err)) {
		return nil, errors.Join(fmt.Errorf("fastapiusers: open the ledger: %w", err), l.Close())
	}
	return l, nil
}

// Close closes the connection.
func (l *Ledger) Close() error {
	defer l.tidy()
	l.unlock()
	return l.db.Close()
}

// The kinds of items in the ledger.
const (
	ledgerUser    = "user"    // by id
	ledgerAccount = "account" // by a hash of the provider and its id of the account
	ledgerToken   = "token"   // by the hash of the token
)

// entry is what is known of an item.
type entry struct{ item, state string }

// readBack says that what this run has written of a kind will be looked up.
func (l *Ledger) readBack(kind string) {
	if l != nil {
		l.fresh[kind] = false
	}
}

// read returns the states of those items that are in the ledger.
func (l *Ledger) read(ctx context.Context, kind string, items []string) (map[string]string, error) {
	states := make(map[string]string, len(items))
	if l == nil || !l.there || l.fresh[kind] || len(items) == 0 {
		return states, nil
	}
	args := make([]any, 0, len(items)+1)
	for _, item := range items {
		args = append(args, item)
	}
	args = append(args, kind)
	entries, err := l.list(ctx, `SELECT item, state FROM fastapi_users_import WHERE item IN (`+l.parameters(0, len(items), 0)+`) AND kind = `+l.parameters(len(items), 1, 0), args...)
	for _, e := range entries {
		states[e.item] = e.state
	}
	return states, err
}

// after returns up to n entries of a kind, in the order of their items, that come
// after one.
func (l *Ledger) after(ctx context.Context, kind, item string, n int) ([]entry, error) {
	if l == nil || !l.there || l.fresh[kind] {
		return nil, nil
	}
	query := `SELECT item, state FROM fastapi_users_import WHERE kind = ` + l.parameters(0, 1, 0) + ` AND item > ` + l.parameters(1, 1, 0) + fmt.Sprintf(` ORDER BY item LIMIT %d`, n)
	return l.list(ctx, query, kind, item)
}

func (l *Ledger) list(ctx context.Context, query string, args ...any) (entries []entry, err error) {
	rows, err := l.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("fastapiusers: read the ledger: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e entry
		if err := rows.Scan(&e.item, &e.state); err != nil {
			return nil, err
		}
		entries = append(entries, e)
	}
	return entries, rows.Err()
}

// write puts entries into the ledger, in place of older ones, and removes those
// with an empty state.
func (l *Ledger) write(ctx context.Context, kind string, entries []entry) (err error) {
	if l == nil || len(entries) == 0 {
		return nil
	}
	tx, err := l.db.BeginTx(ctx, nil)
	if err == nil {
		defer func() { _ = tx.Rollback() }()
		items, values := make([]any, 0, len(entries)+1), make([]any, 0, 3*len(entries))
		for _, e := range entries {
			items = append(items, e.item)
			if e.state != "" {
				values = append(values, kind, e.item, e.state)
			}
		}
		if !l.fresh[kind] || len(values) < 3*len(entries) {
			_, err = tx.ExecContext(ctx, `DELETE FROM fastapi_users_import WHERE item IN (`+l.parameters(0, len(items), 0)+`) AND kind = `+l.parameters(len(items), 1, 0), append(items, kind)...)
		}
		if err == nil && len(values) > 0 {
			_, err = tx.ExecContext(ctx, `INSERT INTO fastapi_users_import (kind, item, state) VALUES (`+l.parameters(0, len(values), 3)+`)`, values...)
		}
		if err == nil {
			err = tx.Commit()
		}
	}
	if err != nil {
		return fmt.Errorf("fastapiusers: write the ledger: %w", err)
	}
	return nil
}

// canWrite reports why nothing can be written to the database, such as that its
// disk is full.
func (l *Ledger) canWrite(ctx context.Context) error {
	const probe = "probe"
	return errors.Join(l.write(ctx, probe, []entry{{probe, probe}}), l.write(ctx, probe, []entry{{item: probe}}))
}

// parameters are n placeholders that follow others, in rows of a width if it is
// not 0.
func (l *Ledger) parameters(after, n, width int) string {
	var b strings.Builder
	for i := range n {
		switch {
		case i == 0:
		case width > 0 && i%width == 0:
			b.WriteString("),(")
		default:
			b.WriteByte(',')
		}
		if l.dialect == sqlstore.PostgreSQL {
			fmt.Fprintf(&b, "$%d", after+i+1)
		} else {
			b.WriteByte('?')
		}
	}
	return b.String()
}
