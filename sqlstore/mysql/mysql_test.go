package mysql_test

import (
	"context"
	"crypto/tls"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/mysql"
)

type User struct {
	usher.User
	FirstName string `json:"first_name" usher:"write"`
}

const password = "s3cret/p@ss:w0rd?#%"

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

func with(parameters string) func(u *url.URL) { return func(u *url.URL) { u.RawQuery = parameters } }

// pool opens a database past the store.
func pool(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("mysql", dsn)
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

// newUser makes a user that ends with the test and has rights on the database.
func newUser(t *testing.T, address, rights string) *url.Userinfo {
	t.Helper()
	db, name := pool(t, testservices.DSN(address)), testservices.Prefix(t)+"user"
	run(t, db, `CREATE USER `+name+` IDENTIFIED BY '`+password+`'`)
	t.Cleanup(func() { run(t, db, `DROP USER `+name) })
	if rights != "" {
		u, _ := url.Parse(address)
		run(t, db, `GRANT `+rights+` ON `+u.Path[1:]+`.* TO `+name)
	}
	return url.UserPassword(name, password)
}

func create(t *testing.T, store *sqlstore.Store[User], email string) {
	t.Helper()
	if err := store.CreateUser(t.Context(), &User{User: usher.User{Email: email}, FirstName: "Zoë"}); err != nil {
		t.Fatal(err)
	}
}

// It just works, in both forms of the address, with what was there.
func TestOpen(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	as := newUser(t, address, "ALL")
	server, _ := url.Parse(address)
	for i, address := range []string{
		changed(t, address, func(u *url.URL) { u.User = as }),
		changed(t, address, func(u *url.URL) { u.User, u.Scheme = as, "mariadb" }),
		changed(t, address, func(u *url.URL) {
			u.User, u.RawQuery = as, "parseTime=true&loc=Asia%2FTokyo&time_zone=%27-07%3A00%27&clientFoundRows=false"
		}),
		as.Username() + ":" + password + "@tcp(" + server.Host + ")" + server.Path,
	} {
		store, err := mysql.Open[User](t.Context(), address)
		if err != nil {
			t.Fatalf("address %d: %v", i, err)
		}
		create(t, store, fmt.Sprintf("user%d@example.com", i))
		if u, err := store.UserByEmail(t.Context(), "user0@example.com"); err != nil || u.FirstName != "Zoë" || time.Since(u.CreatedAt).Abs() > time.Hour/2 {
			t.Errorf("address %d: %+v, %v", i, u, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestPoolMaxConns(t *testing.T) {
	t.Parallel()
	store, err := mysql.Open[User](t.Context(), changed(t, testservices.MariaDB(t), with("pool_max_conns=1")))
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

// The error says what is wrong, and never the password.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	reader := newUser(t, address, "SELECT")
	as := func(user *url.Userinfo) func(u *url.URL) { return func(u *url.URL) { u.User = user } }
	for what, test := range map[string]struct{ address, want string }{
		"nothing like it": {"user:" + password, "the address is malformed"},
		"not a URL":       {"mysql://user:" + password + "@localhost/app", "percent-encoded"},
		"driver's form":   {"user:" + password + "@tcp(localhost:3306/app", "the address is malformed"},
		"port":            {"mysql://user:s3cret@localhost:port/app", "the address is malformed"},
		"no database":     {changed(t, address, func(u *url.URL) { u.Path, u.User = "/", reader }), "names no database"},
		"pool_max_conns":  {changed(t, address, with("pool_max_conns=0")), "pool_max_conns is not a positive number"},
		"tls":             {changed(t, address, with("tls=perhaps")), "the address is malformed"},
		"wrong password":  {changed(t, address, as(url.UserPassword(reader.Username(), "s3cret"))), "refuses this user, password or host"},
		"user":            {changed(t, address, as(url.UserPassword("test_nobody", "s3cret"))), "refuses this user, password or host"},
		"database":        {changed(t, address, func(u *url.URL) { u.Path = "/test_none" }), "make the database first"},
		"another's":       {changed(t, address, as(newUser(t, address, ""))), "lacks a right"},
		"right":           {changed(t, address, as(reader)), "lacks a right"},
		"TLS":             {changed(t, address, with("tls=true")), "TLS with the server fails"},
		"certificate":     {impostor(t) + "?tls=true", "TLS with the server fails"},
		"unknown host":    {"mysql://user:s3cret@nobody.invalid/app", "nobody answers"},
		"parameter":       {changed(t, address, with("colour=red")), "neither the driver nor the server knows"},
		"read only":       {changed(t, address, with("tx_read_only=1")), "the server only reads"},
		"silence":         {silent(t) + "?timeout=100ms", "nobody answers"},
		"closed port":     {changed(t, address, func(u *url.URL) { u.Host, u.User = closedPort(t), reader }), "nobody answers"},
	} {
		store, err := mysql.Open[User](t.Context(), test.address)
		if err == nil {
			t.Errorf("%s: no error", what)
			store.Close()
			continue
		}
		if !strings.HasPrefix(err.Error(), "open MySQL database: ") || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "s3cret") {
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

// silent is the address of a server that says nothing, as one of PostgreSQL does:
// in MySQL's protocol it is the server that begins.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0") // whose connections nobody accepts
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return "mysql://user:s3cret@" + l.Addr().String() + "/app"
}

// impostor is the address of a server with a certificate that nobody knows.
func impostor(t *testing.T) string {
	t.Helper()
	https := httptest.NewTLSServer(nil)
	t.Cleanup(https.Close)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	greeting := "\x0a8.0.0\x00" + "\x01\x00\x00\x00" + "12345678\x00" + "\x00\x8a" + // can SECURE_CONNECTION, SSL and PROTOCOL_41
		"\x2d" + "\x02\x00" + "\x08\x00" + "\x15" + strings.Repeat("\x00", 10) + "123456789012\x00" + "mysql_native_password\x00"
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, err = conn.Write(append([]byte{byte(len(greeting)), 0, 0, 0}, greeting...))
			if err == nil {
				_, err = io.ReadFull(conn, make([]byte, 4+32)) // SSLRequest
			}
			if err == nil {
				_ = tls.Server(conn, https.TLS).Handshake()
			}
			conn.Close()
		}
	}()
	return "mysql://user:s3cret@" + l.Addr().String() + "/app"
}

// A user that cannot change the schema works on one that is up to date.
func TestRightsOfAStore(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]sqlstore.Option{"UUIDs": nil, "integers": {sqlstore.IntegerIDs}} {
		address := testservices.MariaDB(t)
		db := pool(t, testservices.DSN(address))
		user := newUser(t, address, "SELECT, INSERT, UPDATE, DELETE")
		own := changed(t, address, func(u *url.URL) { u.User = user })
		if _, err := sqlstore.Migrate(t.Context(), db, sqlstore.MySQL, options...); err != nil {
			t.Fatal(err)
		}
		if _, err := mysql.Open[User](t.Context(), own, options...); err == nil || !strings.Contains(err.Error(), "users.first_name") || !strings.Contains(err.Error(), "lacks a right") {
			t.Errorf("%s: a column is missing: %v", name, err)
		}
		if _, err := sqlstore.AddColumns[User](t.Context(), db, sqlstore.MySQL); err != nil {
			t.Fatal(err)
		}
		store, err := mysql.Open[User](t.Context(), own, options...)
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

// A right that is missing is named, of a table too that MariaDB then hides.
func TestMissingRights(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	db := pool(t, testservices.DSN(address))
	store, err := mysql.Open[User](t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for rights, want := range map[string]string{"": "outbox", "SELECT, UPDATE, DELETE": "INSERT"} {
		user := newUser(t, address, "")
		name := strings.TrimPrefix(changed(t, address, func(u *url.URL) { *u = url.URL{Path: u.Path} }), "/")
		for _, table := range []string{"users", "sessions", "used_tokens", "oauth_accounts", "usher_migrations"} {
			run(t, db, `GRANT SELECT, INSERT, UPDATE, DELETE ON `+name+`.`+table+` TO `+user.Username())
		}
		if rights != "" {
			run(t, db, `GRANT `+rights+` ON `+name+`.outbox TO `+user.Username())
		}
		_, err := mysql.Open[User](t.Context(), changed(t, address, func(u *url.URL) { u.User = user }))
		if err == nil || !strings.Contains(err.Error(), "lacks a right") || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "denied") {
			t.Errorf("%q: %v", rights, err)
		}
	}
}

// A pool of the application's has to have the settings that the store relies on,
// in whichever zone its connections are.
func TestSettingsOfAPool(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	store, err := mysql.Open[User](t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	dsn, _, _ := strings.Cut(testservices.DSN(address), "?")
	for parameters, want := range map[string]string{
		"clientFoundRows=true": "",
		"clientFoundRows=true&parseTime=true&loc=Asia%2FTokyo&time_zone=%27-07%3A00%27": "",
		"":                                     "clientFoundRows=true",
		"clientFoundRows=true&sql_mode=%27%27": "STRICT_TRANS_TABLES",
		"clientFoundRows=true&sql_mode=%27STRICT_ALL_TABLES,EMPTY_STRING_IS_NULL%27": "EMPTY_STRING_IS_NULL",
	} {
		db := pool(t, dsn+"?"+parameters)
		other, err := sqlstore.New[User](t.Context(), db, db, sqlstore.MySQL)
		if (err == nil) != (want == "") || err != nil && (!strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "every connection")) {
			t.Errorf("%q: %v, want %q", parameters, err, want)
		}
		if err != nil {
			continue
		}
		given := User{User: usher.User{Email: fmt.Sprintf("user%d@example.com", len(parameters))}}
		if err := other.CreateUser(t.Context(), &given); err != nil {
			t.Errorf("%q: %v", parameters, err)
		}
		for _, s := range []*sqlstore.Store[User]{store, other} {
			if u, err := s.UserByID(t.Context(), given.ID); err != nil || *u != given {
				t.Errorf("%q: %+v, %v; want %+v", parameters, u, err, given)
			}
		}
		if err := other.Close(); err != nil {
			t.Error(err)
		}
	}
}
