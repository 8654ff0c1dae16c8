package usher

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
)

// Field is one of the application's own fields of its user type.
//
// Tags on the struct field say how it travels: `json` names it on the wire
// ("-" keeps it on the server), `db` names its column ("-" leaves it out of the
// store; the default is the field's name in snake_case), and `usher` says who
// may set it: "write" its user, "admin" superusers only. Without an `usher` tag
// clients can only read it.
type Field struct {
	Name   string // in Go
	JSON   string // on the wire; empty for a field that never leaves the server
	Column string // in the store; empty for a field that is not stored
	Write  bool   // the user may set it at registration and on PATCH /users/me
	Admin  bool   // superusers may set it
	Type   reflect.Type
	Index  []int // for reflect.Value.FieldByIndex
}

// Fields is the plan of a user type: which fields it adds to User and how each
// travels from JSON to struct to column and back. It is made once.
type Fields[U any] struct {
	// Base returns the User embedded in u.
	Base   func(u *U) *User
	custom []Field
}

// The names that User and usher's routes take on the wire and in the store.
var (
	baseJSON    = []string{"id", "email", "password", "current_password", "invitation", "is_active", "is_superuser", "is_verified"}
	baseColumns = []string{"id", "email", "email_key", "hashed_password", "is_active", "is_superuser", "is_verified", "epoch", "created_at", "updated_at"}
)

// FieldsOf makes the plan of U. The error names every fault of its tags.
func FieldsOf[U any, P UserOf[U]]() (*Fields[U], error) {
	t := reflect.TypeFor[U]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("usher: %s is not a struct", t)
	}
	f := &Fields[U]{Base: func(u *U) *User { return P(u).usherUser() }}
	if t == reflect.TypeFor[User]() {
		return f, nil // an application without fields of its own
	}
	var faults []error
	f.collect(t, nil, &faults)
	faults = append(faults, f.clashes(t)...)
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	return f, nil
}

// Custom returns the application's own fields in the order of the struct. The
// slice must not be changed.
func (f *Fields[U]) Custom() []Field { return f.custom }

func (f *Fields[U]) collect(t reflect.Type, index []int, faults *[]error) {
	for i := range t.NumField() {
		sf := t.Field(i)
		at := append(slices.Clone(index), i)
		switch {
		case sf.Anonymous && sf.Type.Kind() == reflect.Pointer:
			*faults = append(*faults, fmt.Errorf("usher: %s.%s: embed structs by value, not by pointer", t, sf.Name))
			continue
		case sf.Anonymous && sf.Tag.Get("json") != "" && reflect.PointerTo(sf.Type).Implements(reflect.TypeFor[interface{ usherUser() *User }]()):
			*faults = append(*faults, fmt.Errorf("usher: %s.%s: a json tag would hide usher.User's fields", t, sf.Name))
			continue
		case sf.Anonymous && sf.Type == reflect.TypeFor[User]():
			continue
		case sf.Anonymous && sf.Type.Kind() == reflect.Struct && sf.Tag.Get("json") == "":
			f.collect(sf.Type, at, faults)
			continue
		case !sf.IsExported():
			continue
		}
		field := Field{Name: sf.Name, JSON: sf.Name, Column: snakeCase(sf.Name), Type: sf.Type, Index: at}
		if name, _, _ := strings.Cut(sf.Tag.Get("json"), ","); sf.Tag.Get("json") == "-" { // "-," is the name "-"
			field.JSON = ""
		} else if name != "" {
			field.JSON = name
		}
		if column := sf.Tag.Get("db"); column == "-" {
			field.Column = ""
		} else if column != "" {
			field.Column = column
		}
		if !isColumnName(field.Column) {
			*faults = append(*faults, fmt.Errorf("usher: %s.%s: column %q is not of the form [a-z_][a-z0-9_]*", t, sf.Name, field.Column))
		}
		switch rights := sf.Tag.Get("usher"); rights {
		case "":
		case "write":
			field.Write, field.Admin = true, true
		case "admin":
			field.Admin = true
		default:
			*faults = append(*faults, fmt.Errorf("usher: %s.%s: unknown tag usher:%q (want \"write\" or \"admin\")", t, sf.Name, rights))
		}
		if _, options, _ := strings.Cut(sf.Tag.Get("json"), ","); field.Admin && slices.Contains(strings.Split(options, ","), "string") {
			*faults = append(*faults, fmt.Errorf("usher: %s.%s: the json option string is not supported for what clients may set", t, sf.Name))
		}
		if field.Admin && field.JSON == "" {
			*faults = append(*faults, fmt.Errorf("usher: %s.%s: usher:%q needs a name on the wire, but json:\"-\" hides the field", t, sf.Name, sf.Tag.Get("usher")))
		}
		f.custom = append(f.custom, field)
	}
}

func (f *Fields[U]) clashes(t reflect.Type) (faults []error) {
	wire, columns := map[string]string{}, map[string]string{}
	for _, name := range baseJSON {
		wire[name] = "usher.User"
	}
	for _, name := range baseColumns {
		columns[name] = "usher.User"
	}
	for _, field := range f.custom {
		if other, taken := wire[field.JSON]; taken && field.JSON != "" {
			faults = append(faults, fmt.Errorf("usher: %s.%s: json name %q is already taken by %s", t, field.Name, field.JSON, other))
		}
		if other, taken := columns[field.Column]; taken && field.Column != "" {
			faults = append(faults, fmt.Errorf("usher: %s.%s: column %q is already taken by %s", t, field.Name, field.Column, other))
		}
		wire[field.JSON], columns[field.Column] = field.Name, field.Name
	}
	return faults
}

// set writes the members of a body that the caller may set into u. Members it
// may not set are ignored, as FastAPI Users ignores them. The faults are for a
// *ValidationError.
func (f *Fields[U]) set(u *U, body map[string]json.RawMessage, admin bool) (faults []FieldError) {
	v := reflect.ValueOf(u).Elem()
	for _, field := range f.custom {
		raw, present := body[field.JSON]
		if !present || !field.Settable(admin) {
			continue
		}
		value, fault := field.Decode(raw)
		if fault != nil {
			faults = append(faults, *fault)
			continue
		}
		v.FieldByIndex(field.Index).Set(value)
	}
	return faults
}

// Settable tells whether clients may set the field: its user, or a superuser if
// admin is true.
func (f Field) Settable(admin bool) bool {
	return f.JSON != "" && (f.Write || admin && f.Admin)
}

// Decode reads a value of the field's Type from JSON, or says what is wrong with
// it.
func (f Field) Decode(raw json.RawMessage) (reflect.Value, *FieldError) {
	if hasLoneSurrogate(raw) { // which would become another text, or none that a database takes
		return reflect.Value{}, &FieldError{
			Type: "string_unicode", Loc: []any{"body", f.JSON},
			Msg: "Input should be a valid string, unable to parse raw data as a unicode string",
		}
	}
	fresh := reflect.New(f.Type) // decoding into the old value would merge maps
	if json.Unmarshal(raw, fresh.Interface()) != nil || string(raw) == "null" && !isNull(fresh.Elem()) {
		fault := typeError(f, raw)
		return reflect.Value{}, &fault
	}
	return fresh.Elem(), nil
}

// Sent is what a request sends for the fields of a user.
type Sent struct {
	Members   map[string]json.RawMessage // of the body
	Admin     bool                       // a superuser sends them
	Registers bool                       // for a user who does not exist yet
}

// set writes what was sent into u: fields that have tags, and those of
// Config.SetFields.
func (a *Auth[U]) set(u *U, sent Sent) []FieldError {
	faults := a.fields.set(u, sent.Members, sent.Admin)
	if a.config.SetFields != nil && sent.Members != nil {
		faults = append(faults, a.config.SetFields(u, sent)...)
	}
	return faults
}

// settable returns the names on the wire of the fields that the caller may set.
func (f *Fields[U]) settable(admin bool) (names []string) {
	for _, field := range f.custom {
		if field.Settable(admin) {
			names = append(names, field.JSON)
		}
	}
	return names
}

// isNull tells whether null is what an addressable value was decoded from, and not
// merely what changed nothing: UnmarshalJSON takes null by convention, that of
// time.Time too. A type that has such a value also writes it.
func isNull(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface, reflect.Map, reflect.Slice:
		return true
	}
	text, err := json.Marshal(v.Addr().Interface())
	return err == nil && string(text) == "null"
}

// typeError speaks Pydantic's language, which FastAPI Users' clients know.
func typeError(field Field, raw json.RawMessage) FieldError {
	t := field.Type
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	e := FieldError{Loc: []any{"body", field.JSON}, Input: raw}
	if !json.Valid(raw) { // NaN
		e.Input = nil
	}
	custom := reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) ||
		reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	switch {
	case custom:
		e.Type, e.Msg = "value_error", "Value error, not a valid "+strings.ToLower(t.Name())
	case t.Kind() == reflect.String:
		e.Type, e.Msg = "string_type", "Input should be a valid string"
	case t.Kind() == reflect.Bool:
		e.Type, e.Msg = "bool_type", "Input should be a valid boolean"
	case t.Kind() >= reflect.Int && t.Kind() <= reflect.Uint64:
		e.Type, e.Msg = "int_type", "Input should be a valid integer"
	case t.Kind() == reflect.Float32 || t.Kind() == reflect.Float64:
		e.Type, e.Msg = "float_type", "Input should be a valid number"
	case t.Kind() == reflect.Slice || t.Kind() == reflect.Array:
		e.Type, e.Msg = "list_type", "Input should be a valid list"
	default:
		e.Type, e.Msg = "dict_type", "Input should be a valid dictionary"
	}
	return e
}

// snakeCase turns FirstName into first_name and HTTPPort into http_port.
func snakeCase(name string) string {
	runes := []rune(name)
	var b strings.Builder
	for i, r := range runes {
		startsWord := unicode.IsUpper(r) && i > 0 &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if startsWord {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

func isColumnName(s string) bool {
	for i, c := range s {
		if c != '_' && (c < 'a' || c > 'z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}
