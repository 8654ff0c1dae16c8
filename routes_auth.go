package usher

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Client describes where a request comes from.
func (a *Auth[U]) Client(r *http.Request) Client {
	return Client{IP: a.config.ClientIP(r), UserAgent: printable(r.UserAgent(), 512)}
}

// printable keeps what every store can hold of a text from a stranger, up to n
// bytes.
func printable(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) && c != utf8.RuneError {
			return c
		}
		return -1
	}, s[:min(len(s), n)])
	return s
}

// login takes the fields of RFC 6749 §4.3.2 as a form, as FastAPI Users does,
// or as JSON.
func (a *Auth[U]) login(b backend) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		form, err := a.readForm(w, r)
		if err != nil {
			return err
		}
		if err := checkPasswordForm(form); err != nil {
			return err
		}
		_, authn, err := a.Login(r.Context(), b.Name, form.Get("username"), form.Get("password"), a.Client(r))
		if err != nil {
			return err
		}
		return a.WriteLogin(w, r, authn)
	}
}

// WriteLogin answers a sign-in through the transport of its backend. When that
// fails it has written nothing, and the token is destroyed.
func (a *Auth[U]) WriteLogin(w http.ResponseWriter, r *http.Request, authn Authentication) error {
	b, known := a.backend(authn.Backend)
	if !known {
		return fmt.Errorf("usher: no backend is named %q", authn.Backend)
	}
	secureHeaders(w.Header()) // whatever transport it is
	if err := b.Transport.WriteLogin(w, r, authn.Token, authn); err != nil {
		_ = a.destroy(r.Context(), b.Name, authn.Token) // nobody will ever hold it
		return err
	}
	return nil
}

// checkPasswordForm applies the rules of RFC 6749 §3.1: no field twice, an empty
// one counts as absent.
func checkPasswordForm(form url.Values) error {
	var b body
	switch grant := form.Get("grant_type"); {
	case len(form["grant_type"]) > 1:
		b.fault("grant_type", "value_error", "Value error, the field is given more than once", nil)
	case grant != "" && grant != "password":
		b.faults = append(b.faults, FieldError{
			Type: "string_pattern_mismatch", Loc: []any{"body", "grant_type"}, Msg: "String should match pattern '^password$'",
			Input: echo(grant), Ctx: map[string]any{"pattern": "^password$"},
		})
	}
	for _, name := range []string{"username", "password"} {
		switch values := form[name]; {
		case len(values) > 1:
			b.fault(name, "value_error", "Value error, the field is given more than once", nil)
		case len(values) == 0 || values[0] == "":
			b.fault(name, "missing", "Field required", nil)
		}
	}
	return b.err()
}

// logout ends the sign-in that authenticated the request, and also the one whose
// token this backend's own transport carries, if it is another.
func (a *Auth[U]) logout(b backend) func(http.ResponseWriter, *http.Request) error {
	return func(w http.ResponseWriter, r *http.Request) error {
		user, authn, err := a.Authenticate(r)
		if err != nil {
			return err
		}
		if token, ok := b.Transport.Token(r); ok && (b.Name != authn.Backend || token != authn.Token) {
			if err := a.destroy(r.Context(), b.Name, token); err != nil {
				return err
			}
		}
		if err := a.SignOut(r.Context(), user, authn); err != nil {
			return err
		}
		secureHeaders(w.Header())
		return b.Transport.WriteLogout(w, r)
	}
}

func (a *Auth[U]) register(w http.ResponseWriter, r *http.Request) error {
	b, err := a.readJSON(w, r)
	if err != nil {
		return err
	}
	user := new(U)
	email := b.text("email", true, false)
	if email != nil {
		if _, err := EmailKey(*email); err != nil {
			b.faults = append(b.faults, invalidEmail(*email, err))
		}
	}
	password := b.text("password", true, true)
	for _, name := range []string{"is_active", "is_superuser", "is_verified"} {
		b.flag(name) // has to be one, and is ignored
	}
	b.faults = append(b.faults, a.set(user, Sent{Members: b.members, Registers: true})...)
	invitation := b.text("invitation", false, true)
	if err := b.err(); err != nil {
		return err
	}
	a.fields.Base(user).Email = *email
	if invitation == nil {
		invitation = new(string)
	}
	hide := a.config.Registration.HideExistingAccounts
	err = a.RegisterInvited(r.Context(), user, *password, *invitation)
	switch {
	case hide && (err == nil || errors.Is(err, ErrUserExists)):
		writeJSON(w, http.StatusAccepted, nil)
	case err != nil:
		return err
	default:
		writeJSON(w, http.StatusCreated, user)
	}
	return nil
}
