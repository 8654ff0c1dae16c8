package sqlstore

import (
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"usher"
)

// Rows that are read on each request come packed into one column, because every
// column of a row costs: its name, a value, a conversion. The last part may be
// any text, the others cannot have the separator in them.

// packed is what is left of a packed row.
type packed struct {
	text string
	err  error
}

func unpack(src any) packed {
	switch x := src.(type) {
	case string:
		return packed{text: x}
	case []byte:
		return packed{text: string(x)}
	}
	return packed{err: fmt.Errorf("%T is not a packed row", src)}
}

func (p *packed) next() (part string) {
	part, p.text, _ = strings.Cut(p.text, "\x1f")
	return part
}

func (p *packed) int() int64 {
	n, err := strconv.ParseInt(p.next(), 10, 64)
	if err != nil && p.err == nil {
		p.err = errors.New("not the number of a packed row") // the cause would quote it
	}
	return n
}

func (p *packed) bool() bool { return p.int() != 0 }

func (p *packed) time() time.Time { return time.UnixMicro(p.int()).UTC() }

// json reads a part that is empty for NULL.
func (p *packed) json(target sql.Scanner) {
	var src any
	if text := p.next(); text != "" {
		src = text
	}
	if err := target.Scan(src); err != nil && p.err == nil {
		p.err = err
	}
}

// packedSession reads what sessionList has packed.
type packedSession usher.Session

// Scan implements sql.Scanner.
func (s *packedSession) Scan(src any) error {
	p := unpack(src)
	s.ID = p.next()
	s.CreatedAt, s.LastSeenAt, s.ExpiresAt, s.AuthTime = p.time(), p.time(), p.time(), p.time()
	p.json((*stringList)(&s.Methods))
	p.json((*stringList)(&s.Scopes))
	p.json((*jsonObject)(&s.Data))
	s.IP, s.UserAgent = p.next(), p.text
	return p.err
}

// packedUser reads what userList has packed.
type packedUser usher.User

// Scan implements sql.Scanner.
func (u *packedUser) Scan(src any) error {
	p := unpack(src)
	u.ID = usher.ID(p.next())
	u.IsActive, u.IsSuperuser, u.IsVerified = p.bool(), p.bool(), p.bool()
	u.Epoch, u.CreatedAt, u.UpdatedAt = p.int(), p.time(), p.time()
	u.Email, u.HashedPassword = p.next(), p.text
	return p.err
}
