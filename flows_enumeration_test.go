package usher_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"usher"
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

// publicRequests are those that anybody may send with an address, and what each
// of them costs, whoever has the address.
var publicRequests = map[string]struct {
	body func(email string) any
	want trace
}{
	"/auth/cookie/login":         {func(email string) any { return loginForm(email, "wrong") }, trace{"400", 1, "UserByEmail×1 ", 0}},
	"/auth/jwt/login":            {func(email string) any { return loginForm(email, "wrong") }, trace{"400", 1, "UserByEmail×1 ", 0}},
	"/auth/forgot-password":      {func(email string) any { return map[string]any{"email": email} }, trace{"202", 0, "AddMessage×1 UserByEmail×1 ", 1}},
	"/auth/request-verify-token": {func(email string) any { return map[string]any{"email": email} }, trace{"202", 0, "AddMessage×1 UserByEmail×1 ", 1}},
	"/auth/register": {func(email string) any { return map[string]any{"email": email, "password": "a good password"} },
		trace{"202", 1, "AddMessage×1 CreateUser×1 InTx×1 UserByEmail×1 ", 1}},
}

func hiding(_ testing.TB, _ *site, c *usher.Config[User]) {
	c.Registration.HideExistingAccounts = true
}

// Nothing that a stranger can ask tells whether somebody has an address, nor what
// kind of user that is: not the status, body, headers or cookies, and not the
// work done (B1, B2, B4, TIMING layer 1, DEFECTS B).
func TestS_B2_StrangersLearnNothing(t *testing.T) {
	t.Parallel()
	for name, options := range map[string][]siteOption{
		"as it is":              {hiding},
		"verified only":         {hiding, configured(func(c *usher.Config[User]) { c.RequireVerified = true })},
		"FastAPI Users' tokens": {hiding, fastAPIUsers, configured(func(c *usher.Config[User]) { c.FastAPIUsersResetTokens = true })},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for path, request := range publicRequests {
				x := newFlows(t, options...)
				for email, change := range strangers {
					if change != nil {
						x.add(t, email, change)
					}
				}
				want := request.want
				if name == "FastAPI Users' tokens" && path == "/auth/forgot-password" {
					want.hashes = 1
				}
				model := x.trace(t, func() answer { return x.send(t, "POST", path, request.body("somebody@example.com")) })
				if status, _, _ := strings.Cut(model.answer, "\n"); status != want.answer {
					t.Errorf("%s: %s, want %s", path, model.answer, want.answer)
				}
				for email := range strangers {
					for _, spelling := range []string{email, strings.ToUpper(email), " " + email} {
						got := x.trace(t, func() answer { return x.send(t, "POST", path, request.body(spelling)) })
						if got.answer != model.answer {
							t.Errorf("%s of %s:\n%s\nof somebody:\n%s", path, spelling, got.answer, model.answer)
						}
						if got.hashes != want.hashes || got.calls != want.calls || got.mails != want.mails {
							t.Errorf("%s of %s: %d hashes, %s, %d mails; want %d hashes, %s, %d mails", path, spelling, got.hashes, got.calls, got.mails, want.hashes, want.calls, want.mails)
						}
					}
				}
			}
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

// A link is refused alike whoever it is for, with the same work as far as the
// user counts (B2).
func TestS_B2_RefusedLinksLookTheSame(t *testing.T) {
	t.Parallel()
	x := newFlows(t, fastAPIUsers)
	for path, mint := range map[string]func(u *User) string{
		"/auth/verify":         func(u *User) string { return fastAPIVerify(t, u) },
		"/auth/reset-password": func(u *User) string { return fastAPIReset(t, u) },
	} {
		model := ""
		for _, u := range []*User{
			{User: usher.User{ID: usher.NewID(), Email: "nobody@example.com", HashedPassword: "x"}},
			x.add(t, string(usher.NewID())+"@example.com", asInactive, asUnverified),
		} {
			a := x.send(t, "POST", path, map[string]any{"token": mint(u), "password": "the new password"}).want(t, 400)
			if model != "" && withoutDate(a) != model {
				t.Errorf("%s: %s\n%s", path, model, withoutDate(a))
			}
			model = withoutDate(a)
		}
		a := x.send(t, "POST", path, map[string]any{"token": "x", "password": "the new password"})
		if withoutDate(a) != model {
			t.Errorf("%s: %s\n%s", path, model, withoutDate(a))
		}
	}
}
