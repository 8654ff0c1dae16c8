package sqlstore_test

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/sqlstore/sqlite"
)

type (
	level   int8
	title   string
	address struct {
		Street string `json:"street"`
		Lines  []int  `json:"lines"`
	}
	// color is kept as #rrggbb by its own methods.
	color struct{ r, g, b byte }
)

func (c color) Value() (driver.Value, error) {
	return fmt.Sprintf("#%02x%02x%02x", c.r, c.g, c.b), nil
}

func (c *color) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return errors.New("not a color")
	}
	_, err := fmt.Sscanf(text, "#%02x%02x%02x", &c.r, &c.g, &c.b)
	return err
}

// Everything has a field of every type that can be stored.
type Everything struct {
	usher.User
	Nick
	Text      string
	Title     title
	Order     string `db:"order"` // a keyword
	Flag      bool
	Int       int
	Level     level
	Int64     int64
	Uint      uint
	Uint8     uint8
	Uint64    uint64
	Float     float64
	Float32   float32
	Bytes     []byte
	Time      time.Time
	TextPtr   *string
	FlagPtr   *bool
	IntPtr    *int64
	UintPtr   *uint16
	FloatPtr  *float64
	TimePtr   *time.Time
	JSONPtr   *address
	Color     color
	ColorPtr  *color
	Null      sql.NullString
	NullTime  sql.NullTime
	NullTime2 sql.Null[time.Time]
	Address   address
	Tags      []string
	Labels    map[string]any
	Array     [2]int
	Any       any
	Raw       json.RawMessage
}

// Nick is embedded, its field is one of the user's.
type Nick struct{ Nickname string }

func TestFieldsRoundTrip(t *testing.T) {
	t.Parallel()
	store, path := open[Everything](t)
	when := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
	full := Everything{
		Text: "naïve \x00 '\"; --", Title: "Dr", Order: "1st", Flag: true,
		Int: math.MinInt, Level: -128, Int64: math.MaxInt64, Uint: 7, Uint8: 255, Uint64: math.MaxInt64,
		Float: math.Pi, Float32: 0.1, Bytes: []byte{0, 0xff, '\''}, Time: when,
		TextPtr: new(""), FlagPtr: new(false), IntPtr: new(int64(0)), UintPtr: new(uint16(65535)), FloatPtr: new(-0.5), TimePtr: new(when),
		JSONPtr: &address{Street: "x"}, Color: color{1, 2, 255}, ColorPtr: &color{9, 8, 7},
		Null: sql.NullString{String: "n", Valid: true}, NullTime: sql.NullTime{Time: when, Valid: true}, NullTime2: sql.Null[time.Time]{V: when, Valid: true},
		Address: address{"Main St", []int{1, 2}}, Tags: []string{"a", "b"}, Labels: map[string]any{"k": []any{1.5, nil, "v"}},
		Array: [2]int{3, 4}, Any: map[string]any{"x": true}, Raw: json.RawMessage(`{"raw":1}`),
	}
	full.Nickname = "nick"
	for what, given := range map[string]Everything{
		"full":  full,
		"zero":  {Raw: json.RawMessage(`null`)},
		"empty": {Bytes: []byte{}, Tags: []string{}, Labels: map[string]any{}, Raw: json.RawMessage(`""`), Time: time.Date(1, 1, 1, 0, 0, 0, 1000, time.UTC)},
	} {
		given.Email = what + "@example.com"
		if err := store.CreateUser(t.Context(), &given); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		same(t, what+" created", must(store.UserByID(t.Context(), given.ID)), &given)

		other := full // and now change every field
		if what == "full" {
			other = Everything{Raw: json.RawMessage(`null`)}
		}
		other.User = given.User
		if err := store.UpdateUser(t.Context(), &given, &other); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		same(t, what+" updated", must(store.UserByID(t.Context(), given.ID)), &other)
	}
	// NULL, which an application's own migration may leave, reads as zero.
	db := openRaw(t, path)
	run(t, db, `INSERT INTO users (id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at)
		VALUES ('00000000-0000-7000-8000-000000000001', 'n@example.com', 'n@example.com', '', 1, 0, 0, 0, 0)`)
	for _, f := range must(usher.FieldsOf[Everything]()).Custom() {
		if one[bool](t, db, `SELECT NOT "notnull" FROM pragma_table_info('users') WHERE name = ?`, f.Column) {
			run(t, db, `UPDATE users SET "`+f.Column+`" = NULL`)
		}
	}
	null, err := store.UserByID(t.Context(), "00000000-0000-7000-8000-000000000001")
	if err != nil {
		t.Fatal(err)
	}
	same(t, "NULL", null, &Everything{User: null.User})
}

func same(t *testing.T, what string, got, want *Everything) {
	t.Helper()
	g, w := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	for i := range g.NumField() {
		if got, want := g.Field(i).Interface(), w.Field(i).Interface(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s is %#v, want %#v", what, g.Type().Field(i).Name, got, want)
		}
	}
}

func TestTimesAreKeptInUTC(t *testing.T) {
	t.Parallel()
	store, _ := open[Everything](t)
	given := &Everything{Time: time.Date(2024, 7, 1, 12, 0, 0, 1999, time.FixedZone("", 7200))}
	given.Email = "a@example.com"
	if err := store.CreateUser(t.Context(), given); err != nil {
		t.Fatal(err)
	}
	if got, want := must(store.UserByID(t.Context(), given.ID)).Time, time.Date(2024, 7, 1, 10, 0, 0, 1000, time.UTC); got != want {
		t.Errorf("%v, want %v", got, want)
	}
}

// What does not fit is refused, and the refusal does not tell the value.
func TestValuesThatDoNotFit(t *testing.T) {
	t.Parallel()
	store, path := open[Everything](t)
	big := &Everything{Uint64: math.MaxUint64}
	big.Email = "big@example.com"
	if err := store.CreateUser(t.Context(), big); err == nil {
		t.Error("uint64 2^64-1 was stored, as something else")
	}
	u := &Everything{}
	u.Email = "a@example.com"
	if err := store.CreateUser(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	db := openRaw(t, path)
	for assignment, restore := range map[string]string{
		`level = 1000`:             `level = 0`,
		`uint8 = -1`:               `uint8 = 0`,
		`tags = '["secret", 7]'`:   `tags = NULL`,
		`address = '{"secret'`:     `address = NULL`,
		`labels = '"secret"'`:      `labels = NULL`,
		`null_time = 1, color = 7`: `color = '#000000'`,
	} {
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
