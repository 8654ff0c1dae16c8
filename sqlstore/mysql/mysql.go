// Package mysql opens the store of package sqlstore in a MariaDB or MySQL
// database. It brings the driver go-sql-driver/mysql.
package mysql

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"

	"usher"
	"usher/internal/tlsfault"
	"usher/sqlstore"
)

// Open returns a store in the MariaDB or MySQL database at address, a URL
// (mysql://user:password@host:3306/name) with the parameters of
// go-sql-driver/mysql, such as tls=true, or that driver's own form
// (user:password@tcp(host:3306)/name). It applies usher's migrations and adds the
// columns that the table of users lacks for the fields of U. An application that
// would rather do these itself uses sqlstore.New, and one that has a pool of its own
// sqlstore.Open.
//
// The parameter pool_max_conns is how many connections are open at most (4 for
// each processor, and at least 8). timeout, for connecting until the server has let
// us in, is 5 seconds if it is not given, and time_zone, which TIMESTAMP columns of
// the application are in, is UTC. clientFoundRows and a strict sql_mode are always
// set.
//
// The error says whether the address is wrong, the server refuses the user or
// TLS, the database or a right is missing, or nobody answers.
func Open[U any, P usher.UserOf[U]](ctx context.Context, address string, options ...sqlstore.Option) (_ *sqlstore.Store[U], err error) {
	db, err := open(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open MySQL database: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open MySQL database: %w", explain(err)), db.Close())
		}
	}()
	return sqlstore.Open[U, P](ctx, db, db, sqlstore.MySQL, options...)
}

func open(ctx context.Context, address string) (*sql.DB, error) {
	config, connections, err := parse(address)
	if err != nil {
		return nil, fmt.Errorf("the address is malformed: %w", err)
	}
	made, err := mysql.NewConnector(config)
	if err != nil {
		return nil, fmt.Errorf("the address is malformed: %w", err)
	}
	db := sql.OpenDB(connector{made, config.Timeout})
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(3 * time.Minute) // which the driver advises: servers close idle ones
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	return db, nil
}

// parse reads an address and adds the settings that the store relies on. Its
// errors do not quote the address, which has a password.
func parse(address string) (config *mysql.Config, connections int, err error) {
	dsn, user := address, (*url.Userinfo)(nil)
	if scheme, _, found := strings.Cut(address, "://"); found && (scheme == "mysql" || scheme == "mariadb") {
		u, err := url.Parse(address)
		if err != nil {
			return nil, 0, errors.New("not a URL: are special characters of the password percent-encoded?")
		}
		host, port := u.Hostname(), u.Port()
		if port == "" {
			port = "3306"
		}
		dsn, user = "tcp("+net.JoinHostPort(host, port)+")"+u.EscapedPath()+"?"+u.RawQuery, u.User
	}
	if config, err = mysql.ParseDSN(dsn); err != nil {
		if user == nil { // the cause may quote what is before the @
			err = errors.New("want mysql://user:password@host:3306/name or user:password@tcp(host:3306)/name, and the driver's parameters")
		}
		return nil, 0, err
	}
	if user != nil {
		config.User = user.Username()
		config.Passwd, _ = user.Password()
	}
	if config.DBName == "" {
		return nil, 0, errors.New("it names no database")
	}
	if config.Params == nil {
		config.Params = map[string]string{}
	}
	connections = max(8, 4*runtime.GOMAXPROCS(0))
	if given, there := config.Params["pool_max_conns"]; there {
		delete(config.Params, "pool_max_conns")
		if connections, err = strconv.Atoi(given); err != nil || connections < 1 {
			return nil, 0, errors.New("pool_max_conns is not a positive number")
		}
	}
	if config.Timeout == 0 {
		config.Timeout = 5 * time.Second
	}
	if config.Params["time_zone"] == "" { // where clocks go forward, an hour of TIMESTAMPs cannot be kept
		config.Params["time_zone"] = `'+00:00'`
	}
	config.ClientFoundRows = true
	config.RejectReadOnly = true // after a failover: find the new primary
	config.Logger = &mysql.NopLogger{}
	config.Params["lc_messages"] = `'en_US'` // for operators, and for what sqlstore reads in errors
	// EMPTY_STRING_IS_NULL is MariaDB's: it makes NULL of what is empty, '' here too.
	config.Params["sql_mode"] = `replace(concat(@@sql_mode, ',STRICT_TRANS_TABLES'), 'EMPTY_STRING_IS_NULL', 'STRICT_TRANS_TABLES')`
	return config, connections, nil
}

// explain says what to do about an error, by its number.
func explain(err error) error {
	var refusal *mysql.MySQLError
	var network net.Error
	switch {
	case errors.As(err, &refusal):
		switch refusal.Number {
		case 1045, 1130, 1698:
			return fmt.Errorf("the server refuses this user, password or host: %w", err)
		case 1049:
			return fmt.Errorf("make the database first (CREATE DATABASE …): %w", err)
		case 1044, 1142, 1143, 1227:
			return fmt.Errorf("the user lacks a right: grant it, or run the migrations as another user: %w", err)
		case 1193:
			return fmt.Errorf("the address is malformed: it has a parameter that neither the driver nor the server knows: %w", err)
		case 1040, 1053, 1203:
			return fmt.Errorf("the server is there, but takes no connection now: %w", err)
		}
	case errors.Is(err, driver.ErrBadConn): // config.RejectReadOnly ends connections, too
		return fmt.Errorf("the server only reads (is it a replica, or read_only?), or ended the connection: %w", err)
	case errors.Is(err, mysql.ErrNoTLS), tlsfault.Is(err):
		return fmt.Errorf("TLS with the server fails: look at the parameter tls: %w", err)
	case errors.As(err, &network):
		return fmt.Errorf("nobody answers at this address: is the server up, and the host and port right? %w", err)
	}
	return err
}
