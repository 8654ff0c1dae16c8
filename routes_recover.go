package usher

import (
	"context"
	"encoding/json"
	"net/http"
)

// These routes take their members embedded, as FastAPI says: a body that is no
// object has none of them.

func (a *Auth[U]) requestVerify(w http.ResponseWriter, r *http.Request) error {
	return a.acceptAddress(w, r, a.RequestVerify)
}

func (a *Auth[U]) forgotPassword(w http.ResponseWriter, r *http.Request) error {
	return a.acceptAddress(w, r, a.ForgotPassword)
}

// acceptAddress answers 202 whoever has the address.
func (a *Auth[U]) acceptAddress(w http.ResponseWriter, r *http.Request, flow func(context.Context, string) error) error {
	b, err := a.readEmbedded(w, r)
	if err != nil {
		return err
	}
	email := b.embedded("email", false)
	if err := b.err(); err != nil {
		return err
	}
	if err := flow(r.Context(), *email); err != nil {
		return err
	}
	writeJSON(w, http.StatusAccepted, nil)
	return nil
}

func (a *Auth[U]) verify(w http.ResponseWriter, r *http.Request) error {
	return a.redeem(w, r, a.Verify)
}

func (a *Auth[U]) confirmEmail(w http.ResponseWriter, r *http.Request) error {
	return a.redeem(w, r, a.ConfirmEmail)
}

// redeem answers with the user whom a token has changed.
func (a *Auth[U]) redeem(w http.ResponseWriter, r *http.Request, flow func(context.Context, string) (*U, error)) error {
	b, err := a.readEmbedded(w, r)
	if err != nil {
		return err
	}
	token := b.embedded("token", true)
	if err := b.err(); err != nil {
		return err
	}
	user, err := flow(r.Context(), *token)
	if err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, user)
	return nil
}

func (a *Auth[U]) resetPassword(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readEmbedded(w, r)
	if err != nil {
		return err
	}
	token, password := b.embedded("token", true), b.embedded("password", true)
	if err := b.err(); err != nil {
		return err
	}
	if _, err := a.ResetPassword(r.Context(), *token, *password); err != nil {
		return err
	}
	writeJSON(w, http.StatusOK, nil)
	return nil
}

func (a *Auth[U]) readEmbedded(w http.ResponseWriter, r *http.Request) (*body, error) {
	b, err := a.readJSON(w, r)
	if err != nil {
		return nil, err
	}
	if b.members == nil && !b.twice {
		b.members, b.faults = map[string]json.RawMessage{}, nil
	}
	b.whole = nil
	return b, nil
}

// embedded returns a required string; null counts as absent.
func (b *body) embedded(name string, secret bool) *string {
	if string(b.members[name]) == "null" {
		delete(b.members, name)
	}
	return b.text(name, true, secret)
}
