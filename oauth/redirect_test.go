package oauth_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"usher/oauth"
	"usher/ushertest"
)

// TestS_H13_RedirectMode: a link starts it, and the browser ends where it was to.
func TestS_H13_RedirectMode(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	for _, target := range []string{"/app?tab=1", "https://front.example.com/welcome?from=oauth"} {
		b := s.browser()
		begin := b.get(t, "/auth/sso/authorize?redirect_to="+url.QueryEscape(target))
		location := begin.Header.Get("Location")
		if begin.StatusCode != 303 || !strings.HasPrefix(location, s.provider.URL+"/authorize?") || begin.body != "" {
			t.Fatalf("%s %s %s", begin.Status, location, begin.body)
		}
		end := b.get(t, s.provider.Authorize(t, location))
		if end.StatusCode != 303 || end.Header.Get("Location") != target || end.Header.Get("Referrer-Policy") != "no-referrer" || end.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s %v", end.Status, end.Header)
		}
		if cookies := end.Cookies(); len(cookies) != 1 || cookies[0].Name != "__Host-usher" || !cookies[0].HttpOnly || end.body != "" {
			t.Errorf("%v", end.Header["Set-Cookie"])
		}
		if _, in := b.isIn(t); !in {
			t.Error("not signed in")
		}
	}
}

// TestS_D16_OpenRedirect: rows 53 and 63.
func TestS_D16_OpenRedirect(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	for _, target := range []string{
		"//e.example", `/\e.example`, "///e.example", "/%09/e.example", "https:e.example", "https://good@e.example", "javascript:alert(1)", "/%2f/e.example",
		"https://front.example.com/welcome", "https://front.example.com/welcome?from=oauth&x=1", "https://evil.example/",
	} {
		a := s.browser().get(t, "/auth/fake/authorize?redirect_to="+url.QueryEscape(target))
		expect(t, a, 400, "OAUTH_REDIRECT_NOT_ALLOWED")
		if a.Header.Get("Location") != "" || len(a.Header["Set-Cookie"]) != 0 {
			t.Errorf("%q: %v", target, a.Header)
		}
	}
	// The callback takes a target from the state and from nowhere else.
	b := s.browser()
	callback := b.consent(t, "/auth/fake")
	a := b.get(t, callback+"&redirect_to=https%3A%2F%2Fevil.example%2F", "Referer", "https://evil.example/")
	if a.StatusCode != 204 || a.Header.Get("Location") != "" {
		t.Errorf("%s %v", a.Status, a.Header)
	}
}

// TestRedirectErrors: the front end learns what went wrong, if the state is good.
func TestRedirectErrors(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	begin := func(provider string) string {
		t.Helper()
		return b.get(t, "/auth/"+provider+"/authorize?redirect_to=https%3A%2F%2Ffront.example.com%2Fwelcome%3Ffrom%3Doauth").Header.Get("Location")
	}
	check := func(a answer, want string) {
		t.Helper()
		if location := a.Header.Get("Location"); a.StatusCode != 303 || location != "https://front.example.com/welcome?error="+want+"&from=oauth" {
			t.Errorf("%s %s %s, want error=%s", a.Status, location, a.body, want)
		}
		if len(a.Cookies()) > 0 {
			t.Errorf("%v", a.Cookies())
		}
	}
	s.provider.SetFault("/authorize", ushertest.FaultDenied)
	check(b.get(t, s.provider.Authorize(t, begin("fake"))), "access_denied")
	s.provider.SetFault("/authorize", "")
	s.provider.SetFault("/token", ushertest.FaultUnavailable)
	check(b.get(t, s.provider.Authorize(t, begin("fake"))), "Service+Unavailable")
	s.provider.SetFault("/token", "")
	s.provider.SetUser(ushertest.ProviderUser{ID: "9"})
	address := begin("fake")
	check(b.get(t, s.provider.Authorize(t, address)), "OAUTH_NOT_AVAILABLE_EMAIL")
	// A stranger's state redirects nobody.
	callback := s.provider.Authorize(t, address)
	expect(t, s.browser().get(t, callback), 400, "OAUTH_INVALID_STATE")
	expect(t, b.get(t, strings.Replace(callback, "state=", "state=x", 1)), 400, "ACCESS_TOKEN_DECODE_ERROR")
}

// TestRedirectNeedsCookies: a token would have to be in the URL.
func TestRedirectNeedsCookies(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Backend = "bearer" }})
	expect(t, s.browser().get(t, "/auth/fake/authorize?redirect_to=/"), 400, "OAUTH_REDIRECT_NOT_ALLOWED")
}

// TestS_H10_RedirectToLink: row 83, only a page of the site itself begins a link
// that needs no script.
func TestS_H10_RedirectToLink(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	ann := s.user(t, "ann@example.com", true)
	b := s.browser()
	b.login(t, "ann@example.com")
	const path = "/auth/associate/fake/authorize?redirect_to=/settings"
	for _, from := range []string{"cross-site", "same-site", "none", ""} {
		a := b.get(t, path, "Sec-Fetch-Site", from)
		expect(t, a, 403, "CROSS_ORIGIN_REQUEST")
	}
	begin := b.get(t, path, "Sec-Fetch-Site", "same-origin")
	end := b.get(t, s.provider.Authorize(t, begin.Header.Get("Location")))
	if end.StatusCode != 303 || end.Header.Get("Location") != "/settings" || len(end.Cookies()) > 0 || len(s.links(t, ann.ID)) != 1 {
		t.Errorf("%s %v", end.Status, end.Header)
	}
}

// TestFormPost: a provider that posts (Apple). The POST comes from another site's
// page and has no cookies of ours.
func TestFormPost(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) {
		p := s.oidc("posts")
		p.FormPost = true
		c.Providers = append(c.Providers, p)
	}})
	b := s.browser()
	address := b.authorize(t, "/auth/posts")
	if _, values := paramsOf(t, address); values.Get("response_mode") != "form_post" {
		t.Errorf("%s", address)
	}
	form := mustURL(t, s.provider.Authorize(t, address)).Query()
	form.Set("user", `{"name": {"firstName": "Mallory"}}`)
	post := func(form url.Values) answer {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), "POST", s.URL+"/auth/posts/callback", strings.NewReader(form.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		return s.browser().send(t, r)
	}
	a := post(form)
	location := a.Header.Get("Location")
	if a.StatusCode != 303 || !strings.HasPrefix(location, "?") || strings.Contains(location, "user=") || len(a.Cookies()) > 0 {
		t.Fatalf("%s %v", a.Status, a.Header)
	}
	target := mustURL(t, s.URL+"/auth/posts/callback").ResolveReference(mustURL(t, location))
	if a := b.get(t, target.String()); a.StatusCode != 204 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if a := post(url.Values{"code": {strings.Repeat("x", 100<<10)}}); a.StatusCode != 400 {
		t.Errorf("a large form: %s", a.Status)
	}
	// The state is doubled on purpose: it stays so, and is refused.
	a = post(url.Values{"code": {"c"}, "state": {"a", "b"}})
	expect(t, b.get(t, s.URL+"/auth/posts/callback"+a.Header.Get("Location")), 400, "Bad Request")
}
