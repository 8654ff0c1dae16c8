package ushertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"usher"
)

// TestDenyList proves that a DenyList keeps its contract.
//
// newList is called for each part of the suite and returns an empty list.
func TestDenyList(t *testing.T, newList func(t *testing.T) usher.DenyList) {
	for _, part := range []struct {
		name string
		test func(*denySuite)
	}{
		{"denied", (*denySuite).denied},
		{"hostile ids", (*denySuite).hostileIDs},
		{"at once", (*denySuite).atOnce},
		{"cancelled context", (*denySuite).cancelled},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(&denySuite{T: t, ctx: t.Context(), list: newList(t)})
		})
	}
}

type denySuite struct {
	*testing.T
	ctx  context.Context
	list usher.DenyList
}

func (s *denySuite) deny(session string) {
	s.Helper()
	if err := s.list.Deny(s.ctx, session, time.Now().Add(time.Hour)); err != nil {
		s.Errorf("Deny(%s): %v", shorten(session), err)
	}
}

func (s *denySuite) want(session string, want bool) {
	s.Helper()
	if got, err := s.list.Denied(s.ctx, session); err != nil || got != want {
		s.Errorf("Denied(%s): %v and error %v, want %v", shorten(session), got, err, want)
	}
}

func (s *denySuite) denied() {
	session, other := string(usher.NewID()), string(usher.NewID())
	s.want(session, false)
	for range 2 {
		s.deny(session)
		s.want(session, true)
		s.want(other, false)
	}
	s.deny(other)
	s.want(session, true)
	s.want(other, true)
}

// hostileIDs: an id is an id, whatever it means to somebody else.
func (s *denySuite) hostileIDs() {
	ids := hostile()
	for i, id := range ids {
		s.want(id, false)
		s.deny(id)
		for _, denied := range ids[:i+1] {
			s.want(denied, true)
		}
	}
	s.want(string(usher.NewID()), false)
}

// atOnce: who is told that a session is denied finds it denied, and nobody is
// told otherwise because others deny it, too.
func (s *denySuite) atOnce() {
	for range rounds {
		same := string(usher.NewID())
		for _, err := range together(callers, func(i int) error {
			for _, session := range []string{same, string(usher.NewID())} {
				if err := s.list.Deny(s.ctx, session, time.Now().Add(time.Hour)); err != nil {
					return err
				}
				if denied, err := s.list.Denied(s.ctx, session); err != nil || !denied {
					return errors.Join(err, errors.New("not denied"))
				}
			}
			return nil
		}) {
			if err != nil {
				s.Errorf("Deny and Denied by %d at once: %v", callers, err)
			}
		}
	}
}

func (s *denySuite) cancelled() {
	session, denied := string(usher.NewID()), string(usher.NewID())
	s.deny(denied)
	ctx := cancelled(s.T)
	wantFailure(s.T, "Deny", s.list.Deny(ctx, session, time.Now().Add(time.Hour)))
	for _, id := range []string{session, denied} {
		_, err := s.list.Denied(ctx, id)
		wantFailure(s.T, "Denied", err)
	}
	s.want(denied, true)
}
