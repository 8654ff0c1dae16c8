package usher_test

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"usher"
	"usher/internal/testlog"
	"usher/sqlstore/sqlite"
)

func TestRegister(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	a := s.send(t, "POST", "/auth/register", map[string]any{"email": " Ann@Example.com ", "password": goodPassword, "first_name": "Ann"})
	u := a.wantUser(t, 201)
	if u.Email != "Ann@example.com" || !u.IsActive || u.IsSuperuser || u.IsVerified || *u.FirstName != "Ann" {
		t.Errorf("registered %s", a.body)
	}
	if a.header.Values("Set-Cookie") != nil || strings.Contains(a.body, "token") { // C14
		t.Errorf("registering signs in: %s", a.everything())
	}
	stored := s.stored(t, u.ID)
	if !isCurrent(stored.HashedPassword) || strings.Contains(a.everything(), "argon2") { // A10, A11
		t.Errorf("stored hash %s, answer %s", stored.HashedPassword, a.everything())
	}
	for _, email := range []string{"ann@example.com", "ANN@EXAMPLE.COM", "Ann@example.com", " ann@example.com", "ａｎｎ@example.com"} {
		s.login(t, "jwt", email)
		s.send(t, "POST", "/auth/register", map[string]any{"email": email, "password": goodPassword}).wantDetail(t, 400, "REGISTER_USER_ALREADY_EXISTS")
	}
	// The password is judged first (recording register.duplicate).
	s.send(t, "POST", "/auth/register", map[string]any{"email": "ann@example.com", "password": "ab"}).wantReason(t, "REGISTER_INVALID_PASSWORD", "Password should be at least 8 characters")
	// A tag makes another address.
	if other := s.send(t, "POST", "/auth/register", map[string]any{"email": "ann+x@example.com", "password": goodPassword}).wantUser(t, 201); other.ID == u.ID {
		t.Error("two users have one id")
	}
	// A cookie, whosever, means nothing here.
	header := s.signedIn(t, "cookie", "ann@example.com")
	if other := s.send(t, "POST", "/auth/register", map[string]any{"email": "cat@example.com", "password": goodPassword}, header).wantUser(t, 201); other.ID == u.ID {
		t.Error("two users have one id")
	}
}

// vetted is a user type that judges itself before it is written.
type vetted struct {
	usher.User
	Name string `json:"name" usher:"write"`
}

func (v *vetted) Validate(context.Context) error {
	switch v.Name {
	case "":
		return usher.Invalid("name", "must not be empty")
	case "panic":
		panic("name")
	}
	return nil
}

// The user type's own Validate decides before every write, and its answer is a
// 422 that says where (DESIGN §4).
func TestValidateOfTheUserType(t *testing.T) {
	t.Parallel()
	db, err := sqlite.Open[vetted](t.Context(), filepath.Join(t.TempDir(), "site.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	log := &testlog.Buffer{}
	auth, err := usher.New(usher.Config[vetted]{
		Store: db, Passwords: newWeakPasswords(), Logger: log.Logger(),
		Backends: []usher.Backend{{Name: "db", Transport: usher.Bearer{}, Strategy: db.Sessions(0)}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{}
	s.listen(t, auth.Handler())
	register := func(name string) answer {
		return s.send(t, "POST", "/auth/register", map[string]any{"email": "ann@example.com", "password": goodPassword, "name": name})
	}
	a := register("").wantInvalid(t, "body.name")
	if !strings.Contains(a.body, `"msg":"Value error, must not be empty"`) {
		t.Errorf("body %s", a.body)
	}
	register("panic").wantUnavailable(t)
	register("Ann").want(t, 201)
	header := carrying("db", s.send(t, "POST", "/auth/db/login", loginForm("ann@example.com", goodPassword)).want(t, 200).token("db"))
	patch := func(body any) answer { return s.send(t, "PATCH", "/users/me", body, header) }
	patch(map[string]any{"name": ""}).wantInvalid(t, "body.name")
	patch(map[string]any{"name": "panic"}).wantUnavailable(t)
	patch(map[string]any{"name": "Bob"}).want(t, 200)
	u, err := auth.UserByEmail(t.Context(), "ann@example.com")
	if err != nil || u.Name != "Bob" {
		t.Errorf("stored %+v, %v", u, err)
	}
}
