package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"golang.org/x/oauth2"

	"usher"
)

// errorCode is how a provider says what went wrong, in the parameter error: with a
// code of RFC 6749 §4.1.2.1, of OpenID Connect (consent_required) or of its own
// (LinkedIn's user_cancelled_login). Nothing else of what strangers write into a URL
// is repeated.
var errorCode = regexp.MustCompile(`^[a-z]+(_[a-z]+){0,4}$`)

// maxErrorCode is how many bytes of it are repeated.
const maxErrorCode = 40

// callback is where the provider sends the browser back.
func (o *OAuth[U]) callback(t route) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s, stateErr := o.readState(t, r)
		err := o.finish(w, r, t, s, stateErr)
		if err == nil || stateErr != nil || s.RedirectTo == "" {
			return err
		}
		redirect(w, withError(s.RedirectTo, codeOf(err)))
		return nil
	}
}

func codeOf(err error) string {
	var refusal *usher.Error
	if errors.As(err, &refusal) {
		return refusal.Code
	}
	var invalid *usher.ValidationError
	if errors.As(err, &invalid) {
		return http.StatusText(http.StatusUnprocessableEntity)
	}
	return http.StatusText(http.StatusServiceUnavailable)
}

// formPost makes a GET of the POST with which the provider sent the browser. It was
// made by another site's page, so it came without our cookies; the GET has them.
func (o *OAuth[U]) formPost(w http.ResponseWriter, r *http.Request) error {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	connection := http.NewResponseController(w)
	_ = connection.SetReadDeadline(time.Now().Add(formTimeout)) // not every server can
	if err := r.ParseForm(); err != nil {
		return because(ErrBadRequest, err)
	}
	_ = connection.SetReadDeadline(time.Time{})
	query := url.Values{}
	for _, name := range callbackParams {
		if values, ok := r.PostForm[name]; ok {
			query[name] = values
		}
	}
	redirect(w, "?"+query.Encode())
	return nil
}

const (
	maxForm     = 64 << 10
	formTimeout = 10 * time.Second
)

var callbackParams = []string{"code", "state", "error", "iss"}

// readState reads the state that the query and the cookie of r have.
func (o *OAuth[U]) readState(t route, r *http.Request) (state, error) {
	csrf := ""
	if cookies := r.CookiesNamed(o.config.CookieName); len(cookies) > 0 {
		csrf = cookies[len(cookies)-1].Value // as Cookie.Token has it
	}
	return o.states.read(r.URL.Query().Get("state"), t.path, csrf)
}

// finish ends the flow. When it returns an error it has written nothing.
func (o *OAuth[U]) finish(w http.ResponseWriter, r *http.Request, t route, s state, stateErr error) error {
	if t.associate {
		user, _, err := o.auth.Authenticate(r)
		if err != nil {
			return err
		}
		err = o.associate(r, t, s, stateErr, user)
		o.emit(r, usher.Event{Kind: EventLink, UserID: o.auth.Base(user).ID, Err: err})
		if err != nil {
			return err
		}
		return o.writeAssociated(w, r, s, user)
	}
	id, token, err := o.prove(r, t, s, stateErr)
	if err != nil {
		o.emit(r, usher.Event{Kind: usher.EventLogin, Backend: o.config.Backend, Err: err})
		return err
	}
	authn, err := o.signIn(r, s, id, token)
	if err != nil {
		return err
	}
	return o.writeSignedIn(w, r, s, authn)
}

func (o *OAuth[U]) emit(r *http.Request, e usher.Event) {
	client := o.auth.Client(r)
	e.IP, e.UserAgent = client.IP, client.UserAgent
	o.auth.Emit(r.Context(), e)
}

// prove checks what came back and tells whose account it is. The state comes
// before the code: nobody can make the program call the provider.
func (o *OAuth[U]) prove(r *http.Request, t route, s state, stateErr error) (Identity, *oauth2.Token, error) {
	query := r.URL.Query()
	for _, name := range callbackParams { // RFC 6749 §3.1: not more than once
		if len(query[name]) > 1 {
			return Identity{}, nil, ErrBadRequest
		}
	}
	if query.Has("error") {
		refusal := *ErrBadRequest
		if code := query.Get("error"); len(code) <= maxErrorCode && errorCode.MatchString(code) {
			refusal.Code = code
		}
		return Identity{}, nil, &refusal
	}
	if query.Get("code") == "" {
		return Identity{}, nil, ErrBadRequest
	}
	if stateErr != nil {
		return Identity{}, nil, stateErr
	}
	ctx, cancel := context.WithTimeout(r.Context(), o.config.ProviderTimeout)
	defer cancel()
	e, err := t.endpoints(ctx)
	if err != nil {
		return Identity{}, nil, err
	}
	if err := e.checkIssuer(t.provider, query.Get("iss"), query.Has("iss")); err != nil {
		return Identity{}, nil, err
	}
	token, err := t.exchange(ctx, e, query.Get("code"), o.redirectURL(t, r), o.verifierFor(t, s))
	if err != nil {
		return Identity{}, nil, providerError(ctx, t.Name+": code", err)
	}
	id, err := t.identify(ctx, e, token, o.states.nonce(s))
	if err != nil {
		return Identity{}, nil, providerError(ctx, t.Name+": identity", err)
	}
	return id, token, nil
}

// exchange redeems the code (RFC 6749 §4.1.3).
func (p *provider) exchange(ctx context.Context, e endpoints, code, redirectURL, verifier string) (*oauth2.Token, error) {
	c, err := p.oauth2Config(e, redirectURL)
	if err != nil {
		return nil, err
	}
	var options []oauth2.AuthCodeOption
	if verifier != "" {
		options = append(options, oauth2.VerifierOption(verifier))
	}
	token, err := c.Exchange(withClient(ctx, p.client), code, options...)
	if err != nil {
		return nil, err
	}
	token.Expiry = expiryOf(token, p.now())
	return token, nil
}

// expiryOf goes by the program's clock, and also reads expires_at, which some
// providers send in place of expires_in. Zero: unknown.
func expiryOf(token *oauth2.Token, now time.Time) time.Time {
	if token.ExpiresIn > 0 {
		return now.Add(time.Duration(token.ExpiresIn) * time.Second)
	}
	var seconds float64
	switch v := token.Extra("expires_at").(type) {
	case float64:
		seconds = v
	case string:
		seconds, _ = strconv.ParseFloat(v, 64)
	}
	if seconds > 0 && seconds < 1e11 {
		return time.Unix(int64(seconds), 0)
	}
	return token.Expiry
}

func (o *OAuth[U]) writeSignedIn(w http.ResponseWriter, r *http.Request, s state, authn usher.Authentication) error {
	if s.RedirectTo == "" {
		return o.auth.WriteLogin(w, r, authn)
	}
	answer := cookies{http.Header{}}
	if err := o.auth.WriteLogin(answer, r, authn); err != nil {
		return err
	}
	for _, cookie := range answer.header["Set-Cookie"] {
		w.Header().Add("Set-Cookie", cookie)
	}
	redirect(w, s.RedirectTo)
	return nil
}

// useUp lets one callback with s succeed. It is called when nothing but the store
// can fail any more, so that what went wrong before may be tried again.
func (o *OAuth[U]) useUp(ctx context.Context, s state) error {
	err := o.config.OneTime.UseOnce(ctx, once(s), s.Expires.Time)
	if errors.Is(err, usher.ErrAlreadyUsed) {
		return because(ErrInvalidState, err)
	}
	if err != nil {
		return unavailable(fmt.Errorf("state: %w", err))
	}
	return nil
}
