package usher

import (
	"context"
	"errors"
	"time"
)

// inTx does several things in the user store or none, if the store can.
func (a *Auth[U]) inTx(ctx context.Context, f func(context.Context) error) error {
	if store, ok := a.config.Store.(Transactor); ok {
		return store.InTx(ctx, f)
	}
	return f(ctx)
}

// notify puts a mail to the user into the outbox. Without an outbox it does
// nothing.
func (a *Auth[U]) notify(ctx context.Context, kind MessageKind, user *User, data map[string]string) error {
	return a.post(ctx, Message{Kind: kind, UserID: user.ID, Email: user.Email, Data: data})
}

func (a *Auth[U]) post(ctx context.Context, m Message) error {
	if a.config.Outbox == nil {
		return nil
	}
	m.CreatedAt = a.config.now()
	m.DueAt = m.CreatedAt
	return a.config.Outbox.AddMessage(ctx, &m)
}

// notifyOfChange tells a user what was changed, at the address that he had: who
// takes an account over cannot keep it from him (ASVS 6.3.7).
func (a *Auth[U]) notifyOfChange(ctx context.Context, old, changed *User, password bool) error {
	var err error
	moved := !sameEmail(old.Email, changed.Email)
	if password {
		err = errors.Join(err, a.notify(ctx, MailPasswordChanged, old, nil))
	}
	if moved {
		err = errors.Join(err, a.notify(ctx, MailEmailChanged, old, map[string]string{"new_email": changed.Email}))
	}
	if moved && !changed.IsVerified {
		err = errors.Join(err, a.notify(ctx, MailVerify, changed, nil))
	}
	return err
}

// notifyOfSignIn comes after the sign-in: it must neither delay nor undo it.
func (a *Auth[U]) notifyOfSignIn(ctx context.Context, user *User, authn Authentication) {
	if !a.config.MailNewSignIn {
		return
	}
	data := map[string]string{"ip": authn.IP, "user_agent": authn.UserAgent, "time": authn.AuthTime.UTC().Format(time.RFC3339)}
	if err := a.notify(ctx, MailNewSignIn, user, data); err != nil {
		a.config.Logger.Error("usher: mail about a sign-in", "user", user.ID, "error", err)
	}
}

// NewVerifyToken makes a token for Verify. The error is ErrNotFound when there is
// nothing to verify: the user is gone, inactive or verified.
func (a *Auth[U]) NewVerifyToken(ctx context.Context, user ID) (string, error) {
	u, err := a.activeUser(ctx, user)
	if err != nil || u.IsVerified {
		return "", errors.Join(err, ErrNotFound)
	}
	return a.verifyToken(ctx, u)
}

// NewResetToken makes a token for ResetPassword. The error is ErrNotFound when
// the user is gone or inactive.
func (a *Auth[U]) NewResetToken(ctx context.Context, user ID) (string, error) {
	u, err := a.activeUser(ctx, user)
	if err != nil {
		return "", err
	}
	return a.resetToken(ctx, u)
}

// NewEmailToken makes a token for ConfirmEmail. The error is ErrNotFound when
// the user is gone or inactive.
func (a *Auth[U]) NewEmailToken(ctx context.Context, user ID, newEmail string) (string, error) {
	u, err := a.activeUser(ctx, user)
	if err != nil {
		return "", err
	}
	secret := a.config.VerifySecret
	return signOneTime(secret, audienceEmail, a.config.VerifyLifetime, a.config.now(), jwtClaims{
		Subject: string(u.ID), Email: newEmail, ID: stateOf(secret, u),
	})
}

func (a *Auth[U]) activeUser(ctx context.Context, id ID) (*User, error) {
	user, err := a.config.Store.UserByID(ctx, id)
	if err != nil {
		return nil, err
	}
	if base := a.fields.Base(user); base.IsActive {
		return base, nil
	}
	return nil, ErrNotFound
}
