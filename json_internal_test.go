package usher

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"unicode/utf8"
)

// CVE-2023-7028: no name occurs twice, however it is spelled.
func TestS_B12_JSONMembersOccurOnce(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{`{}`: "[]", ` {"a":1, "b":[{"a":2},{"a":3}]} `: "[a b]", `{"":null}`: "[]", `{"a":1,"A":2}`: "[A a]"} {
		m, err := jsonMembers([]byte(text))
		if got := fmt.Sprint(slices.Sorted(maps.Keys(m))); err != nil || got != want {
			t.Errorf("%s: %s, %v, want %s", text, got, err, want)
		}
	}
	for _, text := range []string{`{"a":1,"a":1}`, `{"a":1,"b":2,"a":3}`, `{"a":1,"\u0061":2}`, `{"":1,"":2}`, `{"\ud800":1,"\ud801":2}`} {
		var twice *duplicateMember
		if m, err := jsonMembers([]byte(text)); !errors.As(err, &twice) {
			t.Errorf("%s: %v, %v, want a *duplicateMember", text, m, err)
		}
	}
}

// E6: the parts of a JWT are RFC 8259 and nothing else.
func TestS_E6_StrictMembers(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{}`, ` {"a": [1e3, {"b": "\u00e9"}]} `} {
		if _, err := strictMembers([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		``, ` `, `null`, `true`, `1`, `"a"`, `[]`, `[{}]`, `{`, `{"a"}`, `{"a":}`, `{"a":1,}`, `{a:1}`, `{'a':1}`, `{"a":1}{"b":2}`, `{"a":1} x`, `{"a":1}]`,
		`{"a":1,"a":1}`, `{"":1,"":2}`, `{"a":NaN}`, `{"a":-Infinity}`, `{"a":01}`, `{"a":.5}`, `{"a":5.}`, `{"a":1e}`, "{\"a\":\"\n\"}", "{\"a\":\"\xff\"}", "{\"\xff\":1}",
		"\ufeff{}", `{"a":1/**/}`,
	} {
		if m, err := strictMembers([]byte(text)); err == nil {
			t.Errorf("%s: %v, want an error", text, m)
		}
	}
}

// FuzzJSONMembers holds our scanner against encoding/json: what that takes for an
// object we read in the same way, unless a name occurs twice.
func FuzzJSONMembers(f *testing.F) {
	for _, text := range []string{
		`{}`, ` {"a":1,"b":[{"a":2},null,true]} `, `{"a":1,"a":2}`, `{"":1,"":2}`, `{"\u0061":"\ud83d\ude00"}`, `{"a":-0.5e+10,"b":1E5}`, `{"a":NaN}`, `{"a":01}`,
		`[`, `{"a":"\x"}`, `{"a":"\u12"`, `{"a" : {"b" : [ ] , "c" : { } } }`, "{\"a\":\"\x00\"}", "{\"a\":\"\xff\"}", `null`, `{"a":1}x`, `{"a":1,}`, `{"a":-}`, `{"a":1.}`,
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := jsonMembers([]byte(text))
		if (got == nil) == (err == nil) {
			t.Errorf("%q: %v beside %v", text, got, err)
		}
		strict, strictErr := strictMembers([]byte(text))
		if strictErr == nil && (err != nil || len(strict) != len(got) || !json.Valid([]byte(text))) {
			t.Errorf("%q: strict %v, %v; else %v, %v", text, strict, strictErr, got, err)
		}
		var want map[string]json.RawMessage
		if !utf8.ValidString(text) || json.Unmarshal([]byte(text), &want) != nil || want == nil {
			return
		}
		var twice *duplicateMember
		if errors.As(err, &twice) || errors.Is(err, errJSONNumber) {
			return
		}
		if err != nil || !maps.EqualFunc(got, want, func(a, b json.RawMessage) bool { return string(a) == string(b) }) {
			t.Errorf("%q: %q, %v, want %q", text, got, err, want)
		}
	})
}
