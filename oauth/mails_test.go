package oauth_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

// TestS_B11_MailsAboutAccounts: a user is told of each account that comes or goes,
// once, and not when nothing changes.
func TestS_B11_MailsAboutAccounts(t *testing.T) {
	t.Parallel()
	mails := &mailbox{}
	s := newSite(t, options{auth: func(c *usher.Config[User]) { c.Outbox = mails }})
	ann := s.user(t, "ann@example.com", true)
	b := s.browser()
	b.login(t, "ann@example.com")
	wantSent := func(what string, want ...string) {
		t.Helper()
		if got := mails.take(); !slices.Equal(got, want) {
			t.Errorf("%s: mails %q, want %q", what, got, want)
		}
	}
	wantSent("a password and a sign-in")
	s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "elsewhere@example.com", EmailVerified: true})
	b.flow(t, "/auth/associate/fake")
	wantSent("linked", "account_linked ann@example.com fake")
	b.flow(t, "/auth/associate/fake")
	s.browser().flow(t, "/auth/fake")
	wantSent("linked again, and signed in")
	expect(t, b.do(t, "DELETE", "/users/me/oauth-accounts/unknown"), 404, "Not Found")
	wantSent("a refused unlink")
	if a := b.do(t, "DELETE", "/users/me/oauth-accounts/"+s.links(t, ann.ID)[0].ID); a.StatusCode != 204 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	wantSent("unlinked", "account_unlinked ann@example.com fake")
	// Who registers with an account knows it.
	s.provider.SetUser(ushertest.ProviderUser{ID: "2", Email: "bob@example.com", EmailVerified: true})
	s.browser().flow(t, "/auth/fake")
	wantSent("registered")
}

// TestS_B11_MailIsOneWithTheLink: no link without its mail.
func TestS_B11_MailIsOneWithTheLink(t *testing.T) {
	t.Parallel()
	mails := &mailbox{fails: true}
	s := newSite(t, options{auth: func(c *usher.Config[User]) { c.Outbox = mails }})
	ann := s.user(t, "ann@example.com", true)
	b := s.browser()
	b.login(t, "ann@example.com")
	expect(t, b.flow(t, "/auth/associate/fake"), 503, "Service Unavailable")
	if n := len(s.links(t, ann.ID)); n != 0 {
		t.Errorf("%d links without a mail", n)
	}
}

// TestClaimMailsTheChange: the owner of the address is told what ended, and what is
// new.
func TestClaimMailsTheChange(t *testing.T) {
	t.Parallel()
	mails := &mailbox{}
	s := newSite(t, options{
		auth:  func(c *usher.Config[User]) { c.Outbox = mails },
		oauth: func(_ *site, c *oauth.Config[User]) { c.AssociateByEmail = true },
	})
	s.user(t, "ann@example.com", false)
	squatter := s.browser()
	squatter.login(t, "ann@example.com")
	s.provider.SetUser(ushertest.ProviderUser{ID: "squatter"})
	squatter.flow(t, "/auth/associate/fake")
	mails.take()
	s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@example.com", EmailVerified: true})
	s.browser().flow(t, "/auth/sso")
	want := []string{"account_unlinked ann@example.com fake", "account_linked ann@example.com sso", "password_changed ann@example.com "}
	if got := mails.take(); !slices.Equal(got, want) {
		t.Errorf("mails %q, want %q", got, want)
	}
}

// TestS_G10_Reset: a reset proves an address that nobody had proved, so what
// somebody else linked in wait for its owner signs in no more. What was linked to a
// proved address stays.
func TestS_G10_Reset(t *testing.T) {
	t.Parallel()
	for _, verified := range []bool{false, true} {
		var token string
		mails := &mailbox{}
		s := newSite(t, options{auth: func(c *usher.Config[User]) {
			c.Outbox = mails
			c.Hooks.AfterForgotPassword = func(_ context.Context, _ *User, t string) { token = t }
		}})
		ann := s.user(t, "ann@example.com", verified)
		b := s.browser()
		b.login(t, "ann@example.com")
		for id, path := range map[string]string{"1": "/auth/associate/fake", "2": "/auth/associate/sso"} {
			s.provider.SetUser(ushertest.ProviderUser{ID: id, Email: "somebody@example.com"})
			if a := b.flow(t, path); a.StatusCode != 200 {
				t.Fatalf("%s %s", a.Status, a.body)
			}
		}
		if err := s.auth.ForgotPassword(t.Context(), "ann@example.com"); err != nil {
			t.Fatal(err)
		}
		mails.take()
		if _, err := s.auth.ResetPassword(t.Context(), token, "short"); err == nil || len(s.links(t, ann.ID)) != 2 {
			t.Errorf("verified %v: a refused reset: %v, %d links", verified, err, len(s.links(t, ann.ID)))
		}
		if _, err := s.auth.ResetPassword(t.Context(), token, "the owner's password"); err != nil {
			t.Fatal(err)
		}
		links, sent := s.links(t, ann.ID), mails.take()
		slices.Sort(sent)
		want := []string{"account_unlinked ann@example.com fake", "account_unlinked ann@example.com sso", "password_changed ann@example.com "}
		if verified {
			want = want[2:]
		}
		if (len(links) == 2) != verified || !slices.Equal(sent, want) {
			t.Errorf("verified %v: %d links, mails %q", verified, len(links), sent)
		}
		s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "somebody@example.com"})
		squatter := s.browser()
		squatter.flow(t, "/auth/fake")
		if me, _ := squatter.isIn(t); (me.ID == ann.ID) != verified {
			t.Errorf("verified %v: the account signs in as %+v", verified, me)
		}
		if now := s.stored(t, "ann@example.com"); now.IsVerified != verified {
			t.Errorf("verified %v: a reset makes it %v", verified, now.IsVerified)
		}
	}
}

// TestS_G10_LinkBesideAReset: an account that is linked while the password is reset
// does not stay behind.
func TestS_G10_LinkBesideAReset(t *testing.T) {
	t.Parallel()
	var token string
	s := newSite(t, options{auth: func(c *usher.Config[User]) {
		c.Hooks.AfterForgotPassword = func(_ context.Context, _ *User, t string) { token = t }
	}})
	ann := s.user(t, "ann@example.com", false)
	b := s.browser()
	b.login(t, "ann@example.com")
	if err := s.auth.ForgotPassword(t.Context(), "ann@example.com"); err != nil {
		t.Fatal(err)
	}
	callback := b.consent(t, "/auth/associate/fake")
	s.accounts.during("OAuthAccount", func() {
		if _, err := s.auth.ResetPassword(t.Context(), token, "the owner's password"); err != nil {
			t.Error(err)
		}
	})
	if a := b.get(t, callback); a.StatusCode < 400 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if n := len(s.links(t, ann.ID)); n != 0 {
		t.Errorf("%d links", n)
	}
	_, _, err := s.auth.Login(t.Context(), "cookie", "ann@example.com", goodPassword, usher.Client{})
	if !errors.Is(err, usher.ErrBadCredentials) {
		t.Errorf("the old password: %v", err)
	}
}
