package replay

import (
	"strings"
	"testing"
	"time"
)

func mustParse(t *testing.T, s string) any {
	t.Helper()
	v, err := parseJSON([]byte(s))
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return v
}

func TestParseKeepsOrderAndSpelling(t *testing.T) {
	for _, s := range []string{
		`{"z":1,"a":{"y":[],"b":null}}`,
		`[1,1.0,1e5,-0,123456789012345678901234567890,0.10]`,
		`["\"\\\u0000\u001f","é😀",true,false,null,{}]`,
	} {
		if got := compact(mustParse(t, s)); got != s {
			t.Errorf("got %s, want %s", got, s)
		}
	}
	if got := mustParse(t, `"\ud83d\ude00\\ud800"`); got != "😀\\ud800" {
		t.Errorf("got %q", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for _, s := range []string{
		``, ` `, `{`, `[1 2]`, `[1,]`, `1 2`, `NaN`, `01`, `'a'`, "\ufeff1", "\"\x01\"",
		"\"\xff\"", `"\ud800"`, `"\udc00"`, `"\ud800\u0041"`, `"\ud800\\udc00"`,
		`{"a":1,"a":1}`, `[{"a":1,"\u0061":2}]`, strings.Repeat("[", 100000),
	} {
		if v, err := parseJSON([]byte(s)); err == nil {
			t.Errorf("%.40q is accepted as %v", s, v)
		}
	}
}

func TestEqual(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	tests := []struct {
		want, got string
		equal     bool
	}{
		{`{"a":1,"b":[true,null]}`, `{ "b": [true, null], "a": 1 }`, true},
		{`"é"`, `"\u00e9"`, true},
		{`{"a":1}`, `{"a":1,"b":2}`, false},
		{`{"a":1,"b":2}`, `{"a":1}`, false},
		{`{"a":1}`, `{"b":1}`, false},
		{`{"a":null}`, `{}`, false},
		{`{}`, `{"a":null}`, false},
		{`{}`, `[]`, false},
		{`[]`, `{}`, false},
		{`[1,2]`, `[2,1]`, false},
		{`[1]`, `[1,1]`, false},
		{`"a"`, `"A"`, false},
		{`"1"`, `1`, false},
		{`1`, `"1"`, false},
		{`null`, `false`, false},
		{`null`, `""`, false},
		{`null`, `{}`, false},
		{`true`, `[]`, false},
		{`"x"`, `["x"]`, false},
		{`null`, `null`, true},
		{`true`, `1`, false},
		{`1`, `true`, false},
		{`0`, `false`, false},
		{`1`, `1.0`, false},
		{`1.0`, `1`, false},
		{`100`, `1e2`, false},
		{`1.0`, `1.00`, true},
		{`1e2`, `100.0`, true},
		{`1.5`, `1.25`, false},
		{`0`, `-0`, true},
		{`1`, `-1`, false},
		{`9007199254740993`, `9007199254740993`, true},
		{`9007199254740993`, `9007199254740992`, false},
		{`123456789012345678901234567890`, `123456789012345678901234567891`, false},
		{`{"$now":3600}`, `1800003600`, true},
		{`{"$now":3600}`, `1800003630`, true},
		{`{"$now":3600}`, `1800003570`, true},
		{`{"$now":3600}`, `1800003631`, false},
		{`{"$now":3600}`, `1800003569`, false},
		{`{"$now":-10.5}`, `1799999990`, true},
		{`{"$now":3600}`, `1800003600.0`, false},
		{`{"$now":3600}`, `"1800003600"`, false},
		{`{"$now":3600}`, `true`, false},
		{`{"$now":3600}`, `{"$now":3600}`, false},
		{`{"$now":"x"}`, `{"$now":"x"}`, true},
		{`[{"exp":{"$now":0}}]`, `[{"exp":1800000000}]`, true},
		{`[{"exp":{"$now":0}}]`, `[{"exp":1}]`, false},
	}
	for _, tt := range tests {
		if got := equal(mustParse(t, tt.want), mustParse(t, tt.got), now); got != tt.equal {
			t.Errorf("equal(%s, %s) = %v", tt.want, tt.got, got)
		}
	}
}
