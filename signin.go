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
func (a *Auth[U]) Login(ctx context.Context, backend, email, password string, client Client) (user *U, authn Authentication, err error) {
	var known *U
	defer func() { a.emitLogin(ctx, backend, known, authn, client, err) }()
	for range 3 { // the user may change between our check and the sign-in
		if known, err = a.checkCredentials(ctx, email, password); err != nil {
			return nil, Authentication{}, err
		}
		authn, err = a.signIn(ctx, backend, known, []string{"pwd"}, client)
		if err == nil {
			return known, authn, nil
		}
		if !errors.Is(err, errUserChanged) {
			return nil, Authentication{}, err
		}
	}
	return nil, Authentication{}, unavailable(err)
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
// The error is ErrBadCredentials for an inactive user, ErrUserNotVerified, the
// veto of BeforeLogin, or ErrConflict if the user's address, password or activity
// has changed since user was read: what was proved then need not hold any more.
func (a *Auth[U]) SignIn(ctx context.Context, backend string, user *U, methods []string, client Client) (authn Authentication, err error) {
	defer func() { a.emitLogin(ctx, backend, user, authn, client, err) }()
	return a.signIn(ctx, backend, user, methods, client)
}

// errUserChanged: the user changed after he had proved who he is.
var errUserChanged = fmt.Errorf("usher: proof of a user: %w", ErrConflict)

func (a *Auth[U]) signIn(ctx context.Context, backend string, user *U, methods []string, client Client) (authn Authentication, err error) {
	base := a.fields.Base(user)
	authn = Authentication{
		UserID: base.ID, Methods: methods, AuthTime: a.config.now().Truncate(time.Second),
		IP: client.IP, UserAgent: client.UserAgent, Data: map[string]any{}, Backend: backend, Generation: generationOf(base),
	}
	b, known := a.backend(backend)
	if !known {
		return authn, fmt.Errorf("usher: no backend is named %q", backend)
	}
	if err := a.admits(user); err != nil {
		return authn, err
	}
	if hook := a.config.Hooks.BeforeLogin; hook != nil {
		if err := before("BeforeLogin", func() error { return hook(ctx, user, &authn) }); err != nil {
			return authn, err
		}
	}
	authn.Token, err = b.Strategy.WriteToken(ctx, &authn)
	if errors.Is(err, ErrNotFound) { // the store found that the user is gone
		return authn, ErrBadCredentials
	}
	if err != nil {
		return authn, unavailable(err)
	}
	if err := a.stillAdmits(ctx, user); err != nil {
		// Nobody will ever hold this token, whether it can be destroyed or not.
		err = errors.Join(err, a.destroy(ctx, backend, authn.Token))
		authn.Token = ""
		return authn, err
	}
	a.notifyOfSignIn(ctx, base, authn)
	if hook := a.config.Hooks.AfterLogin; hook != nil {
		a.after(ctx, "AfterLogin", func(ctx context.Context) { hook(ctx, user, authn) })
	}
	return authn, nil
}

// admits tells whether the user may sign in at all.
func (a *Auth[U]) admits(user *U) error {
	base := a.fields.Base(user)
	switch {
	case !base.IsActive:
		return ErrBadCredentials
	case a.config.RequireVerified && !base.IsVerified:
		return ErrUserNotVerified
	}
	return nil
}

// stillAdmits looks at the user again when his session exists. A password change
// or a deactivation ends the sessions that it finds, so one that began before it
// and is made after it would escape: here it is found out.
func (a *Auth[U]) stillAdmits(ctx context.Context, user *U) error {
	now, err := a.config.Store.UserByID(ctx, a.fields.Base(user).ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return ErrBadCredentials
	case err != nil:
		return unavailable(err)
	case !a.provesStill(now, user):
		return errUserChanged
	}
	return a.admits(now)
}

// provesStill tells whether what was proved of a user as he was then holds now.
// If not he may prove it again: the hash may only have been brought up to date.
func (a *Auth[U]) provesStill(now, then *U) bool {
	x, y := a.fields.Base(now), a.fields.Base(then)
	return x.Epoch == y.Epoch && x.HashedPassword == y.HashedPassword && x.IsActive == y.IsActive
}

// emitLogin ends the flow of signing in. user is nil when nobody is known.
func (a *Auth[U]) emitLogin(ctx context.Context, backend string, user *U, authn Authentication, client Client, err error) {
	e := Event{Kind: EventLogin, SessionID: authn.SessionID, Backend: backend, IP: client.IP, UserAgent: client.UserAgent, Err: err}
	if user != nil {
		e.UserID = a.fields.Base(user).ID
	}
	a.emit(ctx, e)
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
		a.after(ctx, "AfterLogout", func(ctx context.Context) { hook(ctx, user, authn) })
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
