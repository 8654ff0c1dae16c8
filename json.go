package usher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

var errNotObject = errors.New("not a JSON object")

// jsonMembers reads one JSON object strictly: valid UTF-8, no member name twice
// (the last, the first or both could otherwise win in different programs:
// CVE-2023-7028, RFC 8725 §2.6), nothing behind it.
func jsonMembers(b []byte) (map[string]json.RawMessage, error) {
	if !utf8.Valid(b) {
		return nil, errors.New("invalid UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	open, err := d.Token()
	if err != nil {
		return nil, err
	}
	if open != json.Delim('{') {
		return nil, errNotObject
	}
	members := map[string]json.RawMessage{}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		key, _ := name.(string)
		if _, twice := members[key]; twice {
			return nil, &duplicateMember{key}
		}
		members[key] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("data behind the object")
	}
	return members, nil
}

type duplicateMember struct{ name string }

func (e *duplicateMember) Error() string { return fmt.Sprintf("member %q occurs twice", e.name) }
