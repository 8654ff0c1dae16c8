package fastapiusers_test

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"usher/fastapiusers"
)

// converted returns what Convert makes of a value for a T.
func converted[T any](value any) (any, error) {
	var target T
	err := fastapiusers.Convert(value, &target)
	return target, err
}

// An own column has the same value whatever kind of database it comes from, and
// however that writes it.
func TestOwnColumns(t *testing.T) {
	t.Parallel()
	at := time.Date(2024, 1, 2, 3, 4, 5, 678901000, time.UTC)
	second := at.Truncate(time.Second)
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			in := func(sqlite, postgres, mysql string) string {
				return map[string]string{"sqlite": sqlite, "postgres": postgres, "mysql": mysql}[kind]
			}
			columns := []struct {
				declared, literal string
				convert           func(any) (any, error)
				want              any
			}{
				{"VARCHAR(50)", "'Zoë 😀'", converted[string], "Zoë 😀"},
				{"VARCHAR(50)", "''", converted[string], ""},
				{"VARCHAR(50)", "NULL", converted[*string], (*string)(nil)},
				{in("VARCHAR(5)", "role", "ENUM('ADMIN','USER')"), "'ADMIN'", converted[string], "ADMIN"},
				{in("BOOLEAN", "BOOLEAN", "BOOL"), in("1", "true", "1"), converted[bool], true},
				{in("BOOLEAN", "BOOLEAN", "BIT(1)"), in("'f'", "'f'", "0"), converted[bool], false},
				{in("BOOLEAN", "VARCHAR(5)", "VARCHAR(5)"), "'True'", converted[bool], true},
				{"INTEGER", "-7", converted[int64], int64(-7)},
				{in("INTEGER", "BIGINT", "BIGINT"), "9007199254740993", converted[int64], int64(9007199254740993)},
				{"SMALLINT", "7", converted[uint8], uint8(7)},
				{in("FLOAT", "DOUBLE PRECISION", "DOUBLE"), "1.5", converted[float64], 1.5},
				{"NUMERIC(10, 2)", "12.50", converted[float64], 12.5},
				{"DATE", "'1990-01-02'", converted[string], "1990-01-02"},
				{"DATE", "'1990-01-02'", converted[time.Time], time.Date(1990, 1, 2, 0, 0, 0, 0, time.UTC)},
				{in("DATETIME", "TIMESTAMP", "DATETIME(6)"), "'2024-01-02 03:04:05.678901'", converted[time.Time], at},
				{in("DATETIME", "TIMESTAMP", "DATETIME"), "'2024-01-02 03:04:05'", converted[time.Time], second},
				{in("DATETIME", "TIMESTAMPTZ", "VARCHAR(40)"), "'2024-01-02 04:04:05.678901+01:00'", converted[time.Time], at},
				{in("TIMESTAMP", "TIMESTAMPTZ", "VARCHAR(40)"), "'2024-01-02 03:04:05+00:00'", converted[time.Time], second},
				{in("TEXT", "TIMESTAMPTZ", "VARCHAR(40)"), "'2024-01-02T03:04:05Z'", converted[time.Time], second},
				{in("DATETIME", "TIMESTAMP", "DATETIME"), "'2024-01-02 03:04:05'", converted[sql.NullTime], sql.NullTime{Time: second, Valid: true}},
				{in("DATETIME", "TIMESTAMP", "DATETIME"), "NULL", converted[sql.NullTime], sql.NullTime{}},
				{in("JSON", "JSONB", "JSON"), `'{"a": [1, null]}'`, converted[map[string]any], map[string]any{"a": []any{1.0, nil}}},
				{in("JSON", "JSON", "JSON"), `'null'`, converted[map[string]any], map[string]any(nil)},
				{in("JSON", "JSON", "JSON"), `'"x"'`, converted[json.RawMessage], json.RawMessage(`"x"`)},
				{in("CHAR(36)", "UUID", "CHAR(36)"), "'" + string(idOf(5)) + "'", converted[string], string(idOf(5))},
				{in("BLOB", "BYTEA", "BLOB"), in("x'ff00'", `'\xff00'`, "x'ff00'"), converted[[]byte], []byte{0xff, 0}},
			}
			src, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			if kind == "postgres" {
				src.exec(`CREATE TYPE role AS ENUM ('ADMIN', 'USER')`)
			}
			got := make([]any, len(columns))
			var names, literals []string
			for i, c := range columns {
				name := fmt.Sprintf("own_%d", i)
				src.exec(fmt.Sprintf(`ALTER TABLE "user" ADD COLUMN %s %s`, name, c.declared))
				names, literals = append(names, name), append(literals, c.literal)
				x.to.Columns = append(x.to.Columns, fastapiusers.Column[User]{
					Name: name,
					Set:  func(_ *User, value any) (err error) { got[i], err = c.convert(value); return err },
					Get:  func(*User) any { return nil },
					Copy: func(_, _ *User) {},
				})
			}
			insert := fmt.Sprintf(`INSERT INTO %s (id, email, hashed_password, is_active, is_superuser, is_verified, %s) VALUES ('%s', 'ann@example.com', 'hash', %s, %[4]s, %[4]s, %s)`,
				in(`"user"`, `"user"`, "user"), strings.Join(names, ", "), idOf(1), src.boolean(true), strings.Join(literals, ", "))
			if _, err := src.db.Exec(insert); err != nil { // not by exec, which changes quotes
				t.Fatalf("%s: %v", insert, err)
			}
			report := x.mustRun(src, fastapiusers.Options{})
			if report.Users.New != 1 || len(report.Columns) != len(columns) {
				t.Fatalf("%+v, %+v", report, x.problems)
			}
			for i, c := range columns {
				if !reflect.DeepEqual(got[i], c.want) {
					t.Errorf("%s %s: %#v, want %#v", c.declared, c.literal, got[i], c.want)
				}
			}
		})
	}
}
