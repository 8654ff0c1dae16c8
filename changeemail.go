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
	if _, err := EmailKey(address); err != nil {
		return &ValidationError{Fields: []FieldError{invalidEmail(address, err)}}
	}
	asking, err := a.config.Store.UserByID(ctx, user)
	if err != nil {
		return err
	}
	if err := a.askToConfirm(ctx, a.fields.Base(asking), address); err != nil {
		return unavailable(err)
	}
	a.emit(ctx, Event{Kind: EventRequestVerify, UserID: user})
	return nil
}

// askToConfirm puts the mail to a new address of the user, or to whoever has it,
// into the outbox.
func (a *Auth[U]) askToConfirm(ctx context.Context, user *User, address string) error {
	stored, key, err := parseEmail(address)
	if err != nil {
		return err
	}
	switch other, err := a.config.Store.UserByEmail(ctx, key); {
	case err == nil:
		return a.notify(ctx, MailAlreadyRegistered, a.fields.Base(other), nil)
	case !errors.Is(err, ErrNotFound):
		return err
	}
	return a.post(ctx, user, Message{Kind: MailConfirmEmail, Email: stored})
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
func (a *Auth[U]) ConfirmEmail(ctx context.Context, token string) (*U, error) {
	claims, err := a.parseOneTime(token, a.config.VerifySecret, audienceEmail)
	if err != nil {
		err = badToken(ErrBadVerifyToken, err)
		a.emit(ctx, Event{Kind: EventUpdate, Err: err})
		return nil, err
	}
	user, err := a.UpdateUser(ctx, ID(claims.Subject), Change[U]{
		Email: &claims.Email, IsVerified: new(true), members: []string{"email"},
		onlyIf: func(now *U) bool {
			base := a.fields.Base(now)
			_, same := inState(claims, a.config.VerifySecret, base)
			return same && base.IsActive
		},
	})
	var refusal *Error
	switch {
	case errors.Is(err, ErrEmailExists), errors.Is(err, errUserChanged):
		return nil, badToken(ErrBadVerifyToken, err)
	case errors.As(err, &refusal): // by a hook, or because of an outage
		return nil, err
	case errors.Is(err, ErrNotFound):
		return nil, badToken(ErrBadVerifyToken, err)
	}
	return user, err
}
