package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

// TestS_H5_AccountKey: row 74, the provider's id is the account and the address is
// not.
func TestS_H5_AccountKey(t *testing.T) {
	t.Parallel()
	for _, provider := range []string{"fake", "sso"} {
		s := newSite(t, options{})
		path := "/auth/" + provider
		s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@example.com", EmailVerified: true})
		s.browser().flow(t, path)
		ann := s.stored(t, "ann@example.com")
		// Somebody else got the address.
		s.provider.SetUser(ushertest.ProviderUser{ID: "2", Email: "ann@example.com", EmailVerified: true})
		expect(t, s.browser().flow(t, path), 400, "OAUTH_USER_ALREADY_EXISTS")
		// Ann got another: she stays who she is, and keeps the address she has here.
		s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "new@example.com", EmailVerified: true})
		b := s.browser()
		b.flow(t, path)
		if me, _ := b.isIn(t); me.ID != ann.ID || me.Email != "ann@example.com" {
			t.Errorf("%+v", me)
		}
		if links := s.links(t, ann.ID); len(links) != 1 || links[0].Email != "new@example.com" {
			t.Errorf("%+v", links)
		}
		// And signs in without any.
		s.provider.SetUser(ushertest.ProviderUser{ID: "1"})
		if a := s.browser().flow(t, path); a.StatusCode != 204 {
			t.Errorf("%s %s", a.Status, a.body)
		}
		// The same id at another provider is another account.
		s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "bob@example.com"})
		other := map[string]string{"fake": "/auth/sso", "sso": "/auth/fake"}[provider]
		b = s.browser()
		b.flow(t, other)
		if me, _ := b.isIn(t); me.ID == ann.ID || me.Email != "bob@example.com" {
			t.Errorf("%+v", me)
		}
	}
}

// TestS_H6_AssociateByEmail: rows 50 and 51 and DEFECTS F, the table over HTTP.
func TestS_H6_AssociateByEmail(t *testing.T) {
	t.Parallel()
	for bits := range 8 {
		option, there, here := bits&1 != 0, bits&2 != 0, bits&4 != 0
		t.Run(fmt.Sprintf("option %v, verified there %v, verified here %v", option, there, here), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.AssociateByEmail = option }})
			ann := s.user(t, "Ann@example.com", here)
			s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@EXAMPLE.com", EmailVerified: there})
			b := s.browser()
			a := b.flow(t, "/auth/fake")
			if !option || !there {
				expect(t, a, 400, "OAUTH_USER_ALREADY_EXISTS")
				if len(s.links(t, ann.ID)) != 0 || *s.stored(t, ann.Email) != *ann {
					t.Error("something changed")
				}
				return
			}
			me, in := b.isIn(t)
			if a.StatusCode != 204 || !in || me.ID != ann.ID || len(s.links(t, ann.ID)) != 1 {
				t.Fatalf("%s %s, %+v", a.Status, a.body, me)
			}
			now := s.stored(t, ann.Email)
			if !now.IsVerified || (now.HashedPassword == ann.HashedPassword) != here {
				t.Errorf("verified here %v: %+v", here, now)
			}
		})
	}
}

// TestS_G10_PreHijack: an account that somebody made in wait for the owner of the
// address has nothing left of his when the owner comes.
func TestS_G10_PreHijack(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		c.AssociateByEmail = true
		c.Providers = append(c.Providers, s.plain("sloppy"))
	}})
	squatter := s.user(t, "victim@example.com", false)
	bad, worse := s.browser(), s.browser()
	bad.login(t, "victim@example.com")
	s.provider.SetUser(ushertest.ProviderUser{ID: "squatter", Email: "squatter@example.com"})
	if a := bad.flow(t, "/auth/associate/sloppy"); a.StatusCode != 200 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	if a := worse.flow(t, "/auth/sloppy"); a.StatusCode != 204 {
		t.Fatalf("%s %s", a.Status, a.body)
	}

	s.provider.SetUser(ushertest.ProviderUser{ID: "victim", Email: "victim@example.com", EmailVerified: true})
	owner := s.browser()
	if a := owner.flow(t, "/auth/sso"); a.StatusCode != 204 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	me, in := owner.isIn(t)
	if !in || me.ID != squatter.ID || !me.IsVerified {
		t.Errorf("the owner is %+v", me)
	}
	for name, b := range map[string]*browser{"password": bad, "link": worse} {
		if _, in := b.isIn(t); in {
			t.Errorf("the session by %s lives", name)
		}
	}
	now := s.stored(t, "victim@example.com")
	if now.HashedPassword != "" || now.Epoch <= squatter.Epoch {
		t.Errorf("%+v", now)
	}
	if _, _, err := s.auth.Login(t.Context(), "cookie", "victim@example.com", goodPassword, usher.Client{}); !errors.Is(err, usher.ErrBadCredentials) {
		t.Errorf("the password: %v", err)
	}
	if links := s.links(t, me.ID); len(links) != 1 || links[0].Provider != "sso" {
		t.Errorf("links %+v", links)
	}
	s.provider.SetUser(ushertest.ProviderUser{ID: "squatter", Email: "squatter@example.com"})
	b := s.browser()
	b.flow(t, "/auth/sloppy")
	if you, _ := b.isIn(t); you.ID == me.ID {
		t.Error("the link still signs in")
	}
}

// TestS_G10_ClaimIsOneTransaction: when the link cannot be stored, nothing has
// changed.
func TestS_G10_ClaimIsOneTransaction(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.AssociateByEmail = true }})
	ann := s.user(t, "ann@example.com", false)
	s.accounts.during("LinkOAuthAccount", func() { s.accounts.setAway(true) })
	expect(t, s.browser().flow(t, "/auth/fake"), 503, "Service Unavailable")
	s.accounts.setAway(false)
	if now := s.stored(t, "ann@example.com"); now.HashedPassword != ann.HashedPassword || now.IsVerified {
		t.Errorf("half a claim: %+v", now)
	}
	// The same for a new user.
	s.provider.SetUser(ushertest.ProviderUser{ID: "2", Email: "bob@example.com"})
	s.accounts.during("LinkOAuthAccount", func() { s.accounts.setAway(true) })
	expect(t, s.browser().flow(t, "/auth/fake"), 503, "Service Unavailable")
	s.accounts.setAway(false)
	if n := s.userCount(t); n != 1 {
		t.Errorf("%d users", n)
	}
}

// TestS_G10_LinkUnderWay: who links while his account is claimed does not keep a
// way in.
func TestS_G10_LinkUnderWay(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.AssociateByEmail = true }})
	ann := s.user(t, "victim@example.com", false)
	squatter, owner := s.browser(), s.browser()
	squatter.login(t, "victim@example.com")
	s.provider.SetUser(ushertest.ProviderUser{ID: "squatter"})
	callback := squatter.consent(t, "/auth/associate/fake")
	s.provider.SetUser(ushertest.ProviderUser{ID: "victim", Email: "victim@example.com", EmailVerified: true})
	claim := owner.consent(t, "/auth/sso")
	s.accounts.during("OAuthAccount", func() { owner.get(t, claim) })
	if a := squatter.get(t, callback); a.StatusCode < 400 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if links := s.links(t, ann.ID); len(links) != 1 || links[0].AccountID != "victim" {
		t.Errorf("%+v", links)
	}
}

// TestS_H6_AddressMeanwhile: who has another address by the time that an account is
// linked by the address does not get it.
func TestS_H6_AddressMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.AssociateByEmail = true }})
	ann := s.user(t, "ann@example.com", true)
	moved := "moved@example.com"
	s.once.during(func() {
		if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{Email: &moved}); err != nil {
			t.Error(err)
		}
	})
	b := s.browser()
	if a := b.flow(t, "/auth/fake"); a.StatusCode != 204 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if me, _ := b.isIn(t); me.ID == ann.ID || me.Email != "ann@example.com" || len(s.links(t, ann.ID)) != 0 {
		t.Errorf("%+v", me)
	}
}

// TestS_H7_Inactive: row 105, nobody comes back by way of a provider.
func TestS_H7_Inactive(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.AssociateByEmail = true }})
	inactive := false
	deactivate := func(email string) {
		t.Helper()
		if _, err := s.auth.UpdateUser(t.Context(), s.stored(t, email).ID, usher.Change[User]{IsActive: &inactive}); err != nil {
			t.Fatal(err)
		}
	}
	s.browser().flow(t, "/auth/fake")
	deactivate("ann@example.com")
	s.user(t, "verified@example.com", true)
	deactivate("verified@example.com")
	s.user(t, "unverified@example.com", false)
	deactivate("unverified@example.com")
	for id, email := range map[string]string{"1": "ann@example.com", "2": "verified@example.com", "3": "unverified@example.com"} {
		before := s.stored(t, email)
		s.provider.SetUser(ushertest.ProviderUser{ID: id, Email: email, EmailVerified: true})
		a := s.browser().flow(t, "/auth/fake")
		expect(t, a, 400, "LOGIN_BAD_CREDENTIALS")
		if len(a.Header["Set-Cookie"]) > 0 || *s.stored(t, email) != *before {
			t.Errorf("%s: %+v", email, s.stored(t, email))
		}
	}
}

// TestDeactivatedMeanwhile: also when it happens between the look and the session.
func TestDeactivatedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.browser().flow(t, "/auth/fake")
	ann, inactive := s.stored(t, "ann@example.com"), false
	s.accounts.during("UpdateOAuthAccount", func() {
		if _, err := s.auth.UpdateUser(t.Context(), ann.ID, usher.Change[User]{IsActive: &inactive}); err != nil {
			t.Error(err)
		}
	})
	b := s.browser()
	expect(t, b.flow(t, "/auth/fake"), 400, "LOGIN_BAD_CREDENTIALS")
	if _, in := b.isIn(t); in {
		t.Error("signed in")
	}
}

// TestS_UnlinkedMeanwhile: an account that is unlinked while somebody signs in with
// it does not sign in.
func TestUnlinkedMeanwhile(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	ann := s.user(t, "ann@example.com", true)
	b := s.browser()
	b.login(t, "ann@example.com")
	s.provider.SetUser(ushertest.ProviderUser{ID: "stolen"})
	b.flow(t, "/auth/associate/fake")
	s.accounts.during("UpdateOAuthAccount", func() {
		b.do(t, "DELETE", "/users/me/oauth-accounts/"+s.links(t, ann.ID)[0].ID)
	})
	thief := s.browser()
	expect(t, thief.flow(t, "/auth/fake"), 400, "OAUTH_NOT_AVAILABLE_EMAIL")
	if _, in := thief.isIn(t); in {
		t.Error("signed in")
	}
}

// TestS_A14_NoPassword: no password fits who has none.
func TestS_A14_NoPassword(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.browser().flow(t, "/auth/fake")
	for _, password := range []string{"", " ", goodPassword, "!", "null"} {
		if _, _, err := s.auth.Login(t.Context(), "cookie", "ann@example.com", password, usher.Client{}); !errors.Is(err, usher.ErrBadCredentials) {
			t.Errorf("password %q: %v", password, err)
		}
	}
}

// TestDefect_A_TwentyCallbacks of one new account: one user, and nobody gets a 500.
func TestDefect_A_TwentyCallbacks(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		var registered atomic.Int32
		s := newSite(t, options{on: on, auth: func(c *usher.Config[User]) {
			c.Hooks.AfterRegister = func(context.Context, *User) { registered.Add(1) }
		}})
		const n = 20
		browsers, callbacks := make([]*browser, n), make([]string, n)
		for i := range n {
			browsers[i] = s.browser()
			callbacks[i] = browsers[i].consent(t, "/auth/fake")
		}
		in := 0
		for _, a := range together(t, n, func(i int) answer { return browsers[i].get(t, callbacks[i]) }) {
			switch a.StatusCode {
			case 204:
				in++
			case 400:
				expect(t, a, 400, "OAUTH_USER_ALREADY_EXISTS")
			default:
				t.Errorf("%s %s", a.Status, a.body)
			}
		}
		if in == 0 || s.userCount(t) != 1 || registered.Load() != 1 || len(s.links(t, s.stored(t, "ann@example.com").ID)) != 1 {
			t.Errorf("%d in, %d users, %d hooks", in, s.userCount(t), registered.Load())
		}
		t.Logf("%d of %d signed in", in, n)
	})
}

// TestHooks: a new user goes through the hooks, and one of them fills him in.
func TestHooks(t *testing.T) {
	t.Parallel()
	veto := &usher.Error{Status: 403, Code: "NOT_INVITED"}
	var after []usher.ID
	s := newSite(t, options{
		auth: func(c *usher.Config[User]) {
			c.Hooks.BeforeRegister = func(_ context.Context, u *User) error {
				if u.Email == "stranger@example.com" {
					return veto
				}
				return nil
			}
			c.Hooks.AfterRegister = func(_ context.Context, u *User) { after = append(after, u.ID) }
		},
		oauth: func(_ *site, c *oauth.Config[User]) {
			c.NewUser = func(_ context.Context, u *User, id oauth.Identity) error {
				u.FirstName = "from " + id.Provider + " " + id.AccountID + " " + string(id.Claims[:1])
				u.IsSuperuser, u.Email, u.ID, u.HashedPassword = true, "other@example.com", usher.NewID(), "x"
				return nil
			}
		},
	})
	s.browser().flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	if ann.FirstName != "from fake 1 {" || ann.IsSuperuser || ann.HashedPassword != "" || len(after) != 1 || after[0] != ann.ID {
		t.Errorf("%+v, AfterRegister %v", ann, after)
	}
	s.provider.SetUser(ushertest.ProviderUser{ID: "2", Email: "stranger@example.com"})
	expect(t, s.browser().flow(t, "/auth/fake"), 403, "NOT_INVITED")
	if n := s.userCount(t); n != 1 {
		t.Errorf("%d users", n)
	}
}

// TestTrustEmail: the addresses of a provider that the program vouches for.
func TestTrustEmail(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		own := s.plain("own")
		own.TrustEmail, own.VerifiedField = true, ""
		c.Providers = append(c.Providers, own)
	}})
	for path, verified := range map[string]bool{"/auth/own": true, "/auth/fake": false} {
		s.provider.SetUser(ushertest.ProviderUser{ID: path, Email: path[6:] + "@example.com"})
		s.browser().flow(t, path)
		if s.stored(t, path[6:]+"@example.com").IsVerified != verified {
			t.Errorf("%s", path)
		}
	}
}

// TestRequireVerified: who is not verified is made a user, and has to verify first.
func TestRequireVerified(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{auth: func(c *usher.Config[User]) { c.RequireVerified = true }})
	s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@example.com"})
	expect(t, s.browser().flow(t, "/auth/fake"), 400, "LOGIN_USER_NOT_VERIFIED")
	if s.stored(t, "ann@example.com").IsVerified {
		t.Error("verified")
	}
}

// TestRegistrationPolicy: a provider is no way around it.
func TestRegistrationPolicy(t *testing.T) {
	t.Parallel()
	for code, policy := range map[string]usher.Registration{
		"REGISTER_CLOSED":                   {Closed: true},
		"REGISTER_EMAIL_DOMAIN_NOT_ALLOWED": {Domains: []string{"staff.example.com"}},
	} {
		s := newSite(t, options{auth: func(c *usher.Config[User]) { c.Registration = policy }})
		expect(t, s.browser().flow(t, "/auth/fake"), 403, code)
		if n := s.userCount(t); n != 0 {
			t.Errorf("%d users", n)
		}
		// Who is a user already may link and sign in.
		s.user(t, "bob@example.com", true)
		b := s.browser()
		b.login(t, "bob@example.com")
		b.flow(t, "/auth/associate/fake")
		if a := s.browser().flow(t, "/auth/fake"); a.StatusCode != 204 {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
}
