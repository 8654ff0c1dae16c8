package signedstrategy_test

import (
	"crypto/rand"
	"net/http/httptest"
	"strings"
	"testing"

	"usher"
	"usher/examples/signedstrategy"
	"usher/sqlstore/sqlite"
	"usher/ushertest"
)

func TestConformance(t *testing.T) {
	ushertest.TestStrategy(t, func(t *testing.T, clock *ushertest.Clock) (usher.Strategy, func(*testing.T) usher.ID) {
		return signedstrategy.Signed{Secret: newSecret(), Now: clock.Now}, nil
	})
}

func newSecret() []byte {
	secret := make([]byte, 32)
	rand.Read(secret)
	return secret
}

// TestSecrets: a token is good under its own secret only.
func TestSecrets(t *testing.T) {
	token, err := signedstrategy.Signed{Secret: newSecret()}.WriteToken(t.Context(), &usher.Authentication{UserID: usher.NewID()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (signedstrategy.Signed{Secret: newSecret()}).ReadToken(t.Context(), token); err != usher.ErrInvalidToken {
		t.Errorf("under another secret: %v, want %v", err, usher.ErrInvalidToken)
	}
	if (signedstrategy.Signed{Secret: []byte("short")}).Validate() == nil {
		t.Error("a short secret is accepted")
	}
}

// member has no fields of its own.
type member struct{ usher.User }

// TestProgram signs in through backends that carry the tokens of the strategy
// in a header and in a cookie.
func TestProgram(t *testing.T) {
	db, err := sqlite.Open[member](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	signed := signedstrategy.Signed{Secret: newSecret()}
	auth, err := usher.New(usher.Config[member]{
		Store: db,
		Backends: []usher.Backend{
			{Name: "bearer", Transport: usher.Bearer{}, Strategy: signed},
			{Name: "cookie", Transport: usher.Cookie{}, Strategy: signed},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	user := &member{User: usher.User{Email: "ann@example.com"}}
	if err := auth.Register(t.Context(), user, "correct horse battery"); err != nil {
		t.Fatal(err)
	}
	site := auth.Handler()
	for _, backend := range []string{"bearer", "cookie"} {
		_, authn, err := auth.Login(t.Context(), backend, "ann@example.com", "correct horse battery", usher.Client{})
		if err != nil {
			t.Fatal(err)
		}
		for token, want := range map[string]int{authn.Token: 200, authn.Token + "x": 401, strings.ToLower(authn.Token): 401} {
			r := httptest.NewRequest("GET", "/users/me", nil)
			if backend == "bearer" {
				r.Header.Set("Authorization", "Bearer "+token)
			} else {
				r.Header.Set("Cookie", "__Host-usher="+token)
			}
			w := httptest.NewRecorder()
			site.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%s: %d %s, want %d", backend, w.Code, w.Body, want)
			}
		}
	}
}
