package redisstore

import (
	"context"
	"encoding/hex"
	"errors"

	"usher"
)

// entry is what the index of a user tells of one session.
type entry struct {
	token usher.TokenHash
	id    string
}

// member is the entry's text in Redis, of which the hash has a fixed length.
func (e entry) member() string {
	return hex.EncodeToString(e.token[:]) + ":" + e.id
}

func parseEntry(member string) (e entry, err error) {
	const separator = 2 * len(e.token)
	if len(member) <= separator || member[separator] != ':' {
		return e, errors.New("corrupt index")
	}
	if _, err := hex.Decode(e.token[:], []byte(member[:separator])); err != nil {
		return e, errors.New("corrupt index")
	}
	e.id = member[separator+1:]
	return e, nil
}

// entries returns the index of a user, which may name sessions that are no more.
func (s *Store) entries(ctx context.Context, user usher.ID) ([]entry, error) {
	client, err := s.client(ctx)
	if err != nil {
		return nil, err
	}
	members, err := client.Do(ctx, client.B().Zrange().Key(s.indexKey(user)).Min("0").Max("-1").Build()).AsStrSlice()
	if err != nil {
		return nil, err
	}
	entries := make([]entry, len(members))
	for i, member := range members {
		if entries[i], err = parseEntry(member); err != nil {
			return nil, err
		}
	}
	return entries, nil
}

func (s *Store) sessionKeys(entries []entry) []string {
	keys := make([]string, len(entries))
	for i, e := range entries {
		keys[i] = s.sessionKey(e.token)
	}
	return keys
}
