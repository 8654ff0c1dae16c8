package redisstore

import (
	"strconv"
	"strings"
)

// scanner reads the text of a record in the order in which encode writes it.
// With encoding/json a read costs this process twice as much. That is asked when
// the scanner meets something else: an escape, the application's data, a field
// of a later version.
type scanner struct {
	text   string // what is left
	failed bool
}

// scan decodes text into r and reports whether it could.
func scan(text string, r *record) bool {
	s := scanner{text: text}
	s.expect(`{"s":`)
	r.Seen = s.int()
	s.expect(`,"e":`)
	r.Expires = s.int()
	s.expect(`,"i":`)
	r.ID = s.string()
	s.expect(`,"u":`)
	r.User = s.string()
	s.expect(`,"c":`)
	r.Created = s.int()
	s.expect(`,"a":`)
	r.Auth = s.int()
	if s.skip(`,"m":`) {
		r.Methods = s.strings()
	}
	if s.skip(`,"o":`) {
		r.Scopes = s.strings()
	}
	if s.skip(`,"p":`) {
		r.IP = s.string()
	}
	if s.skip(`,"g":`) {
		r.UserAgent = s.string()
	}
	return !s.failed && s.text == "}"
}

// skip reads the token if it is next.
func (s *scanner) skip(token string) (ok bool) {
	s.text, ok = strings.CutPrefix(s.text, token)
	return ok
}

func (s *scanner) expect(token string) {
	if !s.skip(token) {
		s.failed = true
	}
}

func (s *scanner) int() int64 {
	end := max(strings.IndexAny(s.text, ",}"), 0)
	n, err := strconv.ParseInt(s.text[:end], 10, 64)
	if err != nil {
		s.failed = true
	}
	s.text = s.text[end:]
	return n
}

func (s *scanner) string() string {
	s.expect(`"`)
	value, rest, ok := strings.Cut(s.text, `"`)
	if !ok || strings.Contains(value, `\`) {
		s.failed = true
	}
	s.text = rest
	return value
}

func (s *scanner) strings() []string {
	s.expect(`[`)
	list := []string{}
	if s.skip(`]`) {
		return list
	}
	for !s.failed {
		list = append(list, s.string())
		if s.skip(`]`) {
			break
		}
		s.expect(`,`)
	}
	return list
}
