package sqlstore

import (
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// timeValue reads microseconds since 1970-01-01 UTC.
type timeValue time.Time

// Scan implements sql.Scanner.
func (t *timeValue) Scan(src any) error {
	x, ok := src.(int64)
	if !ok {
		return fmt.Errorf("%T is not a time", src)
	}
	*t = timeValue(time.UnixMicro(x).UTC())
	return nil
}

// optionalTime is a timeValue that is NULL when it is zero.
type optionalTime time.Time

// Scan implements sql.Scanner.
func (t *optionalTime) Scan(src any) error {
	if src == nil {
		*t = optionalTime{}
		return nil
	}
	return (*timeValue)(t).Scan(src)
}

func (y syntax) optionalTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return y.time(t)
}

// foreign makes text from outside fit for any database: it may be any bytes.
func foreign(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// stringList reads a JSON array of strings. NULL is nil, which for scopes means
// something else than no strings.
type stringList []string

// Scan implements sql.Scanner.
func (l *stringList) Scan(src any) error {
	if src == `["pwd"]` { // nearly every session
		*l = stringList{"pwd"}
		return nil
	}
	*l = nil
	return scanJSON(src, (*[]string)(l))
}

// jsonObject reads a JSON object. NULL is nil.
type jsonObject map[string]any

// Scan implements sql.Scanner.
func (o *jsonObject) Scan(src any) error {
	if src == `{}` {
		*o = jsonObject{}
		return nil
	}
	*o = nil
	return scanJSON(src, (*map[string]any)(o))
}

// stringMap reads a JSON object of strings. NULL is nil.
type stringMap map[string]string

// Scan implements sql.Scanner.
func (m *stringMap) Scan(src any) error {
	*m = nil
	return scanJSON(src, (*map[string]string)(m))
}

func scanJSON(src, target any) error {
	var err error
	switch x := src.(type) {
	case nil:
		return nil
	case string:
		err = json.Unmarshal([]byte(x), target)
	case []byte:
		err = json.Unmarshal(x, target)
	default:
		err = errors.New("not text")
	}
	if err != nil { // whose text quotes the value
		return fmt.Errorf("not the JSON of a %s", reflect.TypeOf(target).Elem())
	}
	return nil
}

// jsonText is what v is kept as, which may come from outside; v is nil for NULL.
func jsonText(v any) (any, error) {
	if reflect.ValueOf(v).IsNil() {
		return nil, nil
	}
	text, err := json.Marshal(v)
	return withoutZero(string(text)), err
}

// withoutZero makes JSON fit for any database: jsonb refuses the character 0.
func withoutZero(text string) string {
	const zero = `\u0000`
	if !strings.Contains(text, zero) {
		return text
	}
	var b strings.Builder
	for text != "" {
		size := 1
		switch {
		case strings.HasPrefix(text, zero):
			b.WriteString("\uFFFD")
			text = text[len(zero):]
			continue
		case text[0] == '\\' && len(text) > 1: // and what it escapes, such as another one
			size = 2
		}
		b.WriteString(text[:size])
		text = text[size:]
	}
	return b.String()
}

// codec carries the values of a Go type to a column and back. NULL never comes
// to decode: it is the zero value of every type.
type codec struct {
	kind     kind
	nullable bool
	encode   func(v reflect.Value) (any, error)
	decode   func(v reflect.Value, src any) error
}

// codecOf returns the codec of a type. The values it is given are addressable.
func codecOf(t reflect.Type, y syntax) (codec, error) {
	if t.Kind() == reflect.Pointer {
		return pointerCodec(t, y)
	}
	switch t {
	case reflect.TypeFor[time.Time]():
		return codec{kindTime, false,
			func(v reflect.Value) (any, error) { return y.time(v.Interface().(time.Time)), nil },
			func(v reflect.Value, src any) error { return (*timeValue)(v.Addr().Interface().(*time.Time)).Scan(src) },
		}, nil
	}
	valuer, scanner := isValuer(t), reflect.PointerTo(t).Implements(reflect.TypeFor[sql.Scanner]())
	if valuer && scanner {
		return valuerCodec(t, y), nil
	}
	if valuer || scanner {
		return codec{}, fmt.Errorf("%s needs both driver.Valuer and sql.Scanner, or neither", t)
	}
	isJSON := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Marshaler]())
	switch t.Kind() {
	case reflect.String:
		return codec{kindText, false,
			func(v reflect.Value) (any, error) { return v.String(), nil },
			func(v reflect.Value, src any) error { x, err := scalar[string](src); v.SetString(x); return err },
		}, nil
	case reflect.Bool:
		return codec{kindBool, false,
			func(v reflect.Value) (any, error) { return v.Bool(), nil },
			func(v reflect.Value, src any) error { x, err := scalar[bool](src); v.SetBool(x); return err },
		}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return codec{kindInt, false, func(v reflect.Value) (any, error) { return v.Int(), nil }, decodeInt}, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return codec{kindInt, false, encodeUint, decodeUint}, nil
	case reflect.Float32, reflect.Float64:
		return codec{kindFloat, false,
			func(v reflect.Value) (any, error) { return v.Float(), nil },
			func(v reflect.Value, src any) error { x, err := scalar[float64](src); v.SetFloat(x); return err },
		}, nil
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 && !isJSON {
			return codec{kindBytes, true,
				func(v reflect.Value) (any, error) { return v.Bytes(), nil },
				decodeBytes,
			}, nil
		}
	case reflect.Struct, reflect.Map, reflect.Array:
	case reflect.Interface:
		if t.NumMethod() > 0 { // nothing tells which type to read into it
			return codec{}, fmt.Errorf("%s cannot be stored", t)
		}
	default:
		return codec{}, fmt.Errorf("%s cannot be stored", t)
	}
	if _, err := json.Marshal(reflect.Zero(t).Interface()); err != nil {
		return codec{}, fmt.Errorf("%s cannot be stored: %w", t, err)
	}
	return codec{kindJSON, true, encodeJSON, decodeJSON}, nil
}

func pointerCodec(t reflect.Type, y syntax) (codec, error) {
	c, err := codecOf(t.Elem(), y)
	if err != nil {
		return codec{}, err
	}
	return codec{c.kind, true,
		func(v reflect.Value) (any, error) {
			if v.IsNil() {
				return nil, nil
			}
			return c.encode(v.Elem())
		},
		func(v reflect.Value, src any) error {
			v.Set(reflect.New(t.Elem()))
			return c.decode(v.Elem(), src)
		},
	}, nil
}

// scalar converts what a driver yields as database/sql does.
func scalar[T any](src any) (T, error) {
	var x sql.Null[T]
	if x.Scan(src) != nil { // whose error quotes the value
		return x.V, fmt.Errorf("%T is not a %T", src, x.V)
	}
	return x.V, nil
}

func decodeBytes(v reflect.Value, src any) error {
	x, err := scalar[[]byte](src)
	if x == nil { // as drivers return what is empty
		x = []byte{}
	}
	v.SetBytes(x)
	return err
}

func decodeInt(v reflect.Value, src any) error {
	x, err := scalar[int64](src)
	if err == nil && v.OverflowInt(x) {
		err = fmt.Errorf("too large for %s", v.Type())
	}
	v.SetInt(x)
	return err
}

func encodeUint(v reflect.Value) (any, error) {
	if int64(v.Uint()) < 0 {
		return nil, unfit("must be at most 9223372036854775807")
	}
	return int64(v.Uint()), nil
}

func decodeUint(v reflect.Value, src any) error {
	x, err := scalar[uint64](src)
	if err == nil && v.OverflowUint(x) {
		err = fmt.Errorf("too large for %s", v.Type())
	}
	v.SetUint(x)
	return err
}

func encodeJSON(v reflect.Value) (any, error) {
	text, err := json.Marshal(v.Addr().Interface())
	return string(text), err
}

func decodeJSON(v reflect.Value, src any) error {
	v.SetZero()
	return scanJSON(src, v.Addr().Interface())
}
