package sqlstore

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"usher"
)

const usersTable = "users"

// column is a column as the store expects it.
type column struct {
	name  string
	kind  kind
	field string // in Go, for messages; empty for usher's own columns
	json  string // the field on the wire
	index []int  // of the field, for reflect.Value.FieldByIndex
	codec codec  // of the field
}

// table is a table as the store expects it.
type table struct {
	name    string
	columns []column
	unique  []string // columns that no two rows have the same in, sorted
}

// baseColumns are usher's own in the table of users.
var baseColumns = []column{
	{name: "id", kind: kindUserID}, {name: "email"}, {name: "email_key"}, {name: "hashed_password"},
	{name: "is_active", kind: kindBool}, {name: "is_superuser", kind: kindBool}, {name: "is_verified", kind: kindBool},
	{name: "epoch", kind: kindInt}, {name: "created_at", kind: kindTime}, {name: "updated_at", kind: kindTime},
}

// The tables of usher's own but for that of users.
var (
	sessionsTable = table{"sessions", []column{
		{name: "token_hash", kind: kindBytes}, {name: "id"}, {name: "user_id", kind: kindUserID},
		{name: "created_at", kind: kindTime}, {name: "last_seen_at", kind: kindTime},
		{name: "expires_at", kind: kindTime}, {name: "auth_time", kind: kindTime},
		{name: "methods", kind: kindJSON}, {name: "scopes", kind: kindJSON},
		{name: "ip"}, {name: "user_agent"}, {name: "data", kind: kindJSON},
	}, nil}
	usedTokensTable    = table{"used_tokens", []column{{name: "hash", kind: kindBytes}, {name: "expires_at", kind: kindTime}}, []string{"hash"}}
	oauthAccountsTable = table{"oauth_accounts", []column{
		{name: "id"}, {name: "user_id", kind: kindUserID}, {name: "provider"}, {name: "account_id"}, {name: "email"},
		{name: "access_token", kind: kindBytes}, {name: "refresh_token", kind: kindBytes},
		{name: "expires_at", kind: kindTime}, {name: "created_at", kind: kindTime}, {name: "updated_at", kind: kindTime},
	}, []string{"account_id", "provider"}}
	outboxTable = table{"outbox", []column{
		{name: "id"}, {name: "kind"}, {name: "user_id"}, {name: "email"}, {name: "data", kind: kindJSON},
		{name: "created_at", kind: kindTime}, {name: "due_at", kind: kindTime},
		{name: "attempts", kind: kindInt}, {name: "last_error"}, {name: "dead", kind: kindBool},
	}, nil}
	otherTables = []table{sessionsTable, usedTokensTable, oauthAccountsTable, outboxTable}
)

// plan is how a user type lies in the table of users.
type plan[U any] struct {
	base   func(u *U) *usher.User
	custom []column // the application's own fields
}

// planOf makes the plan of U. The error names every field that cannot be stored.
func planOf[U any, P usher.UserOf[U]](y syntax) (plan[U], error) {
	fields, err := usher.FieldsOf[U, P]()
	if err != nil {
		return plan[U]{}, err
	}
	p := plan[U]{base: fields.Base}
	var faults []error
	for _, f := range fields.Custom() {
		if f.Column == "" {
			continue
		}
		c, err := codecOf(f.Type, y)
		if err != nil {
			faults = append(faults, fmt.Errorf("sqlstore: field %s: %w (db:\"-\" keeps it out of the store)", f.Name, err))
			continue
		}
		holds := c.kind
		if t := pointed(f.Type); isValuer(t) && holds != kindTime {
			holds = kindOther
		}
		p.custom = append(p.custom, column{name: f.Column, kind: holds, field: f.Name, json: f.JSON, index: f.Index, codec: c})
	}
	return p, errors.Join(faults...)
}

func pointed(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

// values returns what the custom columns of u hold.
func (p *plan[U]) values(u *U) ([]any, error) {
	v := reflect.ValueOf(u).Elem()
	values := make([]any, len(p.custom))
	for i, c := range p.custom {
		value, err := c.codec.encode(v.FieldByIndex(c.index))
		if err != nil {
			return nil, c.refusal(err)
		}
		values[i] = value
	}
	return values, nil
}

// unfit is why no column can keep a value.
type unfit string

func (u unfit) Error() string { return string(u) }

// check refuses a new value of a column that could not be kept, or not be shown.
func (c column) check(value any, y syntax) error {
	if text, is := value.(string); is {
		if err := y.refuse(c.codec.kind, text); err != nil {
			return c.refusal(err)
		}
	}
	// In UTC, as it is read back, encoding/json writes no other years: nobody could read
	// the user.
	if year := yearOf(value); c.codec.kind == kindTime && c.json != "" && (year < 0 || year > 9999) {
		return c.refusal(unfit("must be within the years 0 and 9999 of UTC"))
	}
	return nil
}

// yearOf is the year of what a dialect sends a time as; 0 if it is NULL.
func yearOf(value any) int {
	switch x := value.(type) {
	case int64:
		return time.UnixMicro(x).UTC().Year()
	case time.Time:
		return x.UTC().Year()
	case string:
		text, _, _ := strings.Cut(x, "-")
		if year, err := strconv.Atoi(text); err == nil {
			return year
		}
		return -1 // the minus was the first
	}
	return 0
}

// refusal is an *usher.ValidationError if it is the value that is unfit, and clients
// know the field.
func (c column) refusal(err error) error {
	var reason unfit
	if errors.As(err, &reason) && c.json != "" {
		return usher.Invalid(c.json, string(reason))
	}
	return fmt.Errorf("field %s: %w", c.field, err)
}

// cell reads one custom column of one row.
type cell struct {
	column *column
	field  reflect.Value
}

// Scan implements sql.Scanner.
func (c *cell) Scan(src any) error {
	if src == nil {
		c.field.SetZero()
		return nil
	}
	return c.column.codec.decode(c.field, src)
}

// userList is the columns of a user in the order of targets.
func (p *plan[U]) userList(y syntax, alias string) string {
	var columns []string
	for _, c := range []column{
		{name: "id", kind: y.ids.kind}, {name: "is_active", kind: kindBool}, {name: "is_superuser", kind: kindBool}, {name: "is_verified", kind: kindBool},
		{name: "epoch", kind: kindInt}, {name: "created_at", kind: kindTime}, {name: "updated_at", kind: kindTime}, {name: "email"}, {name: "hashed_password"},
	} {
		columns = append(columns, y.read(c.kind, alias+"."+c.name))
	}
	list := y.pack(columns...) // one column, for a packedUser: see sessionList
	for _, c := range p.custom {
		name := alias + "." + y.quote(c.name)
		if c.kind == kindTime {
			name = y.read(kindTime, name)
		}
		list += ", " + name
	}
	return list
}

// targets appends to dest where a row with the columns of userList goes.
func (p *plan[U]) targets(dest []any, u *U) []any {
	dest = append(dest, (*packedUser)(p.base(u)))
	v, cells := reflect.ValueOf(u).Elem(), make([]cell, len(p.custom))
	for i := range p.custom {
		cells[i] = cell{&p.custom[i], v.FieldByIndex(p.custom[i].index)}
		dest = append(dest, &cells[i])
	}
	return dest
}
