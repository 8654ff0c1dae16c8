package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// What is wrong with a file is told without what is in it: a value in the wrong
// place may be a password.

// csvUsers reads users from CSV (RFC 4180) whose first line names the columns.
type csvUsers struct {
	reader  *csv.Reader
	columns []string
	profile *profile
}

var importColumns = []string{"email", "password", "hashed_password", "is_active", "is_superuser", "is_verified"}

func newCSVUsers(r io.Reader, p *profile) (*csvUsers, error) {
	buffered := bufio.NewReader(r)
	if mark, _ := buffered.Peek(3); string(mark) == "\ufeff" { // as spreadsheets write it
		_, _ = buffered.Discard(3)
	}
	c := &csvUsers{reader: csv.NewReader(buffered), profile: p}
	known := append(importColumns[:len(importColumns):len(importColumns)], p.columns()...)
	header, err := c.reader.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty")
	}
	if err != nil {
		return nil, errors.New("line 1: not CSV")
	}
	for _, name := range header {
		name = strings.TrimSpace(name)
		switch {
		case !slices.Contains(known, name):
			err = errors.Join(err, fmt.Errorf("line 1: no column is %s: %s", printable(name), strings.Join(known, ", ")))
		case slices.Contains(c.columns, name):
			err = errors.Join(err, fmt.Errorf("line 1: two columns are %s", name))
		}
		c.columns = append(c.columns, name)
	}
	if !slices.Contains(c.columns, "email") {
		err = errors.Join(err, errors.New("line 1: there is no column email"))
	}
	return c, err
}

// Read implements importReader.
func (c *csvUsers) Read() (u importedUser, line int, err error) {
	record, err := c.reader.Read()
	var fault *csv.ParseError
	switch {
	case errors.As(err, &fault) && errors.Is(err, csv.ErrFieldCount):
		return u, fault.StartLine, errLine(fmt.Sprintf("%d fields, but line 1 names %d columns", len(record), len(c.columns)))
	case errors.As(err, &fault):
		return u, fault.StartLine, errLine("not CSV: " + fault.Err.Error())
	case err != nil:
		return u, 0, err
	}
	line, _ = c.reader.FieldPos(0)
	fields := map[string]json.RawMessage{} // of the profile
	for i, name := range c.columns {
		value := record[i]
		switch name {
		case "email":
			u.Email = strings.TrimSpace(value)
		case "password":
			u.Password = value
		case "hashed_password":
			u.HashedPassword = strings.TrimSpace(value)
		default:
			if field, is := strings.CutPrefix(name, profileColumn); is {
				if value = strings.TrimSpace(value); value != "" {
					fields[field] = c.profile.fields[field].fromText(value)
				}
				continue
			}
			is, err := strconv.ParseBool(strings.ToLower(strings.TrimSpace(value)))
			if err != nil && value != "" {
				return u, line, errLine(name + " is neither true nor false")
			}
			if value != "" {
				u.set(name, is)
			}
		}
	}
	if len(fields) > 0 {
		u.Profile, err = json.Marshal(fields)
	}
	return u, line, err
}

// profileColumn begins the names of columns that are fields of the profile.
const profileColumn = "profile."

func (p *profile) columns() (names []string) {
	if p != nil {
		for _, name := range slices.Sorted(maps.Keys(p.fields)) {
			names = append(names, profileColumn+name)
		}
	}
	return names
}

// fromText makes JSON of what a column has.
func (f profileField) fromText(value string) json.RawMessage {
	switch f.rules.Type {
	case "boolean":
		value = strings.ToLower(value)
		fallthrough
	case "integer", "number", "json":
		if json.Valid([]byte(value)) {
			return json.RawMessage(value)
		}
	}
	text, _ := json.Marshal(value) // a string always is JSON
	return text
}

func (u *importedUser) set(flag string, is bool) {
	switch flag {
	case "is_active":
		u.IsActive = &is
	case "is_superuser":
		u.IsSuperuser = is
	case "is_verified":
		u.IsVerified = is
	}
}

// jsonUsers reads users from JSON objects, one after the other or in an array.
type jsonUsers struct {
	decoder *json.Decoder
	lines   *lineCounter
	begun   bool
	array   bool
}

func newJSONUsers(r io.Reader) *jsonUsers {
	lines := &lineCounter{Reader: bufio.NewReader(r), line: 1}
	return &jsonUsers{decoder: json.NewDecoder(lines), lines: lines}
}

// Read implements importReader.
func (j *jsonUsers) Read() (u importedUser, line int, err error) {
	if !j.begun {
		j.begun = true
		if j.array, err = j.beginsArray(); err != nil {
			return u, 1, err
		}
	}
	if j.array && !j.decoder.More() {
		if _, err := j.decoder.Token(); err != nil { // the bracket at the end
			return u, j.lines.at(j.decoder.InputOffset()), errNotJSON
		}
		return u, 0, io.EOF
	}
	var raw json.RawMessage
	err = j.decoder.Decode(&raw)
	if errors.Is(err, io.EOF) && !j.array {
		return u, 0, io.EOF
	}
	if err != nil {
		return u, j.lines.at(j.decoder.InputOffset()), errNotJSON
	}
	line = j.lines.at(j.decoder.InputOffset() - int64(len(raw)))
	d := json.NewDecoder(bytes.NewReader(raw))
	d.DisallowUnknownFields()
	err = d.Decode(&u)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return u, line, errLine(wrong.Field + " is a " + strings.Fields(wrong.Value)[0] + ", and must be a " + strings.TrimPrefix(wrong.Type.String(), "*"))
	case err != nil && strings.HasPrefix(err.Error(), "json: unknown field "):
		return u, line, errLine("unknown member " + strings.TrimPrefix(err.Error(), "json: unknown field "))
	case err != nil:
		return u, line, errLine("not a JSON object")
	}
	return u, line, nil
}

var errNotJSON = errors.New("what follows is not JSON")

// beginsArray reads the bracket if there is one.
func (j *jsonUsers) beginsArray() (bool, error) {
	for {
		b, err := j.lines.Peek(1)
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if !unicode.IsSpace(rune(b[0])) {
			if b[0] != '[' {
				return false, nil
			}
			_, err := j.decoder.Token()
			return true, err
		}
		if _, err := j.lines.Discard(1); err != nil {
			return false, err
		}
		if b[0] == '\n' {
			j.lines.line++
		}
	}
}

// lineCounter knows in which line an offset is.
type lineCounter struct {
	*bufio.Reader
	read   int64   // by the decoder
	breaks []int64 // offsets of the line breaks that were read, from line on
	line   int
}

// Read implements io.Reader.
func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.breaks = append(l.breaks, l.read+int64(i))
		}
	}
	l.read += int64(n)
	return n, err
}

// at is called with offsets that grow.
func (l *lineCounter) at(offset int64) int {
	for len(l.breaks) > 0 && l.breaks[0] < offset {
		l.breaks = l.breaks[1:]
		l.line++
	}
	return l.line
}
