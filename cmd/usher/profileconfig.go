package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"

	"usher"
)

var profileName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// profile makes the plan of users' profiles; it is nil if no field is declared. The
// error names every fault.
func (c Config) profile() (*profile, error) {
	if len(c.Profile) == 0 {
		return nil, nil
	}
	p := &profile{fields: map[string]profileField{}}
	var faults []error
	for _, name := range slices.Sorted(maps.Keys(c.Profile)) {
		field, err := c.Profile[name].plan(name)
		faults = append(faults, err)
		p.fields[name] = field
	}
	return p, errors.Join(faults...)
}

func (rules ProfileField) plan(name string) (profileField, error) {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, fmt.Errorf("profile."+name+"."+key+": "+format, args...))
	}
	if !profileName.MatchString(name) {
		faults = append(faults, fmt.Errorf("profile: the name %q is not of the form %s", name, profileName))
		return profileField{}, errors.Join(faults...)
	}
	f := profileField{Field: usher.Field{Name: name, JSON: name, Type: profileTypes[rules.Type]}, rules: rules, unset: json.RawMessage("null")}
	if f.Type == nil {
		fault("type", "%q is none of string, integer, number, boolean, enum, timestamp, json", rules.Type)
		f.Type = reflect.TypeFor[JSON]()
	}
	if rules.Nullable {
		f.Type = reflect.PointerTo(f.Type)
	}
	switch rules.Access {
	case "write":
		f.Write, f.Admin = true, true
	case "admin":
		f.Admin = true
	case "", "read":
	case "hidden":
		f.JSON = ""
	default:
		fault("access", "%q is none of write, admin, read, hidden", rules.Access)
	}
	if rules.Required && !f.Write {
		fault("required", "nobody could register who may not set it: it needs access: write")
	}
	if rules.Required && rules.Default != nil {
		fault("default", "is only for a field that is not required")
	}
	rules.checkRules(fault)
	if f.rules.MaxLength == 0 {
		f.rules.MaxLength = defaultMaxLength
	}
	if rules.Pattern != "" {
		var err error
		if f.pattern, err = regexp.Compile(rules.Pattern); err != nil {
			fault("pattern", "%w", err)
		}
	}
	if rules.Default != nil && len(faults) == 0 {
		value, err := json.Marshal(rules.Default)
		if err != nil {
			fault("default", "is not JSON")
		} else if read, wrong := f.read(value); wrong != nil {
			fault("default", "%s", wrong.Msg)
		} else {
			f.unset = read
		}
	}
	return f, errors.Join(faults...)
}

// checkRules finds the rules that make no sense for the type.
func (rules ProfileField) checkRules(fault func(key, format string, args ...any)) {
	for _, rule := range []struct {
		key   string
		given bool
		types []string
	}{
		{"values", rules.Values != nil, []string{"enum"}},
		{"max_length", rules.MaxLength != 0, []string{"string", "json"}},
		{"pattern", rules.Pattern != "", []string{"string"}},
		{"min", rules.Min != nil, []string{"integer", "number"}},
		{"max", rules.Max != nil, []string{"integer", "number"}},
	} {
		if _, known := profileTypes[rules.Type]; rule.given && known && !slices.Contains(rule.types, rules.Type) {
			fault(rule.key, "is not for the type %s", rules.Type)
		}
	}
	if rules.Type == "enum" && len(rules.Values) == 0 {
		fault("values", "is missing")
	}
	if rules.MaxLength < 0 {
		fault("max_length", "is negative")
	}
	if rules.Min != nil && rules.Max != nil && *rules.Min > *rules.Max {
		fault("min", "is more than max")
	}
}
