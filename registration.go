package usher

import (
	"context"
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Registration says who may register.
type Registration struct {
	// Closed keeps everybody out but the invited; administrators make accounts
	// with CreateUser.
	Closed bool
	// Domains, if not empty, are the only ones from which addresses may register,
	// besides the invited.
	Domains []string
	// HideExistingAccounts answers every registration with 202 and no body, and
	// leaves it to the mail whether the address was new. It needs an Outbox. What the
	// hooks DuringRegister and AfterRegister do slowly they do for new addresses only,
	// which an onlooker can measure.
	HideExistingAccounts bool
}

// Refusals of a registration.
var (
	ErrRegistrationClosed = &Error{Status: http.StatusForbidden, Code: "REGISTER_CLOSED"}
	ErrEmailDomain        = &Error{Status: http.StatusForbidden, Code: "REGISTER_EMAIL_DOMAIN_NOT_ALLOWED"}
	ErrBadInvitation      = &Error{Status: http.StatusBadRequest, Code: "REGISTER_BAD_INVITATION"}
)

// Register makes an account for somebody who asks for one, if the Registration policy
// lets him: active, not verified, no superuser, whatever user says. It sets user's
// ID. The error is ErrUserExists when the address is taken in any spelling, one of
// the policy's refusals, a *ValidationError for an address that is none, or an
// *Error REGISTER_INVALID_PASSWORD. With HideExistingAccounts the owner of an address
// that is taken is told by mail; it is for the caller not to tell anybody else.
func (a *Auth[U]) Register(ctx context.Context, user *U, password string) error {
	return a.RegisterInvited(ctx, user, password, "")
}

// RegisterInvited is Register with a token of NewInvitation.
func (a *Auth[U]) RegisterInvited(ctx context.Context, user *U, password, invitation string) error {
	base := a.fields.Base(user)
	address := base.Email
	if err := a.mayRegister(address, invitation); err != nil {
		a.emit(ctx, Event{Kind: EventRegister, Err: err})
		return err
	}
	base.ID, base.IsActive, base.IsSuperuser, base.IsVerified = "", true, false, false
	err := a.create(ctx, user, &password, a.useUp(invitation))
	if taken := errors.Is(err, ErrUserExists); a.config.Registration.HideExistingAccounts && (taken || err == nil) {
		if err := a.tellOwner(ctx, address, taken); err != nil {
			return err
		}
	}
	return err
}

// tellOwner mails to whoever has an address that somebody tried to register it.
// If it was not taken it only does the same work.
func (a *Auth[U]) tellOwner(ctx context.Context, address string, taken bool) error {
	owner, err := a.UserByEmail(ctx, address)
	if err == nil && taken {
		err = a.notify(ctx, MailAlreadyRegistered, a.fields.Base(owner), nil)
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}

// NewInvitation makes a token with which the owner of an address may register
// although registration is closed. It is good for one account, also when that is
// gone or has another address by then, if Store is a Transactor and a OneTimeStore.
func (a *Auth[U]) NewInvitation(_ context.Context, address string, lifetime time.Duration) (string, error) {
	key, err := EmailKey(address)
	if err != nil {
		return "", &ValidationError{Fields: []FieldError{invalidEmail(address, err)}}
	}
	return signOneTime(a.config.VerifySecret, audienceInvite, lifetime, a.config.now(), jwtClaims{Subject: key, Email: address, ID: rand.Text()})
}

// mayRegister applies the policy. An invitation that was given must be good, even
// where none is needed.
func (a *Auth[U]) mayRegister(address, invitation string) error {
	key, err := EmailKey(address)
	if err != nil {
		return &ValidationError{Fields: []FieldError{invalidEmail(address, err)}}
	}
	if invitation != "" {
		claims, err := a.parseOneTime(invitation, a.config.VerifySecret, audienceInvite)
		if err != nil || claims.Subject != key {
			return badToken(ErrBadInvitation, errors.Join(err, errors.New("usher: invitation")))
		}
		return nil
	}
	policy := a.config.Registration
	_, domain, _ := strings.Cut(key, "@")
	switch {
	case policy.Closed:
		return ErrRegistrationClosed
	case len(policy.Domains) > 0 && !slices.ContainsFunc(policy.Domains, func(d string) bool { return isDomain(d, domain) }):
		return ErrEmailDomain
	}
	return nil
}

// isDomain tells whether d is this domain, which is in its Unicode form, in some
// spelling.
func isDomain(d, domain string) bool {
	name, _, err := parseDomain(d)
	return err == nil && name == domain
}

// useUp returns what create does besides for somebody who was invited.
func (a *Auth[U]) useUp(invitation string) func(context.Context) error {
	store, remembers := a.config.Store.(OneTimeStore)
	_, atomic := a.config.Store.(Transactor)
	if invitation == "" || !remembers || !atomic {
		return nil
	}
	return func(ctx context.Context) error {
		claims, err := a.parseOneTime(invitation, a.config.VerifySecret, audienceInvite)
		if err == nil {
			err = store.UseOnce(ctx, HashToken(invitation), claims.ExpiresAt.Time)
			if !errors.Is(err, ErrAlreadyUsed) {
				return err
			}
		}
		return badToken(ErrBadInvitation, err)
	}
}
