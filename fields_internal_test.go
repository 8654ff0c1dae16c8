package usher

import (
	"encoding/json"
	"errors"
	"maps"
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"
)

// settable has a field of every right and of every kind of type.
type settable struct {
	User
	Name   string          `json:"name" usher:"write"`
	Nick   *string         `json:"nick" usher:"write"`
	Tags   []string        `json:"tags" usher:"write"`
	Pair   [2]int          `json:"pair" usher:"write"`
	Prefs  map[string]int  `json:"prefs" usher:"write"`
	Box    struct{ A int } `json:"box" usher:"write"`
	Age    int8            `json:"age" usher:"write"`
	Height float64         `json:"height" usher:"write"`
	Adult  bool            `json:"adult" usher:"write"`
	Born   time.Time       `json:"born" usher:"write"`
	Addr   netip.Addr      `json:"addr" usher:"write"`
	Any    any             `json:"any" usher:"write"`
	Raw    json.RawMessage `json:"raw" usher:"write"`
	Mood   mood            `json:"mood" usher:"write"`
	Since  maybe           `json:"since" usher:"write"`
	Plan   string          `json:"plan" usher:"admin"`
	Score  int             `json:"score"`
	Hidden string          `json:"-"`
}

// mood is an enum that reads itself from JSON and, as is the convention, leaves
// itself as it is for null.
type mood string

func (m *mood) UnmarshalJSON(text []byte) error {
	switch string(text) {
	case `"good"`, `"bad"`:
		*m = mood(text[1 : len(text)-1])
	case "null":
	default:
		return errors.New("no mood")
	}
	return nil
}

// maybe is a value that can be null and is no pointer.
type maybe struct {
	n    int
	some bool
}

func (m *maybe) UnmarshalJSON(text []byte) error {
	m.some = string(text) != "null"
	return json.Unmarshal(text, &m.n)
}

func (m maybe) MarshalJSON() ([]byte, error) {
	if !m.some {
		return []byte("null"), nil
	}
	return json.Marshal(m.n)
}

func settableFields(t *testing.T) *Fields[settable] {
	t.Helper()
	f, err := FieldsOf[settable]()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// B14: whatever is sent, a user sets the fields tagged "write", a superuser also
// those tagged "admin", and nobody any other field of the struct, usher's own
// included, under its name on the wire, in Go or in the store.
func TestS_B14_OnlyTaggedFieldsAreSet(t *testing.T) {
	t.Parallel()
	f := settableFields(t)
	body := map[string]json.RawMessage{"": json.RawMessage(`"evil"`), "-": json.RawMessage(`"evil"`)}
	for _, name := range []string{ // in all three spellings
		"id", "ID", "email", "Email", "hashed_password", "HashedPassword", "password", "created_at", "CreatedAt",
		"plan", "Plan", "PLAN", "Hidden", "hidden", "User", "user", "email_key",
	} {
		body[name] = json.RawMessage(`"evil"`)
	}
	for _, name := range []string{"is_active", "IsActive", "is_superuser", "IsSuperuser", "is_verified", "IsVerified"} {
		body[name] = json.RawMessage("true")
	}
	body["score"], body["Score"] = json.RawMessage("99"), json.RawMessage("99")
	body["name"], body["Name"] = json.RawMessage(`"Ann"`), json.RawMessage(`"evil"`)

	for _, test := range []struct {
		who   string
		admin bool
		want  settable
	}{
		{"register and patch me", false, settable{Name: "Ann"}},
		{"superuser", true, settable{Name: "Ann", Plan: "evil"}}, // the positive control
	} {
		var got settable
		if faults := f.set(&got, body, test.admin); len(faults) > 0 {
			t.Errorf("%s: faults %+v", test.who, faults)
		}
		if !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: set %+v, want %+v", test.who, got, test.want)
		}
	}
}

func TestSetValues(t *testing.T) {
	t.Parallel()
	f := settableFields(t)
	nick := "n"
	for _, test := range []struct {
		body string
		want settable
	}{
		{`{"name": "x", "nick": "n", "tags": ["a"], "pair": [1, 2], "prefs": {"b": 2}, "box": {"A": 1}}`,
			settable{Name: "x", Nick: &nick, Tags: []string{"a"}, Pair: [2]int{1, 2}, Prefs: map[string]int{"b": 2}, Box: struct{ A int }{1}}},
		{`{"age": -128, "height": 1.5, "adult": true, "born": "2026-01-02T03:04:05Z", "addr": "::1", "any": {"x": [1]}, "mood": "bad", "since": 3}`,
			settable{Age: -128, Height: 1.5, Adult: true, Born: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Addr: netip.IPv6Loopback(), Any: map[string]any{"x": []any{1.0}}, Mood: "bad", Since: maybe{3, true}}},
		{`{"name": "\ud83d\ude00 \\ud800", "raw": ["\ud83d\ude00"]}`, settable{Name: "\U0001f600 \\ud800", Raw: json.RawMessage(`["\ud83d\ude00"]`)}},
		{`{}`, settable{}},
	} {
		var got settable
		if faults := f.set(&got, members(t, test.body), false); len(faults) > 0 || !reflect.DeepEqual(got, test.want) {
			t.Errorf("set %s: %+v, faults %+v, want %+v", test.body, got, faults, test.want)
		}
	}
	// What is sent replaces what was there; null empties what can be empty; the
	// rest stays.
	got := settable{Name: "x", Nick: &nick, Tags: []string{"a", "b"}, Prefs: map[string]int{"a": 1}, Box: struct{ A int }{1}, Any: 1, Since: maybe{3, true}}
	prefs := got.Prefs
	faults := f.set(&got, members(t, `{"nick": null, "tags": ["c"], "prefs": {"b": 2}, "any": null, "since": null, "raw": null}`), false)
	want := settable{Name: "x", Tags: []string{"c"}, Prefs: map[string]int{"b": 2}, Box: struct{ A int }{1}, Raw: json.RawMessage("null")}
	if len(faults) > 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("set over old values: %+v, faults %+v, want %+v", got, faults, want)
	}
	if !maps.Equal(prefs, map[string]int{"a": 1}) {
		t.Errorf("the old map, which a copy of the user may share, is now %v", prefs)
	}
}

func TestSetFaults(t *testing.T) {
	t.Parallel()
	f := settableFields(t)
	for _, test := range []struct {
		field, kind string
		bad         []string
	}{
		{"name", "string_type", []string{"null", "1", "true", "[]", "{}", `["a"]`}},
		{"nick", "string_type", []string{"1", "{}"}},
		{"tags", "list_type", []string{`"a"`, "{}", "[1]", "1"}},
		{"pair", "list_type", []string{"null", `"a"`, `["a"]`}},
		{"prefs", "dict_type", []string{"[]", `"a"`, `{"a": "b"}`}},
		{"box", "dict_type", []string{"null", "[]", "1", `{"A": "x"}`}},
		{"age", "int_type", []string{"null", "128", "1.5", `"1"`, "1e400"}},
		{"height", "float_type", []string{"null", `"1"`, "1e400"}},
		{"adult", "bool_type", []string{"null", "1", `"true"`}},
		// Absent is not null, which only what can be empty takes.
		{"born", "value_error", []string{`"yesterday"`, "1", "{}", "null"}},
		{"addr", "value_error", []string{`"::g"`, "1", "null"}},
		{"mood", "value_error", []string{`"so-so"`, "1", "null"}},
		{"since", "value_error", []string{`"x"`}},
		// Half a character is none (DEFECTS G).
		{"name", "string_unicode", []string{`"\ud800"`, `"\\\udfff\ud83d"`, `"\ud83d\u0041"`}},
		{"nick", "string_unicode", []string{`"\ud800"`}},
		{"tags", "string_unicode", []string{`["a", "\ud800"]`}},
		{"prefs", "string_unicode", []string{`{"\ud800": 1}`}},
		{"any", "string_unicode", []string{`{"x": ["\udfff"]}`}},
		{"raw", "string_unicode", []string{`{"x": ["\udfff"]}`}},
	} {
		for _, bad := range test.bad {
			got, echoed := settable{Name: "x"}, bad
			if test.kind == "string_unicode" { // not every client can read it
				echoed = ""
			}
			faults := f.set(&got, map[string]json.RawMessage{test.field: json.RawMessage(bad)}, false)
			if len(faults) != 1 || faults[0].Type != test.kind || !slices.Equal(faults[0].Loc, []any{"body", test.field}) || string(faults[0].Input) != echoed || faults[0].Msg == "" {
				t.Errorf("set %s to %s: faults %+v, want one %s at body, %s", test.field, bad, faults, test.kind, test.field)
			}
			if !reflect.DeepEqual(got, settable{Name: "x"}) {
				t.Errorf("set %s to %s changed the user: %+v", test.field, bad, got)
			}
			// What the caller may not set is not even looked at.
			if faults := f.set(&got, map[string]json.RawMessage{"plan": json.RawMessage("1"), "score": json.RawMessage("[]")}, false); len(faults) > 0 {
				t.Errorf("faults in fields that the caller may not set: %+v", faults)
			}
		}
	}
}

func members(t *testing.T, body string) map[string]json.RawMessage {
	t.Helper()
	m, err := jsonMembers([]byte(body))
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return m
}

func TestSnakeCase(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"A": "a", "Name": "name", "FirstName": "first_name", "HTTPPort": "http_port", "UserID": "user_id", "ID": "id",
		"OAuth2Token": "o_auth2_token", "X1": "x1", "AbC": "ab_c", "Already_Snake": "already__snake", "": "",
	} {
		if got := snakeCase(name); got != want {
			t.Errorf("snakeCase(%q) = %q, want %q", name, got, want)
		}
	}
}
