package usher

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// Hooks are functions of the application that the flows call. Each may be nil.
//
// A Before hook may veto: its error ends the flow before anything has changed.
// An *Error or *ValidationError is the client's answer as it is; any other
// error becomes a 503. A During hook runs in the transaction of the change, if the
// store is a Transactor: what it does with the context it is given is done together
// with the change or not at all. It may veto too, and may be called again if the
// database wants the transaction repeated. An After hook runs when the change is
// committed and cannot undo it. A hook that panics is logged; a Before or During
// hook that panics vetoes. Within a route a hook has what is left of
// Config.RequestTimeout, and its context ends when the client goes away.
type Hooks[U any] struct {
	// BeforeLogin runs when the user has proved who he is and before a token is
	// made. It may add to a.Data, the application's own fields of the session.
	BeforeLogin func(ctx context.Context, user *U, a *Authentication) error
	AfterLogin  func(ctx context.Context, user *U, a Authentication)
	AfterLogout func(ctx context.Context, user *U, a Authentication)

	BeforeRegister func(ctx context.Context, user *U) error
	DuringRegister func(ctx context.Context, user *U) error
	AfterRegister  func(ctx context.Context, user *U)

	// ValidatePassword judges a new password after the PasswordPolicy has. An
	// error made by InvalidPassword is the client's answer.
	ValidatePassword func(ctx context.Context, user *U, password string) error

	BeforeUpdate func(ctx context.Context, before, after *U) error
	// DuringUpdate sees every change of a user: verification, reset and the like too.
	DuringUpdate func(ctx context.Context, before, after *U) error
	// AfterUpdate gets the names of the members that the request set, as on the
	// wire and sorted.
	AfterUpdate func(ctx context.Context, user *U, members []string)

	// AfterRequestVerify and AfterForgotPassword get the token to mail. They run
	// before the answer is sent: whatever they do slowly tells an onlooker that
	// the address is known, so let them only hand the token on. Config.Outbox does
	// it without that risk.
	AfterRequestVerify  func(ctx context.Context, user *U, token string)
	AfterForgotPassword func(ctx context.Context, user *U, token string)
	AfterVerify         func(ctx context.Context, user *U)
	AfterResetPassword  func(ctx context.Context, user *U)

	BeforeDelete func(ctx context.Context, user *U) error
	// DuringDelete runs while the user is still there, for rows that refer to him.
	DuringDelete func(ctx context.Context, user *U) error
	AfterDelete  func(ctx context.Context, user *U)

	// OnEvent sees how every flow ended, well or not.
	OnEvent func(ctx context.Context, e Event)
}

// before runs a Before or During hook. What it panics with becomes an error, and an error
// that is no answer for the client becomes a 503: the hook's ErrNotFound is not
// ours.
func before(name string, hook func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = unavailable(fmt.Errorf("usher: hook %s panicked: %v\n%s", name, p, debug.Stack()))
		}
	}()
	err = hook()
	var refusal *Error
	var invalid *ValidationError
	var weak *invalidPassword
	if err == nil || errors.As(err, &refusal) || errors.As(err, &invalid) || errors.As(err, &weak) {
		return err
	}
	return unavailable(fmt.Errorf("usher: hook %s: %w", name, err))
}

// after runs an After hook, when what it comes after is committed. Nothing it does
// changes the answer.
func (a *Auth[U]) after(ctx context.Context, name string, hook func(ctx context.Context)) {
	a.whenCommitted(ctx, func(ctx context.Context) { a.call(name, func() { hook(ctx) }) })
}

// call runs a hook that may panic.
func (a *Auth[U]) call(name string, hook func()) {
	defer func() {
		if p := recover(); p != nil {
			a.config.Logger.Error("usher: hook panicked", "hook", name, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	hook()
}
