package usher

import (
	"context"
	"errors"
)

// RequestVerify makes a token that proves the address to whom it is mailed, if
// an active user who is not verified has this address, and does the same work if
// not. The error is a *ValidationError for an address that is none, or a 503.
func (a *Auth[U]) RequestVerify(ctx context.Context, address string) error {
	user, token, err := a.prepareMail(ctx, address, MailVerify, a.verifyToken, func(u *User) bool { return u.IsActive && !u.IsVerified })
	e := Event{Kind: EventRequestVerify, Err: err}
	if user != nil {
		e.UserID = a.fields.Base(user).ID
		if hook := a.config.Hooks.AfterRequestVerify; hook != nil {
			a.after(ctx, "AfterRequestVerify", func(ctx context.Context) { hook(ctx, user, token) })
		}
	}
	a.emit(ctx, e)
	return err
}

// verifyToken makes a token with FastAPI Users' claims.
func (a *Auth[U]) verifyToken(_ context.Context, u *User) (string, error) {
	secret := a.config.VerifySecret
	return signOneTime(secret, audienceVerify, a.config.VerifyLifetime, a.config.now(), jwtClaims{
		Subject: string(u.ID), Email: u.Email, ID: stateOf(secret, u),
	})
}

// Verify marks the address as proved. The error is ErrBadVerifyToken or
// ErrAlreadyVerified. Of several calls with one token exactly one succeeds.
func (a *Auth[U]) Verify(ctx context.Context, token string) (user *U, err error) {
	defer func() {
		e := Event{Kind: EventVerify, Err: err}
		if user != nil {
			e.UserID = a.fields.Base(user).ID
		}
		a.emit(ctx, e)
	}()
	claims, err := a.parseOneTime(token, a.config.VerifySecret, audienceVerify)
	if err != nil {
		return nil, badToken(ErrBadVerifyToken, err)
	}
	for range 5 {
		old, err := a.config.Store.UserByID(ctx, ID(claims.Subject))
		if errors.Is(err, ErrNotFound) {
			return nil, ErrBadVerifyToken
		}
		if err != nil {
			return nil, unavailable(err)
		}
		base := a.fields.Base(old)
		own, same := inState(claims, a.config.VerifySecret, base)
		switch {
		case !sameEmail(claims.Email, base.Email), !base.IsActive, own && !same:
			return nil, ErrBadVerifyToken
		case base.IsVerified:
			return nil, ErrAlreadyVerified
		}
		verified := *old
		a.fields.Base(&verified).IsVerified = true
		err = a.commit(ctx, old, &verified, Change[U]{})
		if errors.Is(err, ErrConflict) { // look again: somebody may have been faster
			continue
		}
		if err != nil {
			return nil, answer(err)
		}
		if hook := a.config.Hooks.AfterVerify; hook != nil {
			a.after(ctx, "AfterVerify", func(ctx context.Context) { hook(ctx, &verified) })
		}
		return &verified, nil
	}
	return nil, unavailable(ErrConflict)
}

// prepareMail finds the user to mail a token to. For an address that nobody has,
// or that nothing is to be mailed to, it does the same work and returns no user.
func (a *Auth[U]) prepareMail(ctx context.Context, address string, kind MessageKind, mint func(context.Context, *User) (string, error), deserves func(*User) bool) (*U, string, error) {
	key, err := EmailKey(address)
	if err != nil {
		return nil, "", &ValidationError{Fields: []FieldError{invalidEmail(address, err)}}
	}
	user, err := a.config.Store.UserByEmail(ctx, key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, "", unavailable(err)
	}
	stranger := User{ID: NewID(), Email: address, HashedPassword: "!"}
	base := &stranger
	if err == nil {
		base = a.fields.Base(user)
	}
	token, err := mint(ctx, base)
	if err != nil {
		return nil, "", unavailable(err)
	}
	message := Message{Kind: kind, Email: base.Email}
	if base == &stranger || !deserves(base) {
		user, token, message = nil, "", Message{Kind: MailNone}
	}
	if err := a.post(ctx, base, message); err != nil {
		return nil, "", unavailable(err)
	}
	return user, token, nil
}

// badToken keeps why a token is bad for the log.
func badToken(refusal *Error, cause error) *Error {
	return &Error{Status: refusal.Status, Code: refusal.Code, Err: cause}
}
