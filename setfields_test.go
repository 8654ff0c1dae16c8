package usher_test

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"usher"
)

// SetFields is told what was sent and who sends it, its faults are told with the
// others, and what it refuses is not stored.
func TestSetFields(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) {
		c.SetFields = func(user *User, sent usher.Sent) []usher.FieldError {
			notes, given := sent.Members["notes"]
			if !given {
				return nil
			}
			if string(notes) == "0" {
				return []usher.FieldError{{Type: "odd", Loc: []any{"body", "notes"}, Msg: "odd"}}
			}
			user.Notes += string(notes) // of what the user has
			for who, is := range map[string]bool{" admin": sent.Admin, " registers": sent.Registers} {
				if is {
					user.Notes += who
				}
			}
			return nil
		}
	}))
	type m = map[string]any
	account := func(email string, more m) m {
		body := m{"email": email, "password": goodPassword}
		for name, value := range more {
			body[name] = value
		}
		return body
	}
	s.add(t, "root@example.com", asSuperuser)
	admin := s.signedIn(t, "jwt", "root@example.com")
	s.send(t, "POST", "/auth/register", account("ann@example.com", m{"notes": 1})).want(t, 201)
	ann, err := s.auth.UserByEmail(t.Context(), "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	header := s.signedIn(t, "jwt", "ann@example.com")
	want := func(notes string) {
		t.Helper()
		if got := s.stored(t, ann.ID).Notes; got != notes {
			t.Errorf("stored %q, want %q", got, notes)
		}
	}
	want("1 registers")
	s.send(t, "PATCH", "/users/me", m{"notes": 2}, header).want(t, 200)
	want("1 registers2")
	s.send(t, "PATCH", "/users/"+string(ann.ID), m{"notes": 3}, admin).want(t, 200)
	want("1 registers23 admin")

	s.send(t, "POST", "/auth/register", account("bob@example.com", m{"notes": 0, "first_name": 5})).wantInvalid(t, "body.first_name", "body.notes")
	s.send(t, "PATCH", "/users/me", m{"notes": 0, "first_name": 5}, header).wantInvalid(t, "body.first_name", "body.notes")
	s.send(t, "PATCH", "/users/me", m{"notes": 0, "first_name": "Ann"}, header).wantInvalid(t, "body.notes")
	s.send(t, "PATCH", "/users/"+string(ann.ID), m{"notes": 0}, admin).wantInvalid(t, "body.notes")
	want("1 registers23 admin")
}

// Field says of one value what registration and PATCH say.
func TestFieldDecode(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		kind      reflect.Type
		raw, want string
	}{
		{reflect.TypeFor[string](), `"x"`, "x"},
		{reflect.TypeFor[string](), `5`, "! string_type"},
		{reflect.TypeFor[string](), `null`, "! string_type"},
		{reflect.TypeFor[*int](), `null`, "<nil>"},
		{reflect.TypeFor[*int](), `"x"`, "! int_type"},
	} {
		value, fault := usher.Field{JSON: "f", Type: test.kind}.Decode(json.RawMessage(test.raw))
		if fault != nil {
			if got := "! " + fault.Type; got != test.want || fault.Loc[1] != "f" {
				t.Errorf("%s %s: %s at %v, want %s", test.kind, test.raw, got, fault.Loc, test.want)
			}
		} else if got := strings.TrimSpace(reflectText(value)); got != test.want {
			t.Errorf("%s %s: %s, want %s", test.kind, test.raw, got, test.want)
		}
	}
	for _, test := range []struct {
		field           usher.Field
		byUser, byAdmin bool
	}{
		{usher.Field{JSON: "f"}, false, false},
		{usher.Field{JSON: "f", Admin: true}, false, true},
		{usher.Field{JSON: "f", Write: true, Admin: true}, true, true},
		{usher.Field{Write: true, Admin: true}, false, false}, // it has no name
	} {
		if user, admin := test.field.Settable(false), test.field.Settable(true); user != test.byUser || admin != test.byAdmin {
			t.Errorf("%+v: %t, %t", test.field, user, admin)
		}
	}
}

func reflectText(v reflect.Value) string {
	if v.Kind() == reflect.Pointer && v.IsNil() {
		return "<nil>"
	}
	return v.String()
}
