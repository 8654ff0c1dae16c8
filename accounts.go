package usher

import (
	"context"
	"errors"
	"fmt"
)

// CreateUser is Register for an administrator: the Registration policy does not
// matter, and the flags of user are kept.
func (a *Auth[U]) CreateUser(ctx context.Context, user *U, password string) error {
	return a.create(ctx, user, &password, nil)
}

// CreateUserWithoutPassword is CreateUser for somebody who signs in by other
// means, such as an account at a provider. No password fits such a user.
func (a *Auth[U]) CreateUserWithoutPassword(ctx context.Context, user *U) error {
	return a.create(ctx, user, nil, nil)
}

// create makes a user, and with, if it is not nil, stores what belongs to him.
func (a *Auth[U]) create(ctx context.Context, user *U, password *string, with func(context.Context) error) (err error) {
	base := a.fields.Base(user)
	defer func() { a.emit(ctx, Event{Kind: EventRegister, UserID: base.ID, Err: err}) }()
	if err := a.checkUser(ctx, user); err != nil {
		return err
	}
	if password != nil {
		if err := a.checkPassword(ctx, user, *password, "REGISTER_INVALID_PASSWORD"); err != nil {
			return err
		}
	}
	if hook := a.config.Hooks.BeforeRegister; hook != nil {
		if err := before("BeforeRegister", func() error { return hook(ctx, user) }); err != nil {
			return err
		}
	}
	// No look whether the address is taken: the unique index decides, and the
	// answer takes the same time for a taken address and a free one.
	base.HashedPassword = ""
	if password != nil {
		if base.HashedPassword, err = a.config.Passwords.Hash(ctx, *password); err != nil {
			return unavailable(err)
		}
	}
	err = a.inTx(ctx, func(ctx context.Context) error {
		if err := a.config.Store.CreateUser(ctx, user); err != nil {
			return err
		}
		if with != nil {
			if err := with(ctx); err != nil {
				return err
			}
		}
		if hook := a.config.Hooks.DuringRegister; hook != nil {
			if err := before("DuringRegister", func() error { return hook(ctx, user) }); err != nil {
				return err
			}
		}
		if base.IsVerified {
			return nil
		}
		return a.notify(ctx, MailVerify, base, nil)
	})
	switch {
	case errors.Is(err, ErrEmailTaken):
		return ErrUserExists
	case err != nil:
		return answer(err)
	}
	if hook := a.config.Hooks.AfterRegister; hook != nil {
		a.after(ctx, "AfterRegister", func(ctx context.Context) { hook(ctx, user) })
	}
	return nil
}

// checkUser tidies the address and applies the user type's own Validate.
func (a *Auth[U]) checkUser(ctx context.Context, user *U) error {
	base := a.fields.Base(user)
	stored, _, err := parseEmail(base.Email)
	if err != nil {
		return &ValidationError{Fields: []FieldError{invalidEmail(base.Email, err)}}
	}
	base.Email = stored
	if v, ok := any(user).(interface{ Validate(context.Context) error }); ok {
		return before("Validate", func() error { return asInvalid(v.Validate(ctx)) })
	}
	return nil
}

func invalidEmail(address string, err error) FieldError {
	return FieldError{
		Type: "value_error", Loc: []any{"body", "email"}, Msg: "value is not a valid email address: " + err.Error(),
		Input: echo(address), Ctx: map[string]any{"reason": err.Error()},
	}
}

// Change is an update of one user. A nil field stays as it is.
type Change[U any] struct {
	Email       *string // a new address is not verified, unless IsVerified says so
	Password    *string
	IsActive    *bool // false ends all the user's sessions
	IsSuperuser *bool
	IsVerified  *bool
	// Set writes the application's own fields.
	Set func(user *U)

	// KeepSession names the one session that survives a change of the password;
	// empty: none does. A JWT does not survive: it is no session.
	KeepSession string

	onlyIf  func(user *U) bool // else it is not made: errUserChanged
	asks    string             // an address to be confirmed before it takes effect
	members []string           // as the request named them, for AfterUpdate
	// with, if not nil, is done together with it.
	with func(ctx context.Context) error
}

// UpdateUser changes a user and returns it as it is then. The error is
// ErrNotFound, ErrEmailExists, a *ValidationError, an *Error
// UPDATE_USER_INVALID_PASSWORD, or the veto of BeforeUpdate; nothing has changed
// then.
func (a *Auth[U]) UpdateUser(ctx context.Context, id ID, change Change[U]) (user *U, err error) {
	defer func() { a.emit(ctx, Event{Kind: EventUpdate, UserID: id, Err: err}) }()
	var hash string
	for range 5 { // somebody else may change the same user between our read and our write
		old, err := a.config.Store.UserByID(ctx, id)
		if err != nil {
			return nil, err
		}
		if change.onlyIf != nil && !change.onlyIf(old) {
			return nil, errUserChanged
		}
		changed, err := a.apply(ctx, old, change, &hash)
		if err != nil {
			return nil, err
		}
		err = a.commit(ctx, old, changed, change)
		switch {
		case errors.Is(err, ErrConflict):
			continue
		case errors.Is(err, ErrEmailTaken):
			return nil, ErrEmailExists
		case err != nil:
			return nil, err
		}
		if change.asks != "" {
			a.emit(ctx, Event{Kind: EventRequestVerify, UserID: a.fields.Base(changed).ID})
		}
		if hook := a.config.Hooks.AfterUpdate; hook != nil {
			a.after(ctx, "AfterUpdate", func(ctx context.Context) { hook(ctx, changed, change.members) })
		}
		return changed, nil
	}
	return nil, unavailable(fmt.Errorf("update of user %s: %w", id, ErrConflict))
}

// apply returns a changed copy of old. The new password is hashed once, into
// hash, however often it is called.
func (a *Auth[U]) apply(ctx context.Context, old *U, change Change[U], hash *string) (*U, error) {
	changed := a.fields.clone(old)
	base := a.fields.Base(changed)
	if change.Email != nil {
		base.Email = *change.Email
	}
	if change.Set != nil {
		change.Set(changed)
	}
	if err := a.checkUser(ctx, changed); err != nil {
		return nil, err
	}
	moved := change.Email != nil && !sameEmail(a.fields.Base(old).Email, base.Email)
	if moved {
		base.IsVerified = false
	}
	for flag, value := range map[*bool]*bool{&base.IsActive: change.IsActive, &base.IsSuperuser: change.IsSuperuser, &base.IsVerified: change.IsVerified} {
		if value != nil {
			*flag = *value
		}
	}
	if change.Password != nil {
		judged := *changed // by the address that the user is to have
		if change.asks != "" {
			a.fields.Base(&judged).Email = change.asks
		}
		if err := a.checkPassword(ctx, &judged, *change.Password, "UPDATE_USER_INVALID_PASSWORD"); err != nil {
			return nil, err
		}
	}
	if hook := a.config.Hooks.BeforeUpdate; hook != nil {
		if err := before("BeforeUpdate", func() error { return hook(ctx, old, changed) }); err != nil {
			return nil, err
		}
	}
	if change.Password != nil {
		if *hash == "" {
			var err error
			if *hash, err = a.config.Passwords.Hash(ctx, *change.Password); err != nil {
				return nil, unavailable(err)
			}
		}
		base.HashedPassword = *hash
	}
	deactivated := a.fields.Base(old).IsActive && !base.IsActive
	switch {
	case deactivated, change.Password != nil && !a.config.InsecureKeepSessions:
		endSignIns(base)
	case moved, change.Password != nil:
		endLinks(base)
	}
	return changed, nil
}

// commit writes the change and ends the sessions that it ends. They end twice:
// before, because an outage of a session store must show before anything has
// changed, and after, for those that began in between.
func (a *Auth[U]) commit(ctx context.Context, old, changed *U, change Change[U]) error {
	id := a.fields.Base(old).ID
	endsSessions := generationOf(a.fields.Base(old)) != generationOf(a.fields.Base(changed))
	keep := change.KeepSession
	if !a.fields.Base(changed).IsActive {
		keep = ""
	}
	if endsSessions {
		if _, err := a.RevokeSessions(ctx, id, keep); err != nil {
			return err
		}
	}
	err := a.inTx(ctx, func(ctx context.Context) error {
		if err := a.update(ctx, old, changed); err != nil {
			return err
		}
		if change.with != nil {
			if err := change.with(ctx); err != nil {
				return err
			}
		}
		err := a.notifyOfChange(ctx, a.fields.Base(old), a.fields.Base(changed), change.Password != nil)
		if err != nil || change.asks == "" {
			return err
		}
		return a.askToConfirm(ctx, a.fields.Base(changed), change.asks)
	})
	if err != nil {
		return err
	}
	if endsSessions {
		_, err := a.RevokeSessions(ctx, id, keep)
		return err
	}
	return nil
}

// update writes a changed user, in a transaction if there is one.
func (a *Auth[U]) update(ctx context.Context, old, changed *U) error {
	if err := a.config.Store.UpdateUser(ctx, old, changed); err != nil {
		return err
	}
	if hook := a.config.Hooks.DuringUpdate; hook != nil {
		return before("DuringUpdate", func() error { return hook(ctx, old, changed) })
	}
	return nil
}

func sameEmail(a, b string) bool {
	keyA, errA := EmailKey(a)
	keyB, errB := EmailKey(b)
	return errA == nil && errB == nil && keyA == keyB
}

// DeleteUser deletes a user and ends all the sessions. The error is ErrNotFound
// or the veto of BeforeDelete.
func (a *Auth[U]) DeleteUser(ctx context.Context, id ID) error {
	return a.deleteUserIf(ctx, id, nil)
}

// deleteUserIf deletes a user who is as onlyIf wants him when he goes; else the
// error is errUserChanged.
func (a *Auth[U]) deleteUserIf(ctx context.Context, id ID, onlyIf func(user *U) bool) (err error) {
	defer func() { a.emit(ctx, Event{Kind: EventDelete, UserID: id, Err: err}) }()
	user, err := a.config.Store.UserByID(ctx, id)
	if err != nil {
		return err
	}
	if onlyIf != nil && !onlyIf(user) {
		return errUserChanged
	}
	if hook := a.config.Hooks.BeforeDelete; hook != nil {
		if err := before("BeforeDelete", func() error { return hook(ctx, user) }); err != nil {
			return err
		}
	}
	id = a.fields.Base(user).ID
	if _, err := a.RevokeSessions(ctx, id, ""); err != nil {
		return err
	}
	err = a.inTx(ctx, func(ctx context.Context) error {
		if onlyIf != nil { // an update is made only of the user who was looked at
			guard := *user
			endLinks(a.fields.Base(&guard))
			if err := a.config.Store.UpdateUser(ctx, user, &guard); errors.Is(err, ErrConflict) {
				return errUserChanged
			} else if err != nil {
				return err
			}
		}
		if hook := a.config.Hooks.DuringDelete; hook != nil {
			if err := before("DuringDelete", func() error { return hook(ctx, user) }); err != nil {
				return err
			}
		}
		return a.config.Store.DeleteUser(ctx, id)
	})
	if err != nil {
		return err
	}
	if _, err := a.RevokeSessions(ctx, id, ""); err != nil {
		return err
	}
	if hook := a.config.Hooks.AfterDelete; hook != nil {
		a.after(ctx, "AfterDelete", func(ctx context.Context) { hook(ctx, user) })
	}
	return nil
}

// UserByID returns a user. The error is ErrNotFound.
func (a *Auth[U]) UserByID(ctx context.Context, id ID) (*U, error) {
	return a.config.Store.UserByID(ctx, id)
}

// UserByEmail returns the user with this address in any spelling. The error is
// ErrNotFound.
func (a *Auth[U]) UserByEmail(ctx context.Context, address string) (*U, error) {
	key, err := EmailKey(address)
	if err != nil {
		return nil, ErrNotFound
	}
	return a.config.Store.UserByEmail(ctx, key)
}

// ListUsers returns the users that q asks for, in the order of their ids. q.Email is
// how the address begins, in any spelling.
func (a *Auth[U]) ListUsers(ctx context.Context, q UserQuery) ([]*U, error) {
	q.Email = searchKey(q.Email)
	return a.config.Store.ListUsers(ctx, q)
}
