package sqlstore

import (
	"fmt"
	"strconv"

	"usher"
)

// Option departs from a default. Everything that is done with one database
// needs the same options.
type Option int

// IntegerIDs numbers the users, instead of giving them UUIDs. The database gives
// every new user the next number, and never one that somebody had before. A user
// who is created with an ID, such as one from another database, keeps it.
//
// Clients see the numbers as such, and so how many users there are.
const IntegerIDs Option = 1

// userIDs is everything in which ids of one kind differ from those of the other.
type userIDs struct {
	kind  kind // of the columns that hold one
	what  string
	least any // comes before every id
	// canonical is an id in canonical text; the error is usher.ErrNotFound for
	// what is no id.
	canonical func(id usher.ID) (usher.ID, error)
	// sent is what an id in canonical text is sent to the database as.
	sent func(id usher.ID) any
	// next is the id of a new user; empty: the database finds one.
	next func() usher.ID
}

// key is what an id is sent as. The error is usher.ErrNotFound for what is no id.
func (ids userIDs) key(id usher.ID) (any, error) {
	id, err := ids.canonical(id)
	if err != nil {
		return nil, err
	}
	return ids.sent(id), nil
}

func uuids(sent func(id string) any) userIDs {
	return userIDs{
		kind: kindUUID, what: "UUID", least: sent("00000000-0000-0000-0000-000000000000"),
		canonical: func(id usher.ID) (usher.ID, error) { return usher.ParseUUID(string(id)) },
		sent:      func(id usher.ID) any { return sent(string(id)) },
		next:      usher.NewID,
	}
}

var numbers = userIDs{
	kind: kindInt, what: "positive integer", least: int64(0),
	canonical: func(id usher.ID) (usher.ID, error) {
		n, err := strconv.ParseInt(string(id), 10, 64)
		if err != nil || n <= 0 || strconv.FormatInt(n, 10) != string(id) { // 042 and +42 are nobody's
			return "", usher.ErrNotFound
		}
		return id, nil
	},
	sent: func(id usher.ID) any {
		n, _ := strconv.ParseInt(string(id), 10, 64)
		return n
	},
	next: func() usher.ID { return "" },
}

func integerIDs(options []Option) (yes bool, err error) {
	for _, option := range options {
		if option != IntegerIDs {
			return false, fmt.Errorf("sqlstore: unknown option %d", option)
		}
		yes = true
	}
	return yes, nil
}

// checkUserIDs holds the table of users, if there is one, against the options.
func (y syntax) checkUserIDs(users map[string]liveColumn) error {
	id, there := users["id"]
	numbered := y.numbered(id.sqlType)
	switch {
	case there && numbered && y.ids.kind != kindInt:
		return fmt.Errorf("column users.id is %s: these users are numbered, so the option sqlstore.IntegerIDs is missing", id.sqlType)
	case there && !numbered && y.ids.kind == kindInt:
		return fmt.Errorf("column users.id is %s: these users are not numbered, so the option sqlstore.IntegerIDs is wrong", id.sqlType)
	}
	return nil
}
