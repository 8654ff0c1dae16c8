package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"usher"
)

// profileTypes are the types of Go for those of the configuration.
var profileTypes = map[string]reflect.Type{
	"string":    reflect.TypeFor[string](),
	"integer":   reflect.TypeFor[int64](),
	"number":    reflect.TypeFor[float64](),
	"boolean":   reflect.TypeFor[bool](),
	"enum":      reflect.TypeFor[string](),
	"timestamp": reflect.TypeFor[Timestamp](),
	"json":      reflect.TypeFor[JSON](),
}

// Timestamp is a moment as in RFC 3339, kept in UTC and to the microsecond.
type Timestamp time.Time

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *Timestamp) UnmarshalText(text []byte) error {
	given, err := time.Parse(time.RFC3339, string(text))
	if err != nil {
		return err
	}
	*t = Timestamp(given.UTC().Truncate(time.Microsecond))
	_, err = t.MarshalText() // in UTC the year may have 5 digits
	return err
}

// MarshalText implements encoding.TextMarshaler.
func (t Timestamp) MarshalText() ([]byte, error) { return time.Time(t).MarshalText() }

// JSON is any value but null that every database can keep.
type JSON struct{ value any }

// maxDepth is how deep arrays and objects may be nested in each other: MariaDB
// takes 32, and one of them is the profile.
const maxDepth = 30

var errNotKept = errors.New("not a value that every database can keep")

// UnmarshalJSON implements json.Unmarshaler.
func (j *JSON) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return err
	}
	if value == nil {
		return errNotKept
	}
	var err error
	j.value, err = kept(value, 0)
	return err
}

// MarshalJSON implements json.Marshaler.
func (j JSON) MarshalJSON() ([]byte, error) { return json.Marshal(j.value) }

// kept returns a decoded value with numbers as they are kept: integers of 64 bits
// exactly, others as IEEE 754 has them.
func kept(value any, depth int) (any, error) {
	var err error
	switch v := value.(type) {
	case json.Number:
		if n, err := strconv.ParseInt(v.String(), 10, 64); err == nil {
			return n, nil
		}
		return strconv.ParseFloat(v.String(), 64)
	case string:
		if strings.ContainsRune(v, 0) {
			return nil, errNotKept
		}
	case []any:
		if depth == maxDepth {
			return nil, errNotKept
		}
		for i := range v {
			if v[i], err = kept(v[i], depth+1); err != nil {
				return nil, err
			}
		}
	case map[string]any:
		if depth == maxDepth {
			return nil, errNotKept
		}
		for name := range v {
			if strings.ContainsRune(name, 0) {
				return nil, errNotKept
			}
			if v[name], err = kept(v[name], depth+1); err != nil {
				return nil, err
			}
		}
	}
	return value, nil
}

// read returns a value as it is kept, or says what is wrong with it.
func (f profileField) read(raw json.RawMessage) (json.RawMessage, *usher.FieldError) {
	value, fault := f.Decode(raw)
	if fault != nil {
		told := profileFault(fault.Input, fault.Type, fault.Msg, f.Name)
		return nil, &told
	}
	text, err := json.Marshal(value.Interface())
	kind, msg, context := "value_error", "Value error, not a value that can be kept", map[string]any(nil)
	if err == nil {
		if value.Kind() == reflect.Pointer {
			value = value.Elem() // not valid for null
		}
		if kind, msg, context = f.breaks(value, len(text)); kind == "" {
			return text, nil
		}
	}
	told := profileFault(raw, kind, msg, f.Name)
	told.Ctx = context
	return nil, &told
}

// breaks says, in Pydantic's words, which rule a value breaks; size is that of its
// JSON.
func (f profileField) breaks(value reflect.Value, size int) (kind, msg string, context map[string]any) {
	if !value.IsValid() {
		return "", "", nil
	}
	switch v := value.Interface().(type) {
	case string:
		return f.breaksText(v)
	case int64:
		return f.breaksRange(float64(v))
	case float64:
		return f.breaksRange(v)
	case JSON:
		if size > f.rules.MaxLength {
			return "too_long", fmt.Sprintf("Value should have at most %d bytes", f.rules.MaxLength), map[string]any{"max_length": f.rules.MaxLength}
		}
	}
	return "", "", nil
}

func (f profileField) breaksText(s string) (kind, msg string, context map[string]any) {
	switch {
	case f.rules.Type == "enum" && !slices.Contains(f.rules.Values, s):
		expected := "'" + strings.Join(f.rules.Values, "', '") + "'"
		if last := strings.LastIndex(expected, "', '"); last >= 0 {
			expected = expected[:last] + "' or '" + expected[last+len("', '"):]
		}
		return "enum", "Input should be " + expected, map[string]any{"expected": expected}
	case f.rules.Type == "enum":
		return "", "", nil
	case strings.ContainsRune(s, 0): // PostgreSQL cannot keep it
		return "value_error", "Value error, must not have the character U+0000", nil
	case utf8.RuneCountInString(s) > f.rules.MaxLength:
		return "string_too_long", fmt.Sprintf("String should have at most %d characters", f.rules.MaxLength), map[string]any{"max_length": f.rules.MaxLength}
	case f.pattern != nil && !f.pattern.MatchString(s):
		return "string_pattern_mismatch", fmt.Sprintf("String should match pattern '%s'", f.pattern), map[string]any{"pattern": f.pattern.String()}
	}
	return "", "", nil
}

func (f profileField) breaksRange(x float64) (kind, msg string, context map[string]any) {
	switch low, high := f.rules.Min, f.rules.Max; {
	case low != nil && x < *low:
		return "greater_than_equal", fmt.Sprintf("Input should be greater than or equal to %v", *low), map[string]any{"ge": *low}
	case high != nil && x > *high:
		return "less_than_equal", fmt.Sprintf("Input should be less than or equal to %v", *high), map[string]any{"le": *high}
	}
	return "", "", nil
}

// objectMembers reads a JSON object and refuses, as the library does, a member that
// is given twice.
func objectMembers(text json.RawMessage) (map[string]json.RawMessage, *usher.FieldError) {
	fault := func(kind, msg string, loc ...any) (map[string]json.RawMessage, *usher.FieldError) {
		told := profileFault(text, kind, msg, loc...)
		return nil, &told
	}
	d := json.NewDecoder(bytes.NewReader(text))
	if begin, err := d.Token(); err != nil || begin != json.Delim('{') {
		return fault("model_attributes_type", "Input should be a valid dictionary or object to extract fields from")
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		token, err := d.Token()
		name, _ := token.(string) // of an object
		if _, twice := members[name]; twice {
			return fault("value_error", "Value error, the field is given more than once", name)
		}
		var value json.RawMessage
		if err == nil {
			err = d.Decode(&value)
		}
		if err != nil { // such as NaN, which the library lets pass
			return fault("value_error", "Value error, not JSON", name)
		}
		members[name] = value
	}
	if _, err := d.Token(); err != nil {
		return fault("value_error", "Value error, not JSON")
	}
	return members, nil
}

// profileFault says what is wrong with a member of the profile, or with all of it.
// The value is repeated unless it is long or something that JSON cannot say.
func profileFault(input json.RawMessage, kind, msg string, member ...any) usher.FieldError {
	if len(input) > 256 || !json.Valid(input) {
		input = nil
	}
	return usher.FieldError{Type: kind, Loc: append([]any{"body", "profile"}, member...), Msg: msg, Input: input}
}
