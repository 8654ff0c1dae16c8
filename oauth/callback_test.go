package oauth_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

// TestSignInWithProvider: the whole way, by OAuth 2.0 and by OpenID Connect, into a
// cookie.
func TestSignInWithProvider(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	for _, provider := range []string{"fake", "sso"} {
		email := provider + "@example.com"
		s.provider.SetUser(ushertest.ProviderUser{ID: "id-" + provider, Email: email, EmailVerified: true})
		b := s.browser()
		a := b.flow(t, "/auth/"+provider)
		if a.StatusCode != 204 || a.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: %s %s", provider, a.Status, a.body)
		}
		me, in := b.isIn(t)
		if !in || me.Email != email || !me.IsVerified || !me.IsActive || me.IsSuperuser {
			t.Errorf("%s: %+v", provider, me)
		}
		links := s.links(t, me.ID)
		if len(links) != 1 || links[0].Provider != provider || links[0].AccountID != "id-"+provider || links[0].Email != email {
			t.Errorf("%+v", links)
		}
		again := s.browser()
		if a := again.flow(t, "/auth/"+provider); a.StatusCode != 204 {
			t.Errorf("%s again: %s %s", provider, a.Status, a.body)
		}
		if you, _ := again.isIn(t); you.ID != me.ID || s.stored(t, email).HashedPassword != "" {
			t.Errorf("%s again is %+v", provider, you)
		}
		event, _ := s.events.last(usher.EventLogin)
		if event.UserID != me.ID || event.Err != nil || event.SessionID == "" {
			t.Errorf("event %+v", event)
		}
		sessions, err := s.auth.ListSessions(t.Context(), me.ID)
		if err != nil || len(sessions) != 2 || !slices.Equal(sessions[0].Methods, []string{"oauth"}) {
			t.Errorf("sessions %+v, %v", sessions, err)
		}
	}
}

func TestSignInWithBearer(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Backend = "bearer" }})
	b := s.browser()
	a := b.flow(t, "/auth/fake")
	if a.StatusCode != 200 || member(t, a, "token_type") != "bearer" {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	b.header.Set("Authorization", "Bearer "+member(t, a, "access_token"))
	if _, in := b.isIn(t); !in {
		t.Error("the token is not good")
	}
}

// TestS_H1_AnotherBrowser: rows 1 and 2, the flow begins in one browser and ends
// in another.
func TestS_H1_AnotherBrowser(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	attacker, victim := s.browser(), s.browser()
	callback := attacker.consent(t, "/auth/fake")
	exchanges := s.provider.Count("/token")
	refuse := func(what, target, code string) {
		t.Helper()
		a := victim.get(t, target)
		if a.StatusCode != 400 || a.detail() != code || len(a.Header["Set-Cookie"]) > 0 {
			t.Errorf("%s: %s %s %v", what, a.Status, a.body, a.Header["Set-Cookie"])
		}
	}
	refuse("no cookie", callback, "OAUTH_INVALID_STATE")
	victim.authorize(t, "/auth/fake")
	refuse("own cookie", callback, "OAUTH_INVALID_STATE")
	u := mustURL(t, callback)
	for what, change := range map[string]func(q url.Values){
		"no state":          func(q url.Values) { q.Del("state") },
		"empty state":       func(q url.Values) { q.Set("state", "") },
		"state of nonsense": func(q url.Values) { q.Set("state", "x") },
	} {
		q := u.Query()
		change(q)
		refuse(what, s.URL+"/auth/fake/callback?"+q.Encode(), "ACCESS_TOKEN_DECODE_ERROR")
	}
	q := u.Query()
	q.Add("state", q.Get("state"))
	refuse("two states", s.URL+"/auth/fake/callback?"+q.Encode(), "Bad Request")
	if n := s.userCount(t); n != 0 {
		t.Errorf("there are %d users", n)
	}
	// DEFECTS F: the code is not exchanged for those who have no state.
	if n := s.provider.Count("/token"); n != exchanges {
		t.Errorf("the provider was asked %d times", n-exchanges)
	}
	if a := attacker.get(t, callback); a.StatusCode != 204 {
		t.Errorf("the one who began: %s %s", a.Status, a.body)
	}
}

// TestS_H1_StateCookieValues: what a cookie may hold, empty and beyond ASCII
// (DEFECTS G).
func TestS_H1_StateCookieValues(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	callback := s.browser().consent(t, "/auth/fake")
	for _, cookie := range []string{"__Host-usher-oauth=", "__Host-usher-oauth=\xe9", "__Host-usher-oauth", `__Host-usher-oauth="x"`, "=x"} {
		expect(t, s.browser().get(t, callback, "Cookie", cookie), 400, "OAUTH_INVALID_STATE")
	}
}

// TestS_H1_StateOnce: DEFECTS F and row 102.
func TestS_H1_StateOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	address := b.authorize(t, "/auth/fake")
	if a := b.get(t, s.provider.Authorize(t, address)); a.StatusCode != 204 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	// A fresh code, the same state and cookie.
	a := b.get(t, s.provider.Authorize(t, address))
	expect(t, a, 400, "OAUTH_INVALID_STATE")
	if len(a.Header["Set-Cookie"]) > 0 {
		t.Errorf("a replay gets %v", a.Header["Set-Cookie"])
	}
}

// TestS_H1_SixteenCallbacks with one state: one wins, whether each brings a code of
// its own or all bring the same.
func TestS_H1_SixteenCallbacks(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		// Some look for the account just before the winner has stored it, and for the
		// user just after.
		late := []string{"OAUTH_INVALID_STATE", "OAUTH_USER_ALREADY_EXISTS"}
		for name, refusals := range map[string][]string{"a code each": late, "one code": append(late, "OAUTH_PROVIDER_ERROR")} {
			s := newSite(t, options{on: on})
			b := s.browser()
			address := b.authorize(t, "/auth/fake")
			callbacks := make([]string, 16)
			for i := range callbacks {
				if callbacks[i] = callbacks[0]; i == 0 || name == "a code each" {
					callbacks[i] = s.provider.Authorize(t, address)
				}
			}
			cookie := b.Jar.Cookies(mustURL(t, s.URL))[0]
			answers := together(t, len(callbacks), func(i int) answer {
				return s.browser().get(t, callbacks[i], "Cookie", cookie.String())
			})
			won := 0
			for _, a := range answers {
				if a.StatusCode == 204 {
					won++
				} else if a.StatusCode != 400 || !slices.Contains(refusals, a.detail()) {
					t.Errorf("%s: %s %s, want 400 and one of %q", name, a.Status, a.body, refusals)
				}
			}
			if won != 1 || s.userCount(t) != 1 {
				t.Errorf("%s: %d won, %d users", name, won, s.userCount(t))
			}
			if sessions, err := s.auth.ListSessions(t.Context(), s.stored(t, "ann@example.com").ID); err != nil || len(sessions) != 1 {
				t.Errorf("%s: %d sessions, %v", name, len(sessions), err)
			}
		}
	})
}

// together calls f n times at the same moment.
func together(t testing.TB, n int, f func(i int) answer) []answer {
	t.Helper()
	answers := make([]answer, n)
	var start, end sync.WaitGroup
	start.Add(1)
	for i := range n {
		end.Go(func() {
			start.Wait()
			answers[i] = f(i)
		})
	}
	start.Done()
	end.Wait()
	return answers
}

// TestStateSurvivesFailures: what failed may be tried again.
func TestStateSurvivesFailures(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	address := b.authorize(t, "/auth/fake")
	try := func() answer { return b.get(t, s.provider.Authorize(t, address)) }
	s.provider.SetUser(ushertest.ProviderUser{ID: "1"})
	expect(t, try(), 400, "OAUTH_NOT_AVAILABLE_EMAIL")
	s.user(t, "taken@example.com", true)
	s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "taken@example.com"})
	expect(t, try(), 400, "OAUTH_USER_ALREADY_EXISTS")
	s.provider.SetFault("/token", ushertest.FaultUnavailable)
	expect(t, try(), 503, "Service Unavailable")
	s.provider.SetFault("/token", "")
	s.provider.SetUser(ushertest.ProviderUser{ID: "1", Email: "new@example.com"})
	s.once.setAway(true)
	expect(t, try(), 503, "Service Unavailable")
	s.once.setAway(false)
	s.accounts.setAway(true)
	expect(t, try(), 503, "Service Unavailable")
	s.accounts.setAway(false)
	if a := try(); a.StatusCode != 204 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	expect(t, try(), 400, "OAUTH_INVALID_STATE")
}

func TestExpiredState(t *testing.T) {
	t.Parallel()
	clock := ushertest.NewClock(time.Now())
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.Now, c.StateLifetime = clock.Now, time.Minute }})
	b := s.browser()
	callback := b.consent(t, "/auth/fake")
	b.Jar = nil // a browser would have forgotten the cookie as well
	cookie := "__Host-usher-oauth=" + claimsOf(t, mustURL(t, callback).Query().Get("state"))["csrftoken"].(string)
	clock.Advance(time.Minute)
	expect(t, b.get(t, callback, "Cookie", cookie), 400, "ACCESS_TOKEN_ALREADY_EXPIRED")
}

// TestProviderSaysNo: only what looks like a code is repeated (row 54).
func TestProviderSaysNo(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	for query, want := range map[string]string{
		"":                                    "Bad Request",
		"?error=access_denied":                "access_denied",
		"?error=access_denied&code=c&state=s": "access_denied",
		"?error=temporarily_unavailable":      "temporarily_unavailable",
		"?error=consent_required":             "consent_required",
		"?error=user_cancelled_login":         "user_cancelled_login", // LinkedIn
		"?error=":                             "Bad Request",
		"?error=Access_Denied":                "Bad Request",
		"?error=_x":                           "Bad Request",
		"?error=a_very_long_story_that_some_stranger_wrote": "Bad Request",
		"?error=%3Cscript%3E":                               "Bad Request",
		"?error=your+account+is+locked+call+12345":          "Bad Request",
		"?error=access_denied&error=server_error":           "Bad Request",
		"?state=s":         "Bad Request",
		"?code=&state=s":   "Bad Request",
		"?code=c&code=d":   "Bad Request",
		"?code=c":          "ACCESS_TOKEN_DECODE_ERROR",
		"?code=c&state=":   "ACCESS_TOKEN_DECODE_ERROR",
		"?code=c&state=xx": "ACCESS_TOKEN_DECODE_ERROR",
	} {
		expect(t, b.get(t, "/auth/fake/callback"+query), 400, want)
	}
	s.provider.SetFault("/authorize", ushertest.FaultDenied)
	expect(t, b.flow(t, "/auth/fake"), 400, "access_denied")
	if event, ok := s.events.last(usher.EventLogin); !ok || event.Err == nil || event.Backend != "cookie" || event.IP == "" {
		t.Errorf("event %+v", event)
	}
}

// TestS_H3_MixUp: row 57, a state belongs to one provider, one purpose, one route.
func TestS_H3_MixUp(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(s *site, c *oauth.Config[User]) { c.Providers = append(c.Providers, s.plain("other")) }})
	mux := http.NewServeMux()
	bearer := s.config()
	bearer.Path, bearer.AssociatePath, bearer.AccountsPath, bearer.Backend = "/bearer", "-", "-", "bearer"
	s.mount(t, mux, bearer)
	s.user(t, "ann@example.com", true)
	b := s.browser()
	b.login(t, "ann@example.com")
	callback := mustURL(t, b.consent(t, "/auth/fake"))
	for _, path := range []string{"/auth/other/callback", "/auth/sso/callback", "/auth/associate/fake/callback"} {
		a := b.get(t, path+"?"+callback.RawQuery)
		if a.StatusCode != 400 || a.detail() != "OAUTH_INVALID_STATE" && a.detail() != "Bad Request" {
			t.Errorf("%s: %s %s", path, a.Status, a.body)
		}
	}
	// The same secret, another backend.
	r := newRequest(t, "/bearer/fake/callback?"+callback.RawQuery)
	for _, cookie := range b.Jar.Cookies(mustURL(t, s.URL)) {
		r.AddCookie(cookie)
	}
	w := newRecorder()
	mux.ServeHTTP(w, r)
	if w.Code != 400 || !strings.Contains(w.Body.String(), "OAUTH_INVALID_STATE") {
		t.Errorf("another route: %d %s", w.Code, w.Body)
	}
	// The state of one who links is no state to sign in with.
	linking := mustURL(t, b.consent(t, "/auth/associate/fake"))
	expect(t, b.get(t, "/auth/fake/callback?"+linking.RawQuery), 400, "OAUTH_INVALID_STATE")
}

// TestS_E10_OtherTokensAsState: the tokens of other purposes are no states.
func TestS_E10_OtherTokensAsState(t *testing.T) {
	t.Parallel()
	key := []byte("0d9c8b7a6f5e4d3c2b1a09f8e7d6c5b4a3928170")
	jwts := &usher.JWT{Keys: []usher.Key{usher.SecretKey("", key)}}
	s := newSite(t, options{
		auth: func(c *usher.Config[User]) {
			c.Backends = append(c.Backends, usher.Backend{Name: "jwt", Transport: usher.Bearer{}, Strategy: jwts})
		},
		oauth: func(_ *site, c *oauth.Config[User]) { c.Secret, c.Backend = key, "jwt" },
	})
	b := s.browser()
	callback := b.consent(t, "/auth/fake")
	a := b.get(t, callback)
	token := member(t, a, "access_token")
	expect(t, b.get(t, "/auth/fake/callback?code=c&state="+token), 400, "ACCESS_TOKEN_DECODE_ERROR")
	b.header.Set("Authorization", "Bearer "+mustURL(t, callback).Query().Get("state"))
	if _, in := b.isIn(t); in {
		t.Error("a state is an access token")
	}
}
