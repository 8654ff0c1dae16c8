package mysql_test

import (
	"context"
	"database/sql"
	"net/url"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore"
	"usher/sqlstore/mysql"
	"usher/ushertest"
)

// What a server is set to changes nothing: a database's defaults for transactions,
// its time zone and its character set (FAULTS.md, F19).
func TestSettingsOfAServer(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	admin := pool(t, testservices.DSN(address))
	latin1 := "CHARACTER SET latin1 COLLATE latin1_general_ci"
	for what, session := range map[string]url.Values{
		"SERIALIZABLE": {"tx_isolation": {"'SERIALIZABLE'"}},
		// SNAPSHOT is the default since MariaDB 11.6, and older ones may not know it.
		"SERIALIZABLE and SNAPSHOT": {"tx_isolation": {"'SERIALIZABLE'"}, "innodb_snapshot_isolation": {"ON"}},
		"time zone":                 {"time_zone": {"'-11:00'"}},
		latin1:                      nil,
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			for variable := range session {
				var name, value string
				switch err := admin.QueryRow(`SHOW GLOBAL VARIABLES LIKE '`+variable+`'`).Scan(&name, &value); {
				case err == sql.ErrNoRows:
					return
				case err != nil:
					t.Fatal(err)
				}
			}
			place := func() string {
				address := changed(t, testservices.MariaDB(t), with(session.Encode()))
				if what == latin1 {
					u, _ := url.Parse(address)
					run(t, admin, `ALTER DATABASE `+u.Path[1:]+` `+latin1)
				}
				return address
			}
			ushertest.TestOneTimeStore(t, func(t *testing.T) usher.OneTimeStore {
				store, err := mysql.Open[User](t.Context(), place())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { store.Close() })
				return store
			})
			store, err := mysql.Open[User](t.Context(), place())
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			create(t, store, "Zoë@example.com")
			u, err := store.UserByEmail(t.Context(), "zoë@example.com")
			if err != nil || u.Email != "Zoë@example.com" || u.HashedPassword != "" || time.Since(u.CreatedAt).Abs() > time.Minute {
				t.Errorf("user %+v, %v", u, err)
			}
			if _, err := store.UserByEmail(t.Context(), "zoe@example.com"); err != usher.ErrNotFound {
				t.Errorf("another address: %v", err)
			}
		})
	}
}

// A server that speaks another language is understood, and what it says of a value
// is not told, in a pool of the application's too.
func TestLanguages(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"ja_JP", "de_DE", "fr_FR"} {
		address, parameters := testservices.MariaDB(t), "lc_messages=%27"+language+"%27"
		store, err := mysql.Open[User](t.Context(), changed(t, address, with(parameters)))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		create(t, store, "zoe@example.com")
		db := pool(t, testservices.DSN(address)+"&"+parameters)
		other, err := sqlstore.New[User](t.Context(), db, db, sqlstore.MySQL)
		if err != nil {
			t.Fatal(err)
		}
		defer other.Close()
		for _, s := range []*sqlstore.Store[User]{store, other} {
			if err := s.CreateUser(t.Context(), &User{User: usher.User{Email: "Zoe@example.com"}}); err != usher.ErrEmailTaken {
				t.Errorf("%s: %v, want %v", language, err, usher.ErrEmailTaken)
			}
		}
		session := usher.Session{ID: "secret", ExpiresAt: time.Now().Add(time.Hour)}
		if u, err := store.UserByEmail(t.Context(), "zoe@example.com"); err != nil {
			t.Fatal(err)
		} else {
			session.UserID = u.ID
		}
		if err := other.CreateSession(t.Context(), usher.HashToken("a"), session); err != nil {
			t.Fatal(err)
		}
		if err := other.CreateSession(t.Context(), usher.HashToken("b"), session); err == nil || strings.Contains(err.Error(), "secret") || !strings.Contains(err.Error(), "sessions_id") {
			t.Errorf("%s: a session's id twice: %v", language, err)
		}
	}
}

// Times in TIMESTAMP columns, which MariaDB keeps by the zone of a connection, are
// what they were: connections are in UTC unless the address says otherwise.
func TestTimeZone(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	for parameters, want := range map[string]string{"": "+00:00", "time_zone=%27-07:00%27": "-07:00"} {
		store, err := mysql.Open[User](t.Context(), changed(t, address, with(parameters)))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		err = store.InTx(t.Context(), func(ctx context.Context) error {
			var zone string
			err := store.Tx(ctx).QueryRowContext(ctx, `SELECT @@time_zone`).Scan(&zone)
			if zone != want {
				t.Errorf("%q: the zone is %q, want %q", parameters, zone, want)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
