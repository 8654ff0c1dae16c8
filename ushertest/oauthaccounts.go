package ushertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
)

// TestOAuthAccountStore proves that an OAuthAccountStore keeps its contract.
//
// newStore is called for each part of the suite. It returns an empty store, and
// a function that makes a user who can own accounts in it; nil if any id will
// do. A store that also has the method DeleteUser of a UserStore must end a
// user's links with the user.
func TestOAuthAccountStore(t *testing.T, newStore func(t *testing.T) (store usher.OAuthAccountStore, newUser func(t *testing.T) usher.ID)) {
	for _, part := range []struct {
		name string
		test func(*oauthSuite)
	}{
		{"round trip", (*oauthSuite).roundTrip},
		{"returns copies", (*oauthSuite).copies},
		{"not found", (*oauthSuite).notFound},
		{"exact names", (*oauthSuite).exactNames},
		{"taken", (*oauthSuite).taken},
		{"list", (*oauthSuite).list},
		{"update", (*oauthSuite).update},
		{"unlink", (*oauthSuite).unlink},
		{"deleted user", (*oauthSuite).deletedUser},
		{"cancelled context", (*oauthSuite).cancelled},
		{"one link wins", (*oauthSuite).oneLinkWins},
		{"one unlink wins", (*oauthSuite).oneUnlinkWins},
		{"update races unlink", (*oauthSuite).updateRacesUnlink},
	} {
		t.Run(part.name, func(t *testing.T) {
			store, newUser := newStore(t)
			if newUser == nil {
				newUser = anyUser
			}
			part.test(&oauthSuite{T: t, ctx: t.Context(), store: store, newUser: func() usher.ID { return newUser(t) }})
		})
	}
}

type oauthSuite struct {
	*testing.T
	ctx     context.Context
	store   usher.OAuthAccountStore
	newUser func() usher.ID
}

// account returns an account that is not linked yet.
func (s *oauthSuite) account(user usher.ID, provider, accountID string) usher.OAuthAccount {
	return usher.OAuthAccount{
		UserID: user, Provider: provider, AccountID: accountID, Email: "Zoë@example.com",
		AccessToken: []byte("access\x00\xff" + accountID), RefreshToken: []byte("refresh\x00\xfe" + accountID),
		ExpiresAt: time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC),
	}
}

// link links an ordinary account.
func (s *oauthSuite) link(user usher.ID, provider, accountID string) usher.OAuthAccount {
	s.Helper()
	a := s.account(user, provider, accountID)
	if err := s.store.LinkOAuthAccount(s.ctx, &a); err != nil {
		s.Fatalf("LinkOAuthAccount %s %s: %v", provider, shorten(accountID), err)
	}
	return a
}

// finds checks that the provider's account is as it should be.
func (s *oauthSuite) finds(what string, want usher.OAuthAccount) {
	s.Helper()
	got, err := s.store.OAuthAccount(s.ctx, want.Provider, want.AccountID)
	if err != nil {
		s.Errorf("%s: OAuthAccount: %v", what, err)
		return
	}
	s.same(what+": OAuthAccount", got, want)
}

// gone checks that the provider's account is linked to nobody.
func (s *oauthSuite) gone(what string, a usher.OAuthAccount) {
	s.Helper()
	got, err := s.store.OAuthAccount(s.ctx, a.Provider, a.AccountID)
	if !errors.Is(err, usher.ErrNotFound) {
		s.Errorf("%s: OAuthAccount: account %q and error %v, want %v", what, got.ID, err, usher.ErrNotFound)
	}
}

// lists checks that the user has exactly these accounts, in this order.
func (s *oauthSuite) lists(what string, user usher.ID, want ...usher.OAuthAccount) {
	s.Helper()
	got, err := s.store.OAuthAccounts(s.ctx, user)
	wantError(s.T, what+": OAuthAccounts", err, nil)
	if len(got) != len(want) {
		s.Errorf("%s: OAuthAccounts: %d accounts, want %d", what, len(got), len(want))
		return
	}
	for i := range want {
		s.same(fmt.Sprintf("%s: OAuthAccounts: account %d", what, i), got[i], want[i])
	}
}

// same checks that an account came back as it went in.
func (s *oauthSuite) same(what string, got, want usher.OAuthAccount) {
	s.Helper()
	check := func(field string, ok bool, got, want any) {
		s.Helper()
		if !ok {
			s.Errorf("%s: %s is %s, want %s", what, field, shorten(got), shorten(want))
		}
	}
	sameBytes := func(a, b []byte) bool { return bytes.Equal(a, b) && (a == nil) == (b == nil) }
	check("ID", got.ID == want.ID, got.ID, want.ID)
	check("UserID", got.UserID == want.UserID, got.UserID, want.UserID)
	check("Provider", got.Provider == want.Provider, got.Provider, want.Provider)
	check("AccountID", got.AccountID == want.AccountID, got.AccountID, want.AccountID)
	check("Email", got.Email == want.Email, got.Email, want.Email)
	check("AccessToken", sameBytes(got.AccessToken, want.AccessToken), got.AccessToken, want.AccessToken)
	check("RefreshToken", sameBytes(got.RefreshToken, want.RefreshToken), got.RefreshToken, want.RefreshToken)
	check("ExpiresAt", sameTime(got.ExpiresAt, want.ExpiresAt) && got.ExpiresAt.IsZero() == want.ExpiresAt.IsZero(), got.ExpiresAt, want.ExpiresAt)
	check("CreatedAt", sameTime(got.CreatedAt, want.CreatedAt), got.CreatedAt, want.CreatedAt)
	check("UpdatedAt", sameTime(got.UpdatedAt, want.UpdatedAt), got.UpdatedAt, want.UpdatedAt)
}

func (s *oauthSuite) roundTrip() {
	user := s.newUser()
	everyByte := make([]byte, 8192)
	for i := range everyByte {
		everyByte[i] = byte(i)
	}
	for name, given := range map[string]usher.OAuthAccount{
		"full":        s.account(user, "github", "583231"),
		"bare":        {UserID: user, Provider: "github", AccountID: "bare"},
		"no refresh":  {UserID: user, Provider: "github", AccountID: "no refresh", AccessToken: []byte("a")},
		"long tokens": {UserID: user, Provider: "github", AccountID: "long", AccessToken: everyByte, RefreshToken: everyByte[1:]},
		"long ids":    {UserID: user, Provider: strings.Repeat("p", 64), AccountID: strings.Repeat("9", 255)},
	} {
		a := given
		wantError(s.T, name+": LinkOAuthAccount", s.store.LinkOAuthAccount(s.ctx, &a), nil)
		if a.ID == "" || a.CreatedAt.IsZero() || a.UpdatedAt.IsZero() {
			s.Errorf("%s: LinkOAuthAccount set ID to %q, CreatedAt to %v and UpdatedAt to %v", name, a.ID, a.CreatedAt, a.UpdatedAt)
		}
		given.ID, given.CreatedAt, given.UpdatedAt = a.ID, a.CreatedAt, a.UpdatedAt
		s.same(name+": what the caller gave", a, given)
		s.finds(name, given)
	}
	accounts, err := s.store.OAuthAccounts(s.ctx, user)
	wantError(s.T, "OAuthAccounts", err, nil)
	ids := map[string]bool{}
	for _, a := range accounts {
		ids[a.ID] = true
		s.finds("an account that is listed", a)
	}
	if len(ids) != 5 {
		s.Errorf("OAuthAccounts: %d different ids, want 5", len(ids))
	}
}

// copies: what goes in and what comes out belongs to the caller.
func (s *oauthSuite) copies() {
	user := s.newUser()
	a := s.link(user, "github", "1")
	want := a
	want.AccessToken, want.RefreshToken = slices.Clone(a.AccessToken), slices.Clone(a.RefreshToken)
	vandalise := func(a usher.OAuthAccount) { a.AccessToken[0], a.RefreshToken[0] = 'X', 'X' }
	vandalise(a)
	s.finds("after the caller changed what it gave", want)
	got, err := s.store.OAuthAccount(s.ctx, "github", "1")
	if err != nil {
		s.Fatalf("OAuthAccount: %v", err)
	}
	vandalise(got)
	listed, err := s.store.OAuthAccounts(s.ctx, user)
	if err != nil {
		s.Fatalf("OAuthAccounts: %v", err)
	}
	for _, a := range listed {
		vandalise(a)
	}
	s.finds("after a reader changed what it got", want)
	update := want
	update.AccessToken, update.RefreshToken = slices.Clone(want.AccessToken), slices.Clone(want.RefreshToken)
	wantError(s.T, "UpdateOAuthAccount", s.store.UpdateOAuthAccount(s.ctx, update), nil)
	vandalise(update)
	got, err = s.store.OAuthAccount(s.ctx, "github", "1")
	if err != nil || !bytes.Equal(got.AccessToken, want.AccessToken) || !bytes.Equal(got.RefreshToken, want.RefreshToken) {
		s.Errorf("after the caller changed what it gave to UpdateOAuthAccount: tokens %q and %q, %v", got.AccessToken, got.RefreshToken, err)
	}
}

func (s *oauthSuite) notFound() {
	user := s.newUser()
	a := s.link(user, "github", "1")
	for _, nobody := range []usher.OAuthAccount{{Provider: "github", AccountID: "2"}, {Provider: "gitlab", AccountID: "1"}, {Provider: "github"}, {AccountID: "1"}, {}} {
		s.gone(fmt.Sprintf("%q %q", nobody.Provider, nobody.AccountID), nobody)
	}
	s.lists("a user without accounts", s.newUser())
	for _, id := range append(hostile(), string(usher.NewID()), string(user), a.ID+" ", a.ID+"' --") {
		b := a
		b.ID, b.Email = id, "vandal@example.com"
		wantError(s.T, "UpdateOAuthAccount "+shorten(id), s.store.UpdateOAuthAccount(s.ctx, b), usher.ErrNotFound)
		wantError(s.T, "UnlinkOAuthAccount "+shorten(id), s.store.UnlinkOAuthAccount(s.ctx, user, id), usher.ErrNotFound)
	}
	for _, id := range hostile() {
		wantError(s.T, "UnlinkOAuthAccount of user "+shorten(id), s.store.UnlinkOAuthAccount(s.ctx, usher.ID(id), a.ID), usher.ErrNotFound)
		s.lists("user "+shorten(id), usher.ID(id))
	}
	s.finds("after all that", a)
	s.lists("after all that", user, a)
}

// exactNames: accounts whose names look alike, to people or to a collation, are
// not one account: else one could sign in as another.
func (s *oauthSuite) exactNames() {
	var all []usher.OAuthAccount
	for _, name := range []struct{ provider, account string }{
		{"github", "zoë"}, {"GitHub", "zoë"}, {"github ", "zoë"}, {"github", "zoë "}, {"github", " zoë"}, {"github", "ZOË"}, {"github", "Zoë"}, {"github", "zoe"},
		{"github", "zoe\u0308"}, {"github", "ｚｏë"}, {"github", "1"}, {"github", "01"}, {"github", "1.0"}, {"github", "1e0"}, {"github", "%"}, {"github", "_"},
		{"github", "z%"}, {"github", "*"}, {"github", "zoë' OR '1'='1"}, {"github", `zoë\`}, {"github|zoë", ""}, {"git", "hub|zoë"}, {"github", "straße"}, {"github", "strasse"},
	} {
		all = append(all, s.link(s.newUser(), name.provider, name.account))
	}
	for _, a := range all {
		s.finds(fmt.Sprintf("%q %q", a.Provider, a.AccountID), a)
	}
}

func (s *oauthSuite) taken() {
	user, stranger := s.newUser(), s.newUser()
	a := s.link(user, "github", "1")
	for what, who := range map[string]usher.ID{"the same user": user, "another user": stranger} {
		b := s.account(who, "github", "1")
		b.Email = "other@example.com"
		wantError(s.T, "LinkOAuthAccount to "+what, s.store.LinkOAuthAccount(s.ctx, &b), usher.ErrOAuthAccountTaken)
		s.finds("after a second link was refused", a)
	}
	s.lists("the other user", stranger)
	b := s.link(stranger, "gitlab", "1") // another account, though of the same number
	c := s.link(user, "github", "2")     // two at one provider
	s.finds("the first", a)
	s.finds("the same number elsewhere", b)
	s.finds("the second at a provider", c)
}

func (s *oauthSuite) list() {
	user, stranger := s.newUser(), s.newUser()
	var want []usher.OAuthAccount
	for i := range 5 {
		want = append(want, s.link(user, fmt.Sprint("provider", 9-i), "1"))
		s.link(stranger, fmt.Sprint("provider", 9-i), "2")
		time.Sleep(2 * time.Millisecond)
	}
	s.lists("a user's accounts, oldest first", user, want...)
	update := want[0]
	update.Email = "new@example.com"
	wantError(s.T, "UpdateOAuthAccount", s.store.UpdateOAuthAccount(s.ctx, update), nil)
	got, err := s.store.OAuthAccounts(s.ctx, user)
	if err != nil || len(got) != len(want) || got[0].ID != want[0].ID {
		s.Errorf("after the oldest was updated: OAuthAccounts: %d accounts, %v; want it first of %d", len(got), err, len(want))
	}
}
