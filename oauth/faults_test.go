package oauth_test

import (
	"context"
	"errors"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

// TestS_H11_ProviderFaults: row 118 and DEFECTS G, no answer of a provider is a 500, none takes
// long or much.
func TestS_H11_ProviderFaults(t *testing.T) {
	t.Parallel()
	faults := map[ushertest.Fault]int{
		ushertest.FaultHTML: 400, ushertest.FaultHuge: 400, ushertest.FaultError: 400, ushertest.FaultUnavailable: 503,
		ushertest.FaultRedirect: 400, ushertest.FaultHang: 503, ushertest.FaultReset: 503,
	}
	for _, test := range []struct{ provider, endpoint string }{
		{"fake", "/token"}, {"fake", "/userinfo"}, {"github", "/emails"}, {"sso", "/token"}, {"sso", "/jwks"}, {"hidden", "/userinfo"},
	} {
		t.Run(test.provider+test.endpoint, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
				gitHub := s.plain("github")
				gitHub.EmailsURL = s.provider.URL + "/emails"
				c.Providers = append(c.Providers, gitHub, s.oidc("hidden"))
				c.ProviderTimeout = 2 * time.Second
			}})
			s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@example.com", HideEmail: test.provider == "hidden"})
			for fault, want := range faults {
				b := s.browser()
				callback := b.consent(t, "/auth/"+test.provider)
				s.provider.SetFault(test.endpoint, fault)
				began := time.Now()
				a := b.get(t, callback)
				if took := time.Since(began); took > 10*time.Second {
					t.Errorf("%s: took %v", fault, took)
				}
				switch {
				case fault == ushertest.FaultHuge && a.StatusCode == 503: // it took too long
				case test.endpoint == "/jwks" && a.StatusCode != 400 && a.StatusCode != 503: // the library does not tell them apart
					t.Errorf("%s: %s %s", fault, a.Status, a.body)
				case test.endpoint != "/jwks" && a.StatusCode != want:
					t.Errorf("%s: %s %s, want %d", fault, a.Status, a.body, want)
				}
				if (a.StatusCode == 503) != (a.Header.Get("Retry-After") != "") {
					t.Errorf("%s: %s with Retry-After %q", fault, a.Status, a.Header.Get("Retry-After"))
				}
				if s.userCount(t) != 0 || len(a.Header["Set-Cookie"]) > 0 {
					t.Errorf("%s: somebody is signed in", fault)
				}
				if strings.Contains(a.body, "127.0.0.1") {
					t.Errorf("%s: too much was said: %s", fault, a.body)
				}
			}
			if n := len(s.log.String()); n > 20_000 {
				t.Errorf("the log has %d bytes", n)
			}
		})
	}
}

// TestS_H11_Memory: 10 MB answers do not end up in memory.
func TestS_H11_Memory(t *testing.T) {
	s := newSite(t, options{})
	for _, test := range []struct {
		provider, endpoint string
		status             int
	}{{"fake", "/token", 400}, {"fake", "/userinfo", 400}, {"sso", "/.well-known/openid-configuration", 503}} {
		b := s.browser()
		address := "/auth/sso/authorize"
		if test.provider == "fake" {
			address = b.consent(t, "/auth/fake")
		}
		s.provider.SetFault(test.endpoint, ushertest.FaultHuge)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if a := b.get(t, address); a.StatusCode != test.status {
			t.Errorf("%s: %s %s", test.endpoint, a.Status, a.body)
		}
		runtime.ReadMemStats(&after)
		s.provider.SetFault(test.endpoint, "")
		// The provider allocates too, and reading 1 MiB with io.ReadAll about 5; all
		// of the answer would be 50.
		if grown := after.TotalAlloc - before.TotalAlloc; grown > 20<<20 {
			t.Errorf("%s: allocated %d MiB", test.endpoint, grown>>20)
		}
	}
}

// TestUserInfoValues: what a provider may say of somebody (row 52).
func TestUserInfoValues(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		user   ushertest.ProviderUser
		status int
		detail string
		id     string
	}{
		{"text", ushertest.ProviderUser{ID: "a-1", Email: "a@example.com"}, 204, "", "a-1"},
		{"number", ushertest.ProviderUser{ID: 9007199254740993, Email: "a@example.com"}, 204, "", "9007199254740993"},
		{"fraction", ushertest.ProviderUser{ID: 1.5, Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"negative", ushertest.ProviderUser{ID: -1, Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"null", ushertest.ProviderUser{Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"empty", ushertest.ProviderUser{ID: "", Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"list", ushertest.ProviderUser{ID: []string{"a"}, Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"NUL", ushertest.ProviderUser{ID: "a\x00", Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"long", ushertest.ProviderUser{ID: strings.Repeat("a", 256), Email: "a@example.com"}, 400, "OAUTH_PROVIDER_ERROR", ""},
		{"no address", ushertest.ProviderUser{ID: "1"}, 400, "OAUTH_NOT_AVAILABLE_EMAIL", ""},
		// DEFECTS G: such a user could never be read again.
		{"no real address", ushertest.ProviderUser{ID: "1", Email: "nobody"}, 400, "OAUTH_NOT_AVAILABLE_EMAIL", ""},
		{"two addresses", ushertest.ProviderUser{ID: "1", Email: "a@example.com,b@example.com"}, 400, "OAUTH_NOT_AVAILABLE_EMAIL", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{})
			s.provider.SetUser(test.user)
			expect(t, s.browser().flow(t, "/auth/fake"), test.status, test.detail)
			if test.id != "" {
				if links := s.links(t, s.stored(t, test.user.Email).ID); len(links) != 1 || links[0].AccountID != test.id {
					t.Errorf("%+v", links)
				}
			}
		})
	}
}

// TestP6_RequestTimeout: what a sign-in needs beside the provider may take
// RequestTimeout.
func TestP6_RequestTimeout(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{
		auth: func(c *usher.Config[User]) {
			c.RequestTimeout = 100 * time.Millisecond
			c.Hooks.BeforeRegister = func(ctx context.Context, _ *User) error { <-ctx.Done(); return ctx.Err() }
		},
		oauth: func(_ *site, c *oauth.Config[User]) { c.ProviderTimeout = 2 * time.Second },
	})
	s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "ann@example.com"})
	b := s.browser()
	callback := b.consent(t, "/auth/fake")
	began := time.Now()
	if a := b.get(t, callback); a.StatusCode != 503 || a.Header.Get("Retry-After") == "" || s.userCount(t) != 0 {
		t.Errorf("%s with Retry-After %q, %d users", a.Status, a.Header.Get("Retry-After"), s.userCount(t))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

// TestF35_NewUserFails: whatever NewUser does is no 500, and leaves no user.
func TestF35_NewUserFails(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		does   func() error
		status int
		detail string
	}{
		"panics":           {func() error { panic("broken") }, 503, "Service Unavailable"},
		"nil dereference":  {func() error { return errors.New((*User)(nil).Email) }, 503, "Service Unavailable"},
		"fails":            {func() error { return errors.New("no route to the directory") }, 503, "Service Unavailable"},
		"does not find it": {func() error { return usher.ErrNotFound }, 503, "Service Unavailable"},
		"vetoes":           {func() error { return &usher.Error{Status: 403, Code: "NO_STAFF"} }, 403, "NO_STAFF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) {
				c.NewUser = func(context.Context, *User, oauth.Identity) error { return test.does() }
			}})
			expect(t, s.browser().flow(t, "/auth/fake"), test.status, test.detail)
			if n := s.userCount(t); n != 0 {
				t.Errorf("%d users", n)
			}
		})
	}
}

// TestSeveralEmailFields: the first that has an address counts (Microsoft).
func TestSeveralEmailFields(t *testing.T) {
	t.Parallel()
	for fields, status := range map[string]int{"mail email": 204, "id email": 204, "email mail": 204, "mail id": 400} {
		s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
			p := s.plain("several")
			p.EmailField = fields
			c.Providers = append(c.Providers, p)
		}})
		s.provider.SetUser(ushertest.ProviderUser{ID: "7", Email: "ann@example.com"})
		if a := s.browser().flow(t, "/auth/several"); a.StatusCode != status {
			t.Errorf("%s: %s %s, want %d", fields, a.Status, a.body, status)
		}
	}
}

// TestGitHubEmails: the primary address counts.
func TestGitHubEmails(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		gitHub := s.plain("github")
		gitHub.EmailsURL, gitHub.VerifiedField = s.provider.URL+"/emails", ""
		c.Providers = []oauth.Provider{gitHub}
	}})
	for email, verified := range map[string]bool{"a@example.com": true, "b@example.com": false} {
		s.provider.SetUser(ushertest.ProviderUser{ID: email, Email: email, EmailVerified: verified})
		if a := s.browser().flow(t, "/auth/github"); a.StatusCode != 204 || s.stored(t, email).IsVerified != verified {
			t.Errorf("%s: %s %s", email, a.Status, a.body)
		}
	}
}

// TestNoPKCE: for providers that refuse it, and only for those.
func TestNoPKCE(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		old := s.plain("old")
		old.InsecureNoPKCE = true
		c.Providers = append(c.Providers, old)
	}})
	s.provider.NoPKCE = true
	b := s.browser()
	if names, _ := paramsOf(t, b.authorize(t, "/auth/old")); strings.Join(names, ",") != "response_type,client_id,redirect_uri,state,scope" {
		t.Errorf("%v", names)
	}
	if a := b.flow(t, "/auth/old"); a.StatusCode != 204 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	expect(t, b.flow(t, "/auth/fake"), 400, "invalid_request")
}

// TestS_H2_Verifier: the fake provider compares it; here it must not be seen.
func TestS_H2_VerifierIsSecret(t *testing.T) {
	t.Parallel()
	var verifier string
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) {
		c.HTTPClient = &http.Client{Transport: spy(func(r *http.Request) {
			if r.Method == "POST" {
				_ = r.ParseForm()
				verifier = r.PostForm.Get("code_verifier")
			}
		})}
	}})
	b := s.browser()
	address := b.authorize(t, "/auth/fake")
	callback := s.provider.Authorize(t, address)
	a := b.get(t, callback)
	if len(verifier) != 43 {
		t.Fatalf("verifier %q", verifier)
	}
	for what, text := range map[string]string{"URL": address, "callback": callback, "answer": a.body, "log": s.log.String()} {
		if strings.Contains(text, verifier) {
			t.Errorf("the verifier is in the %s", what)
		}
	}
}

// spy sees a copy of every request.
type spy func(*http.Request)

func (f spy) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.GetBody != nil {
		seen := r.Clone(r.Context())
		seen.Body, _ = r.GetBody()
		f(seen)
	}
	return http.DefaultTransport.RoundTrip(r)
}
