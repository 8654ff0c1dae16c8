// Package sqlstore keeps users and all that belongs to them in an SQL database.
//
// Its subpackages bring the drivers and good settings:
//
//	db, err := sqlite.Open[User](ctx, "app.db")
//
// [Open] takes databases that the application opened, whose settings it checks:
//
//	db, err := sqlstore.Open[User](ctx, pool, pool, sqlstore.PostgreSQL)
//
// [Migrate] makes and updates usher's tables, and [AddColumns] adds the columns of the
// application's own fields; an application that does these itself uses [New], which
// changes nothing.
//
// A field of the user type is kept in a column of the table users as its Go
// type suggests: strings, booleans, numbers, []byte and time.Time (to the
// microsecond, in UTC) as such, types with both driver.Valuer and sql.Scanner
// as these say, everything else as JSON. A nil pointer is NULL, and NULL is
// read as the zero value.
//
// Users have UUIDs, unless the option [IntegerIDs] numbers them.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"usher"
)

// patience is how long an operation may take.
const patience = 5 * time.Second

// Store keeps users, sessions, accounts at providers and mail that waits. It is
// an usher.UserStore[U], SessionStore, OneTimeStore, OAuthAccountStore, Outbox
// and Transactor, and safe for concurrent use. An operation fails after 5 seconds,
// or at the deadline of its context if that is sooner. In a transaction with a
// deadline that alone counts.
type Store[U any] struct {
	plan        plan[U]
	syntax      syntax
	read, write *sql.DB
	statements  statements
	// places has one for each connection that reads, or is nil: see lookup.
	places chan struct{}
}

// New returns a store in databases of the dialect: write is where it writes,
// read is where it reads, and may be the same. A SQLite database has one
// connection that writes, for it can have only one writer at a time, and any
// number that read. The store takes both over: Close closes them.
//
// The error names every column that U needs and the tables do not have, or says
// that the schema is newer than this program.
func New[U any, P usher.UserOf[U]](ctx context.Context, read, write *sql.DB, d Dialect, options ...Option) (*Store[U], error) {
	y, err := d.syntax(options)
	if err != nil {
		return nil, err
	}
	p, err := planOf[U, P](y)
	if err != nil {
		return nil, err
	}
	if err := p.check(ctx, write, d, y); err != nil {
		return nil, err
	}
	if err := y.settings(ctx, write); err != nil {
		return nil, fmt.Errorf("sqlstore: settings of the database: %w", err)
	}
	s := &Store[U]{plan: p, syntax: y, read: read, write: write}
	if y.inProcess && read != write { // else others take connections of the pool too
		places := read.Stats().MaxOpenConnections
		if places == 0 {
			places = 64
		}
		s.places = make(chan struct{}, places)
	}
	if err := s.prepare(ctx); err != nil {
		return nil, err
	}
	return s, nil
}

// Open is New in databases that it first gives what they lack: it applies usher's
// migrations, and adds the columns for the fields of U.
func Open[U any, P usher.UserOf[U]](ctx context.Context, read, write *sql.DB, d Dialect, options ...Option) (*Store[U], error) {
	if _, err := Migrate(ctx, write, d, options...); err != nil {
		return nil, err
	}
	if _, err := AddColumns[U, P](ctx, write, d); err != nil {
		return nil, err
	}
	return New[U, P](ctx, read, write, d, options...)
}

// Close closes the databases. What is called afterwards fails.
func (s *Store[U]) Close() error {
	s.statements.close()
	var err error
	if s.read != s.write {
		err = s.read.Close()
	}
	// Last, so that SQLite folds its log into the database.
	err = errors.Join(err, s.write.Close())
	if !s.syntax.inProcess {
		return nil // all is with the server; a connection that broke only cannot say goodbye
	}
	return err
}

// Ping reads from the database, to tell whether the store is ready.
func (s *Store[U]) Ping(ctx context.Context) error {
	ctx, leave, err := s.lookup(ctx)
	if err == nil {
		var anybody bool
		err = s.readRow(ctx, &s.statements.ping, nil, &anybody)
		leave()
	}
	return wrap("ping", err)
}

// Sessions returns the strategy that keeps its sessions in s. Sessions live for
// lifetime; 0 means 24 hours.
func (s *Store[U]) Sessions(lifetime time.Duration) usher.Sessions {
	return usher.Sessions{Store: s, Lifetime: lifetime}
}

// lookup prepares for one read by key; leave must be called after it.
//
// In a database within the process such a read takes microseconds, and watching
// a context meanwhile would cost half as much again: two goroutines, in
// database/sql and in the driver. What can take long is waiting for a
// connection. So that alone is subject to the context, and the read is not.
func (s *Store[U]) lookup(ctx context.Context) (_ context.Context, leave func(), err error) {
	if s.places == nil || s.Tx(ctx) != nil {
		ctx, cancel := s.limit(ctx)
		return ctx, cancel, nil
	}
	if err := s.enter(ctx); err != nil {
		return nil, nil, err
	}
	return context.WithoutCancel(ctx), s.leave, nil
}

// enter waits until there is a connection for one more who reads, and leave
// makes place for the next.
func (s *Store[U]) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil || s.places == nil {
		return err
	}
	select {
	case s.places <- struct{}{}:
		return nil
	default:
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	select {
	case s.places <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store[U]) leave() {
	if s.places != nil {
		<-s.places
	}
}

// limit gives an operation its deadline, so that nothing hangs.
func (s *Store[U]) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if deadline, limited := ctx.Deadline(); limited && (s.Tx(ctx) != nil || time.Until(deadline) <= patience) {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, patience)
}

// exec runs a statement that writes, and returns how many rows it wrote.
func (s *Store[U]) exec(ctx context.Context, doing string, st *statement, args ...any) (int, error) {
	ctx, cancel := s.limit(ctx)
	defer cancel()
	result, err := s.execute(ctx, st, args...)
	if err != nil {
		return 0, wrap(doing, err)
	}
	n, err := result.RowsAffected()
	return int(n), wrap(doing, err)
}

// execOne is exec for a statement that must write one row.
func (s *Store[U]) execOne(ctx context.Context, doing string, st *statement, args ...any) error {
	n, err := s.exec(ctx, doing, st, args...)
	if err == nil && n == 0 {
		return usher.ErrNotFound
	}
	return err
}

// list calls scan for each row of a query.
func (s *Store[U]) list(ctx context.Context, query func(context.Context) (*sql.Rows, error), scan func(*sql.Rows) error) error {
	if s.Tx(ctx) == nil {
		if err := s.enter(ctx); err != nil {
			return err
		}
		defer s.leave()
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	var rows *sql.Rows
	err := s.retry(ctx, func() (err error) { rows, err = query(ctx); return err })
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	return errors.Join(rows.Err(), rows.Close())
}

// rows is a query for list.
func (s *Store[U]) rows(st *statement, args ...any) func(context.Context) (*sql.Rows, error) {
	return func(ctx context.Context) (*sql.Rows, error) {
		return s.query(ctx, st, args...)
	}
}

// wrap says what was being done when err happened.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("sqlstore: %s: %w", doing, err)
}
