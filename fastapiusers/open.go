package fastapiusers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver

	"usher/sqlstore"
)

// connectTimeout is how long to wait for a database server.
const connectTimeout = 5 * time.Second

var errAddress = errors.New("not of the form sqlite:PATH, postgresql://USER:PASSWORD@HOST/NAME or mysql://USER:PASSWORD@HOST/NAME, with the special characters of a password percent-encoded")

// openSQL opens the database at address, which may also be written as SQLAlchemy
// writes it (sqlite+aiosqlite:///./app.db). Errors do not quote it: it has a
// password.
func openSQL(ctx context.Context, address string, readOnly bool) (*sql.DB, sqlstore.Dialect, error) {
	scheme, rest, found := strings.Cut(address, ":")
	if !found {
		return nil, "", errAddress
	}
	scheme, _, _ = strings.Cut(scheme, "+") // Python's driver, whose parameters are left out
	var db *sql.DB
	var dialect sqlstore.Dialect
	var err error
	switch scheme {
	case "sqlite":
		dialect = sqlstore.SQLite
		db, err = openSQLite(ctx, rest, readOnly)
	case "postgres", "postgresql":
		dialect = sqlstore.PostgreSQL
		db, err = openPostgres(scheme + ":" + rest)
	case "mysql", "mariadb":
		dialect = sqlstore.MySQL
		db, err = openMySQL(scheme + ":" + rest)
	default:
		return nil, "", errAddress
	}
	if err != nil {
		return nil, "", err
	}
	if err := db.PingContext(ctx); err != nil {
		return nil, "", errors.Join(err, db.Close())
	}
	return db, dialect, nil
}

// pathOf is the path in the address of a SQLite database behind its scheme.
func pathOf(rest string) string {
	path, ofSQLAlchemy := strings.CutPrefix(rest, "///") // a fourth begins the path
	if ofSQLAlchemy {
		path, _, _ = strings.Cut(path, "?")
	}
	return path
}

// tidy returns a function that takes away what a connection which only reads leaves
// beside a SQLite database with a write-ahead log, unless it was there before: an
// application that runs as another user could not open the database with it.
func tidy(address string) func() {
	scheme, rest, _ := strings.Cut(address, ":")
	path := pathOf(rest)
	there := func() bool {
		_, err := os.Stat(path + "-shm")
		return err == nil
	}
	if !strings.HasPrefix(scheme, "sqlite") || there() {
		return func() {}
	}
	return func() {
		if !there() {
			return
		}
		// The last one that may write takes it away when it goes, if nobody else is
		// there. Whether it can is no matter of ours.
		if db, err := openSQLite(context.Background(), rest, false); err == nil {
			_ = db.Close()
		}
	}
}

func openSQLite(ctx context.Context, path string, readOnly bool) (*sql.DB, error) {
	path = pathOf(path)
	if path == "" || strings.HasPrefix(path, "//") {
		return nil, errAddress
	}
	if info, err := os.Stat(path); err != nil || info.IsDir() {
		return nil, fmt.Errorf("there is no file %s", path)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	settings := url.Values{"_pragma": {"busy_timeout(5000)", "synchronous(NORMAL)", "cache_size(-16000)"}}
	if readOnly {
		settings = url.Values{"mode": {"ro"}, "_pragma": {"busy_timeout(5000)", "query_only(1)"}}
	}
	open := func() (*sql.DB, error) {
		file := url.URL{Scheme: "file", Path: "/" + strings.TrimPrefix(filepath.ToSlash(absolute), "/"), RawQuery: settings.Encode()}
		db, err := sql.Open("sqlite", file.String())
		if err == nil {
			db.SetMaxOpenConns(1)
			_, err = db.ExecContext(ctx, `SELECT count(*) FROM sqlite_master`)
			if err != nil {
				err = errors.Join(err, db.Close())
			}
		}
		return db, err
	}
	db, err := open()
	if err != nil && readOnly {
		// A database in WAL mode wants a file beside it even to be read. Where none
		// can be made and nobody has it open, it cannot change either.
		if _, missing := os.Stat(absolute + "-wal"); errors.Is(missing, fs.ErrNotExist) {
			settings.Set("immutable", "1")
			if db, again := open(); again == nil {
				return db, nil
			}
		}
	}
	return db, err
}

// postgresSettings are the settings of a session that an address may make. Others
// are refused by the server, or, such as a time-out, are not meant for an import.
var postgresSettings = []string{"application_name", "options", "role", "search_path"}

func openPostgres(address string) (*sql.DB, error) {
	if u, err := url.Parse(address); err == nil {
		q := u.Query()
		if mode := q.Get("ssl"); mode != "" && !q.Has("sslmode") { // asyncpg's name
			q.Set("sslmode", mode)
			u.RawQuery = q.Encode()
			address = u.String()
		}
	}
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, errAddress
	}
	maps.DeleteFunc(config.RuntimeParams, func(name, _ string) bool { return !slices.Contains(postgresSettings, name) })
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	// A plan that was made for an empty ledger must not be kept for a large one.
	config.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe
	return stdlib.OpenDB(*config), nil
}

// mysqlParameters are the parameters that an address may have for the driver. The
// character set is none of them: what is not utf8mb4 would lose characters.
var mysqlParameters = []string{"allowCleartextPasswords", "allowNativePasswords", "allowOldPasswords", "serverPubKey", "time_zone", "timeout", "tls"}

func openMySQL(address string) (*sql.DB, error) {
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || strings.Trim(u.Path, "/") == "" {
		return nil, errAddress
	}
	port := u.Port()
	if port == "" {
		port = "3306"
	}
	server := "tcp(" + net.JoinHostPort(u.Hostname(), port) + ")"
	q := u.Query()
	if socket := q.Get("unix_socket"); socket != "" {
		server = "unix(" + socket + ")"
	}
	for name := range q {
		switch {
		case strings.HasPrefix(name, "ssl") && name != "ssl_disabled" && !q.Has("tls"):
			return nil, fmt.Errorf("%s is a parameter of Python's driver: write tls=true instead, or tls=skip-verify for a certificate that no system knows", name)
		case !slices.Contains(mysqlParameters, name):
			q.Del(name)
		}
	}
	config, err := mysql.ParseDSN(server + u.EscapedPath() + "?" + q.Encode())
	if err != nil {
		return nil, errAddress
	}
	config.User = u.User.Username()
	config.Passwd, _ = u.User.Password()
	config.ParseTime = false // as FastAPI Users reads it: without a time zone
	if config.Timeout == 0 {
		config.Timeout = connectTimeout
	}
	config.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, errAddress
	}
	return sql.OpenDB(connector), nil
}

// noSuchTable recognises the error of a query that names a table which is not
// there.
func noSuchTable(err error) bool {
	var postgres interface{ SQLState() string }
	var my *mysql.MySQLError
	switch {
	case errors.As(err, &postgres):
		return postgres.SQLState() == "42P01" || postgres.SQLState() == "3F000"
	case errors.As(err, &my):
		return my.Number == 1146 || my.Number == 1049
	}
	return strings.Contains(err.Error(), "no such table")
}
