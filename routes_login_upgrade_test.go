package usher_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"usher"
	"usher/password"

	"golang.org/x/crypto/bcrypt"
)

// oldHashes are hashes of goodPassword that a login brings up to date.
func oldHashes(t testing.TB) map[string]string {
	t.Helper()
	crypt, err := bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	weaker, err := password.New(password.Config{Params: password.Params{Memory: 16, Time: 2, Lanes: 1}, InsecureAllowWeak: true})
	if err != nil {
		t.Fatal(err)
	}
	argon, err := weaker.Hash(t.Context(), goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"bcrypt 2a": string(crypt), "bcrypt 2b": strings.Replace(string(crypt), "$2a$", "$2b$", 1),
		"bcrypt 2y": strings.Replace(string(crypt), "$2a$", "$2y$", 1), "argon2id of other cost": argon,
	}
}

// isCurrent tells whether a hash is one of the site's hasher.
func isCurrent(hash string) bool { return strings.HasPrefix(hash, "$argon2id$v=19$m=8,t=1,p=1$") }

// A good sign-in replaces an old hash, a bad one does not, and nothing else
// about the user changes (A12, recording login.hashes).
func TestS_A12_LoginUpgradesTheHash(t *testing.T) {
	t.Parallel()
	for name, hash := range oldHashes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			u := s.add(t, "ann@example.com", func(u *User) { u.HashedPassword, u.FirstName, u.Plan = hash, new("Ann"), "gold" })
			s.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "wrong")).want(t, 400)
			if got := s.stored(t, u.ID).HashedPassword; got != hash {
				t.Errorf("the hash after a wrong password: %s", got)
			}
			for range 2 {
				s.login(t, "jwt", "ann@example.com")
			}
			got := s.stored(t, u.ID)
			if !isCurrent(got.HashedPassword) {
				t.Errorf("the hash after the right password: %s", got.HashedPassword)
			}
			got.HashedPassword, got.UpdatedAt = u.HashedPassword, u.UpdatedAt
			if *got.FirstName != "Ann" || got.User != u.User || got.Plan != "gold" {
				t.Errorf("the upgrade changed %+v to %+v", u, got)
			}
			if rehashes := s.events.of(usher.EventPasswordRehash); len(rehashes) != 1 || rehashes[0].Err != nil || rehashes[0].UserID != u.ID {
				t.Errorf("events of the upgrade: %+v", rehashes)
			}
		})
	}
}

// The upgrade is one winner's, and nobody's login fails for it (F22).
func TestS_A12_SixteenLoginsAtOnceUpgradeOnce(t *testing.T) {
	t.Parallel()
	for name, hash := range oldHashes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			u := s.add(t, "ann@example.com", func(u *User) { u.HashedPassword = hash })
			tokens := make([]string, 16)
			atOnce(len(tokens), func(i int) {
				a, err := s.try(t.Context(), "POST", "/auth/bearer-db/login", loginForm("ann@example.com", goodPassword))
				if tokens[i] = a.token("bearer-db"); err != nil || a.status != 200 {
					t.Errorf("login beside others: %d %s %v", a.status, a.body, err)
				}
			})
			for _, token := range tokens {
				s.wantAlive(t, "a login beside others", carrying("bearer-db", token), true)
			}
			if got := s.stored(t, u.ID).HashedPassword; !isCurrent(got) {
				t.Errorf("the hash afterwards: %s", got)
			}
			won := 0
			for _, e := range s.events.of(usher.EventPasswordRehash) {
				if e.Err == nil {
					won++
				} else if !errors.Is(e.Err, usher.ErrConflict) {
					t.Errorf("an upgrade failed: %v", e.Err)
				}
			}
			if won != 1 {
				t.Errorf("%d upgrades succeeded, want 1", won)
			}
		})
	}
}

// A password that is changed between the check of the old one and the upgrade
// of its hash is never overwritten (F22), and the old password does not even
// sign in any more (F31).
func TestS_A12_UpgradeNeverOverwritesANewPassword(t *testing.T) {
	t.Parallel()
	for name, hash := range oldHashes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var store *meddling
			s := newSite(t, configured(func(c *usher.Config[User]) {
				store = &meddling{UserStore: c.Store}
				c.Store = store
			}))
			u := s.add(t, "ann@example.com", func(u *User) { u.HashedPassword = hash })
			changed := func() {
				if _, err := s.auth.UpdateUser(t.Context(), u.ID, usher.Change[User]{Password: new("the new password")}); err != nil {
					t.Error(err)
				}
			}
			store.before.Store(&changed)
			s.send(t, "POST", "/auth/bearer-db/login", loginForm("ann@example.com", goodPassword)).wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS")
			s.send(t, "POST", "/auth/bearer-db/login", loginForm("ann@example.com", goodPassword)).wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS")
			s.send(t, "POST", "/auth/bearer-db/login", loginForm("ann@example.com", "the new password")).want(t, 200)
		})
	}
}

// A failed upgrade fails no login.
func TestS_A12_LoginWithoutTheUpgrade(t *testing.T) {
	t.Parallel()
	for name, hash := range oldHashes(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, configured(func(c *usher.Config[User]) { c.Store = noUpdates{c.Store} }))
			u := s.add(t, "ann@example.com", func(u *User) { u.HashedPassword = hash })
			s.wantAlive(t, "a login that could not upgrade", s.signedIn(t, "bearer-db", "ann@example.com"), true)
			if got := s.stored(t, u.ID).HashedPassword; got != hash {
				t.Errorf("the hash is %s", got)
			}
			if e := s.events.of(usher.EventPasswordRehash); len(e) != 1 || !errors.Is(e[0].Err, errOutage) {
				t.Errorf("events of the upgrade: %+v", e)
			}
		})
	}
}

// A login that began before a user's password was changed, or he was
// deactivated or deleted, and ends afterwards, does not outlive the change
// (F31, P2, DEFECTS E).
func TestF31_LoginBesideAChange(t *testing.T) {
	t.Parallel()
	changes := map[string]func(s *site, id usher.ID) error{
		"password change": func(s *site, id usher.ID) error {
			_, err := s.auth.UpdateUser(context.Background(), id, usher.Change[User]{Password: new("the new password")})
			return err
		},
		"deactivation": func(s *site, id usher.ID) error {
			_, err := s.auth.UpdateUser(context.Background(), id, usher.Change[User]{IsActive: new(false)})
			return err
		},
		"deactivation and back": func(s *site, id usher.ID) error {
			for _, active := range []bool{false, true} {
				if _, err := s.auth.UpdateUser(context.Background(), id, usher.Change[User]{IsActive: &active}); err != nil {
					return err
				}
			}
			return nil
		},
		"deletion": func(s *site, id usher.ID) error { return s.auth.DeleteUser(context.Background(), id) },
	}
	for _, backend := range allBackends {
		for name, change := range changes {
			t.Run(backend+"/"+name, func(t *testing.T) {
				t.Parallel()
				var s *site
				var id usher.ID
				var once atomic.Bool
				s = newSite(t, append(backendOptions(backend), configured(func(c *usher.Config[User]) {
					// The password has been checked, the token is not made yet.
					c.Hooks.BeforeLogin = func(context.Context, *User, *usher.Authentication) error {
						if once.Swap(true) {
							return nil
						}
						return change(s, id)
					}
				}))...)
				id = s.add(t, "ann@example.com").ID
				a := s.send(t, "POST", "/auth/"+backend+"/login", loginForm("ann@example.com", goodPassword))
				if name == "deactivation and back" { // he may come in, but has to be one that may
					if a.status < 300 {
						s.wantAlive(t, "the login", carrying(backend, a.token(backend)), true)
					}
					return
				}
				a.wantDetail(t, 400, "LOGIN_BAD_CREDENTIALS")
				if token := a.token(backend); token != "" {
					s.wantAlive(t, "the login", carrying(backend, token), false)
				}
				if sessions, err := s.auth.ListSessions(t.Context(), id); err != nil || len(sessions) != 0 {
					t.Errorf("sessions after the change: %v, %v", sessions, err)
				}
			})
		}
	}
}
