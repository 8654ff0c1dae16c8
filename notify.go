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
	return a.post(ctx, user, Message{Kind: kind, Email: user.Email, Data: data})
}

// post is notify for another address than the user's own.
func (a *Auth[U]) post(ctx context.Context, user *User, m Message) error {
	if a.config.Outbox == nil {
		return nil
	}
	if state := a.stateFor(m.Kind, user); state != "" {
		m.Data = map[string]string{"state": state}
	}
	if m.Kind != MailNone {
		m.UserID = user.ID
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

// NewToken makes the token for the link in a message, when it is delivered: so
// none lies in the outbox. The error is ErrNotFound when the message is not due
// any more, because the user is not as he was when it was written: gone,
// inactive, verified, or with another address or password.
func (a *Auth[U]) NewToken(ctx context.Context, m Message) (string, error) {
	u, err := a.activeUser(ctx, m.UserID)
	switch {
	case err != nil:
		return "", err
	case m.Data["state"] != a.stateFor(m.Kind, u), m.Kind == MailVerify && u.IsVerified:
		return "", ErrNotFound
	}
	switch m.Kind {
	case MailVerify:
		return a.verifyToken(ctx, u)
	case MailReset:
		return a.resetToken(ctx, u)
	case MailConfirmEmail:
		return a.emailToken(u, m.Email)
	}
	return "", nil // no link
}

// MailLanguage is the language for a message, from Config.MailLanguage; "" if it says
// none. The error is ErrNotFound when the user is gone.
func (a *Auth[U]) MailLanguage(ctx context.Context, m Message) (language string, err error) {
	if a.config.MailLanguage == nil {
		return "", nil
	}
	user, err := a.config.Store.UserByID(ctx, m.UserID)
	if err != nil {
		return "", err
	}
	a.call("MailLanguage", func() { language = a.config.MailLanguage(user) })
	return language, nil
}

// sweepDeadMail deletes the mails that were given up before DeadMailLifetime. They
// are among the oldest that wait.
func (a *Auth[U]) sweepDeadMail(ctx context.Context) (total int, err error) {
	if a.config.Outbox == nil {
		return 0, nil
	}
	before := a.config.now().Add(-a.config.DeadMailLifetime)
	oldest, err := a.config.Outbox.ListMessages(ctx, mostSweepBatch)
	for _, m := range oldest {
		if !m.Dead || !m.DueAt.Before(before) { // it was due for the last time when it was given up
			continue
		}
		if err := a.config.Outbox.DeleteMessage(ctx, m.ID); err != nil {
			return total, err
		}
		total++
	}
	return total, err
}

// stateFor is what a message with a link is written for.
func (a *Auth[U]) stateFor(kind MessageKind, u *User) string {
	switch kind {
	case MailVerify, MailConfirmEmail:
		return stateOf(a.config.VerifySecret, u)
	case MailReset:
		return stateOf(a.config.ResetSecret, u)
	}
	return ""
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
