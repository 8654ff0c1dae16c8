package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// A JSON value is nil, bool, string, json.Number, []any or object. Unlike a
// map, object keeps the order of its members, and json.Number keeps the
// spelling of a number: both are sent as recorded.
type object []member

type member struct {
	name  string
	value any
}

func (o object) get(name string) (any, bool) {
	for _, m := range o {
		if m.name == name {
			return m.value, true
		}
	}
	return nil, false
}

// jsonMember is a member of a recording that holds any JSON. An absent member
// is not a null.
type jsonMember struct {
	present bool
	value   any
}

// UnmarshalJSON is called for null as well, which is how the two differ.
func (m *jsonMember) UnmarshalJSON(data []byte) error {
	v, err := parseJSON(data)
	*m = jsonMember{true, v}
	return err
}

// parseJSON accepts exactly one JSON text. It is strict where encoding/json
// is kind, for a forgiving reader would make unequal answers equal: no invalid
// UTF-8, no half surrogate pair, no member twice.
func parseJSON(data []byte) (any, error) {
	if !json.Valid(data) {
		return nil, errors.New("not JSON")
	}
	if !utf8.Valid(data) || hasLoneSurrogate(data) {
		return nil, errors.New("JSON with a string that is not text")
	}
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	return decodeValue(d)
}

func decodeValue(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('['):
		a := []any{}
		for d.More() {
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			a = append(a, v)
		}
		_, err := d.Token()
		return a, err
	case json.Delim('{'):
		o := object{}
		seen := map[string]bool{}
		for d.More() {
			t, err := d.Token()
			if err != nil {
				return nil, err
			}
			name, _ := t.(string)
			if seen[name] {
				return nil, fmt.Errorf("JSON with member %q twice", name)
			}
			seen[name] = true
			v, err := decodeValue(d)
			if err != nil {
				return nil, err
			}
			o = append(o, member{name, v})
		}
		_, err := d.Token()
		return o, err
	}
	return t, nil
}

// Escapes that are no half pair are consumed by the first two alternatives.
var surrogates = regexp.MustCompile(`\\[^u]|(?i:\\ud[89ab]..\\ud[c-f]..)|((?i:\\ud[89a-f]..))`)

// hasLoneSurrogate looks at valid JSON.
func hasLoneSurrogate(data []byte) bool {
	for _, m := range surrogates.FindAllSubmatchIndex(data, -1) {
		if m[2] >= 0 {
			return true
		}
	}
	return false
}

// compact writes a value without spaces.
func compact(v any) string { return string(appendJSON(nil, v)) }

func appendJSON(b []byte, v any) []byte {
	switch v := v.(type) {
	case bool:
		return strconv.AppendBool(b, v)
	case json.Number:
		return append(b, v...)
	case string:
		return appendString(b, v)
	case []any:
		b = append(b, '[')
		for i, x := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = appendJSON(b, x)
		}
		return append(b, ']')
	case object:
		b = append(b, '{')
		for i, m := range v {
			if i > 0 {
				b = append(b, ',')
			}
			b = append(appendString(b, m.name), ':')
			b = appendJSON(b, m.value)
		}
		return append(b, '}')
	}
	return append(b, "null"...)
}

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b = append(b, '\\', c)
		case c < ' ':
			b = fmt.Appendf(b, `\u%04x`, c)
		default:
			b = append(b, c)
		}
	}
	return append(b, '"')
}

// slack is how far a relative time may be off.
const slack = 30 * time.Second

// equal compares deeply. The order of members does not matter, the types of
// numbers do. {"$now": N} in want stands for an integer near now plus N.
func equal(want, got any, now time.Time) bool {
	switch want := want.(type) {
	case json.Number:
		got, ok := got.(json.Number)
		return ok && sameNumber(want, got)
	case []any:
		got, ok := got.([]any)
		if !ok || len(want) != len(got) {
			return false
		}
		for i := range want {
			if !equal(want[i], got[i], now) {
				return false
			}
		}
		return true
	case object:
		if offset, ok := relativeTime(want); ok {
			return nearNow(offset, got, now)
		}
		got, ok := got.(object)
		if !ok || len(want) != len(got) {
			return false
		}
		for _, m := range want {
			v, ok := got.get(m.name)
			if !ok || !equal(m.value, v, now) {
				return false
			}
		}
		return true
	}
	// nil, bool and string are left. Asking for the type of got first keeps
	// == from comparing values that cannot be compared.
	switch got.(type) {
	case nil, bool, string:
		return want == got
	}
	return false
}

// sameNumber tells integers apart from fractions, 1 from 1.0, and compares
// integers of any length by their digits.
func sameNumber(a, b json.Number) bool {
	if isInteger(a) != isInteger(b) {
		return false
	}
	if isInteger(a) {
		return a == b || isZero(a) && isZero(b)
	}
	x, _ := strconv.ParseFloat(string(a), 64) // out of range is an infinity
	y, _ := strconv.ParseFloat(string(b), 64)
	return x == y
}

func isInteger(n json.Number) bool { return !strings.ContainsAny(string(n), ".eE") }

func isZero(n json.Number) bool { return n == "0" || n == "-0" }

// relativeTime returns the N of {"$now": N}.
func relativeTime(o object) (json.Number, bool) {
	if len(o) != 1 || o[0].name != "$now" {
		return "", false
	}
	n, ok := o[0].value.(json.Number)
	return n, ok
}

func nearNow(offset json.Number, got any, now time.Time) bool {
	n, ok := got.(json.Number)
	if !ok || !isInteger(n) {
		return false
	}
	at, err1 := n.Float64()
	plus, err2 := offset.Float64()
	return err1 == nil && err2 == nil && math.Abs(at-plus-seconds(now)) <= slack.Seconds()
}

func seconds(t time.Time) float64 { return float64(t.UnixNano()) / 1e9 }
