package usher

import (
	"context"
	"errors"
)

// A new e-mail address takes effect when whoever reads its mail has said so. The
// address waits nowhere: it is in the token.

// RequestEmailChange mails a link to the new address, with which ConfirmEmail
// makes it the user's. When somebody else has the address he is told instead,
// and the caller learns nothing. The error is ErrNotFound, a *ValidationError or
// a 503.
func (a *Auth[U]) RequestEmailChange(ctx context.Context, user ID, address string) error {
	stored, key, err := parseEmail(address)
	if err != nil {
		return &ValidationError{Fields: []FieldError{invalidEmail(address, err)}}
	}
	asking, err := a.config.Store.UserByID(ctx, user)
	if err != nil {
		return err
	}
	base, message := a.fields.Base(asking), Message{Kind: MailConfirmEmail, Email: stored}
	switch other, err := a.config.Store.UserByEmail(ctx, key); {
	case err == nil:
		base = a.fields.Base(other)
		message = Message{Kind: MailAlreadyRegistered, Email: base.Email}
	case !errors.Is(err, ErrNotFound):
		return unavailable(err)
	}
	if err := a.post(ctx, base, message); err != nil {
		return unavailable(err)
	}
	a.emit(ctx, Event{Kind: EventRequestVerify, UserID: user})
	return nil
}

func (a *Auth[U]) emailToken(u *User, address string) (string, error) {
	secret := a.config.VerifySecret
	return signOneTime(secret, audienceEmail, a.config.VerifyLifetime, a.config.now(), jwtClaims{
		Subject: string(u.ID), Email: address, ID: stateOf(secret, u),
	})
}

// ConfirmEmail makes the address that the token was mailed to the user's, and
// verified. The error is ErrBadVerifyToken, also when somebody else has the
// address by now. Of several calls with one token exactly one succeeds.
func (a *Auth[U]) ConfirmEmail(ctx context.Context, token string) (user *U, err error) {
	defer func() {
		e := Event{Kind: EventUpdate, Err: err}
		if user != nil {
			e.UserID = a.fields.Base(user).ID
		}
		a.emit(ctx, e)
	}()
	claims, err := a.parseOneTime(token, a.config.VerifySecret, audienceEmail)
	if err != nil {
		return nil, badToken(ErrBadVerifyToken, err)
	}
	old, err := a.config.Store.UserByID(ctx, ID(claims.Subject))
	if errors.Is(err, ErrNotFound) {
		return nil, ErrBadVerifyToken
	}
	if err != nil {
		return nil, unavailable(err)
	}
	base := a.fields.Base(old)
	if _, same := inState(claims, a.config.VerifySecret, base); !same || !base.IsActive {
		return nil, ErrBadVerifyToken
	}
	changed := *old
	to := a.fields.Base(&changed)
	to.Email, to.IsVerified = claims.Email, true
	to.Epoch++
	err = a.commit(ctx, old, &changed, Change[U]{Email: &claims.Email})
	switch {
	case errors.Is(err, ErrConflict), errors.Is(err, ErrEmailTaken), errors.Is(err, ErrNotFound):
		return nil, badToken(ErrBadVerifyToken, err)
	case err != nil:
		return nil, unavailable(err)
	}
	if hook := a.config.Hooks.AfterUpdate; hook != nil {
		a.after("AfterUpdate", func() { hook(ctx, &changed, []string{"email"}) })
	}
	return &changed, nil
}
