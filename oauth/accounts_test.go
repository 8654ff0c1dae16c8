package oauth_test

import (
	"database/sql"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"usher"
	"usher/oauth"
	"usher/ushertest"
)

// TestS_H10_Associate: row 83, an account is linked to who is signed in and began.
func TestS_H10_Associate(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	ann, bob := s.user(t, "ann@example.com", false), s.user(t, "bob@example.com", false)
	expect(t, s.browser().get(t, "/auth/associate/fake/authorize"), 401, "Unauthorized")
	b, other := s.browser(), s.browser()
	b.login(t, "ann@example.com")
	other.login(t, "bob@example.com")
	s.provider.SetUser(ushertest.ProviderUser{ID: "7", Email: "seven@example.com"})
	callback := b.consent(t, "/auth/associate/fake")
	if claims := claimsOf(t, mustURL(t, callback).Query().Get("state")); claims["sub"] != string(ann.ID) {
		t.Errorf("claims %v", claims)
	}
	csrf := ""
	for _, cookie := range b.Jar.Cookies(mustURL(t, s.URL)) {
		if cookie.Name == "__Host-usher-oauth" {
			csrf = cookie.String()
		}
	}
	before := s.provider.Count("/token")
	expect(t, s.browser().get(t, callback, "Cookie", csrf), 401, "Unauthorized")
	expect(t, other.get(t, callback), 400, "OAUTH_INVALID_STATE")
	expect(t, other.get(t, callback, "Cookie", csrf+"; "+other.Jar.Cookies(mustURL(t, s.URL))[0].String()), 400, "Bad Request")
	expect(t, b.get(t, strings.Replace(callback, "state=", "state=x", 1)), 400, "ACCESS_TOKEN_DECODE_ERROR")
	if s.provider.Count("/token") != before || len(s.links(t, ann.ID))+len(s.links(t, bob.ID)) != 0 {
		t.Error("something was linked")
	}
	a := b.get(t, callback)
	var me struct {
		ID            usher.ID
		Email         string
		FirstName     *string `json:"first_name"`
		OAuthAccounts []struct {
			ID        string
			ExpiresAt *int64 `json:"expires_at"`
		} `json:"oauth_accounts"`
	}
	if err := json.Unmarshal([]byte(a.body), &me); err != nil || a.StatusCode != 200 {
		t.Fatalf("%s %s", a.Status, a.body)
	}
	if me.ID != ann.ID || me.Email != "ann@example.com" || me.FirstName == nil || len(me.OAuthAccounts) != 1 || me.OAuthAccounts[0].ExpiresAt == nil {
		t.Errorf("%s", a.body)
	}
	expect(t, b.get(t, callback), 400, "OAUTH_PROVIDER_ERROR") // the code is spent
	if event, _ := s.events.last(oauth.EventLink); event.UserID != ann.ID || event.Err == nil {
		t.Errorf("event %+v", event)
	}
	// Ann's address is still not verified, and her password still hers.
	if now := s.stored(t, "ann@example.com"); now.IsVerified || now.HashedPassword != ann.HashedPassword {
		t.Errorf("%+v", now)
	}
	// The account signs her in now.
	again := s.browser()
	again.flow(t, "/auth/fake")
	if who, _ := again.isIn(t); who.ID != ann.ID {
		t.Errorf("%+v", who)
	}
	// Linking it again changes nothing; to another user it cannot be linked.
	if a := b.flow(t, "/auth/associate/fake"); a.StatusCode != 200 || len(s.links(t, ann.ID)) != 1 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	expect(t, other.flow(t, "/auth/associate/fake"), 400, "OAUTH_ACCOUNT_ALREADY_LINKED")
	if len(s.links(t, bob.ID)) != 0 {
		t.Error("linked to two")
	}
}

// TestDefect_F_SharedAccount: sixteen users link one account at once, one wins, and
// the account signs in.
func TestDefect_F_SharedAccount(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		s := newSite(t, options{on: on})
		const n = 16
		browsers, callbacks := make([]*browser, n), make([]string, n)
		s.provider.SetUser(ushertest.ProviderUser{ID: "shared"})
		for i := range n {
			email := string(rune('a'+i)) + "@example.com"
			s.user(t, email, true)
			browsers[i] = s.browser()
			browsers[i].login(t, email)
			callbacks[i] = browsers[i].consent(t, "/auth/associate/fake")
		}
		won := 0
		for _, a := range together(t, n, func(i int) answer { return browsers[i].get(t, callbacks[i]) }) {
			if a.StatusCode == 200 {
				won++
			} else {
				expect(t, a, 400, "OAUTH_ACCOUNT_ALREADY_LINKED")
			}
		}
		if a := s.browser().flow(t, "/auth/fake"); won != 1 || a.StatusCode != 204 {
			t.Errorf("%d won; %s %s", won, a.Status, a.body)
		}
	})
}

// TestUnlink: but never the last way in.
func TestUnlink(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	b := s.browser()
	b.flow(t, "/auth/fake") // without a password
	ann := s.stored(t, "ann@example.com")
	first := s.links(t, ann.ID)[0].ID
	expect(t, s.browser().get(t, "/users/me/oauth-accounts"), 401, "Unauthorized")
	expect(t, s.browser().do(t, "DELETE", "/users/me/oauth-accounts/"+first), 401, "Unauthorized")
	expect(t, b.do(t, "DELETE", "/users/me/oauth-accounts/"+first), 400, "OAUTH_LAST_WAY_IN")
	expect(t, b.do(t, "DELETE", "/users/me/oauth-accounts/nonsense"), 404, "Not Found")
	s.provider.SetUser(ushertest.ProviderUser{ID: "2", Email: "two@example.com"})
	b.flow(t, "/auth/associate/sso")
	list := b.get(t, "/users/me/oauth-accounts")
	var views []map[string]any
	if err := json.Unmarshal([]byte(list.body), &views); err != nil || len(views) != 2 || list.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s %s", list.Status, list.body)
	}
	if views[0]["oauth_name"] != "fake" || views[0]["account_email"] != "ann@example.com" || views[1]["oauth_name"] != "sso" || views[1]["account_id"] != "2" {
		t.Errorf("%v", views)
	}
	// D7: another site cannot make the browser do it.
	expect(t, b.do(t, "DELETE", "/users/me/oauth-accounts/"+first, "Sec-Fetch-Site", "cross-site"), 403, "CROSS_ORIGIN_REQUEST")
	// Nobody unlinks another's.
	s.user(t, "bob@example.com", true)
	bob := s.browser()
	bob.login(t, "bob@example.com")
	expect(t, bob.do(t, "DELETE", "/users/me/oauth-accounts/"+first), 404, "Not Found")
	if len(s.links(t, ann.ID)) != 2 {
		t.Fatal("something was unlinked")
	}
	if a := b.do(t, "DELETE", "/users/me/oauth-accounts/"+first); a.StatusCode != 204 || len(s.links(t, ann.ID)) != 1 {
		t.Errorf("%s %s", a.Status, a.body)
	}
	if event, _ := s.events.last(oauth.EventUnlink); event.UserID != ann.ID || event.Err != nil {
		t.Errorf("event %+v", event)
	}
	s.provider.SetUser(ushertest.ProviderUser{ID: "1"})
	expect(t, s.browser().flow(t, "/auth/fake"), 400, "OAUTH_NOT_AVAILABLE_EMAIL")
}

// TestUnlinkBothAtOnce: of the last two, one stays.
func TestUnlinkBothAtOnce(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		s := newSite(t, options{on: on})
		b := s.browser()
		b.flow(t, "/auth/fake")
		ann := s.stored(t, "ann@example.com")
		for i := range 5 {
			provider := []string{"fake", "sso"}[i%2]
			s.provider.SetUser(ushertest.ProviderUser{ID: i + 100})
			if provider == "sso" {
				s.provider.SetUser(ushertest.ProviderUser{ID: string(rune('a' + i))})
			}
			if a := b.flow(t, "/auth/associate/"+provider); a.StatusCode != 200 {
				t.Fatalf("%s %s", a.Status, a.body)
			}
			links := s.links(t, ann.ID)
			if len(links) != 2 {
				t.Fatalf("%+v", links)
			}
			answers := together(t, 2, func(i int) answer { return b.do(t, "DELETE", "/users/me/oauth-accounts/"+links[i].ID) })
			if len(s.links(t, ann.ID)) != 1 {
				t.Fatalf("%s %s, %s %s", answers[0].Status, answers[0].body, answers[1].Status, answers[1].body)
			}
		}
	})
}

// TestS_H12_ProviderTokens: row 73 and DEFECTS E, sealed in the store, and nowhere else.
func TestS_H12_ProviderTokens(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := newSite(t, options{on: onFile})
	b := s.browser()
	a := b.flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	token, err := s.oauth.Token(t.Context(), ann.ID, "fake")
	if err != nil || token.AccessToken == "" || token.RefreshToken == "" {
		t.Fatalf("%+v, %v", token, err)
	}
	said := []string{a.body, b.get(t, "/users/me").body, b.get(t, "/users/me/oauth-accounts").body, b.flow(t, "/auth/associate/fake").body, s.log.String()}
	said = append(said, dump(t, s, dir))
	if said[1] == "" || said[5] == "" {
		t.Fatal("nothing was said")
	}
	link := s.links(t, ann.ID)[0]
	if len(link.AccessToken) == 0 || len(link.RefreshToken) == 0 {
		t.Error("nothing is stored")
	}
	for _, text := range said {
		for _, secret := range []string{token.AccessToken, token.RefreshToken, s.provider.ClientSecret} {
			if strings.Contains(text, secret) {
				t.Errorf("a secret is in %.200s", text)
			}
		}
	}
}

// dump returns all bytes of the database.
func dump(t testing.TB, s *site, dir string) string {
	t.Helper()
	copied := filepath.Join(dir, "copy.db")
	db, err := sql.Open("sqlite", s.file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "VACUUM INTO ?", copied); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(copied)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}

// TestS_H12_NoKeysNoTokens: without keys nothing is stored.
func TestS_H12_NoKeysNoTokens(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{oauth: func(_ *site, c *oauth.Config[User]) { c.EncryptionKeys = nil }})
	s.browser().flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	if link := s.links(t, ann.ID)[0]; link.AccessToken != nil || link.RefreshToken != nil || !link.ExpiresAt.IsZero() {
		t.Errorf("%+v", link)
	}
	if _, err := s.oauth.Token(t.Context(), ann.ID, "fake"); err == nil {
		t.Error("there is a token")
	}
}

// TestDeleteUserWithAccount: DEFECTS F.
func TestDefect_F_DeleteUserWithAccount(t *testing.T) {
	t.Parallel()
	s := newSite(t, options{})
	s.browser().flow(t, "/auth/fake")
	ann := s.stored(t, "ann@example.com")
	if err := s.auth.DeleteUser(t.Context(), ann.ID); err != nil {
		t.Fatal(err)
	}
	b := s.browser()
	b.flow(t, "/auth/fake")
	if me, in := b.isIn(t); !in || me.ID == ann.ID {
		t.Errorf("%+v", me)
	}
}
