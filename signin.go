package usher

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Client describes where a sign-in comes from.
type Client struct {
	IP        string
	UserAgent string
}

// Login checks a password and signs the user in through the named backend. The
// token is in the Authentication. The error is ErrBadCredentials for an unknown
// address, a wrong password and an inactive user alike, ErrUserNotVerified only
// after the right password, and a 503 when the password could not be checked
// in time.
func (a *Auth[U]) Login(ctx context.Context, backend, email, password string, client Client) (*U, Authentication, error) {
	user, err := a.checkCredentials(ctx, email, password)
	if err != nil {
		e := Event{Kind: EventLogin, Backend: backend, IP: client.IP, UserAgent: client.UserAgent, Err: err}
		if user != nil {
			e.UserID = a.fields.Base(user).ID
		}
		a.emit(ctx, e)
		return nil, Authentication{}, err
	}
	authn, err := a.SignIn(ctx, backend, user, []string{"pwd"}, client)
	if err != nil {
		return nil, Authentication{}, err
	}
	return user, authn, nil
}

// checkCredentials returns the user with this address and password. Every way
// through it costs exactly one password hash, taken at the gate. A user is
// returned with an error when he is known, for the event.
func (a *Auth[U]) checkCredentials(ctx context.Context, email, password string) (*U, error) {
	var user *U
	key, err := EmailKey(email)
	if err == nil {
		user, err = a.config.Store.UserByEmail(ctx, key)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return nil, unavailable(err)
		}
	}
	if err != nil {
		if err := a.config.Passwords.VerifyUnknown(ctx, password); err != nil {
			return nil, unavailable(err)
		}
		return nil, ErrBadCredentials
	}
	base := a.fields.Base(user)
	result, err := a.config.Passwords.Verify(ctx, base.HashedPassword, password)
	if err != nil {
		return user, unavailable(err)
	}
	if !result.OK || !base.IsActive {
		return user, ErrBadCredentials
	}
	if result.Upgrade {
		user = a.upgradeHash(ctx, user, password)
	}
	return user, nil
}

// upgradeHash replaces a hash of an older scheme or cost. Nobody has to wait or
// fail for it: if the gate is busy or the row has changed, the next sign-in
// tries again.
func (a *Auth[U]) upgradeHash(ctx context.Context, user *U, password string) *U {
	hash, err := a.config.Passwords.Hash(ctx, password)
	if err == nil {
		upgraded := *user
		a.fields.Base(&upgraded).HashedPassword = hash
		if err = a.config.Store.UpdateUser(ctx, user, &upgraded); err == nil {
			user = &upgraded
		}
	}
	a.emit(ctx, Event{Kind: EventPasswordRehash, UserID: a.fields.Base(user).ID, Err: err})
	return user
}

// SignIn is the one door: every way to sign in ends here, and nothing else
// makes sessions or tokens. methods are what the user has proved (RFC 8176).
// The error is ErrBadCredentials for an inactive user, ErrUserNotVerified, or
// the veto of BeforeLogin.
func (a *Auth[U]) SignIn(ctx context.Context, backend string, user *U, methods []string, client Client) (authn Authentication, err error) {
	base := a.fields.Base(user)
	authn = Authentication{
		UserID: base.ID, Methods: methods, AuthTime: a.config.now().Truncate(time.Second),
		IP: client.IP, UserAgent: client.UserAgent, Data: map[string]any{}, Backend: backend,
	}
	defer func() {
		a.emit(ctx, Event{Kind: EventLogin, UserID: base.ID, SessionID: authn.SessionID, Backend: backend, IP: client.IP, UserAgent: client.UserAgent, Err: err})
	}()
	b, known := a.backend(backend)
	switch {
	case !known:
		return authn, fmt.Errorf("usher: no backend is named %q", backend)
	case !base.IsActive:
		return authn, ErrBadCredentials
	case a.config.RequireVerified && !base.IsVerified:
		return authn, ErrUserNotVerified
	}
	if hook := a.config.Hooks.BeforeLogin; hook != nil {
		if err := before("BeforeLogin", func() error { return hook(ctx, user, &authn) }); err != nil {
			return authn, err
		}
	}
	authn.Token, err = b.Strategy.WriteToken(ctx, &authn)
	if err != nil {
		return authn, unavailable(err)
	}
	if hook := a.config.Hooks.AfterLogin; hook != nil {
		a.after("AfterLogin", func() { hook(ctx, user, authn) })
	}
	return authn, nil
}

// SignOut ends the sign-in that authenticated a request. A token that cannot be
// revoked lives on until it expires; that is no error.
func (a *Auth[U]) SignOut(ctx context.Context, user *U, authn Authentication) error {
	err := a.destroy(ctx, authn.Backend, authn.Token)
	a.emit(ctx, Event{Kind: EventLogout, UserID: authn.UserID, SessionID: authn.SessionID, Backend: authn.Backend, Err: err})
	if err != nil {
		return err
	}
	if hook := a.config.Hooks.AfterLogout; hook != nil {
		a.after("AfterLogout", func() { hook(ctx, user, authn) })
	}
	return nil
}

// destroy returns nil when the token is not good any more, or is of a kind that
// cannot be destroyed.
func (a *Auth[U]) destroy(ctx context.Context, backend, token string) error {
	b, known := a.backend(backend)
	if !known {
		return fmt.Errorf("usher: no backend is named %q", backend)
	}
	err := b.Strategy.DestroyToken(ctx, token)
	if err == nil || errors.Is(err, ErrNotRevocable) || errors.Is(err, ErrInvalidToken) {
		return nil
	}
	return unavailable(err)
}
