package usher

import (
	"context"
	"errors"
	"time"
)

// What a package needs that brings another way to sign in, such as usher/oauth.

// Backend returns the backend of this name.
func (a *Auth[U]) Backend(name string) (Backend, bool) {
	b, known := a.backend(name)
	return b.Backend, known
}

// Ambient tells whether browsers attach the backend's token by themselves, as
// they do cookies.
func (b Backend) Ambient() bool { return isAmbient(b.Transport) }

// Emit ends a flow of another package as those of this one end: the event is
// logged and handed to Hooks.OnEvent. It sets e.Time.
func (a *Auth[U]) Emit(ctx context.Context, e Event) { a.emit(ctx, e) }

// RequestTimeout is how long a route may take, as configured.
func (a *Auth[U]) RequestTimeout() time.Duration { return a.config.RequestTimeout }

// CheckSecret reports a secret that somebody could guess: shorter than 32 bytes,
// a sample from a documentation, or hardly random.
func CheckSecret(secret []byte) error { return checkSecret(secret) }

// CreateUserWith is CreateUserWithoutPassword for somebody who asks for an account,
// with an invitation or none, together with what he signs in by, which with stores
// when the user has its ID. If the store is a Transactor both are in one
// transaction, and AfterRegister runs when it is committed. When with fails there is
// no such user. The error may also be that of the Registration policy.
func (a *Auth[U]) CreateUserWith(ctx context.Context, user *U, invitation string, with func(ctx context.Context) error) error {
	if err := a.mayRegister(a.fields.Base(user).Email, invitation); err != nil {
		a.emit(ctx, Event{Kind: EventRegister, Err: err})
		return err
	}
	useUp := a.useUp(invitation)
	return a.create(ctx, user, nil, func(ctx context.Context) error {
		err := with(ctx)
		if err == nil && useUp != nil {
			err = useUp(ctx)
		}
		if _, atomic := a.config.Store.(Transactor); err != nil && !atomic {
			err = errors.Join(err, a.config.Store.DeleteUser(context.WithoutCancel(ctx), a.fields.Base(user).ID))
		}
		return err
	})
}

// ChangeSignIn changes by what a user can sign in; with stores the change. It
// happens only if the user is still as user says, one change at a time, and in one
// transaction if the store is a Transactor. It counts in Epoch: links mailed
// before and sign-ins under way end. It returns the user as it is then. The error
// is ErrConflict, ErrNotFound, or that of with.
func (a *Auth[U]) ChangeSignIn(ctx context.Context, user *U, with func(ctx context.Context) error) (*U, error) {
	return a.changeSignIn(ctx, user, func(*User) {}, with)
}

// ClaimUser gives an account whose address nobody has verified to whoever has just
// proved that the address is his. Who made the account may have been somebody
// else, so its password, sessions and JWTs end, and with has to end every other way
// in. Otherwise it is ChangeSignIn.
func (a *Auth[U]) ClaimUser(ctx context.Context, user *U, with func(ctx context.Context) error) (claimed *U, err error) {
	base := a.fields.Base(user)
	id := base.ID
	defer func() { a.emit(ctx, Event{Kind: EventVerify, UserID: id, Err: err}) }()
	// Twice, for the reasons that commit has.
	if _, err := a.RevokeSessions(ctx, id, ""); err != nil {
		return nil, err
	}
	claimed, err = a.changeSignIn(ctx, user, func(claimed *User) {
		claimed.HashedPassword, claimed.IsVerified = "", true
		endSignIns(claimed)
	}, func(ctx context.Context) error {
		if err := with(ctx); err != nil || base.HashedPassword == "" {
			return err
		}
		return a.notify(ctx, MailPasswordChanged, base, nil)
	})
	if err != nil {
		return nil, err
	}
	if _, err := a.RevokeSessions(ctx, id, ""); err != nil {
		return nil, err
	}
	if hook := a.config.Hooks.AfterVerify; hook != nil {
		a.after(ctx, "AfterVerify", func(ctx context.Context) { hook(ctx, claimed) })
	}
	return claimed, nil
}

// NotifyOfAccount tells a user that an account at the provider signs him in from
// now on (MailAccountLinked) or does not any more (MailAccountUnlinked), in the
// transaction of ctx if there is one (ASVS 6.3.7). Without an Outbox it does nothing.
func (a *Auth[U]) NotifyOfAccount(ctx context.Context, user *U, kind MessageKind, provider string) error {
	return a.notify(ctx, kind, a.fields.Base(user), map[string]string{"provider": provider})
}

// UnlinkOAuthAccounts unlinks every account at a provider from a user, and tells
// him.
func (a *Auth[U]) UnlinkOAuthAccounts(ctx context.Context, accounts OAuthAccountStore, user *U) error {
	id := a.fields.Base(user).ID
	linked, err := accounts.OAuthAccounts(ctx, id)
	if err != nil {
		return err
	}
	for _, account := range linked {
		switch err := accounts.UnlinkOAuthAccount(ctx, id, account.ID); {
		case errors.Is(err, ErrNotFound): // somebody was faster
			continue
		case err != nil:
			return err
		}
		if err := a.NotifyOfAccount(ctx, user, MailAccountUnlinked, account.Provider); err != nil {
			return err
		}
	}
	return nil
}

func (a *Auth[U]) changeSignIn(ctx context.Context, user *U, edit func(*User), with func(ctx context.Context) error) (*U, error) {
	changed := *user
	base := a.fields.Base(&changed)
	endLinks(base)
	edit(base)
	err := a.inTx(ctx, func(ctx context.Context) error {
		if err := a.update(ctx, user, &changed); err != nil { // first: it locks the row
			return err
		}
		return with(ctx)
	})
	if err != nil {
		return nil, err
	}
	return &changed, nil
}
