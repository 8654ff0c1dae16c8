package usher_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"usher"
)

// registering is the body of a registration.
func registering(email string, more ...any) map[string]any {
	body := map[string]any{"email": email, "password": "a good password"}
	for i := 0; i < len(more); i += 2 {
		body[more[i].(string)] = more[i+1]
	}
	return body
}

// Who may register, by domain: the one that the mail goes to, in every spelling
// and no other (B12, CVE-2026-40574).
func TestS_B12_RegistrationByDomain(t *testing.T) {
	t.Parallel()
	x := newFlows(t, configured(func(c *usher.Config[User]) {
		c.Registration.Domains = []string{"Example.com", "bücher.example", "xn--strae-oqa.example"}
	}))
	for i, test := range []struct {
		domain string
		status int
	}{
		{"example.com", 201}, {"EXAMPLE.COM", 201}, {"ｅxample.com", 201}, {"example。com", 201},
		{"bücher.example", 201}, {"BÜCHER.EXAMPLE", 201}, {"xn--bcher-kva.example", 201}, {"XN--BCHER-KVA.example", 201}, {"bu\u0308cher.example", 201},
		{"straße.example", 201}, {"xn--strae-oqa.example", 201},
		{"example.org", 403}, {"sub.example.com", 403}, {"example.com.evil.example", 403}, {"evilexample.com", 403}, {"evil-example.com", 403}, {"example.co", 403},
		{"xample.com", 403}, {"exаmple.com", 403}, {"strasse.example", 403}, {"bucher.example", 403}, {"example.com.com", 403},
		{"evil.example@example.com", 422}, {"example.com@evil.example", 422}, {"example.com.", 422}, {".example.com", 422}, {"example.com,evil.example", 422},
		{"evil.example,example.com", 422}, {"evil.example\u0000example.com", 422}, {"evil.example example.com", 422}, {"evil.example?example.com", 422}, {"[127.0.0.1]", 422}, {"", 422},
	} {
		a := x.send(t, "POST", "/auth/register", registering(fmt.Sprintf("ann%d@%s", i, test.domain)))
		switch test.status {
		case 403:
			a.wantDetail(t, 403, "REGISTER_EMAIL_DOMAIN_NOT_ALLOWED")
		case 422:
			a.wantInvalid(t, "body.email")
		default:
			a.want(t, 201)
		}
		if t.Failed() {
			t.Fatalf("domain %q", test.domain)
		}
	}
	x.send(t, "POST", "/auth/register", registering(`"a@example.com"@evil.example`)).wantInvalid(t, "body.email")
	x.send(t, "POST", "/auth/register", registering("ann0@EXAMPLE.com")).wantDetail(t, 400, "REGISTER_USER_ALREADY_EXISTS")
	for _, domains := range [][]string{{""}, {"@example.com"}, {"example"}, {" example.com"}, {"*.example.com"}, {"https://example.com"}, {"example.com", "a b.example"}} {
		c := usher.Config[User]{Store: x.store, Backends: []usher.Backend{{Name: "db", Transport: usher.Bearer{}, Strategy: x.db.Sessions(0)}}, Registration: usher.Registration{Domains: domains}}
		if _, err := usher.New(c); err == nil || !strings.Contains(err.Error(), "Domains") {
			t.Errorf("New with domains %q: %v", domains, err)
		}
	}
}

// A closed registration lets in whom an administrator invites, once, with the
// address that is invited (E10).
func TestS_E10_Invitations(t *testing.T) {
	t.Parallel()
	for name, policy := range map[string]usher.Registration{"closed": {Closed: true}, "by domain": {Domains: []string{"corp.example"}}, "open": {}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFlows(t, configured(func(c *usher.Config[User]) { c.Registration = policy }))
			invite := func(email string, lifetime time.Duration) string {
				return must(x.auth.NewInvitation(t.Context(), email, lifetime))
			}
			refused := map[string]string{"closed": "REGISTER_CLOSED", "by domain": "REGISTER_EMAIL_DOMAIN_NOT_ALLOWED"}[name]
			if refused != "" {
				hashes := x.hasher.Hashes()
				x.send(t, "POST", "/auth/register", registering("ann@example.com")).wantDetail(t, 403, refused)
				x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", "")).wantDetail(t, 403, refused)
				x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", nil)).wantDetail(t, 403, refused)
				if n := x.hasher.Hashes() - hashes; n != 0 {
					t.Errorf("%d hashes for who may not register", n)
				}
			}
			good := invite("Ann@Example.com", time.Hour)
			// One that was given has to be good, even where none is needed.
			for _, other := range []string{"bob@example.com", "ann@example.org", "ann+tag@example.com", "ann@corp.example"} {
				x.send(t, "POST", "/auth/register", registering(other, "invitation", good)).wantDetail(t, 400, "REGISTER_BAD_INVITATION")
			}
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", good+"x")).wantDetail(t, 400, "REGISTER_BAD_INVITATION")
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", 1)).wantInvalid(t, "body.invitation")
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", good, "password", "short")).wantReason(t, "REGISTER_INVALID_PASSWORD", "Password should be at least 8 characters")
			u := x.send(t, "POST", "/auth/register", registering(" ＡＮＮ@example.COM", "invitation", good, "is_superuser", true, "is_verified", true)).wantUser(t, 201)
			if u.IsVerified || u.IsSuperuser { // an invitation may be forwarded
				t.Errorf("the invited user is %+v", u)
			}
			// Once: the account that it was for exists, and neither another address nor
			// deleting it makes the invitation new.
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", good)).wantDetail(t, 400, "REGISTER_USER_ALREADY_EXISTS")
			x.update(t, u.ID, usher.Change[User]{Email: new("moved@example.com")})
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", good)).wantDetail(t, 400, "REGISTER_BAD_INVITATION")
			deleteUser(t, x, u.ID)
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", good)).wantDetail(t, 400, "REGISTER_BAD_INVITATION")
			x.send(t, "POST", "/auth/register", registering("ann@example.com", "invitation", invite("ann@example.com", time.Hour))).want(t, 201)
			// An hour.
			short := invite("cat@example.com", time.Hour)
			x.clock.Advance(time.Hour + time.Second)
			x.send(t, "POST", "/auth/register", registering("cat@example.com", "invitation", short)).wantDetail(t, 400, "REGISTER_BAD_INVITATION")
			var invalid *usher.ValidationError
			if token, err := x.auth.NewInvitation(t.Context(), "x", time.Hour); !errors.As(err, &invalid) || token != "" {
				t.Errorf("an invitation for what is no address: %v", err)
			}
			// Administrators need none.
			if err := x.auth.CreateUser(t.Context(), newUser("dan@example.com"), goodPassword); err != nil {
				t.Error(err)
			}
		})
	}
}

// The common passwords that are long enough are refused wherever one is set, with
// a reason (A6).
func TestS_A6_CommonPasswords(t *testing.T) {
	t.Parallel()
	list, err := os.ReadFile("password/common/passwords.txt")
	if err != nil {
		t.Fatal(err)
	}
	var common []string
	for line := range strings.Lines(string(list)) {
		if line = strings.TrimSuffix(line, "\n"); utf8.RuneCountInString(line) >= 8 {
			common = append(common, line)
		}
	}
	if len(common) != 3337 {
		t.Errorf("%d common passwords of 8 and more characters, want 3337", len(common))
	}
	const reason = "Password is one of the most common ones"
	x := newFlows(t)
	ann := x.add(t, "ann@example.com", asUnverified)
	x.add(t, "root@example.com", asSuperuser)
	header, admin := x.signedIn(t, "jwt", "ann@example.com"), x.signedIn(t, "jwt", "root@example.com")
	token := x.resetToken(t, "ann@example.com")
	before, hashes := x.dump(t), x.hasher.Hashes()
	for i, plain := range common {
		x.send(t, "POST", "/auth/register", registering("new@example.org", "password", plain)).wantReason(t, "REGISTER_INVALID_PASSWORD", reason)
		if i%200 == 0 {
			x.send(t, "POST", "/auth/register", registering("new@example.org", "password", strings.ToUpper(plain))).wantReason(t, "REGISTER_INVALID_PASSWORD", reason)
			x.reset(t, token, plain).wantReason(t, "RESET_PASSWORD_INVALID_PASSWORD", reason)
			x.send(t, "PATCH", "/users/"+string(ann.ID), map[string]any{"password": plain}, admin).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", reason)
		}
		if t.Failed() {
			t.Fatalf("%q", plain)
		}
	}
	if n := x.hasher.Hashes() - hashes; n != 0 {
		t.Errorf("%d hashes for refused passwords", n)
	}
	x.send(t, "PATCH", "/users/me", map[string]any{"password": common[7], "current_password": goodPassword}, header).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", reason)
	if err := x.auth.CreateUser(t.Context(), newUser("cli@example.com"), common[0]); err == nil {
		t.Error("CreateUser takes a common password")
	}
	if x.dump(t) != before {
		t.Error("a refused password changes something")
	}
	x.send(t, "POST", "/auth/register", registering("new@example.org", "password", common[0]+"x9")).want(t, 201) // merely contains one
	allowed := newFlows(t, configured(func(c *usher.Config[User]) { c.PasswordPolicy.InsecureAllowCommon = true }))
	allowed.send(t, "POST", "/auth/register", registering("new@example.org", "password", common[0])).want(t, 201)
}

// breaches is a check of passwords against a breach.
type breaches func(ctx context.Context, plain string) (bool, error)

func (b breaches) Breached(ctx context.Context, plain string) (bool, error) { return b(ctx, plain) }

// A password that is known from a breach is refused wherever one is set; what
// cannot be known in time refuses nobody and is logged (A7).
func TestS_A7_BreachCheck(t *testing.T) {
	t.Parallel()
	const leaked = "leaked password"
	never := make(chan struct{})
	t.Cleanup(func() { close(never) })
	for name, test := range map[string]struct {
		check   breaches
		refused bool
		logged  string
		slow    bool
	}{
		"leaked":            {func(_ context.Context, plain string) (bool, error) { return plain == leaked, nil }, true, "", false},
		"an outage":         {func(context.Context, string) (bool, error) { return false, errOutage }, false, errOutage.Error(), false},
		"an outage and yes": {func(context.Context, string) (bool, error) { return true, errOutage }, false, errOutage.Error(), false},
		"a panic":           {func(context.Context, string) (bool, error) { panic("boom") }, false, "boom", false},
		"hangs": {func(ctx context.Context, _ string) (bool, error) {
			<-ctx.Done()
			return false, ctx.Err()
		}, false, "breach check", true},
		"hangs whatever the context says": {func(context.Context, string) (bool, error) { <-never; return true, nil }, false, "breach check", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newFlows(t, configured(func(c *usher.Config[User]) { c.Breached = test.check }))
			ann := x.add(t, "ann@example.com")
			token := x.resetToken(t, "ann@example.com")
			start := time.Now()
			a := x.send(t, "POST", "/auth/register", registering("new@example.com", "password", leaked))
			took := time.Since(start)
			if test.slow != (took > 1900*time.Millisecond) || took > 10*time.Second {
				t.Errorf("took %v", took)
			}
			const reason = "Password is known from a data breach"
			if test.refused {
				a.wantReason(t, "REGISTER_INVALID_PASSWORD", reason)
				x.reset(t, token, leaked).wantReason(t, "RESET_PASSWORD_INVALID_PASSWORD", reason)
				x.send(t, "PATCH", "/users/me", map[string]any{"password": leaked, "current_password": goodPassword}, x.signedIn(t, "jwt", "ann@example.com")).wantReason(t, "UPDATE_USER_INVALID_PASSWORD", reason)
				sameUser(t, "a refused password", x.stored(t, ann.ID), ann)
				x.reset(t, token, "another password").want(t, 200)
			} else {
				a.want(t, 201)
			}
			if log := x.log.String(); !strings.Contains(log, test.logged) || strings.Contains(log, leaked) {
				t.Errorf("the log is %s", log)
			}
		})
	}
}

// HideExistingAccounts keeps the answer the same also where a hook vetoes, and the
// mail to the owner the only trace (B2).
func TestS_B2_HiddenAccounts(t *testing.T) {
	t.Parallel()
	x := newFlows(t, hiding, configured(func(c *usher.Config[User]) {
		c.Hooks.BeforeRegister = func(_ context.Context, u *User) error {
			if strings.HasPrefix(u.Email, "banned") {
				return &usher.Error{Status: 403, Code: "BANNED"}
			}
			return nil
		}
	}))
	bob := x.add(t, "bob@example.com")
	x.add(t, "banned1@example.com")
	for _, pair := range [][2]map[string]any{
		{registering("new@example.com"), registering("bob@example.com")},
		{registering("banned2@example.com"), registering("banned1@example.com")},
		{registering("new2@example.com", "password", "short"), registering("bob@example.com", "password", "short")},
		{registering("new2@example.com", "first_name", 1), registering("bob@example.com", "first_name", 1)},
		{registering("new2@example.com", "invitation", "x"), registering("bob@example.com", "invitation", "x")},
	} {
		a, b := x.send(t, "POST", "/auth/register", pair[0]), x.send(t, "POST", "/auth/register", pair[1])
		if withoutDate(a) != withoutDate(b) {
			t.Errorf("%v: %s\n%v: %s", pair[0], withoutDate(a), pair[1], withoutDate(b))
		}
	}
	for _, method := range []string{"AddMessage", "UserByEmail", "CreateUser", "InTx"} { // P9: a fault tells nothing either
		x.store.fail(method, errOutage)
		free, taken := x.send(t, "POST", "/auth/register", registering("free"+method+"@example.com")), x.send(t, "POST", "/auth/register", registering("bob@example.com"))
		x.store.fail(method, nil)
		if free.want(t, 503); withoutDate(free) != withoutDate(taken) {
			t.Errorf("without %s: %s\n%s", method, withoutDate(free), withoutDate(taken))
		}
	}
	sameUser(t, "somebody else's registration", x.stored(t, bob.ID), bob)
	if got := x.sent(t); !slices.Contains(got, "already_registered bob@example.com") || !slices.Contains(got, "verify new@example.com") {
		t.Errorf("mails %q", got)
	}
	x.send(t, "POST", "/auth/jwt/login", loginForm("new@example.com", "a good password")).want(t, 200)
}

// Who registers without HTTP is under the same policy (DESIGN §4).
func TestRegisterWithoutHTTP(t *testing.T) {
	t.Parallel()
	closed := newFlows(t, configured(func(c *usher.Config[User]) { c.Registration.Closed = true }))
	invitation := must(closed.auth.NewInvitation(t.Context(), "ann@example.com", time.Hour))
	root := newUser("ann@example.com")
	root.IsSuperuser, root.IsVerified = true, true
	for _, test := range []struct {
		invitation string
		want       error
	}{
		{"", usher.ErrRegistrationClosed}, {invitation + "x", usher.ErrBadInvitation}, {invitation, nil}, {invitation, usher.ErrUserExists},
	} {
		if err := closed.auth.RegisterInvited(t.Context(), root, goodPassword, test.invitation); !errors.Is(err, test.want) {
			t.Errorf("with %q: %v, want %v", test.invitation, err, test.want)
		}
	}
	if err := closed.auth.Register(t.Context(), newUser("bob@example.com"), goodPassword); !errors.Is(err, usher.ErrRegistrationClosed) {
		t.Errorf("Register: %v", err)
	}
	if u := closed.only(t); u.IsSuperuser || u.IsVerified || !u.IsActive {
		t.Errorf("the invited made himself %+v", u)
	}
	if events := closed.events.of(usher.EventRegister); len(events) != 5 || !errors.Is(events[0].Err, usher.ErrRegistrationClosed) || events[2].Err != nil {
		t.Errorf("events %+v", events)
	}
	hidden := newFlows(t, hiding)
	hidden.add(t, "ann@example.com")
	hidden.sent(t)
	if err := hidden.auth.Register(t.Context(), newUser("ANN@example.com"), goodPassword); !errors.Is(err, usher.ErrUserExists) {
		t.Errorf("a taken address: %v", err)
	}
	if got := hidden.sent(t); !slices.Equal(got, []string{"already_registered ann@example.com"}) {
		t.Errorf("mails %q", got)
	}
}
