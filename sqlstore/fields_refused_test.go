package sqlstore_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
)

// What does not fit is refused, and the refusal does not tell the value.
func TestValuesThatDoNotFit(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Everything](t, e)
		big := &Everything{Uint64: math.MaxUint64}
		big.Email = "big@example.com"
		var refusal *usher.ValidationError
		if err := store.CreateUser(t.Context(), big); !errors.As(err, &refusal) || refusal.Fields[0].Loc[1] != "Uint64" {
			t.Errorf("uint64 2^64-1: %v, want a *ValidationError of Uint64", err)
		}
		u := &Everything{}
		u.Email = "a@example.com"
		if err := store.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		assignments := map[string]string{
			`level = 1000`:           `level = 0`,
			`uint8 = -1`:             `uint8 = 0`,
			`tags = '["secret", 7]'`: `tags = NULL`,
			`labels = '"secret"'`:    `labels = NULL`,
			`color = 'secret'`:       `color = '#000000'`,
		}
		if e.dialect == sqlstore.SQLite { // which lets everybody write that
			assignments[`address = '{"secret'`] = `address = NULL`
		}
		for assignment, restore := range assignments {
			run(t, db, `UPDATE users SET `+assignment)
			_, err := store.UserByID(t.Context(), u.ID)
			if err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "1000") {
				t.Errorf("%s: error %v", assignment, err)
			}
			run(t, db, `UPDATE users SET `+restore)
		}
		if _, err := store.UserByID(t.Context(), u.ID); err != nil {
			t.Error(err)
		}
	})
}

// What a database cannot keep in a text is the client's fault.
func TestTextThatCannotBeKept(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Everything](t, e)
		u := &Everything{Raw: json.RawMessage(`null`)}
		u.Email = "a@example.com"
		if err := store.CreateUser(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		zero, invalid := e.dialect == sqlstore.PostgreSQL, e.dialect != sqlstore.SQLite
		for what, test := range map[string]struct {
			set     func(u *Everything)
			refused bool
			field   string
		}{
			"text with 0":              {func(u *Everything) { u.Text = "secret\x00" }, zero, "Text"},
			"pointer to it":            {func(u *Everything) { u.TextPtr = new("secret\x00") }, zero, "TextPtr"},
			"JSON with 0":              {func(u *Everything) { u.Tags = []string{"secret\x00"} }, zero, "Tags"},
			"JSON that looks like it":  {func(u *Everything) { u.Tags = []string{`secret\u0000`, `\\u0000`} }, false, ""},
			"invalid UTF-8":            {func(u *Everything) { u.Title = "secret\xff" }, invalid, "Title"},
			"invalid UTF-8 of its own": {func(u *Everything) { u.Null = sql.NullString{String: "secret\xff", Valid: true} }, invalid, "Null"},
		} {
			after := *u
			test.set(&after)
			created := after
			created.ID, created.Email = "", strings.ReplaceAll(what, " ", "-")+"@example.com"
			for call, err := range map[string]error{"UpdateUser": store.UpdateUser(t.Context(), u, &after), "CreateUser": store.CreateUser(t.Context(), &created)} {
				var refusal *usher.ValidationError
				switch {
				case !test.refused && err != nil:
					t.Errorf("%s: %s: %v", what, call, err)
				case test.refused && (!errors.As(err, &refusal) || strings.Contains(err.Error(), "secret") || refusal.Fields[0].Loc[1] != test.field):
					t.Errorf("%s: %s: %v, want a *ValidationError of %s", what, call, err, test.field)
				}
			}
			if !test.refused && created.ID != "" {
				same(t, what, must(store.UserByID(t.Context(), created.ID)), &created)
				u = must(store.UserByID(t.Context(), u.ID))
			}
		}
	})
}

// A time that JSON cannot say in UTC would make its user, and every list with him,
// unreadable (DEFECTS G: 500 for ever).
func TestTimesThatCannotBeWritten(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Everything](t, e)
		for text, good := range map[string]bool{
			"9999-12-31T23:59:59Z": true, "0000-01-02T00:00:00Z": true,
			"9999-12-31T23:59:59-00:01": false, "0000-01-01T00:00:00+00:01": false,
		} {
			when := must(time.Parse(time.RFC3339, text))
			for field, set := range map[string]func(u *Everything){
				"Time":      func(u *Everything) { u.Time = when },
				"TimePtr":   func(u *Everything) { u.TimePtr = &when },
				"NullTime":  func(u *Everything) { u.NullTime = sql.NullTime{Time: when, Valid: true} },
				"NullTime2": func(u *Everything) { u.NullTime2 = sql.Null[time.Time]{V: when, Valid: true} },
			} {
				u := &Everything{Raw: json.RawMessage(`null`)}
				u.Email = string(usher.NewID()) + "@example.com"
				err := store.CreateUser(t.Context(), u)
				if err != nil {
					t.Fatal(err)
				}
				after := *u
				set(&after)
				err = store.UpdateUser(t.Context(), u, &after)
				var refusal *usher.ValidationError
				if good != (err == nil) || err != nil && (!errors.As(err, &refusal) || refusal.Fields[0].Loc[1] != field) {
					t.Errorf("%s %s: %v", field, text, err)
				}
				if _, err := json.Marshal(must(store.UserByID(t.Context(), u.ID))); err != nil {
					t.Errorf("%s %s: %v", field, text, err)
				}
			}
		}
	})
}

// What the application has written past the store keeps nobody from changing the rest.
func TestValuesFromElsewhere(t *testing.T) {
	t.Parallel()
	e := engines["SQLite"] // with which anything can be written
	store, db := openOn[Everything](t, e)
	u := &Everything{Raw: json.RawMessage(`null`)}
	u.Email = "a@example.com"
	if err := store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	run(t, db, `UPDATE users SET time = 300000000000000000`)
	before := must(store.UserByID(t.Context(), u.ID))
	after := *before
	after.HashedPassword, after.Text = "!", "new"
	if err := store.UpdateUser(t.Context(), before, &after); err != nil {
		t.Error(err)
	}
	if got := must(store.UserByID(t.Context(), u.ID)); got.Text != "new" || got.Time.Year() < 10000 {
		t.Errorf("%+v", got)
	}
}

// JSON that is nested deeper than the database takes is the client's fault. MariaDB
// takes 32.
func TestDeepJSON(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Everything](t, e)
		for depth := range 200 {
			u := &Everything{Raw: json.RawMessage(strings.Repeat("[", depth+1) + strings.Repeat("]", depth+1))}
			u.Email = fmt.Sprintf("depth%d@example.com", depth)
			err := store.CreateUser(t.Context(), u)
			var refusal *usher.ValidationError
			if err != nil && (depth < 30 || !errors.As(err, &refusal)) {
				t.Fatalf("depth %d: %v", depth+1, err)
			}
		}
	})
}

// Narrow has a field whose column the application made narrower than the type.
type Narrow struct {
	usher.User
	Shoe int64
	Mood string
}

// What does not fit, or breaks a rule that the application made for its column, is the
// client's fault, and the error never has the value.
func TestNarrowColumns(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]string{
		"PostgreSQL":           `CREATE TYPE moods AS ENUM ('good'); ALTER TABLE users ADD COLUMN shoe SMALLINT, ADD COLUMN mood moods`,
		"MariaDB":              `ALTER TABLE users ADD COLUMN shoe SMALLINT, ADD COLUMN mood ENUM('good')`,
		"PostgreSQL, by rules": `ALTER TABLE users ADD COLUMN shoe BIGINT CHECK (shoe < 100), ADD COLUMN mood VARCHAR(4)`,
		"MariaDB, by rules":    `ALTER TABLE users ADD COLUMN shoe BIGINT CHECK (shoe < 100), ADD COLUMN mood VARCHAR(4)`,
		"SQLite, by rules":     `ALTER TABLE users ADD COLUMN shoe INTEGER CHECK (shoe < 100); ALTER TABLE users ADD COLUMN mood TEXT CHECK (length(mood) < 5)`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			engineName, _, _ := strings.Cut(name, ",")
			e := engines[engineName]
			address := e.place(t)
			db := e.raw(t, address)
			if _, err := sqlstore.Migrate(t.Context(), db, e.dialect); err != nil {
				t.Fatal(err)
			}
			run(t, db, change)
			store := openAt[Narrow](t, e, address)
			before := &Narrow{usher.User{Email: "a@example.com"}, 42, "good"}
			if err := store.CreateUser(t.Context(), before); err != nil {
				t.Fatal(err)
			}
			for what, after := range map[string]Narrow{"shoe": {before.User, 7654321, "good"}, "mood": {before.User, 42, "mad7654321"}} {
				created := after
				created.User = usher.User{Email: what + "@example.com"}
				for call, err := range map[string]error{"UpdateUser": store.UpdateUser(t.Context(), before, &after), "CreateUser": store.CreateUser(t.Context(), &created)} {
					var refusal *usher.ValidationError
					if !errors.As(err, &refusal) || strings.Contains(err.Error(), "7654321") {
						t.Errorf("%s: %s: %v, want a *ValidationError without the value", what, call, err)
					}
				}
			}
			if got := must(store.UserByID(t.Context(), before.ID)); *got != *before {
				t.Errorf("%+v, want %+v", got, before)
			}
		})
	}
}

func TestFieldsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	refused := func(what string, err error) {
		t.Helper()
		if err == nil {
			t.Errorf("%s: accepted", what)
		} else if !strings.Contains(err.Error(), "Odd") {
			t.Errorf("%s: the error does not name the field: %v", what, err)
		}
	}
	refused("chan", opens[struct {
		usher.User
		Odd chan int
	}](t))
	refused("func", opens[struct {
		usher.User
		Odd *func()
	}](t))
	refused("complex", opens[struct {
		usher.User
		Odd complex128
	}](t))
	refused("struct with a chan", opens[struct {
		usher.User
		Odd struct{ C chan int }
	}](t))
	refused("interface", opens[struct {
		usher.User
		Odd error
	}](t))
	refused("valuer that cannot scan", opens[struct {
		usher.User
		Odd writeOnly
	}](t))
	if err := opens[struct {
		usher.User
		Even int
		Odd  chan int `db:"-"`
	}](t); err != nil {
		t.Errorf("a chan that is not stored: %v", err)
	}
}

type writeOnly string

func (w writeOnly) Value() (driver.Value, error) { return string(w), nil }

func opens[U any, P usher.UserOf[U]](t *testing.T) error {
	store, err := sqlite.Open[U, P](t.Context(), sqlite.Memory)
	if err == nil {
		err = store.Close()
	}
	return err
}
