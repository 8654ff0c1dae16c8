package ushertest

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"reflect"
	"slices"
	"testing"
	"time"

	"usher"
)

// TestSessionStore proves that a SessionStore keeps its contract.
//
// newStore is called for each part of the suite. It returns an empty store, and
// a function that makes a user who can own sessions in it; nil if any id will
// do. A store that also has the method DeleteUser of a UserStore must end a
// user's sessions with the user.
//
// The suite waits about a second for sessions to expire by the real clock.
func TestSessionStore(t *testing.T, newStore func(t *testing.T) (store usher.SessionStore, newUser func(t *testing.T) usher.ID)) {
	for _, part := range []struct {
		name string
		test func(*sessionSuite)
	}{
		{"round trip", (*sessionSuite).roundTrip},
		{"returns copies", (*sessionSuite).copies},
		{"not found", (*sessionSuite).notFound},
		{"hostile ids", (*sessionSuite).hostileIDs},
		{"list", (*sessionSuite).list},
		{"touch", (*sessionSuite).touch},
		{"destroy", (*sessionSuite).destroy},
		{"revoke", (*sessionSuite).revoke},
		{"revoke all", (*sessionSuite).revokeAll},
		{"expiry", (*sessionSuite).expiry},
		{"sweep", (*sessionSuite).sweep},
		{"cancelled context", (*sessionSuite).cancelled},
		{"context cancelled midway", (*sessionSuite).cancelledMidway},
		{"one destroy wins", (*sessionSuite).oneDestroyWins},
		{"one revoke wins", (*sessionSuite).oneRevokeWins},
		{"revoke all races itself", (*sessionSuite).revokeAllRacesItself},
		{"revoke all races creates", (*sessionSuite).revokeAllRacesCreates},
		{"touch races destroy", (*sessionSuite).touchRacesDestroy},
		{"chosen tokens", (*sessionSuite).chosenTokens},
		{"deleted user", (*sessionSuite).deletedUser},
	} {
		t.Run(part.name, func(t *testing.T) {
			store, newUser := newStore(t)
			if newUser == nil {
				newUser = anyUser
			}
			part.test(&sessionSuite{T: t, ctx: t.Context(), store: store, newUser: func() usher.ID { return newUser(t) }, start: time.Now()})
		})
	}
}

type sessionSuite struct {
	*testing.T
	ctx     context.Context
	store   usher.SessionStore
	newUser func() usher.ID
	start   time.Time // real, because some stores forget by their own clock
}

// placer is the optional ability of a store that cannot hold every token.
type placer interface {
	HoldsToken(user usher.ID, token usher.TokenHash) bool
}

// token draws a token as the Sessions strategy does and returns how often it
// had to.
func (s *sessionSuite) token(user usher.ID) (hash usher.TokenHash, draws int) {
	s.Helper()
	store, picky := s.store.(placer)
	for draws = 1; draws <= 20_000; draws++ {
		hash = usher.HashToken(rand.Text())
		if !picky || store.HoldsToken(user, hash) {
			return hash, draws
		}
	}
	s.Fatalf("HoldsToken agreed to none of %d tokens", draws)
	return
}

// session returns an ordinary session of the user, an hour long.
func (s *sessionSuite) session(user usher.ID) usher.Session {
	return usher.Session{
		ID: newSessionID(), UserID: user,
		CreatedAt: s.start, LastSeenAt: s.start, ExpiresAt: s.start.Add(time.Hour), AuthTime: s.start,
		Methods: []string{"pwd"}, IP: "192.0.2.1", UserAgent: "test",
	}
}

// newSessionID makes an id as the Sessions strategy does: a UUID.
func newSessionID() string { return string(usher.NewID()) }

// keep stores a session under a new token.
func (s *sessionSuite) keep(x usher.Session) usher.TokenHash {
	s.Helper()
	token, _ := s.token(x.UserID)
	if err := s.store.CreateSession(s.ctx, token, x); err != nil {
		s.Fatalf("CreateSession: %v", err)
	}
	return token
}

// create stores an ordinary session.
func (s *sessionSuite) create(user usher.ID) (usher.TokenHash, usher.Session) {
	s.Helper()
	x := s.session(user)
	return s.keep(x), x
}

// read returns the session that must be there.
func (s *sessionSuite) read(what string, token usher.TokenHash) usher.Session {
	s.Helper()
	x, _, err := s.store.ReadSession(s.ctx, token)
	if err != nil {
		s.Errorf("%s: ReadSession: %v, want the session", what, err)
	}
	return x
}

// gone checks that the session is not there.
func (s *sessionSuite) gone(what string, token usher.TokenHash) {
	s.Helper()
	if x, _, err := s.store.ReadSession(s.ctx, token); !errors.Is(err, usher.ErrNotFound) {
		s.Errorf("%s: ReadSession: session %q and error %v, want %v", what, x.ID, err, usher.ErrNotFound)
	}
}

// listed returns the user's sessions, the expired ones left out: the store may
// list them or not.
func (s *sessionSuite) listed(user usher.ID) []usher.Session {
	s.Helper()
	sessions, err := s.store.ListSessions(s.ctx, user)
	if err != nil {
		s.Fatalf("ListSessions: %v", err)
	}
	now := time.Now()
	return slices.DeleteFunc(sessions, func(x usher.Session) bool { return !x.ExpiresAt.After(now) })
}

// lists checks that exactly these sessions of the user are listed, in any order.
func (s *sessionSuite) lists(what string, user usher.ID, want ...usher.Session) {
	s.Helper()
	got, expected := sessionIDs(s.listed(user)), sessionIDs(want)
	slices.Sort(got)
	slices.Sort(expected)
	if !slices.Equal(got, expected) {
		s.Errorf("%s: ListSessions: %q, want %q", what, got, expected)
	}
}

func sessionIDs(sessions []usher.Session) []string {
	ids := []string{}
	for _, x := range sessions {
		ids = append(ids, x.ID)
	}
	return ids
}

// same checks that a session came back as it went in.
func (s *sessionSuite) same(what string, got, want usher.Session) {
	s.Helper()
	check := func(field string, ok bool, got, want any) {
		s.Helper()
		if !ok {
			s.Errorf("%s: %s is %s, want %s", what, field, shorten(got), shorten(want))
		}
	}
	check("ID", got.ID == want.ID, got.ID, want.ID)
	check("UserID", got.UserID == want.UserID, got.UserID, want.UserID)
	check("CreatedAt", sameTime(got.CreatedAt, want.CreatedAt), got.CreatedAt, want.CreatedAt)
	check("LastSeenAt", sameTime(got.LastSeenAt, want.LastSeenAt), got.LastSeenAt, want.LastSeenAt)
	check("ExpiresAt", sameTime(got.ExpiresAt, want.ExpiresAt), got.ExpiresAt, want.ExpiresAt)
	check("AuthTime", sameTime(got.AuthTime, want.AuthTime), got.AuthTime, want.AuthTime)
	check("Methods", slices.Equal(got.Methods, want.Methods), got.Methods, want.Methods)
	// No scopes at all is the opposite of nil, which is no restriction.
	check("Scopes", slices.Equal(got.Scopes, want.Scopes) && (got.Scopes == nil) == (want.Scopes == nil), got.Scopes, want.Scopes)
	check("IP", got.IP == want.IP, got.IP, want.IP)
	check("UserAgent", got.UserAgent == want.UserAgent, got.UserAgent, want.UserAgent)
	check("Data", maps.EqualFunc(got.Data, want.Data, func(a, b any) bool { return reflect.DeepEqual(a, b) }), got.Data, want.Data)
}
