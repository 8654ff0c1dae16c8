package redisstore

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"usher"
)

// record is a session as it is in Redis, with times in milliseconds since 1970.
// Its names are short because they are in memory once for every session, and
// are read with every request.
type record struct {
	// Seen and Expires come first: the touch script replaces them in the text.
	Seen    int64    `json:"s"`
	Expires int64    `json:"e"`
	ID      string   `json:"i"`
	User    string   `json:"u"`
	Created int64    `json:"c"`
	Auth    int64    `json:"a"`
	Methods []string `json:"m,omitzero"`
	// Scopes is left out only if nil, which restricts nothing. An empty one
	// restricts to nothing.
	Scopes    []string       `json:"o,omitzero"`
	IP        string         `json:"p,omitempty"`
	UserAgent string         `json:"g,omitempty"`
	Data      map[string]any `json:"d,omitzero"`
}

func encode(s usher.Session) ([]byte, error) {
	return json.Marshal(record{
		Seen: s.LastSeenAt.UnixMilli(), Expires: s.ExpiresAt.UnixMilli(),
		ID: s.ID, User: string(s.UserID),
		Created: s.CreatedAt.UnixMilli(), Auth: s.AuthTime.UnixMilli(),
		Methods: s.Methods, Scopes: s.Scopes,
		IP: s.IP, UserAgent: s.UserAgent, Data: s.Data,
	})
}

// decode fails for a value that is not a session. That is not ErrNotFound: the
// token may be good, and what is wrong with Redis should be seen.
func decode(text string) (usher.Session, error) {
	var r record
	if !scan(text, &r) {
		r = record{}
		if err := json.Unmarshal([]byte(text), &r); err != nil {
			return usher.Session{}, fmt.Errorf("corrupt session: %w", err)
		}
	}
	if r.User == "" {
		return usher.Session{}, errors.New("corrupt session: nobody's")
	}
	return usher.Session{
		ID: r.ID, UserID: usher.ID(r.User),
		CreatedAt: fromMilli(r.Created), LastSeenAt: fromMilli(r.Seen),
		ExpiresAt: fromMilli(r.Expires), AuthTime: fromMilli(r.Auth),
		Methods: r.Methods, Scopes: r.Scopes,
		IP: r.IP, UserAgent: r.UserAgent, Data: r.Data,
	}, nil
}

func fromMilli(ms int64) time.Time { return time.UnixMilli(ms).UTC() }
