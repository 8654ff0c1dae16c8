package usher

import (
	"encoding/hex"
	"encoding/json"
	"strings"
	"time"

	"github.com/google/uuid"
)

// ID is a user's identifier in canonical text: a lower-case UUID with hyphens,
// or a decimal integer for applications whose users are numbered.
type ID string

// MarshalJSON writes an integer id as a JSON number and any other as a string,
// as FastAPI Users does.
func (id ID) MarshalJSON() ([]byte, error) {
	if id.isInteger() {
		return []byte(id), nil
	}
	return json.Marshal(string(id))
}

// UnmarshalJSON reads what MarshalJSON writes.
func (id *ID) UnmarshalJSON(b []byte) error {
	var number json.Number
	if err := json.Unmarshal(b, &number); err == nil && ID(number).isInteger() {
		*id = ID(number)
		return nil
	}
	return json.Unmarshal(b, (*string)(id))
}

func (id ID) isInteger() bool {
	if id == "" || len(id) > 19 || (id[0] == '0' && id != "0") {
		return false
	}
	for _, c := range id {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// ParseUUID reads a UUID in any spelling that FastAPI Users accepts (with or
// without hyphens, in braces, as a URN, in either case) and returns it in
// canonical text. The error is ErrNotFound: no user has such an id.
func ParseUUID(s string) (ID, error) {
	s = strings.TrimPrefix(strings.TrimPrefix(s, "urn:"), "uuid:")
	s = strings.ReplaceAll(strings.Trim(s, "{}"), "-", "")
	var u uuid.UUID
	if len(s) != 2*len(u) {
		return "", ErrNotFound
	}
	if _, err := hex.Decode(u[:], []byte(s)); err != nil {
		return "", ErrNotFound
	}
	return ID(u.String()), nil
}

// NewID returns a new UUID of version 7 (RFC 9562 §5.7).
func NewID() ID {
	return ID(uuid.Must(uuid.NewV7()).String())
}

// User is what usher keeps of every user. The application's own type embeds it:
//
//	type User struct {
//		usher.User
//		FirstName string `json:"first_name" usher:"write"`
//	}
//
// It has no exported methods, so that nothing is promoted into that type.
type User struct {
	ID    ID     `json:"id"`
	Email string `json:"email"` // as the user typed it
	// HashedPassword is a PHC string, empty for a user who has no password.
	// It never leaves the server.
	HashedPassword string `json:"-"`
	IsActive       bool   `json:"is_active"`
	IsSuperuser    bool   `json:"is_superuser"`
	IsVerified     bool   `json:"is_verified"`
	// Epoch counts the changes (of address, password, activity, ways to sign in)
	// that end the links mailed before; its upper 32 bits count those that end
	// all sign-ins, too.
	Epoch     int64     `json:"-"`
	CreatedAt time.Time `json:"-"`
	UpdatedAt time.Time `json:"-"`
}

func (u *User) usherUser() *User { return u }

// UserOf is met by *U exactly when the struct U embeds User. It is how the
// compiler refuses a user type without it; callers never write it.
type UserOf[U any] interface {
	*U
	usherUser() *User
}
