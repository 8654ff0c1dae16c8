package sqlstore_test

import (
	"bytes"
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
	"usher/sqlstore"
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

// opaque is kept as bytes by its own methods, and counts as text; both are NULL
// when they are empty.
type (
	opaque []byte
	counts map[string]int
)

func (o opaque) Value() (driver.Value, error) {
	if o == nil {
		return nil, nil
	}
	return append([]byte{0xff}, o...), nil
}

func (o *opaque) Scan(src any) error {
	b, ok := src.([]byte)
	if !ok || b[0] != 0xff {
		return errors.New("not opaque")
	}
	*o = append(opaque(nil), b[1:]...)
	return nil
}

func (c counts) Value() (driver.Value, error) {
	if c == nil {
		return nil, nil
	}
	text, err := json.Marshal(map[string]int(c))
	return string(text), err
}

func (c *counts) Scan(src any) error {
	text, ok := src.(string)
	if !ok {
		return errors.New("not counts")
	}
	return json.Unmarshal([]byte(text), (*map[string]int)(c))
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
	Opaque    opaque
	Counts    counts
	Null      sql.NullString
	NullInt   sql.NullInt64
	NullBool  sql.NullBool
	NullFloat sql.NullFloat64
	NullShort sql.Null[int16]
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
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Everything](t, e)
		when := time.Date(2024, 2, 29, 23, 59, 59, 123456000, time.UTC)
		full := Everything{
			Text: "naïve " + strangest[e.dialect] + " '\"; --", Title: "Dr", Order: "1st", Flag: true,
			Int: math.MinInt, Level: -128, Int64: math.MaxInt64, Uint: 7, Uint8: 255, Uint64: math.MaxInt64,
			Float: math.Pi, Float32: 0.1, Bytes: []byte{0, 0xff, '\''}, Time: when,
			TextPtr: new(""), FlagPtr: new(false), IntPtr: new(int64(0)), UintPtr: new(uint16(65535)), FloatPtr: new(-0.5), TimePtr: new(when),
			JSONPtr: &address{Street: "x"}, Color: color{1, 2, 255}, ColorPtr: &color{9, 8, 7},
			Opaque: opaque{0, 1}, Counts: counts{"a": 1}, Null: sql.NullString{String: "n", Valid: true},
			NullInt: sql.NullInt64{Int64: -7, Valid: true}, NullBool: sql.NullBool{Bool: true, Valid: true}, NullFloat: sql.NullFloat64{Float64: 0.5, Valid: true},
			NullShort: sql.Null[int16]{V: 8, Valid: true}, NullTime: sql.NullTime{Time: when, Valid: true}, NullTime2: sql.Null[time.Time]{V: when, Valid: true},
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
		null := &Everything{Raw: json.RawMessage(`0`)}
		null.Email = "null@example.com"
		if err := store.CreateUser(t.Context(), null); err != nil {
			t.Fatal(err)
		}
		columns := column(t, db, per{
			sqlstore.SQLite:     `SELECT '"' || name || '"' FROM pragma_table_info('users') WHERE NOT "notnull"`,
			sqlstore.PostgreSQL: `SELECT quote_ident(column_name) FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'users' AND is_nullable = 'YES'`,
			sqlstore.MySQL:      "SELECT concat('`', column_name, '`') FROM information_schema.columns WHERE table_schema = database() AND table_name = 'users' AND is_nullable = 'YES'",
		}[e.dialect])
		if len(columns) < 20 {
			t.Errorf("columns that can be NULL: %q", columns)
		}
		for _, column := range columns {
			run(t, db, `UPDATE users SET `+column+` = NULL`)
		}
		same(t, "NULL", must(store.UserByID(t.Context(), null.ID)), &Everything{User: null.User})
	})
}

// strangest is the strangest character that a text can have.
var strangest = per{sqlstore.SQLite: "\x00", sqlstore.PostgreSQL: "\x01", sqlstore.MySQL: "\x00"}

// The column of a type that says itself what it is kept as is made for that.
func TestColumnsOfValuers(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		_, db := openOn[Everything](t, e)
		types := map[string]string{}
		for _, line := range column(t, db, per{
			sqlstore.SQLite:     `SELECT name || ' ' || type FROM pragma_table_info('users')`,
			sqlstore.PostgreSQL: `SELECT column_name || ' ' || data_type FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'users'`,
			sqlstore.MySQL:      `SELECT concat(column_name, ' ', data_type) FROM information_schema.columns WHERE table_schema = database() AND table_name = 'users'`,
		}[e.dialect]) {
			name, is, _ := strings.Cut(line, " ")
			types[name] = is
		}
		for name, like := range map[string]string{
			"null": "text", "null_int": "int64", "null_bool": "flag", "null_float": "float", "null_short": "int64",
			"null_time": "time", "null_time2": "time", "opaque": "bytes", "color": "text", "color_ptr": "text", "counts": "text",
		} {
			if types[name] != types[like] || types[name] == "" {
				t.Errorf("column %s is %s, want %s", name, types[name], types[like])
			}
		}
	})
}

func same(t *testing.T, what string, got, want *Everything) {
	t.Helper()
	g, w := reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	for i := range g.NumField() {
		got, want := g.Field(i).Interface(), w.Field(i).Interface()
		if raw, is := got.(json.RawMessage); is && len(raw) > 0 { // jsonb has spaces of its own
			var compact bytes.Buffer
			if err := json.Compact(&compact, raw); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			got = json.RawMessage(compact.Bytes())
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %s is %#v, want %#v", what, g.Type().Field(i).Name, got, want)
		}
	}
}

func TestTimesAreKeptInUTC(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Everything](t, e)
		given := &Everything{Time: time.Date(2024, 7, 1, 12, 0, 0, 1999, time.FixedZone("", 7200))}
		given.Email = "a@example.com"
		if err := store.CreateUser(t.Context(), given); err != nil {
			t.Fatal(err)
		}
		if got, want := must(store.UserByID(t.Context(), given.ID)).Time, time.Date(2024, 7, 1, 10, 0, 0, 1000, time.UTC); got != want {
			t.Errorf("%v, want %v", got, want)
		}
	})
}
