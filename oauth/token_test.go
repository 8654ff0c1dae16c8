package oauth_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"golang.org/x/oauth2"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

func TestToken(t *testing.T) {
	t.Parallel()
	clock := ushertest.NewClock(time.Now())
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Now = clock.Now }})
	s.browser().flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	token := func() *oauth2.Token {
		t.Helper()
		token, err := s.oauth.Token(t.Context(), ann.ID, "fake")
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	first := token()
	if again := token(); again.AccessToken != first.AccessToken || s.provider.Count("/token") != 1 {
		t.Error("a good token was refreshed")
	}
	clock.Advance(time.Hour)
	second := token()
	if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken || s.provider.Count("/token") != 2 {
		t.Errorf("%+v, %+v", first, second)
	}
	if in := second.Expiry.Sub(clock.Now()); in < 59*time.Minute || in > time.Hour {
		t.Errorf("it is good for %v", in)
	}
	if token().AccessToken != second.AccessToken {
		t.Error("the fresh one was not stored")
	}

	// Many at once: the provider is asked once, for it takes a refresh token once.
	clock.Advance(time.Hour)
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			if _, err := s.oauth.Token(t.Context(), ann.ID, "fake"); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := s.provider.Count("/token"); n != 3 {
		t.Errorf("asked %d times", n-2)
	}

	clock.Advance(time.Hour)
	s.provider.SetFault("/token", ushertest.FaultUnavailable)
	var refusal *usher.Error
	if _, err := s.oauth.Token(t.Context(), ann.ID, "fake"); !errors.As(err, &refusal) || refusal.Status != 503 {
		t.Errorf("the provider is away: %v", err)
	}
	s.provider.SetFault("/token", "")
	token()
	if _, err := s.oauth.Token(t.Context(), ann.ID, "sso"); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("not linked: %v", err)
	}
	if _, err := s.oauth.Token(t.Context(), ann.ID, "unknown"); err == nil {
		t.Error("an unknown provider")
	}
}

// TestTokenOfTwoProcesses: the second to refresh takes what the first stored.
func TestTokenOfTwoProcesses(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		clock := ushertest.NewClock(time.Now())
		s := newSite(t, options{on: on, oauth: func(_ *site, c *oauth.Config[User]) { c.Now = clock.Now }})
		c := s.config()
		c.Now = clock.Now
		other, err := oauth.New(s.auth, c)
		if err != nil {
			t.Fatal(err)
		}
		s.browser().flow(t, "/auth/fake")
		ann := s.stored(t, "ann@example.com")
		clock.Advance(time.Hour)
		var all sync.WaitGroup
		tokens := make([]string, 8)
		for i := range tokens {
			all.Go(func() {
				token, err := []*oauth.OAuth[User]{s.oauth, other}[i%2].Token(t.Context(), ann.ID, "fake")
				if err != nil {
					t.Error(err)
					return
				}
				tokens[i] = token.AccessToken
			})
		}
		all.Wait()
		for _, token := range tokens {
			if token != tokens[0] {
				t.Fatalf("%q", tokens)
			}
		}
	})
}

// TestTokenGone: what cannot be refreshed is no token.
func TestTokenGone(t *testing.T) {
	t.Parallel()
	clock := ushertest.NewClock(time.Now())
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Now = clock.Now }})
	s.browser().flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	s.provider.Forget()
	clock.Advance(time.Hour)
	before := s.provider.Count("/token")
	if _, err := s.oauth.Token(t.Context(), ann.ID, "fake"); !errors.Is(err, oauth.ErrNoToken) {
		t.Errorf("%v", err)
	}
	if n := s.provider.Count("/token") - before; n != 1 {
		t.Errorf("the spent token was sent %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.oauth.Token(ctx, ann.ID, "fake"); err == nil {
		t.Error("with a context that ended")
	}
}

// TestRefreshTokenStays: some providers give it only at the first sign-in.
func TestRefreshTokenStays(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.browser().flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	first, err := s.oauth.Token(t.Context(), ann.ID, "fake")
	if err != nil {
		t.Fatal(err)
	}
	s.provider.SetFault("/token", ushertest.FaultNoRefreshToken)
	s.browser().flow(t, "/auth/fake")
	second, err := s.oauth.Token(t.Context(), ann.ID, "fake")
	if err != nil || second.AccessToken == first.AccessToken || second.RefreshToken != first.RefreshToken {
		t.Errorf("%+v, %+v, %v", first, second, err)
	}
}
