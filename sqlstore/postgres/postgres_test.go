package postgres_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/postgres"
)

type User struct {
	usher.User
	FirstName string `json:"first_name" usher:"write"`
}

const password = "s3cretpassw0rd"

// changed returns an address with something else in it.
func changed(t *testing.T, address string, change func(u *url.URL)) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal("the address is not a URL")
	}
	change(u)
	return u.String()
}

func with(name, value string) func(u *url.URL) {
	return func(u *url.URL) {
		q := u.Query()
		q.Set(name, value)
		u.RawQuery = q.Encode()
	}
}

// admin opens a database past the store.
func admin(t *testing.T, address string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

func run(t *testing.T, db *sql.DB, statement string) {
	t.Helper()
	if _, err := db.Exec(statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// newRole makes a role that ends with the test, and returns its name.
func newRole(t *testing.T, db *sql.DB) string {
	t.Helper()
	role := testservices.Prefix(t) + "role"
	run(t, db, `CREATE ROLE `+role+` LOGIN PASSWORD '`+password+`'`)
	t.Cleanup(func() { run(t, db, `DROP OWNED BY `+role+`; DROP ROLE `+role) })
	return role
}

func create(t *testing.T, store *sqlstore.Store[User], email string) {
	t.Helper()
	if err := store.CreateUser(t.Context(), &User{User: usher.User{Email: email}, FirstName: "Zoë"}); err != nil {
		t.Fatal(err)
	}
}

// It just works, a second time too, with what was there.
func TestOpen(t *testing.T) {
	t.Parallel()
	address := testservices.Postgres(t)
	for i := range 2 {
		store, err := postgres.Open[User](t.Context(), address)
		if err != nil {
			t.Fatal(err)
		}
		create(t, store, fmt.Sprintf("user%d@example.com", i))
		if u, err := store.UserByEmail(t.Context(), "user0@example.com"); err != nil || u.FirstName != "Zoë" {
			t.Errorf("%+v, %v", u, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPoolMaxConns(t *testing.T) {
	t.Parallel()
	store, err := postgres.Open[User](t.Context(), changed(t, testservices.Postgres(t), with("pool_max_conns", "1")))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := store.InTx(t.Context(), func(context.Context) error { return store.Ping(short) }); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second connection: %v", err)
	}
}

// A pool of the application's works however pgx is set to send statements, such as
// for a proxy that knows no prepared ones, and so does a pgxpool.
func TestPoolsOfTheApplication(t *testing.T) {
	t.Parallel()
	address := testservices.Postgres(t)
	store, err := postgres.Open[User](t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pools, err := pgxpool.New(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer pools.Close()
	dbs := map[string]*sql.DB{"pgxpool": stdlib.OpenDBFromPool(pools)}
	for _, mode := range []string{"cache_describe", "describe_exec", "exec", "simple_protocol"} {
		dbs[mode] = admin(t, changed(t, address, with("default_query_exec_mode", mode)))
	}
	for what, db := range dbs {
		other, err := sqlstore.New[User](t.Context(), db, db, sqlstore.PostgreSQL)
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		given := User{User: usher.User{Email: what + "@example.com"}, FirstName: "Zoë"}
		if err := other.CreateUser(t.Context(), &given); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		session := usher.Session{ID: what, UserID: given.ID, ExpiresAt: time.Now().Add(time.Hour), Data: map[string]any{"a": "b"}}
		if err := other.CreateSession(t.Context(), usher.HashToken(what), session); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		for _, s := range []*sqlstore.Store[User]{store, other} {
			x, u, err := s.ReadSession(t.Context(), usher.HashToken(what))
			if err != nil || x.ID != what || *u.(*User) != given {
				t.Errorf("%s: %+v, %+v, %v; want %+v", what, x, u, err, given)
			}
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The error says what is wrong, and never the password.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	address := testservices.Postgres(t)
	db := admin(t, address)
	user := url.UserPassword(newRole(t, db), password)
	for what, test := range map[string]struct{ address, want string }{
		"nothing like it":  {"postgres://user:" + password + "@[::1/app", "the address is malformed"},
		"port":             {"postgres://user:" + password + "@localhost:port/app", "the address is malformed"},
		"libpq":            {"host=localhost password=" + password + " port=port", "the address is malformed"},
		"sslmode":          {changed(t, address, with("sslmode", "yes")), "the address is malformed"},
		"pool_max_conns":   {changed(t, address, with("pool_max_conns", "none")), "pool_max_conns is not a positive number"},
		"pool_max_conns 0": {changed(t, address, with("pool_max_conns", "0")), "pool_max_conns is not a positive number"},
		"user":             {changed(t, address, func(u *url.URL) { u.User = url.UserPassword("test_nobody", password) }), "refuses this user, password or host"},
		"database":         {changed(t, address, func(u *url.URL) { u.Path = "/test_none"; u.User = url.UserPassword(u.User.Username(), password) }), "make the database first"},
		"TLS":              {changed(t, address, with("sslmode", "verify-full")), "TLS with the server fails"},
		"right":            {changed(t, address, func(u *url.URL) { u.User = user }), "lacks a right"},
		"certificate":      {changed(t, impostor(t), with("sslmode", "verify-full")), "TLS with the server fails"},
		"another protocol": {changed(t, shouting(t), with("sslmode", "prefer")), "nobody answers"},
		"schema":           {changed(t, address, with("search_path", "test_none")), "make the schema first"},
		"parameter":        {changed(t, address, with("colour", "red")), "a parameter that the server does not take"},
		"read only":        {changed(t, address, with("default_transaction_read_only", "on")), "the server only reads"},
		"standby":          {changed(t, changed(t, address, with("default_transaction_read_only", "on")), with("target_session_attrs", "read-write")), "the server only reads"},
		"unknown host":     {"postgres://user:" + password + "@nobody.invalid/app", "nobody answers"},
		"closed port":      {changed(t, address, func(u *url.URL) { u.Host = closedPort(t); u.User = user }), "nobody answers"},
		"wrong password":   {refusing(t, "28P01"), "refuses this user, password or host"},
		"full":             {refusing(t, "53300"), "takes no connection now"},
		"starting":         {refusing(t, "57P03"), "takes no connection now"},
	} {
		if what == "right" { // it may look into the schema, but make nothing
			run(t, db, `DO $$ BEGIN EXECUTE 'GRANT USAGE ON SCHEMA ' || current_schema() || ' TO `+user.Username()+`'; END $$`)
		}
		store, err := postgres.Open[User](t.Context(), test.address)
		if err == nil {
			t.Errorf("%s: no error", what)
			store.Close()
			continue
		}
		if !strings.HasPrefix(err.Error(), "open PostgreSQL database: ") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), password) {
			t.Errorf("%s: %v, want %q and no password", what, err, test.want)
		}
	}
}

// closedPort is the address of a port where nobody answers.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// refusing is the address of a server that refuses everybody, with a code.
func refusing(t *testing.T, code string) string {
	t.Helper()
	return serving(t, func(conn net.Conn, server *pgproto3.Backend) {
		server.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: code, Message: "no"})
		_ = server.Flush()
	})
}

// impostor is the address of a server with a certificate that nobody knows.
func impostor(t *testing.T) string {
	t.Helper()
	https := httptest.NewTLSServer(nil)
	t.Cleanup(https.Close)
	return serving(t, func(conn net.Conn, _ *pgproto3.Backend) {
		if _, err := conn.Write([]byte("S")); err == nil { // TLS it is
			_ = tls.Server(conn, https.TLS).Handshake()
		}
	})
}

// shouting is the address of a server of another kind: it refuses TLS, and speaks
// no PostgreSQL.
func shouting(t *testing.T) string {
	t.Helper()
	return serving(t, func(conn net.Conn, _ *pgproto3.Backend) { _, _ = conn.Write([]byte("Not ours\r\n")) })
}

// serving is the address of a server that answers to the first message.
func serving(t *testing.T, answer func(net.Conn, *pgproto3.Backend)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			server := pgproto3.NewBackend(conn, conn)
			if _, err := server.ReceiveStartupMessage(); err == nil {
				answer(conn, server)
			}
			conn.Close()
		}
	}()
	return "postgres://user:" + password + "@" + l.Addr().String() + "/app?sslmode=disable"
}

// A role that cannot change the schema works on one that is up to date.
func TestRightsOfAStore(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]sqlstore.Option{"UUIDs": nil, "integers": {sqlstore.IntegerIDs}} {
		address := testservices.Postgres(t)
		db := admin(t, address)
		role := newRole(t, db)
		run(t, db, `DO $$ BEGIN EXECUTE 'GRANT USAGE ON SCHEMA ' || current_schema() || ' TO `+role+`'; END $$`)
		grant := func() {
			run(t, db, `DO $$ BEGIN
				EXECUTE 'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ' || current_schema() || ' TO `+role+`';
				EXECUTE 'GRANT USAGE ON ALL SEQUENCES IN SCHEMA ' || current_schema() || ' TO `+role+`';
			END $$`)
		}
		own := changed(t, address, func(u *url.URL) { u.User = url.UserPassword(role, password) })
		if _, err := sqlstore.Migrate(t.Context(), db, sqlstore.PostgreSQL, options...); err != nil {
			t.Fatal(err)
		}
		grant()
		if _, err := postgres.Open[User](t.Context(), own, options...); err == nil || !strings.Contains(err.Error(), "users.first_name") || !strings.Contains(err.Error(), "lacks a right") {
			t.Errorf("%s: a column is missing: %v", name, err)
		}
		if _, err := sqlstore.AddColumns[User](t.Context(), db, sqlstore.PostgreSQL); err != nil {
			t.Fatal(err)
		}
		run(t, db, `REVOKE INSERT, DELETE ON outbox FROM `+role)
		if _, err := postgres.Open[User](t.Context(), own, options...); err == nil || !strings.Contains(err.Error(), "lacks a right") || !strings.Contains(err.Error(), "INSERT on outbox, DELETE on outbox") {
			t.Errorf("%s: rights are missing: %v", name, err)
		}
		grant()
		store, err := postgres.Open[User](t.Context(), own, options...)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		create(t, store, "zoe@example.com")
		u, err := store.UserByEmail(t.Context(), "zoe@example.com")
		if err != nil {
			t.Fatal(err)
		}
		if err := store.DeleteUser(t.Context(), u.ID); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := store.ClaimMessages(t.Context(), time.Now(), time.Minute, 1); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Names and addresses do not fit every encoding.
func TestEncoding(t *testing.T) {
	t.Parallel()
	address := testservices.Postgres(t)
	db, name := admin(t, address), testservices.Prefix(t)+"latin1"
	run(t, db, `CREATE DATABASE `+name+` ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0`)
	t.Cleanup(func() { run(t, db, `DROP DATABASE `+name) })
	_, err := postgres.Open[User](t.Context(), changed(t, address, func(u *url.URL) { u.Path, u.RawQuery = "/"+name, "" }))
	if err == nil || !strings.Contains(err.Error(), "LATIN1") || !strings.Contains(err.Error(), "ENCODING 'UTF8'") {
		t.Errorf("error %v", err)
	}
}

// A database may want other texts of its clients than ours: Open asks for UTF-8, and
// a pool of the application's has to.
func TestClientEncoding(t *testing.T) {
	t.Parallel()
	address := testservices.Postgres(t)
	db := admin(t, address)
	role := newRole(t, db)
	run(t, db, `ALTER ROLE `+role+` SET client_encoding = LATIN1`)
	run(t, db, `DO $$ BEGIN EXECUTE 'GRANT ALL ON SCHEMA ' || current_schema() || ' TO `+role+`'; END $$`)
	own := changed(t, address, func(u *url.URL) { u.User = url.UserPassword(role, password) })
	store, err := postgres.Open[User](t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	create(t, store, "zoe@example.com")
	var name string
	if err := db.QueryRow(`SELECT first_name FROM users`).Scan(&name); err != nil || name != "Zoë" {
		t.Errorf("another client reads %q, %v", name, err)
	}
	pool := admin(t, own)
	if _, err := sqlstore.New[User](t.Context(), pool, pool, sqlstore.PostgreSQL); err == nil || !strings.Contains(err.Error(), "client_encoding=UTF8") {
		t.Errorf("a pool: %v", err)
	}
}
