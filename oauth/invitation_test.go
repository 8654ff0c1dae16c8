package oauth_test

import (
	"encoding/base64"
	"net/url"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

// invited does all of a flow that begins with an invitation.
func (b *browser) invited(t testing.TB, path, invitation string) answer {
	t.Helper()
	return b.get(t, b.provider.Authorize(t, b.authorizeWith(t, path, url.Values{"invitation": {invitation}})))
}

// TestInvitation: who is invited may register by a provider although registration
// is closed, once, and only with the address that is invited.
func TestInvitation(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]usher.Registration{
		"closed": {Closed: true}, "domains": {Domains: []string{"staff.example.com"}}, "open": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{auth: func(c *usher.Config[User]) { c.Registration = policy }})
			invitation, err := s.auth.NewInvitation(t.Context(), "Ann@example.com", time.Hour)
			if err != nil {
				t.Fatal(err)
			}
			s.provider.SetUser(ushertest.ProviderUser{ID: "2", Email: "eve@example.com", EmailVerified: true})
			expect(t, s.browser().invited(t, "/auth/fake", invitation), 400, "REGISTER_BAD_INVITATION")
			s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@example.com", EmailVerified: true})
			expect(t, s.browser().invited(t, "/auth/fake", invitation+"x"), 400, "REGISTER_BAD_INVITATION")
			if n := s.userCount(t); n != 0 {
				t.Fatalf("%d users", n)
			}
			b := s.browser()
			if a := b.invited(t, "/auth/sso", invitation); a.StatusCode != 204 {
				t.Fatalf("%s %s", a.Status, a.body)
			}
			ann, in := b.isIn(t)
			if !in || ann.Email != "ann@example.com" {
				t.Errorf("%+v", ann)
			}
			// He signs in with whatever invitation, and without.
			for _, again := range []string{invitation, "x", ""} {
				if a := s.browser().invited(t, "/auth/sso", again); a.StatusCode != 204 {
					t.Errorf("%s %s", a.Status, a.body)
				}
			}
			// It is used up, also when the account is gone.
			if err := s.auth.DeleteUser(t.Context(), ann.ID); err != nil {
				t.Fatal(err)
			}
			expect(t, s.browser().invited(t, "/auth/fake", invitation), 400, "REGISTER_BAD_INVITATION")
			if n := s.userCount(t); n != 0 {
				t.Errorf("%d users", n)
			}
		})
	}
}

// TestS_E18_InvitationIsSealed: the provider, which sees the state, does not see the
// invitation in it.
func TestS_E18_InvitationIsSealed(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.EncryptionKeys = nil }})
	invitation, err := s.auth.NewInvitation(t.Context(), "ann@example.com", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	target := b.authorizeWith(t, "/auth/fake", url.Values{"invitation": {invitation}})
	parsed, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(parsed.Query().Get("state"), ".")[1])
	if err != nil || !strings.Contains(string(payload), `"invitation":"`) {
		t.Fatalf("payload %s, %v", payload, err)
	}
	for _, part := range append(strings.Split(invitation, ".")[1:], "ann@example.com") {
		if strings.Contains(target, part) || strings.Contains(string(payload), part) {
			t.Errorf("the URL of the provider has %s", part)
		}
	}
	// What nobody could have been given is not carried about.
	expect(t, b.get(t, "/auth/fake/authorize?invitation="+strings.Repeat("x", 2049)), 400, "REGISTER_BAD_INVITATION")
	// The longest that is carried comes back.
	expect(t, b.invited(t, "/auth/fake", strings.Repeat("x", 2048)), 400, "REGISTER_BAD_INVITATION")
}
