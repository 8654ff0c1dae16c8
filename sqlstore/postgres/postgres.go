// Package postgres opens the store of package sqlstore in a PostgreSQL database.
// It brings the driver pgx.
package postgres

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"

	"usher"
	"usher/internal/tlsfault"
	"usher/sqlstore"
)

// Open returns a store in the PostgreSQL database at address, a URL
// (postgres://user:password@host:5432/name) or a libpq string (host=… dbname=…)
// with libpq's parameters and environment variables. It applies usher's migrations
// and adds the columns that the table of users lacks for the fields of U. An
// application that would rather do these itself uses sqlstore.New, and one that has a
// pool of its own sqlstore.Open.
//
// The parameter pool_max_conns is how many connections are open at most (4 for
// each processor, and at least 8). connect_timeout is 5 seconds if it is not given.
//
// The error says whether the address is wrong, the server refuses the user or
// TLS, the database or a right is missing, or nobody answers.
func Open[U any, P usher.UserOf[U]](ctx context.Context, address string, options ...sqlstore.Option) (_ *sqlstore.Store[U], err error) {
	db, err := open(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("open PostgreSQL database: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("open PostgreSQL database: %w", explain(err)), db.Close())
		}
	}()
	return sqlstore.Open[U, P](ctx, db, db, sqlstore.PostgreSQL, options...)
}

func open(ctx context.Context, address string) (*sql.DB, error) {
	config, err := pgx.ParseConfig(address)
	if err != nil {
		return nil, fmt.Errorf("the address is malformed: %w", err) // without the password
	}
	connections := max(8, 4*runtime.GOMAXPROCS(0))
	if given, there := config.RuntimeParams["pool_max_conns"]; there {
		delete(config.RuntimeParams, "pool_max_conns")
		if connections, err = strconv.Atoi(given); err != nil || connections < 1 {
			return nil, errors.New("the address is malformed: pool_max_conns is not a positive number")
		}
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 5 * time.Second
	}
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "usher"
	}
	config.RuntimeParams["client_encoding"] = "UTF8" // a database's default would turn names into others
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	db.SetConnMaxLifetime(30 * time.Minute) // to follow a server that moved
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(explain(err), db.Close())
	}
	return db, nil
}

const onlyReads = "the server only reads (is it a standby, or default_transaction_read_only?): %w"

// explain says what to do about an error, by its code (PostgreSQL, appendix A).
func explain(err error) error {
	var refusal *pgconn.PgError
	var connect *pgconn.ConnectError
	switch {
	case errors.As(err, &refusal):
		switch refusal.Code {
		case "28P01", "28000":
			return fmt.Errorf("the server refuses this user, password or host: %w", err)
		case "3D000":
			return fmt.Errorf("make the database first (CREATE DATABASE … ENCODING 'UTF8'): %w", err)
		case "42501":
			return fmt.Errorf("the user lacks a right: grant it, or run the migrations as the owner of the tables: %w", err)
		case "3F000":
			return fmt.Errorf("make the schema first (CREATE SCHEMA …), or look at search_path: %w", err)
		case "42704", "22023":
			return fmt.Errorf("the address is malformed: it has a parameter that the server does not take: %w", err)
		case "25006":
			return fmt.Errorf(onlyReads, err)
		case "53300", "57P03":
			return fmt.Errorf("the server is there, but takes no connection now: %w", err)
		}
	case strings.HasSuffix(err.Error(), ": read only connection"): // and target_session_attrs wants another
		return fmt.Errorf(onlyReads, err)
	case tlsfault.Is(err), strings.HasSuffix(err.Error(), "server refused TLS connection"): // else it was tried without
		return fmt.Errorf("TLS with the server fails: look at sslmode and sslrootcert: %w", err)
	case errors.As(err, &connect):
		return fmt.Errorf("nobody answers at this address: is the server up, and the host and port right? %w", err)
	}
	return err
}
