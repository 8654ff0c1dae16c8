package usher_test

import (
	"database/sql"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/ushertest"

	"github.com/golang-jwt/jwt/v5"
)

// flows is a site that sends mail, seen through a spy, with a clock of its own.
type flows struct {
	*site
	store *spy
	clock *ushertest.Clock
}

func newFlows(t testing.TB, options ...siteOption) *flows {
	t.Helper()
	return newFlowsOn(t, onSQLite, options...)
}

func newFlowsOn(t testing.TB, on engine, options ...siteOption) *flows {
	t.Helper()
	x := &flows{clock: ushertest.NewClock(time.Now())}
	spied := func(_ testing.TB, s *site, c *usher.Config[User]) {
		x.store = &spy{Store: s.db, counts: map[string]int{}, faults: map[string]error{}, before: map[string]func(){}}
		c.Store, c.Outbox, c.Now = x.store, x.store, x.clock.Now
		for i, b := range c.Backends {
			if rows, ok := b.Strategy.(usher.Sessions); ok {
				rows.Store = x.store
				c.Backends[i].Strategy = rows
			}
		}
	}
	x.site = newSiteOn(t, on, append([]siteOption{spied}, options...)...)
	return x
}

// asUnverified is for users whose address nobody has proved.
func asUnverified(u *User) { u.IsVerified = false }

// withoutPassword is for users who sign in by other means.
func withoutPassword(u *User) { u.HashedPassword = "" }

// mails returns the messages in the outbox, oldest first.
func (x *flows) mails(t testing.TB) []usher.Message {
	t.Helper()
	messages, err := x.db.ListMessages(t.Context(), 100_000)
	if err != nil {
		t.Fatal(err)
	}
	return messages
}

// sent returns what is in the outbox as "kind address", and empties it.
func (x *flows) sent(t testing.TB) (list []string) {
	t.Helper()
	list = []string{}
	for _, m := range x.mails(t) {
		list = append(list, strings.TrimSpace(string(m.Kind)+" "+m.Email))
		if err := x.db.DeleteMessage(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
	}
	return list
}

// mailed returns the token of the newest mail of a kind to an address, made as
// the worker makes it.
func (x *flows) mailed(t testing.TB, kind usher.MessageKind, address string) string {
	t.Helper()
	var found *usher.Message
	for _, m := range x.mails(t) {
		if m.Kind == kind && m.Email == address {
			found = &m
		}
	}
	if found == nil {
		t.Fatalf("no mail %s to %s among %+v", kind, address, x.mails(t))
	}
	token, err := x.auth.NewToken(t.Context(), *found)
	if err != nil {
		t.Fatalf("token of mail %s to %s: %v", kind, address, err)
	}
	return token
}

// verifyToken asks for a mail that proves an address, and returns its token.
func (x *flows) verifyToken(t testing.TB, address string) string {
	t.Helper()
	x.send(t, "POST", "/auth/request-verify-token", map[string]any{"email": address}).want(t, 202)
	return x.mailed(t, usher.MailVerify, address)
}

// resetToken asks for a mail to set a new password, and returns its token.
func (x *flows) resetToken(t testing.TB, address string) string {
	t.Helper()
	x.send(t, "POST", "/auth/forgot-password", map[string]any{"email": address}).want(t, 202)
	return x.mailed(t, usher.MailReset, address)
}

// emailToken asks for another address, and returns the token mailed there.
func (x *flows) emailToken(t testing.TB, header, address string) string {
	t.Helper()
	x.patchEmail(t, header, address).want(t, 200)
	return x.mailed(t, usher.MailConfirmEmail, address)
}

func (x *flows) patchEmail(t testing.TB, header, address string) answer {
	t.Helper()
	return x.send(t, "PATCH", "/users/me", map[string]any{"email": address, "current_password": goodPassword}, header)
}

func (x *flows) verify(t testing.TB, token string) answer {
	t.Helper()
	return x.send(t, "POST", "/auth/verify", map[string]any{"token": token})
}

func (x *flows) reset(t testing.TB, token, plain string) answer {
	t.Helper()
	return x.send(t, "POST", "/auth/reset-password", map[string]any{"token": token, "password": plain})
}

func (x *flows) confirm(t testing.TB, token string) answer {
	t.Helper()
	return x.send(t, "POST", "/auth/confirm-email", map[string]any{"token": token})
}

// update is UpdateUser, which has to succeed.
func (x *flows) update(t testing.TB, id usher.ID, change usher.Change[User]) *User {
	t.Helper()
	u, err := x.auth.UpdateUser(t.Context(), id, change)
	if err != nil {
		t.Error(err) // also called by handlers
	}
	return u
}

// dump is everything in the tables that flows write.
func (x *flows) dump(t testing.TB) string {
	t.Helper()
	db := x.open(t)
	defer db.Close()
	return dump(t, db)
}

func dump(t testing.TB, db *sql.DB) string {
	t.Helper()
	var b strings.Builder
	for _, table := range []string{"users", "sessions", "outbox", "used_tokens"} {
		rows, err := db.QueryContext(t.Context(), `SELECT * FROM `+table+` ORDER BY 1`)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		names, err := rows.Columns()
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			values := make([]any, len(names))
			for i := range values {
				values[i] = new(any)
			}
			if err := rows.Scan(values...); err != nil {
				t.Fatal(err)
			}
			for i, name := range names {
				if name != "last_seen_at" {
					fmt.Fprintf(&b, "%s.%s=%v ", table, name, *values[i].(*any))
				}
			}
			b.WriteString("\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
	return b.String()
}

// fastAPIToken signs claims as FastAPI Users does (PyJWT, HS256), good for an
// hour unless they say otherwise.
func fastAPIToken(t testing.TB, secret []byte, audience string, claims jwt.MapClaims) string {
	t.Helper()
	all := jwt.MapClaims{"aud": audience, "exp": time.Now().Add(time.Hour).Unix()}
	maps.Copy(all, claims)
	token, err := jwt.NewWithClaims(jwt.SigningMethodHS256, all).SignedString(secret)
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// fastAPIUsers is the option of a site that has taken a deployment of FastAPI
// Users over, with its secrets.
func fastAPIUsers(_ testing.TB, _ *site, c *usher.Config[User]) {
	c.Secret, c.VerifySecret, c.ResetSecret = nil, fastAPIVerifySecret, fastAPIResetSecret
}

var (
	fastAPIVerifySecret = []byte("0b6c1d8e4f2a7953c0d1e2f3a4b5c6d7e8f90a1b")
	fastAPIResetSecret  = []byte("9a8b7c6d5e4f3a2b1c0d9e8f7a6b5c4d3e2f1a0b")
)

// fastAPIVerify is a link that FastAPI Users has mailed to prove an address.
func fastAPIVerify(t testing.TB, u *User) string {
	t.Helper()
	return fastAPIToken(t, fastAPIVerifySecret, "fastapi-users:verify", jwt.MapClaims{"sub": string(u.ID), "email": u.Email})
}

// fastAPIReset is a link that FastAPI Users has mailed to set a password.
func fastAPIReset(t testing.TB, u *User) string {
	t.Helper()
	return fastAPIToken(t, fastAPIResetSecret, "fastapi-users:reset", jwt.MapClaims{"sub": string(u.ID), "password_fgpt": hashOf(t, u.HashedPassword)})
}

// once checks that exactly one of the answers to the same request at the same
// moment is a 200, and all others are refusals with one of the codes.
func once(t testing.TB, answers []answer, codes ...string) (winner int) {
	t.Helper()
	winner = -1
	for i, a := range answers {
		refused := false
		for _, code := range codes {
			refused = refused || a.status == 400 && a.body == `{"detail":"`+code+`"}`
		}
		switch {
		case a.status == 200 && winner >= 0:
			t.Errorf("calls %d and %d both succeeded", winner, i)
		case a.status == 200:
			winner = i
		case !refused:
			t.Errorf("call %d: %d %s, want 400 with one of %q", i, a.status, a.body, codes)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody succeeded: %+v", answers)
	}
	return winner
}

// step is something that happens to a user.
type step func(t testing.TB, x *flows, user usher.ID)

func steps(list ...step) []step { return list }

func change(c usher.Change[User]) step {
	return func(t testing.TB, x *flows, user usher.ID) {
		t.Helper()
		x.update(t, user, c)
	}
}

func moveTo(address string) step { return change(usher.Change[User]{Email: &address}) }

func wait(d time.Duration) step {
	return func(_ testing.TB, x *flows, _ usher.ID) { x.clock.Advance(d) }
}

func deactivate(t testing.TB, x *flows, user usher.ID) {
	x.update(t, user, usher.Change[User]{IsActive: new(false)})
}

func activate(t testing.TB, x *flows, user usher.ID) {
	x.update(t, user, usher.Change[User]{IsActive: new(true)})
}

func deleteUser(t testing.TB, x *flows, user usher.ID) {
	if err := x.auth.DeleteUser(t.Context(), user); err != nil {
		t.Fatal(err)
	}
}

func registerAgain(t testing.TB, x *flows, _ usher.ID) {
	if err := x.auth.Register(t.Context(), newUser("ann@example.com"), goodPassword); err != nil {
		t.Fatal(err)
	}
}

// resetByLink sets the password of ann@example.com by a link.
func resetByLink(t testing.TB, x *flows, _ usher.ID) {
	x.reset(t, x.resetToken(t, "ann@example.com"), "another password").want(t, 200)
}
