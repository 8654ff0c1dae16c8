package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"usher"
)

// ProfileField declares a field of users' profiles.
type ProfileField struct {
	Type     string `yaml:"type"`   // string, integer, number, boolean, enum, timestamp, json
	Access   string `yaml:"access"` // write, admin, read, hidden; default read
	Required bool   `yaml:"required"`
	Nullable bool   `yaml:"nullable"`
	Default  any    `yaml:"default"`

	Values    []string `yaml:"values"`     // enum
	MaxLength int      `yaml:"max_length"` // string: in characters, json: in bytes
	Pattern   string   `yaml:"pattern"`    // string
	Min       *float64 `yaml:"min"`        // integer, number
	Max       *float64 `yaml:"max"`        // integer, number
}

// defaultMaxLength keeps profiles small: one is read with its user on each request.
const defaultMaxLength = 1000

// profile is the plan of users' profiles, as usher.Fields is that of a struct.
type profile struct {
	fields map[string]profileField
}

// profileField is one field of the plan. As in any plan, one that never leaves the
// server has no name on the wire.
type profileField struct {
	usher.Field
	rules   ProfileField
	pattern *regexp.Regexp
	// unset is what answers have for a user for whom the field was never set.
	unset json.RawMessage
}

// author is who sets fields of a profile.
type author int

const (
	byUser author = iota
	bySuperuser
	byOperator // of the server, who may set every field
)

func (f profileField) settable(by author) bool {
	return by == byOperator || f.Settable(by == bySuperuser)
}

// known tells whether the author may know that the field exists.
func (f profileField) known(by author) bool { return by == byOperator || f.JSON != "" }

// set implements usher.Config.SetFields. Members that the sender may not set are
// ignored, as the library ignores them.
func (p *profile) set(user *User, sent usher.Sent) []usher.FieldError {
	user.declared = p
	by := byUser
	if sent.Admin {
		by = bySuperuser
	}
	members, faults := map[string]json.RawMessage{}, []usher.FieldError(nil)
	if raw, present := sent.Members["profile"]; present {
		var fault *usher.FieldError
		if members, fault = objectMembers(raw); fault != nil {
			return []usher.FieldError{*fault}
		}
	}
	user.Profile, faults = p.merge(user.Profile, members, by)
	for _, name := range slices.Sorted(maps.Keys(p.fields)) {
		if _, given := members[name]; sent.Registers && p.fields[name].rules.Required && !given {
			faults = append(faults, usher.FieldError{Type: "missing", Loc: []any{"body", "profile", name}, Msg: "Field required"})
		}
	}
	return faults
}

// maxFaults bounds what an answer says of a request that has everything wrong.
const maxFaults = 100

// merge returns a profile with what was sent. Members that were not sent stay.
func (p *profile) merge(old, sent map[string]json.RawMessage, by author) (map[string]json.RawMessage, []usher.FieldError) {
	merged := maps.Clone(old)
	var faults []usher.FieldError
	for _, name := range slices.Sorted(maps.Keys(sent)) {
		field, declared := p.fields[name]
		switch {
		case len(faults) == maxFaults:
			return old, faults
		case !declared || !field.known(by):
			faults = append(faults, profileFault(sent[name], "extra_forbidden", "Extra inputs are not permitted", name))
		case field.settable(by):
			value, fault := field.read(sent[name])
			if fault != nil {
				faults = append(faults, *fault)
				continue
			}
			if merged == nil {
				merged = map[string]json.RawMessage{}
			}
			merged[name] = value
		}
	}
	return merged, faults
}

// setText merges the fields of a JSON object into a user's profile, for an operator.
func (p *profile) setText(user *User, text string) error {
	if p == nil {
		return errors.New("profile: the configuration declares none")
	}
	members, fault := objectMembers(json.RawMessage(text))
	if fault != nil {
		return fmt.Errorf("%s: %s", dotted(fault.Loc), fault.Msg)
	}
	merged, faults := p.merge(user.Profile, members, byOperator)
	var all []error
	for _, fault := range faults {
		all = append(all, fmt.Errorf("%s: %s", dotted(fault.Loc), fault.Msg))
	}
	user.Profile, user.declared = merged, p
	return errors.Join(all...)
}

// dotted names a place in a body as the configuration names it.
func dotted(loc []any) string {
	var names []string
	for _, name := range loc[1:] {
		names = append(names, printable(fmt.Sprint(name)))
	}
	return strings.Join(names, ".")
}

// shown is what answers have of a profile: every field that may leave the server. A
// value that is not of the declared type, which was another when it was set, counts
// as never set.
func (p *profile) shown(stored map[string]json.RawMessage) map[string]json.RawMessage {
	if p == nil {
		return nil
	}
	shown := make(map[string]json.RawMessage, len(p.fields))
	for name, field := range p.fields {
		if field.JSON == "" {
			continue
		}
		shown[name] = field.unset
		if value, set := stored[name]; set {
			if _, fault := field.Decode(value); fault == nil {
				shown[name] = value
			}
		}
	}
	return shown
}
