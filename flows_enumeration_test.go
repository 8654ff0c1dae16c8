package usher_test

import (
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"usher"

	"github.com/golang-jwt/jwt/v5"
)

// strangers are the kinds of users that a stranger must not tell apart, by their
// addresses. Of nobody@ there is none.
var strangers = map[string]func(*User){
	"nobody@example.com":     nil,
	"verified@example.com":   func(*User) {},
	"unproved@example.com":   asUnverified,
	"inactive@example.com":   asInactive,
	"inactive2@example.com":  func(u *User) { u.IsActive, u.IsVerified = false, false },
	"oauthonly@example.com":  withoutPassword,
	"oauthonly2@example.com": func(u *User) { u.HashedPassword, u.IsVerified = "", false },
	"unusable@example.com":   func(u *User) { u.HashedPassword = "!" },
	"superuser@example.com":  asSuperuser,
}

// trace is all that a stranger can learn of a request by its answer, and, as far
// as it can be counted, by the time that it takes (TIMING.md, layer 1).
type trace struct {
	answer string
	hashes uint64
	calls  string // of the store
	mails  int
}

func (x *flows) trace(t testing.TB, request func() answer) (tr trace) {
	t.Helper()
	x.sent(t)
	before := x.hasher.Hashes()
	calls := x.store.during(func() { tr.answer = withoutDate(request()) })
	tr.hashes = x.hasher.Hashes() - before
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		if calls[name] > 0 {
			tr.calls += fmt.Sprintf("%s×%d ", name, calls[name])
		}
	}
	tr.mails = len(x.mails(t))
	return tr
}

// publicRequest is one that anybody may send with an address, and what it costs,
// whoever has the address.
type publicRequest struct {
	method, path string
	body         func(email string) any
	want         trace
}

// publicRequests are all of them.
func publicRequests(backends []string) (list []publicRequest) {
	for _, b := range backends {
		list = append(list, publicRequest{"POST", "/auth/" + b + "/login", func(email string) any { return loginForm(email, "wrong") }, trace{"400", 1, "UserByEmail×1 ", 0}})
	}
	address := func(email string) any { return map[string]any{"email": email} }
	return append(list,
		publicRequest{"POST", "/auth/forgot-password", address, trace{"202", 0, "AddMessage×1 UserByEmail×1 ", 1}},
		publicRequest{"POST", "/auth/request-verify-token", address, trace{"202", 0, "AddMessage×1 UserByEmail×1 ", 1}},
		publicRequest{"GET", "/auth/careless/authorize", nil, trace{"200", 0, "", 0}},
		// The last: it makes somebody of nobody.
		publicRequest{"POST", "/auth/register", func(email string) any { return registering(email) }, trace{"202", 1, "AddMessage×1 CreateUser×1 InTx×1 UserByEmail×1 ", 1}},
	)
}

// ask sends a public request about somebody.
func (x *flows) ask(t testing.TB, p publicRequest, email string) answer {
	t.Helper()
	if p.body != nil {
		return x.send(t, p.method, p.path, p.body(email))
	}
	query := url.Values{"email": {email}, "login_hint": {email}, "username": {email}}
	a := x.send(t, p.method, p.path+"?"+query.Encode(), nil)
	// Of what is drawn by lot only the length can tell.
	cookie, _, _ := strings.Cut(a.header.Get("Set-Cookie"), ";")
	var begun struct {
		URL string `json:"authorization_url"`
	}
	a.json(t, &begun)
	lots := mustURL(t, begun.URL).Query()
	for _, lot := range []string{cookie[strings.Index(cookie, "=")+1:], lots.Get("state"), lots.Get("code_challenge")} {
		if len(lot) < 20 {
			t.Fatalf("no lot: %q in %s", lot, withoutDate(a))
		}
		as := fmt.Sprintf("(%d bytes)", len(lot))
		a.body = strings.ReplaceAll(a.body, lot, as)
		a.header.Set("Set-Cookie", strings.ReplaceAll(a.header.Get("Set-Cookie"), lot, as))
	}
	return a
}

func hiding(_ testing.TB, _ *site, c *usher.Config[User]) {
	c.Registration.HideExistingAccounts = true
}

// Nothing that a stranger can ask tells whether somebody has an address, nor what
// kind of user that is: not the status, body, headers or cookies, and not the
// work done (B1, B2, B4, TIMING layer 1, DEFECTS B and C). With -v it prints the table.
func TestS_B2_StrangersLearnNothing(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]siteOption{
		"as it is":              {hiding},
		"verified only":         {hiding, configured(func(c *usher.Config[User]) { c.RequireVerified = true })},
		"FastAPI Users' tokens": {hiding, fastAPIUsers, configured(func(c *usher.Config[User]) { c.FastAPIUsersResetTokens = true })},
		"sessions in Redis":     {hiding, withRedis},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			backends := plainBackends
			if name == "sessions in Redis" {
				backends = redisBackends
			}
			table := &strings.Builder{}
			x := newFlows(t, options...)
			x.withProvider(t, x.store)
			for email, change := range strangers {
				if change != nil {
					x.add(t, email, change)
				}
			}
			for _, p := range publicRequests(backends) {
				want := p.want
				if name == "FastAPI Users' tokens" && p.path == "/auth/forgot-password" {
					want.hashes = 1
				}
				model := x.trace(t, func() answer { return x.ask(t, p, "somebody@example.com") })
				if status, _, _ := strings.Cut(model.answer, "\n"); status != want.answer {
					t.Errorf("%s: %s, want %s", p.path, model.answer, want.answer)
				}
				asked := 0
				for email := range strangers {
					for _, spelling := range []string{email, strings.ToUpper(email), " " + email} {
						asked++
						got := x.trace(t, func() answer { return x.ask(t, p, spelling) })
						if got.answer != model.answer {
							t.Errorf("%s of %s:\n%s\nof somebody:\n%s", p.path, spelling, got.answer, model.answer)
						}
						if got.hashes != want.hashes || got.calls != want.calls || got.mails != want.mails {
							t.Errorf("%s of %s: %d hashes, %s, %d mails; want %d hashes, %s, %d mails", p.path, spelling, got.hashes, got.calls, got.mails, want.hashes, want.calls, want.mails)
						}
					}
				}
				fmt.Fprintf(table, "%-4s %-27s %d answers of %d kinds alike: %s, %d hashes, %d mails, store: %s\n",
					p.method, p.path, asked, len(strangers), want.answer, want.hashes, want.mails, want.calls)
			}
			t.Log("\n" + table.String())
		})
	}
}

// Who is mailed what: only users for whom there is something to do, at the
// address that is stored; for all others a mail to nobody is stored (B13).
func TestS_B13_MailsGoToTheStoredAddress(t *testing.T) {
	t.Parallel()
	x := newFlows(t, hiding)
	for email, change := range strangers {
		if change != nil {
			x.add(t, email, change)
		}
	}
	x.add(t, "José@bücher.example", asUnverified)
	register := func(email string) any { return map[string]any{"email": email, "password": "a good password"} }
	for _, test := range []struct{ path, email, want string }{
		{"/auth/forgot-password", "nobody@example.com", "none"},
		{"/auth/forgot-password", "inactive@example.com", "none"},
		{"/auth/forgot-password", "inactive2@example.com", "none"},
		{"/auth/forgot-password", "verified@example.com", "reset verified@example.com"},
		{"/auth/forgot-password", "unproved@example.com", "reset unproved@example.com"},
		{"/auth/forgot-password", "oauthonly@example.com", "reset oauthonly@example.com"},
		{"/auth/request-verify-token", "nobody@example.com", "none"},
		{"/auth/request-verify-token", "inactive2@example.com", "none"},
		{"/auth/request-verify-token", "verified@example.com", "none"},
		{"/auth/request-verify-token", "unproved@example.com", "verify unproved@example.com"},
		{"/auth/request-verify-token", "oauthonly2@example.com", "verify oauthonly2@example.com"},
		{"/auth/register", "verified@example.com", "already_registered verified@example.com"},
		{"/auth/register", "inactive@example.com", "already_registered inactive@example.com"},
		{"/auth/register", "New@example.com", "verify New@example.com"},
		// However it is spelled: CVE-2019-19844.
		{"/auth/forgot-password", " VERIFIED@Example.com", "reset verified@example.com"},
		{"/auth/forgot-password", "ｖｅｒｉfied@example.com", "reset verified@example.com"},
		{"/auth/forgot-password", "JOSE\u0301@xn--bcher-kva.example", "reset José@bücher.example"},
		{"/auth/request-verify-token", "ｊｏｓé@BÜCHER.example", "verify José@bücher.example"},
		{"/auth/register", "ｊｏｓé@BÜCHER.example", "already_registered José@bücher.example"},
		// And what merely looks like it is another.
		{"/auth/forgot-password", "verіfied@example.com", "none"},
		{"/auth/forgot-password", "jose@bücher.example", "none"},
		{"/auth/forgot-password", "josé@bucher.example", "none"},
		{"/auth/forgot-password", "verified+tag@example.com", "none"},
	} {
		body := any(map[string]any{"email": test.email})
		if test.path == "/auth/register" {
			body = register(test.email)
		}
		x.sent(t)
		x.send(t, "POST", test.path, body).want(t, 202)
		for _, m := range x.mails(t) {
			if m.Kind == usher.MailNone && (m.UserID != "" || m.Email != "" || len(m.Data) != 0) {
				t.Errorf("the mail to nobody is %+v", m)
			}
		}
		if got := x.sent(t); !slices.Equal(got, []string{test.want}) {
			t.Errorf("%s of %q: mails %q, want %q", test.path, test.email, got, test.want)
		}
	}
	// Lists and what else would be two addresses (B12, CVE-2023-7028, CVE-2022-35924).
	for _, email := range []any{
		[]string{"verified@example.com", "eve@evil.example"}, "verified@example.com,eve@evil.example", "verified@example.com eve@evil.example",
		"verified@example.com\r\nBcc: eve@evil.example", "\"verified@example.com\"@evil.example", "verified@example.com;eve@evil.example", "Eve <verified@example.com>",
		map[string]any{"a": "verified@example.com"}, nil, 1, "", "verified", "@example.com", "verified@example.com\x00",
	} {
		for _, path := range []string{"/auth/forgot-password", "/auth/request-verify-token", "/auth/register"} {
			x.send(t, "POST", path, map[string]any{"email": email, "password": "a good password"}).wantInvalid(t, "body.email")
		}
	}
	if got := x.sent(t); len(got) != 0 {
		t.Errorf("mails %q", got)
	}
}

// A link is refused alike whoever it is for, with the same work: that of looking
// for the user if it is ours, and none if it is forged (B2). With -v it prints
// the table.
func TestS_B2_RefusedLinksLookTheSame(t *testing.T) {
	t.Parallel()
	x := newFlows(t, fastAPIUsers)
	email := func() string { return string(usher.NewID()) + "@example.com" }
	own := func(ask func(u *User) error) func(u *User) string {
		return func(u *User) string { // empty: there is none for him
			x.sent(t)
			if err := ask(u); err != nil {
				t.Fatal(err)
			}
			token, err := x.auth.NewToken(t.Context(), x.mails(t)[0])
			if err != nil && !errors.Is(err, usher.ErrNotFound) {
				t.Fatal(err)
			}
			return token
		}
	}
	verify := func(u *User) error { return x.auth.RequestVerify(t.Context(), u.Email) }
	reset := func(u *User) error { return x.auth.ForgotPassword(t.Context(), u.Email) }
	confirm := func(u *User) error { return x.auth.RequestEmailChange(t.Context(), u.ID, email()) }
	forged := func(audience string) func(u *User) string {
		return func(u *User) string {
			return fastAPIToken(t, []byte("another secret, of whoever forges links"), audience, jwt.MapClaims{
				"sub": string(u.ID), "email": u.Email, "password_fgpt": "x", "jti": "usher:x",
			})
		}
	}
	table := &strings.Builder{}
	for _, test := range []struct {
		path, detail string
		maker        string
		mint         func(u *User) string
		calls        string
	}{
		{"/auth/verify", "VERIFY_USER_BAD_TOKEN", "usher", own(verify), "UserByID×1 "},
		{"/auth/verify", "VERIFY_USER_BAD_TOKEN", "FastAPI Users", func(u *User) string { return fastAPIVerify(t, u) }, "UserByID×1 "},
		{"/auth/verify", "VERIFY_USER_BAD_TOKEN", "a forger", forged("fastapi-users:verify"), ""},
		{"/auth/reset-password", "RESET_PASSWORD_BAD_TOKEN", "usher", own(reset), "UserByID×1 "},
		// The fingerprint in it is a hash to be checked, if there is still a user.
		{"/auth/reset-password", "RESET_PASSWORD_BAD_TOKEN", "FastAPI Users", func(u *User) string { return fastAPIReset(t, u) }, "UserByID×1 "},
		{"/auth/reset-password", "RESET_PASSWORD_BAD_TOKEN", "a forger", forged("fastapi-users:reset"), ""},
		{"/auth/confirm-email", "VERIFY_USER_BAD_TOKEN", "usher", own(confirm), "UserByID×1 "},
		{"/auth/confirm-email", "VERIFY_USER_BAD_TOKEN", "a forger", forged("usher:email"), ""},
	} {
		refused := map[string]string{} // tokens by whom they are for
		for kind, change := range strangers {
			u := &User{User: usher.User{ID: usher.NewID(), Email: email(), HashedPassword: "!"}}
			if change != nil {
				u = x.add(t, email(), change)
			}
			if test.maker == "a forger" {
				refused[kind] = test.mint(u)
				continue
			}
			if change == nil {
				continue
			}
			refused[kind+", who is deactivated then"] = test.mint(u)
			x.update(t, u.ID, usher.Change[User]{IsActive: new(false)})
			gone := x.add(t, email(), change)
			refused[kind+", who is deleted then"] = test.mint(gone)
			deleteUser(t, x, gone.ID)
			moved := x.add(t, email(), change)
			refused[kind+", who has another address and password then"] = test.mint(moved)
			x.update(t, moved.ID, usher.Change[User]{Email: new(email()), Password: new("another password")})
		}
		maps.DeleteFunc(refused, func(_, token string) bool { return token == "" })
		if test.maker == "a forger" {
			refused["nonsense"] = "x"
		}
		model, hashes := "", uint64(0)
		if test.path == "/auth/reset-password" && test.maker == "FastAPI Users" {
			hashes = 1
		}
		for kind, token := range refused {
			got := x.trace(t, func() answer {
				return x.send(t, "POST", test.path, map[string]any{"token": token, "password": "the new password"}).wantDetail(t, 400, test.detail)
			})
			if model == "" {
				model = got.answer
			}
			if got.answer != model || got.calls != test.calls || got.hashes > hashes || got.mails != 0 {
				t.Errorf("%s of %s by %s: %d hashes, %d mails, %s, want %s; %s\n%s", test.path, kind, test.maker, got.hashes, got.mails, got.calls, test.calls, model, got.answer)
			}
		}
		fmt.Fprintf(table, "%-21s token of %-13s %2d answers alike: 400, up to %d hashes, 0 mails, store: %s\n", test.path, test.maker, len(refused), hashes, test.calls)
	}
	t.Log("\n" + table.String())
}
