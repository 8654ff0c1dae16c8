package usher_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// denyList is a list in a map, which can be away.
type denyList struct {
	mu    sync.Mutex
	until map[string]time.Time
	away  error
}

func newDenyList() *denyList { return &denyList{until: map[string]time.Time{}} }

func (d *denyList) Deny(ctx context.Context, session string, until time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := errors.Join(d.away, ctx.Err()); err != nil {
		return err
	}
	d.until[session] = until
	return nil
}

func (d *denyList) Denied(ctx context.Context, session string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, denied := d.until[session]
	return denied, errors.Join(d.away, ctx.Err())
}

func TestDenyListContracts(t *testing.T) {
	t.Parallel()
	ushertest.TestDenyList(t, func(*testing.T) usher.DenyList { return newDenyList() })
	ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
		return usher.Sessions{Store: newMemory(), DenyList: newDenyList(), Now: clock.Now}, nil
	})
}

// P2: a store that forgets the end of a session, as a Redis does that starts from
// an old file, brings it back. With a deny-list it stays dead.
func TestS_P2_ForgetfulStore(t *testing.T) {
	t.Parallel()
	ends := map[string]func(a *usher.Auth[User], s usher.Sessions, token string, authn usher.Authentication) error{
		"logout": func(_ *usher.Auth[User], s usher.Sessions, token string, _ usher.Authentication) error {
			return s.DestroyToken(t.Context(), token)
		},
		"revoke": func(a *usher.Auth[User], _ usher.Sessions, _ string, authn usher.Authentication) error {
			return a.RevokeSession(t.Context(), authn.UserID, authn.SessionID)
		},
		"revoke all": func(a *usher.Auth[User], _ usher.Sessions, _ string, authn usher.Authentication) error {
			_, err := a.RevokeSessions(t.Context(), authn.UserID, "another")
			return err
		},
		"new password": func(a *usher.Auth[User], _ usher.Sessions, _ string, authn usher.Authentication) error {
			password := "correct horse battery staple"
			_, err := a.UpdateUser(t.Context(), authn.UserID, usher.Change[User]{Password: &password})
			return err
		},
		"deactivation": func(a *usher.Auth[User], _ usher.Sessions, _ string, authn usher.Authentication) error {
			inactive := false
			_, err := a.UpdateUser(t.Context(), authn.UserID, usher.Change[User]{IsActive: &inactive})
			return err
		},
	}
	for name, end := range ends {
		for _, list := range []*denyList{nil, newDenyList()} {
			t.Run(fmt.Sprintf("%s, deny-list %v", name, list != nil), func(t *testing.T) {
				t.Parallel()
				store := newMemory()
				s := usher.Sessions{Store: store}
				if list != nil {
					s.DenyList = list
				}
				a := newAuth(t, store, func(c *usher.Config[User]) {
					c.Backends = []usher.Backend{{Name: "redis", Transport: usher.Bearer{}, Strategy: s}}
				})
				user := store.add(t, person(t, "ann@example.com"))
				authn := usher.Authentication{UserID: user.ID}
				token, err := s.WriteToken(t.Context(), &authn)
				if err != nil {
					t.Fatal(err)
				}
				other := usher.Authentication{UserID: user.ID}
				kept, err := s.WriteToken(t.Context(), &other)
				if err != nil {
					t.Fatal(err)
				}
				old := maps.Clone(store.sessions)
				if err := end(a, s, token, authn); err != nil {
					t.Fatal(err)
				}
				store.sessions = old

				_, err = s.ReadToken(t.Context(), token)
				sessions, listErr := s.ListSessions(t.Context(), user.ID)
				lists := false
				for _, x := range sessions {
					lists = lists || x.ID == authn.SessionID
				}
				if dead := errors.Is(err, usher.ErrInvalidToken); dead != (list != nil) || lists == (list != nil) || listErr != nil {
					t.Errorf("ReadToken: %v; ListSessions: %v and error %v", err, sessions, listErr)
				}
				if name == "logout" || name == "revoke" {
					if _, err := s.ReadToken(t.Context(), kept); err != nil {
						t.Errorf("ReadToken of another session: %v", err)
					}
				}
			})
		}
	}
}

// The list keeps a session for longer than any store can return it.
func TestDenyListUntil(t *testing.T) {
	t.Parallel()
	for _, idle := range []time.Duration{0, 10 * time.Minute} {
		s, _, clock := newSessions(8*time.Hour, idle)
		list := newDenyList()
		s.DenyList = list
		token, authn := write(t, s)
		clock.Advance(5 * time.Minute)
		if err := s.DestroyToken(t.Context(), token); err != nil {
			t.Fatal(err)
		}
		if until, least := list.until[authn.SessionID], authn.IssuedAt.Add(8*time.Hour); !until.After(least) {
			t.Errorf("idle timeout %v: denied until %v, want after %v", idle, until, least)
		}
	}
}

// P5: a list that is away is an outage, and no way in; and nothing is said to be
// ended that it does not know of.
func TestS_P5_DenyListOutage(t *testing.T) {
	t.Parallel()
	store, list := newMemory(), newDenyList()
	s := usher.Sessions{Store: store, DenyList: list}
	a := newAuth(t, store, func(c *usher.Config[User]) {
		c.Backends = []usher.Backend{{Name: "redis", Transport: usher.Bearer{}, Strategy: s}}
	})
	authn := usher.Authentication{UserID: store.add(t, person(t, "ann@example.com")).ID}
	token, err := s.WriteToken(t.Context(), &authn)
	if err != nil {
		t.Fatal(err)
	}
	list.away = errors.New("away")
	_, read := s.ReadToken(t.Context(), token)
	_, listed := s.ListSessions(t.Context(), authn.UserID)
	_, revoked := s.RevokeSessions(t.Context(), authn.UserID, "")
	for what, err := range map[string]error{
		"ReadToken": read, "ListSessions": listed, "RevokeSessions": revoked,
		"DestroyToken":  s.DestroyToken(t.Context(), token),
		"RevokeSession": s.RevokeSession(t.Context(), authn.UserID, authn.SessionID),
	} {
		if !errors.Is(err, list.away) {
			t.Errorf("%s: %v, want the outage", what, err)
		}
	}
	if n := store.sessionCount(); n != 1 {
		t.Errorf("%d sessions, want the one that was not ended", n)
	}
	answer := ask(a.Require()(http.NotFoundHandler()), withBearer(t, token))
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a request: %d, want 503", answer.StatusCode)
	}
}

func TestDenyListValidate(t *testing.T) {
	t.Parallel()
	err := usher.Sessions{Store: newMemory(), DenyList: (*denyList)(nil)}.Validate()
	if err == nil || !strings.Contains(err.Error(), "DenyList") {
		t.Errorf("Validate: %v", err)
	}
}
