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
