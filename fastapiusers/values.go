package fastapiusers

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"usher"
)

// The same column comes as another Go type from each driver. NULL is nil.

func textOf(v any) (string, error) {
	switch x := v.(type) {
	case nil:
		return "", nil
	case string:
		return x, nil
	case []byte:
		return string(x), nil
	}
	return "", fmt.Errorf("is a %T, not text", v)
}

// boolOf takes NULL for false, as Python does.
func boolOf(v any) (bool, error) {
	if v == nil {
		return false, nil
	}
	if text, err := textOf(v); err == nil {
		switch strings.ToLower(text) {
		case "\x00": // MySQL's BIT
			return false, nil
		case "\x01":
			return true, nil
		}
		v = strings.ToLower(text)
	}
	var b sql.Null[bool]
	if b.Scan(v) != nil {
		return false, errors.New("is neither true nor false")
	}
	return b.V, nil
}

func intOf(v any) (int64, error) {
	var n sql.Null[int64]
	if n.Scan(v) != nil {
		return 0, errors.New("is not an integer")
	}
	return n.V, nil
}

// idOf reads an id of the kind that usher's users have.
func idOf(v any, integers bool) (usher.ID, error) {
	if integers {
		n, err := intOf(v)
		if err != nil || n <= 0 {
			return "", errors.New("the id is not a positive integer")
		}
		return usher.ID(strconv.FormatInt(n, 10)), nil
	}
	text, err := textOf(v)
	if b, binary := v.([]byte); binary && len(b) == 16 {
		text = fmt.Sprintf("%x", b) // BINARY(16)
	}
	if err == nil {
		var id usher.ID
		if id, err = usher.ParseUUID(text); err == nil {
			return id, nil
		}
	}
	return "", errors.New("the id is not a UUID")
}

// timeLayouts are how SQLite and MySQL write a time. One without a zone is in UTC,
// as FastAPI Users writes it.
var timeLayouts = []string{
	"2006-01-02 15:04:05.999999999", "2006-01-02T15:04:05.999999999",
	"2006-01-02 15:04:05.999999999Z07:00", "2006-01-02T15:04:05.999999999Z07:00", "2006-01-02",
}

func timeOf(v any) (time.Time, error) {
	switch x := v.(type) {
	case time.Time:
		return x.UTC(), nil
	case int64:
		return time.Unix(x, 0).UTC(), nil
	case float64:
		if math.Abs(x) < 1e11 {
			return time.UnixMicro(int64(x * 1e6)).UTC(), nil
		}
	}
	text, err := textOf(v)
	for _, layout := range timeLayouts {
		if t, failure := time.Parse(layout, text); failure == nil && err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, errors.New("is not a time")
}

// assign puts a value of the source into a field of the application's user type.
// The error does not quote the value.
func assign(field reflect.Value, v any) error {
	if v == nil {
		field.SetZero()
		return nil
	}
	if field.Kind() == reflect.Pointer {
		fresh := reflect.New(field.Type().Elem())
		if err := assign(fresh.Elem(), v); err != nil {
			return err
		}
		field.Set(fresh)
		return nil
	}
	misfit := fmt.Errorf("does not fit a %s", field.Type())
	if field.Type() == reflect.TypeFor[time.Time]() {
		t, err := timeOf(v)
		if err != nil {
			return err
		}
		field.Set(reflect.ValueOf(t.Truncate(time.Microsecond)))
		return nil
	}
	if scanner, is := field.Addr().Interface().(sql.Scanner); is {
		if scanner.Scan(v) == nil {
			return nil
		}
		if t, err := timeOf(v); err == nil && scanner.Scan(t.Truncate(time.Microsecond)) == nil {
			return nil // such as sql.NullTime
		}
		return misfit
	}
	switch field.Kind() {
	case reflect.String:
		if t, is := v.(time.Time); is {
			v = t.UTC().Format(time.RFC3339Nano)
		}
		var s sql.Null[string]
		if s.Scan(v) != nil || !utf8.ValidString(s.V) {
			return errors.New("is not text")
		}
		field.SetString(s.V)
		return nil
	case reflect.Bool:
		b, err := boolOf(v)
		field.SetBool(b)
		return err
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		n, err := intOf(v)
		if err != nil || field.OverflowInt(n) {
			return misfit
		}
		field.SetInt(n)
		return nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		n, err := intOf(v)
		if err != nil || n < 0 || field.OverflowUint(uint64(n)) {
			return misfit
		}
		field.SetUint(uint64(n))
		return nil
	case reflect.Float32, reflect.Float64:
		var f sql.Null[float64]
		if f.Scan(v) != nil {
			return misfit
		}
		field.SetFloat(f.V)
		return nil
	case reflect.Slice:
		if b, is := v.([]byte); is && field.Type().Elem().Kind() == reflect.Uint8 {
			field.SetBytes(append([]byte{}, b...))
			return nil
		}
	case reflect.Interface:
		if field.NumMethod() == 0 && !json.Valid(jsonText(v)) {
			return misfit
		}
	}
	if json.Unmarshal(jsonText(v), field.Addr().Interface()) != nil {
		return misfit
	}
	return nil
}

// jsonText is a value that is kept as JSON.
func jsonText(v any) []byte {
	switch x := v.(type) {
	case string:
		return []byte(x)
	case []byte:
		return x
	}
	text, _ := json.Marshal(v) // what drivers yield can be written as JSON
	return text
}
