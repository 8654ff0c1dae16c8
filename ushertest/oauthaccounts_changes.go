package ushertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"usher"
)

// The parts of TestOAuthAccountStore about changes, and calls that meet.

func (s *oauthSuite) update() {
	user := s.newUser()
	a, other := s.link(user, "github", "1"), s.link(user, "gitlab", "1")
	for i, change := range []func(a *usher.OAuthAccount){
		func(a *usher.OAuthAccount) { a.Email = "new@example.com" },
		func(a *usher.OAuthAccount) { a.AccessToken, a.ExpiresAt = []byte("new"), a.ExpiresAt.Add(time.Hour) },
		func(a *usher.OAuthAccount) { a.RefreshToken = []byte("new") },
		func(a *usher.OAuthAccount) {},
		func(a *usher.OAuthAccount) {
			a.Email, a.AccessToken, a.RefreshToken, a.ExpiresAt = "", nil, nil, time.Time{}
		},
		func(a *usher.OAuthAccount) { a.AccessToken, a.RefreshToken = []byte("a"), []byte("r") },
	} {
		want := a
		change(&want)
		given := want // whatever else it says is not written
		given.UserID, given.Provider, given.AccountID = other.UserID, "gitlab", "2"
		given.CreatedAt, given.UpdatedAt = a.CreatedAt.AddDate(-1, 0, 0), a.UpdatedAt.AddDate(-1, 0, 0)
		what := fmt.Sprintf("update %d", i)
		wantError(s.T, what, s.store.UpdateOAuthAccount(s.ctx, given), nil)
		got, err := s.store.OAuthAccount(s.ctx, "github", "1")
		wantError(s.T, what+": OAuthAccount", err, nil)
		if got.UpdatedAt.Before(a.UpdatedAt) {
			s.Errorf("%s: UpdatedAt went back from %s to %s", what, a.UpdatedAt, got.UpdatedAt)
		}
		want.UpdatedAt = got.UpdatedAt
		s.same(what, got, want)
		s.finds(what+": another account", other)
		a = got
	}
	s.gone("what an update named and may not write", usher.OAuthAccount{Provider: "gitlab", AccountID: "2"})
}

func (s *oauthSuite) unlink() {
	user, stranger := s.newUser(), s.newUser()
	a, b, other := s.link(user, "github", "1"), s.link(user, "gitlab", "1"), s.link(stranger, "github", "2")
	wantError(s.T, "UnlinkOAuthAccount of somebody else's account", s.store.UnlinkOAuthAccount(s.ctx, user, other.ID), usher.ErrNotFound)
	s.finds("somebody else's account", other)
	wantError(s.T, "UnlinkOAuthAccount", s.store.UnlinkOAuthAccount(s.ctx, user, a.ID), nil)
	s.gone("unlinked", a)
	s.lists("unlinked", user, b)
	s.lists("somebody else", stranger, other)
	wantError(s.T, "UnlinkOAuthAccount again", s.store.UnlinkOAuthAccount(s.ctx, user, a.ID), usher.ErrNotFound)
	wantError(s.T, "UpdateOAuthAccount of an account that was unlinked", s.store.UpdateOAuthAccount(s.ctx, a), usher.ErrNotFound)
	s.gone("unlinked, then updated", a)

	again := s.link(stranger, "github", "1") // it is free again
	if again.ID == a.ID {
		s.Error("a new account got the id of one that was unlinked")
	}
	wantError(s.T, "UpdateOAuthAccount of an account that is somebody else's now", s.store.UpdateOAuthAccount(s.ctx, a), usher.ErrNotFound)
	s.finds("linked again", again)
}

func (s *oauthSuite) deletedUser() {
	users, ok := s.store.(interface {
		DeleteUser(ctx context.Context, id usher.ID) error
	})
	if !ok {
		s.Skip("the store keeps no users")
	}
	user, stranger := s.newUser(), s.newUser()
	a, other := s.link(user, "github", "1"), s.link(stranger, "github", "2")
	wantError(s.T, "DeleteUser", users.DeleteUser(s.ctx, user), nil)
	s.gone("the user was deleted", a)
	s.lists("the user was deleted", user)
	s.lists("somebody else", stranger, other)
	late := s.account(user, "gitlab", "1")
	if err := s.store.LinkOAuthAccount(s.ctx, &late); err == nil || errors.Is(err, usher.ErrOAuthAccountTaken) {
		s.Errorf("LinkOAuthAccount to a user who was deleted: error %v, want one that is not about the account", err)
	}
	s.gone("linked to a user who was deleted", late)
	s.finds("linked again", s.link(stranger, "github", "1"))
}

func (s *oauthSuite) cancelled() {
	user := s.newUser()
	a, ctx := s.link(user, "github", "1"), cancelled(s.T)
	fresh, taken, update := s.account(user, "github", "2"), s.account(user, "github", "1"), a
	update.Email = "new@example.com"
	wantUnknown(s.T, "LinkOAuthAccount", s.store.LinkOAuthAccount(ctx, &fresh))
	wantUnknown(s.T, "LinkOAuthAccount of an account that is taken", s.store.LinkOAuthAccount(ctx, &taken))
	_, err := s.store.OAuthAccount(ctx, "github", "1")
	wantUnknown(s.T, "OAuthAccount", err)
	_, err = s.store.OAuthAccount(ctx, "github", "3")
	wantUnknown(s.T, "OAuthAccount of nobody", err)
	_, err = s.store.OAuthAccounts(ctx, user)
	wantUnknown(s.T, "OAuthAccounts", err)
	wantUnknown(s.T, "UpdateOAuthAccount", s.store.UpdateOAuthAccount(ctx, update))
	wantUnknown(s.T, "UnlinkOAuthAccount", s.store.UnlinkOAuthAccount(ctx, user, a.ID))
	s.lists("after all that", user, a)
}

func (s *oauthSuite) oneLinkWins() {
	users := make([]usher.ID, callers)
	for i := range users {
		users[i] = s.newUser()
	}
	for round := range rounds {
		id := fmt.Sprint(round)
		accounts := make([]usher.OAuthAccount, callers)
		errs := together(callers, func(i int) error {
			accounts[i] = s.account(users[i], "github", id)
			return s.store.LinkOAuthAccount(s.ctx, &accounts[i])
		})
		oneWins(s.T, "LinkOAuthAccount of one account", errs, usher.ErrOAuthAccountTaken)
		for i, err := range errs {
			if err == nil {
				s.finds("the winner's", accounts[i])
			}
		}
	}
}

func (s *oauthSuite) oneUnlinkWins() {
	user := s.newUser()
	for range rounds / 4 {
		a := s.link(user, "github", "1")
		oneWins(s.T, "UnlinkOAuthAccount", together(callers, func(int) error {
			return s.store.UnlinkOAuthAccount(s.ctx, user, a.ID)
		}), usher.ErrNotFound)
		s.gone("unlinked", a)
	}
}

// updateRacesUnlink: a sign-in in flight, which writes new tokens, does not
// bring back a link that its user has cut.
func (s *oauthSuite) updateRacesUnlink() {
	user := s.newUser()
	for range rounds {
		a := s.link(user, "github", "1")
		for _, err := range together(3, func(i int) error {
			if i == 0 {
				return s.store.UnlinkOAuthAccount(s.ctx, user, a.ID)
			}
			err := s.store.UpdateOAuthAccount(s.ctx, a)
			if errors.Is(err, usher.ErrNotFound) {
				return nil
			}
			return err
		}) {
			wantError(s.T, "UpdateOAuthAccount at once with UnlinkOAuthAccount", err, nil)
		}
		s.gone("UpdateOAuthAccount at once with UnlinkOAuthAccount", a)
	}
}
