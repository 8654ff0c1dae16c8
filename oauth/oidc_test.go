package oauth_test

import (
	"strings"
	"testing"
	"time"

	"usher/oauth"
	"usher/ushertest"
)

// TestS_H8_IDToken: row 103, every field wrong.
func TestS_H8_IDToken(t *testing.T) {
	t.Parallel()
	for _, fault := range []ushertest.Fault{
		ushertest.FaultNoIDToken, ushertest.FaultNonce, ushertest.FaultNoNonce, ushertest.FaultAudience, ushertest.FaultNoAudience,
		ushertest.FaultTwoAudiences, ushertest.FaultParty, ushertest.FaultExpired, ushertest.FaultNoExpiry, ushertest.FaultAlgNone,
		ushertest.FaultHMAC, ushertest.FaultSignature, ushertest.FaultAccessHash, ushertest.FaultNoSubject, ushertest.FaultIssuer,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			b := s.browser()
			s.provider.SetFault("/token", fault)
			a := b.flow(t, "/auth/sso")
			expect(t, a, 400, "OAUTH_PROVIDER_ERROR")
			if len(a.Header["Set-Cookie"]) > 0 || s.userCount(t) != 0 {
				t.Errorf("signed in: %v", a.Header["Set-Cookie"])
			}
			s.provider.SetFault("/token", "")
			if a := b.flow(t, "/auth/sso"); a.StatusCode != 204 {
				t.Errorf("without the fault: %s %s", a.Status, a.body)
			}
		})
	}
}

// TestS_H8_AlgNoneDiscovered: also when the provider's document asks for it.
func TestS_H8_AlgNoneDiscovered(t *testing.T) {
	t.Parallel()
	for _, fault := range []ushertest.Fault{ushertest.FaultAlgNone, ushertest.FaultHMAC} {
		s := newSite(t, options{})
		s.provider.SetFault("/.well-known/openid-configuration", ushertest.FaultAlgNone)
		s.provider.SetFault("/token", fault)
		expect(t, s.browser().flow(t, "/auth/sso"), 400, "OAUTH_PROVIDER_ERROR")
	}
}

// TestS_H9_DiscoveredIssuer must be the configured one.
func TestS_H9_DiscoveredIssuer(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.provider.SetFault("/.well-known/openid-configuration", ushertest.FaultIssuer)
	a := s.browser().get(t, "/auth/sso/authorize")
	expect(t, a, 503, "Service Unavailable")
	if a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	if !strings.Contains(s.log.String(), "attacker.example") {
		t.Error("the log does not say why")
	}
}

// TestS_H3_IssuerParameter: RFC 9207.
func TestS_H3_IssuerParameter(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	s.provider.SetFault("/authorize", ushertest.FaultIssuer)
	before := s.provider.Count("/token")
	expect(t, b.flow(t, "/auth/sso"), 400, "OAUTH_INVALID_STATE")
	if s.provider.Count("/token") != before {
		t.Error("the code was sent")
	}
	s.provider.SetFault("/authorize", "")
	if a := b.get(t, b.consent(t, "/auth/sso")+"&iss="+s.provider.URL); a.StatusCode != 204 {
		t.Errorf("the right iss: %s %s", a.Status, a.body)
	}
}

// TestDiscoveryRecovers: a provider that is away at the start is found later.
func TestDiscoveryRecovers(t *testing.T) {
	t.Parallel()
	clock := ushertest.NewClock(time.Now())
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Now = clock.Now }})
	const document = "/.well-known/openid-configuration"
	for _, fault := range []ushertest.Fault{ushertest.FaultUnavailable, ushertest.FaultHTML, ushertest.FaultHuge, ushertest.FaultReset, ushertest.FaultRedirect} {
		s.provider.SetFault(document, fault)
		expect(t, s.browser().get(t, "/auth/sso/authorize"), 503, "Service Unavailable")
		before := s.provider.Count(document)
		expect(t, s.browser().get(t, "/auth/sso/authorize"), 503, "Service Unavailable")
		if s.provider.Count(document) != before {
			t.Errorf("%s: asked again at once", fault)
		}
		clock.Advance(3 * time.Second)
	}
	s.provider.SetFault(document, "")
	before := s.provider.Count(document)
	for range 3 {
		if a := s.browser().flow(t, "/auth/sso"); a.StatusCode != 204 {
			t.Errorf("%s %s", a.Status, a.body)
		}
	}
	if n := s.provider.Count(document) - before; n != 1 {
		t.Errorf("the document was read %d times", n)
	}
}

// TestEmailOfUserInfo: providers that keep the address out of ID tokens.
func TestEmailOfUserInfo(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.provider.SetUser(ushertest.ProviderUser{ID: "7", Email: "late@example.com", EmailVerified: true, HideEmail: true})
	s.provider.SetFault("/userinfo", ushertest.FaultSubject)
	expect(t, s.browser().flow(t, "/auth/sso"), 400, "OAUTH_PROVIDER_ERROR")
	s.provider.SetFault("/userinfo", "")
	if a := s.browser().flow(t, "/auth/sso"); a.StatusCode != 204 || !s.stored(t, "late@example.com").IsVerified {
		t.Errorf("%s %s", a.Status, a.body)
	}
}
