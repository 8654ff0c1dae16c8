package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"time"

	"golang.org/x/oauth2"

	"usher"
)

// methods are what a sign-in proves (amr). RFC 8176 has no value for "another
// party vouches for him"; this one is ours.
var methods = []string{"oauth"}

// attempts bounds how often a flow looks again because somebody else was faster.
const attempts = 5

// signIn makes the proved account a user, and signs him in.
func (o *OAuth[U]) signIn(r *http.Request, s state, id Identity, token *oauth2.Token) (usher.Authentication, error) {
	ctx, used := r.Context(), false
	for range attempts {
		user, err := o.become(ctx, s, id, token, &used)
		if isRace(err) {
			continue
		}
		if err != nil {
			o.emit(r, usher.Event{Kind: usher.EventLogin, Backend: o.config.Backend, Err: err})
			return usher.Authentication{}, err
		}
		authn, err := o.auth.SignIn(ctx, o.config.Backend, user, methods, o.auth.Client(r))
		if !errors.Is(err, usher.ErrConflict) {
			return authn, err
		}
	}
	return usher.Authentication{}, unavailable(fmt.Errorf("%s: %w", id.Provider, usher.ErrConflict))
}

// isRace tells whether err only says that somebody else was faster.
func isRace(err error) bool {
	for _, race := range []error{usher.ErrConflict, usher.ErrOAuthAccountTaken, usher.ErrUserExists, usher.ErrNotFound} {
		if errors.Is(err, race) {
			return true
		}
	}
	return false
}

// become returns the user that the account stands for, creating or linking him if
// the table says so. used is whether s has been used up by this request.
func (o *OAuth[U]) become(ctx context.Context, s state, id Identity, token *oauth2.Token, used *bool) (*U, error) {
	account, user, situation, err := o.look(ctx, id)
	if err != nil {
		return nil, err
	}
	what, err := decide(situation)
	if err != nil {
		return nil, err
	}
	if !*used {
		if err := o.useUp(ctx, s); err != nil {
			return nil, err
		}
		*used = true
	}
	switch what {
	case create:
		return o.create(ctx, s.Invitation, id, token)
	case link:
		return o.auth.ChangeSignIn(ctx, user, func(ctx context.Context) error {
			return o.linkTo(ctx, user, id, token)
		})
	case claim:
		return o.auth.ClaimUser(ctx, user, func(ctx context.Context) error {
			if err := o.auth.UnlinkOAuthAccounts(ctx, o.config.Accounts, user); err != nil {
				return err
			}
			return o.linkTo(ctx, user, id, token)
		})
	}
	return user, o.update(ctx, account, id, token)
}

// look finds out what decide has to know about somebody who wants to sign in.
func (o *OAuth[U]) look(ctx context.Context, id Identity) (account usher.OAuthAccount, user *U, s situation, err error) {
	s = situation{hasEmail: id.Email != "", providerVerified: id.EmailVerified, associateByEmail: o.config.AssociateByEmail}
	account, err = o.config.Accounts.OAuthAccount(ctx, id.Provider, id.AccountID)
	switch {
	case err == nil:
		s.linked = true
		user, err = o.auth.UserByID(ctx, account.UserID)
		if errors.Is(err, usher.ErrNotFound) { // is being deleted: nobody who could sign in
			return account, nil, s, nil
		}
	case errors.Is(err, usher.ErrNotFound) && s.hasEmail:
		user, err = o.auth.UserByEmail(ctx, id.Email)
		if errors.Is(err, usher.ErrNotFound) {
			return account, nil, s, nil
		}
		s.userExists = true
	case errors.Is(err, usher.ErrNotFound):
		return account, nil, s, nil
	}
	if err != nil {
		return account, nil, s, unavailable(fmt.Errorf("%s: %w", id.Provider, err))
	}
	base := o.auth.Base(user)
	s.userActive, s.userVerified = base.IsActive, base.IsVerified
	return account, user, s, nil
}

// create makes the account a new user.
func (o *OAuth[U]) create(ctx context.Context, invitation string, id Identity, token *oauth2.Token) (*U, error) {
	user := new(U)
	if err := o.fillIn(ctx, user, id); err != nil {
		return nil, err
	}
	base := o.auth.Base(user)
	*base = usher.User{Email: id.Email, IsActive: true, IsVerified: id.EmailVerified}
	err := o.auth.CreateUserWith(ctx, user, invitation, func(ctx context.Context) error {
		return o.link(ctx, base.ID, id, token)
	})
	if err != nil {
		return nil, err
	}
	return user, nil
}

// fillIn calls NewUser, whose panics and errors become what those of usher's Before
// hooks do.
func (o *OAuth[U]) fillIn(ctx context.Context, user *U, id Identity) (err error) {
	if o.config.NewUser == nil {
		return nil
	}
	defer func() {
		if p := recover(); p != nil {
			err = unavailable(fmt.Errorf("%s: NewUser panicked: %v\n%s", id.Provider, p, debug.Stack()))
		}
	}()
	err = o.config.NewUser(ctx, user, id)
	var refusal *usher.Error
	var invalid *usher.ValidationError
	if err == nil || errors.As(err, &refusal) || errors.As(err, &invalid) {
		return err
	}
	return unavailable(fmt.Errorf("%s: NewUser: %v", id.Provider, err)) // whose ErrNotFound is not ours
}

func (o *OAuth[U]) link(ctx context.Context, user usher.ID, id Identity, token *oauth2.Token) error {
	account := usher.OAuthAccount{UserID: user, Provider: id.Provider, AccountID: id.AccountID}
	o.fill(&account, id, token)
	return o.config.Accounts.LinkOAuthAccount(ctx, &account)
}

// linkTo links the account to somebody who was a user before, and tells him.
func (o *OAuth[U]) linkTo(ctx context.Context, user *U, id Identity, token *oauth2.Token) error {
	if err := o.link(ctx, o.auth.Base(user).ID, id, token); err != nil {
		return err
	}
	return o.auth.NotifyOfAccount(ctx, user, usher.MailAccountLinked, id.Provider)
}

// update stores what the provider says now of a linked account.
func (o *OAuth[U]) update(ctx context.Context, account usher.OAuthAccount, id Identity, token *oauth2.Token) error {
	fresh := account
	o.fill(&fresh, id, token)
	if fresh.AccessToken == nil && account.AccessToken == nil && fresh.Email == account.Email {
		return nil // nothing is kept that could have changed
	}
	return o.config.Accounts.UpdateOAuthAccount(ctx, fresh)
}

// fill sets what the provider gave. Some give an address or a refresh token only
// at the first sign-in, so what is there stays.
func (o *OAuth[U]) fill(account *usher.OAuthAccount, id Identity, token *oauth2.Token) {
	if id.Email != "" {
		account.Email = id.Email
	}
	o.fillTokens(account, token)
}

func (o *OAuth[U]) fillTokens(account *usher.OAuthAccount, token *oauth2.Token) {
	if len(o.config.EncryptionKeys) == 0 {
		account.AccessToken, account.RefreshToken, account.ExpiresAt = nil, nil, time.Time{}
		return
	}
	account.AccessToken, account.ExpiresAt = o.sealer.seal(token.AccessToken, accessOf(*account)), token.Expiry
	if token.RefreshToken != "" {
		account.RefreshToken = o.sealer.seal(token.RefreshToken, refreshOf(*account))
	}
}

func accessOf(a usher.OAuthAccount) sealedFor  { return sealedFor{"access", a.Provider, a.AccountID} }
func refreshOf(a usher.OAuthAccount) sealedFor { return sealedFor{"refresh", a.Provider, a.AccountID} }
