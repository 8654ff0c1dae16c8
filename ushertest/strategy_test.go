package ushertest_test

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

func TestStrategySessions(t *testing.T) {
	for name, idle := range map[string]time.Duration{"fixed": 0, "idle timeout": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
				m := newMemory()
				return usher.Sessions{Store: m, IdleTimeout: idle, Now: clock.Now}, func(*testing.T) usher.ID { return m.newUser() }
			})
		})
	}
}

func TestStrategyJWT(t *testing.T) {
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	secret := make([]byte, 32)
	rand.Read(secret)
	for name, key := range map[string]usher.Key{"HS256": usher.SecretKey("", secret), "EdDSA": usher.PrivateKey("1", private)} {
		t.Run(name, func(t *testing.T) {
			ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
				return &usher.JWT{Keys: []usher.Key{key}, Now: clock.Now}, nil
			})
		})
	}
}

func TestStrategyStateless(t *testing.T) {
	ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
		return stateless{newSessions(clock)}, nil
	})
}

func newSessions(clock *ushertest.Clock) usher.Sessions {
	return usher.Sessions{Store: newMemory(), Lifetime: time.Hour, Now: clock.Now}
}

// stateless behaves as if there were no sessions behind it.
type stateless struct{ inner usher.Sessions }

func (s stateless) WriteToken(ctx context.Context, a *usher.Authentication) (string, error) {
	return s.inner.WriteToken(ctx, a)
}

func (s stateless) ReadToken(_ context.Context, token string) (usher.Authentication, error) {
	return s.inner.ReadToken(context.Background(), token)
}

func (s stateless) DestroyToken(context.Context, string) error { return usher.ErrNotRevocable }

func TestStrategyNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		strategy   func(s usher.Sessions) usher.Strategy
	}{
		{"forgets the methods", "round trip", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, after: func(a usher.Authentication, err error) (usher.Authentication, error) {
				a.Methods = nil
				return a, err
			}}
		}},
		{"proves everything just now", "round trip", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, after: func(a usher.Authentication, err error) (usher.Authentication, error) {
				a.AuthTime = a.IssuedAt
				return a, err
			}}
		}},
		{"makes generations up", "round trip", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, after: func(a usher.Authentication, err error) (usher.Authentication, error) {
				a.Generation = 1
				return a, err
			}}
		}},
		{"mixes users up", "round trip", func(s usher.Sessions) usher.Strategy { return &cachedUser{Sessions: s} }},
		{"loses the scopes", "restrictions", func(s usher.Sessions) usher.Strategy {
			return writing{s, func(a *usher.Authentication) { a.Scopes = nil }}
		}},
		{"loses only empty scopes", "restrictions", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, after: func(a usher.Authentication, err error) (usher.Authentication, error) {
				if len(a.Scopes) == 0 {
					a.Scopes = nil
				}
				return a, err
			}}
		}},
		{"writes a token twice", "unique tokens", func(s usher.Sessions) usher.Strategy { return &repeating{Sessions: s, tokens: map[usher.ID]string{}} }},
		{"writes odd letters", "unique tokens", func(s usher.Sessions) usher.Strategy { return odd{s} }},
		{"trims tokens", "altered tokens", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, before: strings.TrimSpace}
		}},
		{"cuts tokens", "altered tokens", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, before: func(token string) string { return token[:min(len(token), 43)] }}
		}},
		{"ignores the case", "altered tokens", func(s usher.Sessions) usher.Strategy { return &caseless{Sessions: s} }},
		{"panics on nothing", "altered tokens", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, before: func(token string) string { _ = token[0]; return token }}
		}},
		{"calls bad tokens an outage", "altered tokens", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, after: func(a usher.Authentication, err error) (usher.Authentication, error) {
				if err != nil {
					err = errors.New("malformed")
				}
				return a, err
			}}
		}},
		{"takes session ids for tokens", "altered tokens", func(s usher.Sessions) usher.Strategy { return byID{s} }},
		{"destroys what is none", "altered tokens", func(s usher.Sessions) usher.Strategy { return agreeable{s} }},
		{"ignores the expiry", "expiry", func(s usher.Sessions) usher.Strategy { return timeless{s} }},
		{"expires a second late", "expiry", func(s usher.Sessions) usher.Strategy {
			now := s.Now
			s.Now = func() time.Time { return now().Add(-time.Second) }
			return writing{s, func(*usher.Authentication) {}}
		}},
		{"destroys nothing", "destroy", func(s usher.Sessions) usher.Strategy { return idle{s} }},
		{"destroys all of the user's", "destroy", func(s usher.Sessions) usher.Strategy { return sweepingOut{s} }},
		{"revokes but does not destroy", "destroy", func(s usher.Sessions) usher.Strategy { return halfStateless{s} }},
		{"reads from a cache it fills late", "at once", func(s usher.Sessions) usher.Strategy {
			return &caching{Sessions: s, known: map[string]usher.Authentication{}}
		}},
		{"calls an outage a bad token", "cancelled context", func(s usher.Sessions) usher.Strategy {
			return reading{Sessions: s, after: func(a usher.Authentication, err error) (usher.Authentication, error) {
				if err != nil {
					err = usher.ErrInvalidToken
				}
				return a, err
			}}
		}},
		{"lists the oldest first", "sessions", func(s usher.Sessions) usher.Strategy {
			m := s.Store.(*memory)
			s.Store = listing{m, func(_ usher.ID, list []usher.Session) []usher.Session {
				slices.Reverse(list)
				return list
			}}
			return s
		}},
		{"revokes anybody's", "sessions", func(s usher.Sessions) usher.Strategy { s.Store = ownerless{s.Store.(*memory)}; return s }},
		{"shows the token", "sessions", func(s usher.Sessions) usher.Strategy { return &indiscreet{Sessions: s, tokens: map[string]string{}} }},
		{"lists the expired", "expired sessions", func(s usher.Sessions) usher.Strategy { return listingAll{s} }},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
				return d.strategy(newSessions(clock)), nil
			})
		}})
	}
	mustFail(t, defects)
}

type reading struct {
	usher.Sessions
	before func(token string) string
	after  func(usher.Authentication, error) (usher.Authentication, error)
}

func (b reading) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	if b.before != nil {
		token = b.before(token)
	}
	a, err := b.Sessions.ReadToken(ctx, token)
	if b.after != nil {
		return b.after(a, err)
	}
	return a, err
}

type writing struct {
	usher.Sessions
	change func(*usher.Authentication)
}

func (b writing) WriteToken(ctx context.Context, a *usher.Authentication) (string, error) {
	b.change(a)
	token, err := b.Sessions.WriteToken(ctx, a)
	return token, err
}

// cachedUser remembers whom it saw last.
type cachedUser struct {
	usher.Sessions
	mu   sync.Mutex
	user usher.ID
}

func (b *cachedUser) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	a, err := b.Sessions.ReadToken(ctx, token)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil && b.user == "" {
		b.user = a.UserID
	}
	a.UserID = b.user
	return a, err
}

type repeating struct {
	usher.Sessions
	mu     sync.Mutex
	tokens map[usher.ID]string
}

func (b *repeating) WriteToken(ctx context.Context, a *usher.Authentication) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if token, ok := b.tokens[a.UserID]; ok {
		return token, nil
	}
	token, err := b.Sessions.WriteToken(ctx, a)
	b.tokens[a.UserID] = token
	return token, err
}

type odd struct{ usher.Sessions }

func (b odd) WriteToken(ctx context.Context, a *usher.Authentication) (string, error) {
	token, err := b.Sessions.WriteToken(ctx, a)
	return token + ";", err
}

func (b odd) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	return b.Sessions.ReadToken(ctx, strings.TrimSuffix(token, ";"))
}

type caseless struct {
	usher.Sessions
	mu     sync.Mutex
	tokens []string
}

func (b *caseless) WriteToken(ctx context.Context, a *usher.Authentication) (string, error) {
	token, err := b.Sessions.WriteToken(ctx, a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens = append(b.tokens, token)
	return token, err
}

func (b *caseless) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	b.mu.Lock()
	for _, known := range b.tokens {
		if strings.EqualFold(known, token) {
			token = known
		}
	}
	b.mu.Unlock()
	return b.Sessions.ReadToken(ctx, token)
}

type byID struct{ usher.Sessions }

// owner returns whose session has this id.
func (m *memory) owner(session string) (usher.ID, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, s := range m.sessions {
		if s.ID == session {
			return s.UserID, true
		}
	}
	return "", false
}

func (b byID) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	if user, ok := b.Store.(*memory).owner(token); ok {
		return usher.Authentication{UserID: user}, nil
	}
	return b.Sessions.ReadToken(ctx, token)
}

type agreeable struct{ usher.Sessions }

func (b agreeable) DestroyToken(ctx context.Context, token string) error {
	_ = b.Sessions.DestroyToken(ctx, token)
	return nil
}

type timeless struct{ usher.Sessions }

func (b timeless) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	start := time.Now()
	b.Now = func() time.Time { return start }
	return b.Sessions.ReadToken(ctx, token)
}

type idle struct{ usher.Sessions }

func (b idle) DestroyToken(context.Context, string) error { return nil }

type sweepingOut struct{ usher.Sessions }

func (b sweepingOut) DestroyToken(ctx context.Context, token string) error {
	a, err := b.ReadToken(ctx, token)
	if err != nil {
		return err
	}
	_, err = b.RevokeSessions(ctx, a.UserID, "")
	return err
}

type halfStateless struct{ usher.Sessions }

func (b halfStateless) DestroyToken(context.Context, string) error { return usher.ErrNotRevocable }

// caching puts what it read into its cache after the token may have ended.
type caching struct {
	usher.Sessions
	mu    sync.Mutex
	known map[string]usher.Authentication
}

func (b *caching) ReadToken(ctx context.Context, token string) (usher.Authentication, error) {
	b.mu.Lock()
	a, ok := b.known[token]
	b.mu.Unlock()
	if ok {
		return a, nil
	}
	a, err := b.Sessions.ReadToken(ctx, token)
	if err == nil {
		time.Sleep(2 * time.Millisecond) // somebody destroys the token
		b.mu.Lock()
		b.known[token] = a
		b.mu.Unlock()
	}
	return a, err
}

func (b *caching) DestroyToken(ctx context.Context, token string) error {
	b.mu.Lock()
	delete(b.known, token)
	b.mu.Unlock()
	return b.Sessions.DestroyToken(ctx, token)
}

type indiscreet struct {
	usher.Sessions
	mu     sync.Mutex
	tokens map[string]string
}

func (b *indiscreet) WriteToken(ctx context.Context, a *usher.Authentication) (string, error) {
	token, err := b.Sessions.WriteToken(ctx, a)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens[a.SessionID] = token
	return token, err
}

func (b *indiscreet) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	list, err := b.Sessions.ListSessions(ctx, user)
	b.mu.Lock()
	defer b.mu.Unlock()
	for i := range list {
		list[i].UserAgent = b.tokens[list[i].ID]
	}
	return list, err
}

type listingAll struct{ usher.Sessions }

func (b listingAll) ListSessions(ctx context.Context, user usher.ID) ([]usher.Session, error) {
	return b.Store.ListSessions(ctx, user)
}
