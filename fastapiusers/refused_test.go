package fastapiusers_test

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"usher"
	"usher/fastapiusers"
)

// A database that is not what it claims is refused with what is missing, and what
// to do.
func TestSourceRefused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change []string
		names  map[string]string
		want   []string
	}{
		{"no users", []string{`DROP TABLE "user"`}, nil, []string{"no table user", "--map user=TABLE"}},
		{"no column", []string{`ALTER TABLE "user" DROP COLUMN is_verified`}, nil, []string{"table user has no column is_verified", "hashed_password", "--map user.is_verified=COLUMN"}},
		{"no column of tokens", []string{`ALTER TABLE accesstoken DROP COLUMN created_at`}, nil, []string{"table accesstoken has no column created_at"}},
		{"two faults", []string{`ALTER TABLE "user" DROP COLUMN is_verified`, `ALTER TABLE oauth_account DROP COLUMN account_email`}, nil,
			[]string{"no column is_verified", "no column account_email"}},
		{"mapped to no table", nil, map[string]string{"user": "members"}, []string{"no table members"}},
		{"mapped to no column", nil, map[string]string{"user.email": "mail"}, []string{"table user has no column mail"}},
		{"own column that is not there", nil, map[string]string{"user.name": "nick"}, []string{"table user has no column nick"}},
		{"a map of nothing", nil, map[string]string{"users": "members"}, []string{"map users", "user, oauth_account and accesstoken"}},
		{"a map of no column", nil, map[string]string{"accesstoken.name": "x"}, []string{"map accesstoken.name", "token, user_id, created_at"}},
		{"a map to nothing", nil, map[string]string{"user": ""}, []string{"map user: to what?"}},
	} {
		for _, kind := range kinds {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s := newSource(t, kind, uuidTypes[kind])
				for _, statement := range c.change {
					s.exec(statement)
				}
				from, err := fastapiusers.Open(t.Context(), s.address, c.names)
				if err == nil {
					_ = from.Close()
					t.Fatal("no error")
				}
				for _, want := range c.want {
					if !strings.Contains(err.Error(), want) {
						t.Errorf("the error says nothing of %q: %v", want, err)
					}
				}
			})
		}
	}
}

// An address that is none, or leads nowhere, is told without its password.
func TestAddressRefused(t *testing.T) {
	t.Parallel()
	for _, address := range []string{
		"", "app.db", "sqlite:", "sqlite:" + filepath.Join(t.TempDir(), "none.db"), "sqlite:" + t.TempDir(), "oracle://app:s3cret@localhost/app",
		"postgresql://app:s3cret@127.0.0.1:1/app", "postgresql+asyncpg://app:s3cret@127.0.0.1:1/app", "postgresql://%zz:s3cret@/",
		"mysql://app:s3cret@127.0.0.1:1/app", "mysql+aiomysql://app:s3cret@127.0.0.1:1/app", "mysql://app:s3cret@:x/app",
	} {
		from, err := fastapiusers.Open(t.Context(), address, nil)
		if err == nil {
			_ = from.Close()
			t.Errorf("%q: no error", address)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%q: %v", address, err)
		}
	}
}

// A table and columns of other names are carried under usher's.
func TestMappedNames(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			s.addUser(string(idOf(1)), "ann@example.com", "$2b$04$hash", true, false, true, "Ann")
			s.exec(`ALTER TABLE "user" RENAME COLUMN email TO mail`)
			s.exec(`ALTER TABLE "user" RENAME COLUMN first_name TO nick`)
			s.exec(`ALTER TABLE "user" RENAME TO members`)
			names := map[string]string{"user": "members", "user.email": "mail", "user.first_name": "nick"}
			report, err := x.runFrom(context.Background(), s.open(names), fastapiusers.Options{})
			if want := (fastapiusers.Counts{Read: 1, New: 1}); err != nil || report.Users != want || !reflect.DeepEqual(report.Columns, []string{"first_name"}) {
				t.Fatalf("%+v, %v", report, err)
			}
			if got, want := lookOf(x.user(idOf(1))), (look{"ann@example.com", "$2b$04$hash", true, false, true, "Ann"}); got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// An own column that usher has not is named, and the rest is carried.
func TestColumnsThatUsherHasNot(t *testing.T) {
	t.Parallel()
	s, x := newSource(t, "sqlite", uuidTypes["sqlite"]), newTarget(t, "sqlite")
	s.addUser(string(idOf(1)), "ann@example.com")
	s.exec(`ALTER TABLE "user" ADD COLUMN shoe_size INTEGER`)
	report := x.mustRun(s, fastapiusers.Options{})
	if !reflect.DeepEqual(report.NotCarried, []string{"shoe_size"}) || report.Users.New != 1 {
		t.Errorf("%+v", report)
	}
}

// Of users who have one address to usher the one who can prove most is carried:
// active before inactive, verified before not. The others are told of, and so are
// rows that nobody could use.
func TestRowsLeftOut(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, map[string]string{"sqlite": "CHAR(36)", "postgres": "TEXT", "mysql": "CHAR(36)"}[kind]), newTarget(t, kind)
			s.addUser(string(idOf(1)), "Ann@Example.com", "$2b$04$hash", true, false, false, nil)
			s.addUser(string(idOf(2)), "ann@example.com", "$2b$04$hash", true, false, true, nil)
			s.addUser(string(idOf(3)), "ANN@EXAMPLE.COM", "$2b$04$hash", false, false, true, nil)
			s.addUser(string(idOf(4)), "no address")
			s.addUser("no id", "bob@example.com")
			s.addUser(string(idOf(6)), nil)
			s.addUser(string(idOf(7)), "eve@example.com")
			report := x.mustRun(s, fastapiusers.Options{})
			if want := (fastapiusers.Counts{Read: 7, New: 2, Collided: 2, Refused: 3}); report.Users != want {
				t.Errorf("got %+v, want %+v", report.Users, want)
			}
			var left []string
			for _, p := range x.problems {
				if p.Reason == fastapiusers.ReasonEmail {
					left = append(left, p.ID)
					if !strings.Contains(p.Detail, string(idOf(2))) || p.Email == "" {
						t.Errorf("%+v does not name the winner and the address", p)
					}
				}
			}
			if len(left) != 2 || len(x.problems) != 5 {
				t.Errorf("problems: %+v", x.problems)
			}
			for _, id := range []usher.ID{idOf(2), idOf(7)} {
				x.user(id)
			}
		})
	}
}

// Every run lists the passwords that cannot be checked, until their users have new
// ones: the list of the last run is the one that counts.
func TestUnusablePasswords(t *testing.T) {
	t.Parallel()
	s, x := newSource(t, "sqlite", "CHAR(36)"), newTarget(t, "sqlite")
	s.addUser(string(idOf(1)), "ann@example.com", "pbkdf2$1")
	s.addUser(string(idOf(2)), "bob@example.com", "pbkdf2$2")
	s.addUser(string(idOf(3)), "eve@example.com", "$2b$04$hash")
	s.addUser(string(idOf(4)), "joe@example.com", "")
	usable := func(hash string) bool { return strings.HasPrefix(hash, "$2b$") }
	for run, want := range []map[string]string{
		{string(idOf(1)): "unusable_password", string(idOf(2)): "unusable_password"},
		{string(idOf(1)): "unusable_password", string(idOf(2)): "unusable_password"},
		{string(idOf(2)): "unusable_password"},
	} {
		if run == 2 {
			x.change(idOf(1), func(u *User) { u.HashedPassword, u.Epoch = "$2b$04$new", u.Epoch+1 })
		}
		report := x.mustRun(s, fastapiusers.Options{Usable: usable})
		if got := x.reasons(); !reflect.DeepEqual(got, want) || report.UnusablePasswords != len(want) {
			t.Errorf("run %d: %v, %+v", run, got, report)
		}
	}
}
