package usher

import (
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"
)

// jsonMembers reads one JSON object and refuses a member name that occurs twice:
// the last, the first or both could otherwise win in different programs
// (CVE-2023-7028, RFC 8725 §2.6). Where the text is no JSON, the error is a
// *jsonSyntaxError with the position and words of Python's decoder, which
// FastAPI's clients know; encoding/json has neither. Like that decoder it lets
// NaN and Infinity pass.
func jsonMembers(text []byte) (map[string]json.RawMessage, error) {
	s := jsonScanner{text: text}
	s.space()
	start := s.pos
	if err := s.value(0); err != nil {
		return nil, err
	}
	s.space()
	if s.pos != len(text) {
		return nil, s.fault("Extra data", s.pos)
	}
	switch {
	case text[start] != '{':
		return nil, errNotObject
	case s.twice != nil:
		return nil, s.twice
	}
	return s.members, nil
}

var (
	errNotObject   = errors.New("not a JSON object")
	errJSONTooDeep = errors.New("JSON is nested too deeply")
	errJSONNumber  = errors.New("JSON number has too many digits")
)

const (
	maxJSONDepth  = 10_000
	maxJSONDigits = 4300 // Python's limit for integers
)

type duplicateMember struct{ name string }

func (e *duplicateMember) Error() string { return fmt.Sprintf("member %q occurs twice", e.name) }

// jsonSyntaxError says what is wrong where, in characters from the beginning.
type jsonSyntaxError struct {
	msg string
	pos int
}

func (e *jsonSyntaxError) Error() string { return fmt.Sprintf("%s: char %d", e.msg, e.pos) }

// jsonScanner checks the text once, from left to right, and keeps the members of
// the outermost object.
type jsonScanner struct {
	text    []byte
	pos     int
	members map[string]json.RawMessage
	twice   *duplicateMember
}

func (s *jsonScanner) fault(msg string, pos int) error {
	return &jsonSyntaxError{msg, utf8.RuneCount(s.text[:pos])}
}

func (s *jsonScanner) space() {
	for s.pos < len(s.text) {
		switch s.text[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

// at tells whether c is next.
func (s *jsonScanner) at(c byte) bool { return s.pos < len(s.text) && s.text[s.pos] == c }

func (s *jsonScanner) literal(word string) bool {
	if len(s.text)-s.pos < len(word) || string(s.text[s.pos:s.pos+len(word)]) != word {
		return false
	}
	s.pos += len(word)
	return true
}

func (s *jsonScanner) value(depth int) error {
	switch {
	case depth > maxJSONDepth:
		return errJSONTooDeep
	case s.at('"'):
		return s.str()
	case s.at('{'):
		return s.object(depth)
	case s.at('['):
		return s.array(depth)
	}
	for _, word := range []string{"null", "true", "false", "NaN", "Infinity", "-Infinity"} {
		if s.literal(word) {
			return nil
		}
	}
	return s.number()
}

func (s *jsonScanner) object(depth int) error {
	s.pos++
	s.space()
	if depth == 0 {
		s.members = map[string]json.RawMessage{}
	}
	for !s.at('}') {
		if !s.at('"') {
			return s.fault("Expecting property name enclosed in double quotes", s.pos)
		}
		start := s.pos
		if err := s.str(); err != nil {
			return err
		}
		name := s.text[start:s.pos]
		s.space()
		if !s.at(':') {
			return s.fault("Expecting ':' delimiter", s.pos)
		}
		s.pos++
		s.space()
		start = s.pos
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if depth == 0 {
			s.keep(name, s.text[start:s.pos])
		}
		if end, err := s.separator('}', "Illegal trailing comma before end of object"); err != nil || end {
			return err
		}
	}
	s.pos++
	return nil
}

func (s *jsonScanner) array(depth int) error {
	s.pos++
	s.space()
	for !s.at(']') {
		if err := s.value(depth + 1); err != nil {
			return err
		}
		if end, err := s.separator(']', "Illegal trailing comma before end of array"); err != nil || end {
			return err
		}
	}
	s.pos++
	return nil
}

// separator goes past a comma, or past the closing bracket, which ends.
func (s *jsonScanner) separator(closing byte, trailing string) (end bool, err error) {
	s.space()
	if s.at(closing) {
		s.pos++
		return true, nil
	}
	if !s.at(',') {
		return false, s.fault("Expecting ',' delimiter", s.pos)
	}
	comma := s.pos
	s.pos++
	s.space()
	if s.at(closing) {
		return false, s.fault(trailing, comma)
	}
	return false, nil
}

func (s *jsonScanner) keep(name, value []byte) {
	var key string
	_ = json.Unmarshal(name, &key) // str has checked it
	if _, known := s.members[key]; known {
		s.twice = &duplicateMember{key}
	}
	s.members[key] = value
}

func (s *jsonScanner) str() error {
	start := s.pos
	for s.pos++; s.pos < len(s.text); s.pos++ {
		switch c := s.text[s.pos]; {
		case c == '"':
			s.pos++
			return nil
		case c < ' ':
			return s.fault("Invalid control character at", s.pos)
		case c == '\\':
			if s.pos++; s.pos == len(s.text) {
				return s.fault("Unterminated string starting at", start)
			}
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return s.fault("Unterminated string starting at", start)
}

// escape goes to the last character of an escape sequence; the backslash is
// behind it.
func (s *jsonScanner) escape() error {
	switch s.text[s.pos] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
		u := s.pos
		if u+5 >= len(s.text) {
			return s.fault("Invalid \\uXXXX escape", u)
		}
		for s.pos = u + 1; s.pos <= u+4; s.pos++ {
			c := s.text[s.pos] | 0x20
			if (c < '0' || c > '9' || s.text[s.pos] != c) && (c < 'a' || c > 'f') {
				return s.fault("Invalid \\uXXXX escape", u)
			}
		}
		s.pos--
		return nil
	}
	return s.fault("Invalid \\escape", s.pos-1)
}

func (s *jsonScanner) number() error {
	start := s.pos
	if s.at('-') {
		s.pos++
	}
	if s.at('0') {
		s.pos++
	} else if s.digits() == 0 {
		s.pos = start
		return s.fault("Expecting value", start)
	}
	if s.pos-start > maxJSONDigits && !s.at('.') && !s.at('e') && !s.at('E') {
		return errJSONNumber
	}
	if mark := s.pos; s.at('.') {
		s.pos++
		if s.digits() == 0 {
			s.pos = mark
		}
	}
	if mark := s.pos; s.at('e') || s.at('E') {
		s.pos++
		if s.at('+') || s.at('-') {
			s.pos++
		}
		if s.digits() == 0 {
			s.pos = mark
		}
	}
	return nil
}

func (s *jsonScanner) digits() (n int) {
	for s.pos < len(s.text) && s.text[s.pos] >= '0' && s.text[s.pos] <= '9' {
		s.pos++
		n++
	}
	return n
}
