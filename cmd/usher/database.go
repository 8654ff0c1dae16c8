package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"usher/sqlstore"
	"usher/sqlstore/mysql"
	"usher/sqlstore/postgres"
	"usher/sqlstore/sqlite"
)

// database is the kind of a database and its address: the path of a file for
// SQLite, else a URL. Faults never repeat the URL, which has a password.
func parseDatabase(database string) (kind sqlstore.Dialect, address string, err error) {
	scheme, rest, _ := strings.Cut(database, ":")
	switch scheme {
	case "sqlite":
		switch {
		case rest == "":
			return "", "", errors.New("database: not of the form sqlite:PATH")
		case strings.HasPrefix(rest, "//"):
			return "", "", errors.New("database: write sqlite:PATH without slashes before the path")
		}
		return sqlstore.SQLite, rest, nil
	case "postgres", "postgresql":
		kind = sqlstore.PostgreSQL // whose parameter host may be the folder of a socket
	case "mysql", "mariadb":
		kind = sqlstore.MySQL
	default:
		return "", "", errors.New("database: not of the form sqlite:PATH, postgres://… or mysql://…")
	}
	u, err := url.Parse(database)
	if err != nil || u.Host == "" && !u.Query().Has("host") || strings.Trim(u.Path, "/") == "" {
		return "", "", fmt.Errorf("database: not of the form %s://USER:PASSWORD@HOST[:PORT]/NAME, with the special characters of a password percent-encoded", scheme)
	}
	return kind, database, nil
}

// openDatabase opens the store, and brings the schema up to date.
func openDatabase(ctx context.Context, database string, ids ...sqlstore.Option) (db *sqlstore.Store[User], err error) {
	kind, address, err := parseDatabase(database)
	if err != nil {
		return nil, err
	}
	switch kind {
	case sqlstore.PostgreSQL:
		db, err = postgres.Open[User](ctx, address, ids...)
	case sqlstore.MySQL:
		db, err = mysql.Open[User](ctx, address, ids...)
	default:
		db, err = sqlite.Open[User](ctx, address, ids...)
	}
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", shownDatabase(database), err)
	}
	return db, nil
}

// folderOf is the folder of a database that is a file, where what belongs to it is
// put too, or else the one that we are in.
func folderOf(database string) string {
	kind, path, err := parseDatabase(database)
	if err != nil || kind != sqlstore.SQLite {
		return "."
	}
	return filepath.Dir(path)
}

// shownDatabase is a database as logs and messages may show it.
func shownDatabase(database string) string {
	if path, is := strings.CutPrefix(database, "sqlite:"); is {
		return absolute(path)
	}
	return withoutPassword(database)
}

func (c Config) checkDatabase() error {
	kind, path, err := parseDatabase(c.Database)
	if err != nil || kind != sqlstore.SQLite {
		return err
	}
	if info, err := os.Stat(filepath.Dir(path)); err != nil || !info.IsDir() {
		return fmt.Errorf("database: the directory %s does not exist", filepath.Dir(path))
	}
	return nil
}
