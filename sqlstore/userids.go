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
	// key is what an id is kept as; in fmt's words it is the id in canonical text.
	// The error is usher.ErrNotFound for what is no id.
	key func(id usher.ID) (any, error)
	// next is the key of a new user; nil: the database finds one.
	next func() any
}

var uuids = userIDs{
	kind: kindText, what: "UUID", least: "",
	key: func(id usher.ID) (any, error) {
		uuid, err := usher.ParseUUID(string(id))
		return string(uuid), err
	},
	next: func() any { return string(usher.NewID()) },
}

var integers = userIDs{
	kind: kindInt, what: "positive integer", least: int64(0),
	key: func(id usher.ID) (any, error) {
		n, err := strconv.ParseInt(string(id), 10, 64)
		if err != nil || n <= 0 || strconv.FormatInt(n, 10) != string(id) { // 042 and +42 are nobody's
			return nil, usher.ErrNotFound
		}
		return n, nil
	},
	next: func() any { return nil },
}

func userIDsOf(options []Option) (userIDs, error) {
	ids := uuids
	for _, option := range options {
		if option != IntegerIDs {
			return userIDs{}, fmt.Errorf("sqlstore: unknown option %d", option)
		}
		ids = integers
	}
	return ids, nil
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
