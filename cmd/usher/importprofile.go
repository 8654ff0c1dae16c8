package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"usher/fastapiusers"
	"usher/oauth"
)

// importColumns are where own columns of FastAPI Users' users go: into the fields of
// the profile that have their names. It is not nil: nothing goes elsewhere.
func (p *profile) importColumns() []fastapiusers.Column[User] {
	columns := []fastapiusers.Column[User]{}
	if p == nil {
		return columns
	}
	for _, name := range slices.Sorted(maps.Keys(p.fields)) {
		field := p.fields[name]
		columns = append(columns, fastapiusers.Column[User]{
			Name: name,
			Set: func(u *User, value any) error {
				if value == nil {
					return nil // as one that was never set
				}
				raw, err := field.imported(value)
				if err == nil {
					u.setProfile(name, raw)
				}
				return err
			},
			Get: func(u *User) any {
				var value any
				if json.Unmarshal(u.Profile[name], &value) != nil {
					return nil
				}
				return value
			},
			Copy: func(to, from *User) { to.setProfile(name, from.Profile[name]) },
		})
	}
	return columns
}

// setProfile sets a field of the profile, or takes it away.
func (u *User) setProfile(name string, value json.RawMessage) {
	u.Profile = maps.Clone(u.Profile) // other copies of the user have it too
	if value == nil {
		delete(u.Profile, name)
		return
	}
	if u.Profile == nil {
		u.Profile = map[string]json.RawMessage{}
	}
	u.Profile[name] = value
}

// imported returns the value of a column as the profile keeps it, nil for none.
func (f profileField) imported(value any) (json.RawMessage, error) {
	var plain any
	var err error
	switch f.rules.Type {
	case "integer":
		plain, err = converted[int64](value)
	case "number":
		plain, err = converted[float64](value)
	case "boolean":
		plain, err = converted[bool](value)
	case "timestamp":
		plain, err = converted[time.Time](value)
	case "json":
		var text json.RawMessage
		if text, err = converted[json.RawMessage](value); string(bytes.TrimSpace(text)) == "null" {
			return nil, nil // how SQLAlchemy writes None
		}
		plain = text
	default:
		plain, err = converted[string](value)
	}
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return nil, errors.New("is not JSON")
	}
	kept, fault := f.read(text)
	if fault != nil {
		return nil, errors.New("is refused: " + fault.Msg)
	}
	return kept, nil
}

func converted[T any](value any) (T, error) {
	var target T
	err := fastapiusers.Convert(value, &target)
	return target, err
}

// encryptionKeys are those that the server seals providers' tokens with. A dry run
// makes no secret for it.
func (i importFastAPIUsersCommand) encryptionKeys(c Config) ([]oauth.Key, error) {
	secret, err := c.readSecret()
	switch {
	case err != nil && i.DryRun:
		secret = newSecret()
	case err != nil:
		if secret, _, err = c.loadSecret(); err != nil {
			return nil, err
		}
	}
	config, faults := c.oauthConfig(secret)
	return config.EncryptionKeys, errors.Join(faults...)
}
