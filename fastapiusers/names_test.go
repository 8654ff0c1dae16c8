package fastapiusers_test

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"usher/fastapiusers"
)

// Names may be any that the database allows, of every table.
func TestOddNames(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, 10)
			rename := `ALTER TABLE "user" RENAME TO "Odd "" members"`
			names := map[string]string{"user": `Odd " members`}
			if kind == "mysql" {
				rename, names = "ALTER TABLE user RENAME TO members", map[string]string{"user": "members"}
			}
			s.exec(rename)
			table := strings.TrimPrefix(rename, rename[:strings.LastIndex(rename, "RENAME TO ")+len("RENAME TO ")])
			for column, other := range map[string]string{"user.email": "mail", "user.hashed_password": "select", "user.first_name": "given.name"} {
				_, from, _ := strings.Cut(column, ".")
				s.exec(`ALTER TABLE ` + table + ` RENAME COLUMN ` + from + ` TO "` + other + `"`)
				names[column] = other
			}
			s.exec(`ALTER TABLE ` + table + ` ADD COLUMN shoe_size INTEGER`)
			s.exec(`ALTER TABLE accesstoken RENAME TO tokens`)
			s.exec(`ALTER TABLE tokens RENAME COLUMN user_id TO owner`)
			names["accesstoken"], names["accesstoken.user_id"] = "tokens", "owner"

			report, err := x.runFrom(t.Context(), s.open(names), fastapiusers.Options{})
			if err != nil || report.Users.New != 10 || report.Tokens.New != 10 || report.Accounts.New != 5 {
				t.Fatalf("%+v, %v", report, err)
			}
			if got := strings.Join(report.Columns, " ") + "; " + strings.Join(report.NotCarried, " "); got != "first_name; shoe_size" {
				t.Errorf("columns: %s", got)
			}
			if u := x.user(idOf(3)); u.Email != "User.3@example.com" || *u.FirstName != "First" || u.HashedPassword[:7] != "$argon2" {
				t.Errorf("%+v", u)
			}
		})
	}
}

// The tables of accounts and tokens may be missing, which is said.
func TestMissingTables(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
		fill(s, 3)
		s.exec("DROP TABLE accesstoken")
		s.exec("DROP TABLE oauth_account")
		report := x.mustRun(s, fastapiusers.Options{})
		if report.Users.New != 3 || strings.Join(report.MissingTables, " ") != "oauth_account accesstoken" {
			t.Errorf("%s: %+v", kind, report)
		}
	}
}

// A source that cannot be opened: the error tells why, and never the password.
func TestUnreachableSource(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	noDatabase := filepath.Join(dir, "text.db")
	if err := os.WriteFile(noDatabase, []byte(strings.Repeat("this is no database\n", 500)), 0o600); err != nil {
		t.Fatal(err)
	}
	// with changes the address of a database that there is.
	with := func(kind string, change func(*url.URL)) string {
		u, err := url.Parse(newDatabase(t, kind).address)
		if err != nil {
			t.Fatal(err)
		}
		change(u)
		return u.String()
	}
	user := func(u *url.URL) { u.User = url.UserPassword("nobody", "canary") }
	name := func(u *url.URL) { u.Path = "/nowhere" }
	host := func(u *url.URL) { u.Host, u.User = "127.0.0.1:1", url.UserPassword("app", "canary") }
	for _, c := range []struct{ name, address, want string }{
		{"no scheme", "app.db", "not of the form"},
		{"another scheme", "oracle://app:canary@localhost/app", "not of the form"},
		{"no path", "sqlite:", "not of the form"},
		{"no file", "sqlite:" + filepath.Join(dir, "nowhere.db"), "there is no file " + filepath.Join(dir, "nowhere.db")},
		{"a directory", "sqlite:" + dir, "there is no file"},
		{"not a database", "sqlite:" + noDatabase, "not a database"},
		{"a password with a special character", "postgresql://app:canary%/x@localhost/app", "percent-encoded"},
		{"MySQL without a database", "mysql://app:canary@localhost", "not of the form"},
		{"PostgreSQL, wrong user", with("postgres", user), "nobody"},
		{"PostgreSQL, no such database", with("postgres", name), "nowhere"},
		{"PostgreSQL, nobody there", with("postgres", host), "refused"},
		{"MySQL, wrong user", with("mysql", user), "nobody"},
		{"MySQL, no such database", with("mysql", name), "nowhere"},
		{"MySQL, nobody there", with("mysql", host), "refused"},
	} {
		from, err := fastapiusers.Open(t.Context(), c.address, nil)
		if err == nil {
			_ = from.Close()
			t.Errorf("%s: no error", c.name)
		} else if !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v, want %s", c.name, err, c.want)
		}
	}
}

// The address may be written as SQLAlchemy writes it, with the parameters of Python's
// drivers. None of them changes what is read.
func TestAddressOfSQLAlchemy(t *testing.T) {
	t.Parallel()
	addresses := map[string]string{}
	for _, kind := range kinds {
		s := newSource(t, kind, uuidTypes[kind])
		s.addUser(string(idOf(1)), "ann@example.com", "hash", true, false, false, "Zoë 😀")
		addresses[kind] = s.address
	}
	file := strings.TrimPrefix(addresses["sqlite"], "sqlite:")
	as := func(kind, scheme, parameters string) string {
		_, rest, _ := strings.Cut(addresses[kind], "://")
		if strings.Contains(rest, "?") {
			return scheme + "://" + rest + "&" + parameters
		}
		return scheme + "://" + rest + "?" + parameters
	}
	for _, address := range []string{
		"sqlite+aiosqlite:///" + file, "sqlite:///" + file, "sqlite+aiosqlite:///" + file + "?check_same_thread=false&timeout=30",
		as("postgres", "postgresql+asyncpg", ""), as("postgres", "postgresql+psycopg2", "keepalives=1&connect_timeout=3"),
		as("postgres", "postgresql+asyncpg", "ssl=prefer&prepared_statement_cache_size=0&command_timeout=60&statement_timeout=1"),
		as("mysql", "mysql+aiomysql", ""), as("mysql", "mariadb+pymysql", "charset=utf8mb4"),
		as("mysql", "mysql+asyncmy", "charset=latin1&read_timeout=5&ssl_disabled=true"),
	} {
		from, err := fastapiusers.Open(t.Context(), address, nil)
		if err != nil {
			t.Errorf("%s: %v", address, err)
			continue
		}
		x := newTarget(t, "sqlite")
		if report, err := x.runFrom(t.Context(), from, fastapiusers.Options{}); err != nil || report.Users.New != 1 {
			t.Errorf("%s: %+v, %v", address, report, err)
		} else if got := *x.user(idOf(1)).FirstName; got != "Zoë 😀" {
			t.Errorf("%s: %q", address, got)
		}
		_ = from.Close()
	}
	// TLS is not left out, nor the way to the server.
	for address, want := range map[string]string{
		as("postgres", "postgresql+asyncpg", "ssl=perhaps"):              "not of the form",
		as("mysql", "mysql+aiomysql", "ssl_ca=%2Fetc%2Fca.pem"):          "write tls=true instead",
		as("mysql", "mysql+aiomysql", "charset=utf8mb4&ssl=true"):        "write tls=true instead",
		as("mysql", "mysql+aiomysql", "unix_socket=%2Fnowhere%2Fsocket"): "/nowhere/socket",
	} {
		if from, err := fastapiusers.Open(t.Context(), address, nil); err == nil {
			_ = from.Close()
			t.Errorf("%s: no error", address)
		} else if !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}
