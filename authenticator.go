package usher

import (
	"errors"
	"net/http"
	"slices"
)

// Authenticate tells whose request r is. It tries the enabled backends in order
// until one yields a user; that user then has to be active, verified if the
// configuration asks for it, and meet the requirements. It is what Require is
// made of, for places where middleware does not fit: WebSocket upgrades,
// gateways, other frameworks.
//
// The error is an *Error: ErrUnauthorized (401) when there is nobody or the
// user is inactive, ErrForbidden (403) or the requirement's own error when he
// may not, ErrCrossOrigin (403) when the only credentials are cookies on a
// state-changing request from another site, and a 503 when a store failed and
// nobody else could be found: then it is unknown whether the token is good.
func (a *Auth[U]) Authenticate(r *http.Request, requirements ...Requirement[U]) (*U, Authentication, error) {
	user, authn, err := a.Identify(r)
	if err != nil {
		return nil, Authentication{}, err
	}
	if err := a.meets(user, authn, requirements); err != nil {
		return nil, Authentication{}, err
	}
	return user, authn, nil
}

// Identify is Authenticate without any requirement: it also yields users who
// are inactive.
func (a *Auth[U]) Identify(r *http.Request) (*U, Authentication, error) {
	var user *U
	authn, err := a.first(r, func(authn *Authentication) error {
		var err error
		user, err = a.userOf(r, *authn)
		if err != nil {
			return err
		}
		base := a.fields.Base(user)
		if authn.Generation != 0 && authn.Generation != generationOf(base) {
			return ErrInvalidToken
		}
		authn.UserID = base.ID // in canonical text
		return nil
	})
	return user, authn, err
}

// ReadToken tells what the first good token of r proves, without asking the
// user store: a JWT then costs no round trip, and is good until it expires even
// if its user was deactivated or deleted, or has another password.
func (a *Auth[U]) ReadToken(r *http.Request) (Authentication, error) {
	return a.first(r, func(*Authentication) error { return nil })
}

// first returns the authentication of the first enabled backend whose token is
// good and whose user accept takes. ErrNotFound and ErrInvalidToken from accept
// mean: try the next.
func (a *Auth[U]) first(r *http.Request, accept func(*Authentication) error) (Authentication, error) {
	var enabled []string
	if a.config.EnabledBackends != nil {
		enabled = a.config.EnabledBackends(r)
	}
	var outage, refused error
	for _, b := range a.backends {
		if a.config.EnabledBackends != nil && !slices.Contains(enabled, b.Name) {
			continue
		}
		token, ok := b.Transport.Token(r)
		if !ok {
			continue
		}
		if b.ambient && !a.sameOrigin(r) {
			refused = ErrCrossOrigin
			continue
		}
		authn, err := b.Strategy.ReadToken(r.Context(), token)
		if err == nil {
			err = accept(&authn)
		}
		switch {
		case err == nil:
			if outage != nil {
				a.config.Logger.Error("usher: a backend failed, a later one authenticated the request", "backend", b.Name, "error", outage)
			}
			authn.Backend, authn.Token = b.Name, token
			return authn, nil
		case errors.Is(err, ErrInvalidToken), errors.Is(err, ErrNotFound):
		default:
			outage = errors.Join(outage, err)
		}
	}
	switch {
	case outage != nil:
		return Authentication{}, unavailable(outage)
	case refused != nil:
		return Authentication{}, refused
	}
	return Authentication{}, ErrUnauthorized
}

// sameOrigin tells whether r comes from a page that may use the browser's cookies.
// A WebSocket upgrade is a GET, but opens a way to change things.
func (a *Auth[U]) sameOrigin(r *http.Request) bool {
	if r.Header.Get("Upgrade") != "" {
		upgrade := *r
		upgrade.Method = http.MethodPost
		r = &upgrade
	}
	return a.crossOrigin.Check(r) == nil
}

func (a *Auth[U]) userOf(r *http.Request, authn Authentication) (*U, error) {
	if user, ok := authn.User.(*U); ok && user != nil {
		return user, nil
	}
	return a.config.Store.UserByID(r.Context(), authn.UserID)
}

func (a *Auth[U]) meets(user *U, authn Authentication, requirements []Requirement[U]) error {
	base := a.fields.Base(user)
	if !base.IsActive {
		return ErrUnauthorized
	}
	if a.config.RequireVerified && !base.IsVerified {
		return ErrForbidden
	}
	for _, requirement := range requirements {
		if err := requirement(user, authn); err != nil {
			return asForbidden(err)
		}
	}
	return nil
}

// asForbidden makes a plain error of the application's own requirement a 403.
func asForbidden(err error) error {
	var refusal *Error
	if errors.As(err, &refusal) {
		return refusal
	}
	return &Error{Status: ErrForbidden.Status, Code: ErrForbidden.Code, Err: err}
}
