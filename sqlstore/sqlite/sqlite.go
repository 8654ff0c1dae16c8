// Package sqlite opens the store of package sqlstore in a SQLite file. It
// brings SQLite itself, in pure Go: programs need no C compiler and no library.
package sqlite

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"

	"modernc.org/sqlite"

	"usher"
	"usher/sqlstore"
)

// Memory is the path of a database that lives in memory and ends with the
// store. It has a single connection; it is for tests and demonstrations.
const Memory = ":memory:"

// busyTimeout is how long to wait for another process that writes.
const busyTimeout = 5 * time.Second

// Open returns a store in the SQLite file at path. It makes the file if there
// is none, which only its owner can then read; it applies usher's migrations
// and adds the columns that the table of users lacks for the fields of U. An
// application that would rather do these itself uses sqlstore.New.
//
// What was acknowledged is on the disk: a power cut cannot undo it. The file,
// with those of the same name and the endings -wal and -shm, must be on a disk
// of this machine, for SQLite needs memory shared by all processes that use it.
func Open[U any, P usher.UserOf[U]](ctx context.Context, path string, options ...sqlstore.Option) (_ *sqlstore.Store[U], err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("open SQLite database: %w", explain(err))
		}
	}()
	name, err := nameOf(path)
	if err != nil {
		return nil, err
	}
	if path != Memory {
		if err := makeFile(ctx, name, path); err != nil {
			return nil, err
		}
	}
	var pools []*sql.DB
	defer func() {
		for _, db := range pools {
			if err != nil {
				err = errors.Join(err, db.Close())
			}
		}
	}()
	write, err := openPool(name, 1)
	if err != nil {
		return nil, err
	}
	pools = append(pools, write)
	read := write
	if path != Memory {
		if err := useWAL(ctx, write); err != nil {
			return nil, err
		}
		// Readers wait neither for each other nor for the writer.
		if read, err = openPool(name+"&_query_only=1", max(4, runtime.GOMAXPROCS(0))); err != nil {
			return nil, err
		}
		pools = append(pools, read)
	}
	return sqlstore.Open[U, P](ctx, read, write, sqlstore.SQLite, options...)
}

// nameOf returns the driver's name for the database at path, with its settings.
func nameOf(path string) (string, error) {
	settings := url.Values{
		"_busy_timeout": {fmt.Sprint(busyTimeout.Milliseconds())},
		"_foreign_keys": {"on"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
		"_dqs":          {"0"}, // "name" is a column, never a string
		// macOS: flush the disk's own cache too. And 8 MB of pages at most for each
		// connection, which are made as they are read: with SQLite's 2 MB a session's
		// lookup among 100 000 takes a quarter longer; 16 MB gain nothing more.
		"_pragma": {"fullfsync(1)", "checkpoint_fullfsync(1)", "cache_size(-8000)"},
	}
	switch {
	case path == Memory:
		return "file::memory:?" + settings.Encode(), nil
	case path == "" || strings.HasPrefix(path, "file:"):
		return "", errors.New("want the path of a file, not a URI and not nothing")
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	absolute = "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/") // C:/… on Windows
	file := url.URL{Scheme: "file", Path: absolute, RawQuery: settings.Encode()}
	return file.String(), nil
}

// makeFile makes the file at path, with mode 0600, if there is none. SQLite
// does it and takes the mode from a model. Made by hand, the file would have to
// be closed, and this would end the locks that another store of this process
// may have on it by then (that is how POSIX has it).
func makeFile(ctx context.Context, name, path string) (err error) {
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	model, err := os.CreateTemp(filepath.Dir(path), ".usher-*") // has mode 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(model.Name())) }()
	if err := model.Close(); err != nil {
		return err
	}
	absolute, err := filepath.Abs(model.Name())
	if err != nil {
		return err
	}
	db, err := openPool(name+"&modeof="+url.QueryEscape(absolute), 1)
	if err != nil {
		return err
	}
	return errors.Join(useWAL(ctx, db), db.Close())
}

// openPool returns a pool of up to n connections, which stay open.
func openPool(name string, n int) (*sql.DB, error) {
	db, err := sql.Open("sqlite", name)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(n)
	db.SetMaxIdleConns(n)
	return db, nil
}

// useWAL turns on write-ahead logging, which stays on. SQLite's own timeout
// does not cover this step when several programs open a new file at once.
func useWAL(ctx context.Context, db *sql.DB) error {
	for deadline := time.Now().Add(busyTimeout); ; {
		var mode string
		err := db.QueryRowContext(ctx, `PRAGMA journal_mode=WAL`).Scan(&mode)
		var failure *sqlite.Error
		switch {
		case err == nil && mode == "wal":
			return nil
		case err == nil:
			return fmt.Errorf("write-ahead logging is not possible there: the journal mode is %q", mode)
		case !errors.As(err, &failure) || failure.Code()&0xff != busy || time.Now().After(deadline):
			return err
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// SQLite's codes (https://sqlite.org/rescode.html), without the extensions in the
// higher bits.
const (
	busy     = 5
	readOnly = 8
	corrupt  = 11
	full     = 13
	cantOpen = 14
	notADB   = 26
)

// explain says what to do about an error.
func explain(err error) error {
	var failure *sqlite.Error
	var code int
	if errors.As(err, &failure) {
		code = failure.Code() & 0xff
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("make the directory of the file first: %w", err)
	case code == readOnly, code == cantOpen, errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		return fmt.Errorf("is it a file that this process can read and write, in a directory where it can too? %w", err)
	case code == busy:
		return fmt.Errorf("another program writes to the file and does not end: %w", err)
	case code == full:
		return fmt.Errorf("make room on the disk: %w", err)
	case code == corrupt:
		return fmt.Errorf("the file is damaged: restore a backup: %w", err)
	case code == notADB:
		return fmt.Errorf("the file is something else, or encrypted: want a file of SQLite or the path of a new one: %w", err)
	}
	return err
}
