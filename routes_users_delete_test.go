package usher_test

import (
	"errors"
	"testing"
	"time"

	"usher"
)

// Deleting the own account needs the password, or, where there is none, a fresh
// sign-in (A8, C12).
func TestS_C12_DeleteMe(t *testing.T) {
	t.Parallel()
	x := newFlows(t)
	ann := x.add(t, "ann@example.com")
	header := x.signedIn(t, "cookie", "ann@example.com")
	x.send(t, "DELETE", "/users/me", map[string]any{}, header).wantInvalid(t, "body.current_password")
	x.send(t, "DELETE", "/users/me", map[string]any{"current_password": "wrong"}, header).wantDetail(t, 400, "UPDATE_USER_BAD_CURRENT_PASSWORD")
	sameUser(t, "a refused deletion", x.stored(t, ann.ID), ann)
	x.wantAlive(t, "after refusals", header, true)
	x.send(t, "DELETE", "/users/me", map[string]any{"current_password": goodPassword}, header).want(t, 204)
	x.wantAlive(t, "after the deletion", header, false)
	if _, err := x.db.UserByID(t.Context(), ann.ID); !errors.Is(err, usher.ErrNotFound) {
		t.Errorf("the user: %v", err)
	}
	bob := x.add(t, "bob@example.com", withoutPassword)
	old := must(x.auth.SignIn(t.Context(), "cookie", bob, []string{"oauth"}, usher.Client{}))
	x.clock.Advance(10*time.Minute + time.Second)
	fresh := must(x.auth.SignIn(t.Context(), "cookie", bob, []string{"oauth"}, usher.Client{}))
	x.send(t, "DELETE", "/users/me", map[string]any{}, carrying("cookie", old.Token)).wantDetail(t, 403, "FRESH_SIGN_IN_REQUIRED")
	x.send(t, "DELETE", "/users/me", map[string]any{}, carrying("cookie", fresh.Token)).want(t, 204)
}

// A proof of the old password, or by a sign-in of before, deletes nobody once the
// password has changed (F31, P2), wherever in between that is.
func TestF31_DeletionBesideAChange(t *testing.T) {
	t.Parallel()
	for method, status := range map[string]int{"UserByID": 400, "InTx": 401} { // his sessions have ended by then
		x := newFlows(t)
		ann := x.add(t, "ann@example.com")
		header := x.signedIn(t, "bearer-db", "ann@example.com")
		x.store.at(method, func() {
			now := x.stored(t, ann.ID)
			after := *now
			after.HashedPassword, after.Epoch = hashOf(t, "the new password"), now.Epoch+1
			if err := x.db.UpdateUser(t.Context(), now, &after); err != nil {
				t.Error(err)
			}
		})
		x.send(t, "DELETE", "/users/me", map[string]any{"current_password": goodPassword}, header).want(t, status)
		x.send(t, "POST", "/auth/jwt/login", loginForm("ann@example.com", "the new password")).want(t, 200)
	}
	// The owner of the address has claimed the account meanwhile.
	x := newFlows(t)
	bob := x.add(t, "bob@example.com", withoutPassword, asUnverified)
	authn := must(x.auth.SignIn(t.Context(), "jwt", bob, []string{"oauth"}, usher.Client{}))
	x.store.at("InTx", func() {
		after := *bob
		after.IsVerified, after.Epoch = true, 1<<32
		if err := x.db.UpdateUser(t.Context(), bob, &after); err != nil {
			t.Error(err)
		}
	})
	x.send(t, "DELETE", "/users/me", map[string]any{}, carrying("jwt", authn.Token)).want(t, 401)
	x.stored(t, bob.ID)
}
