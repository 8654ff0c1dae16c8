package usher

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Auth gives an application its users and their sign-in. It is safe for
// concurrent use. A program may have several.
type Auth[U any] struct {
	config      Config[U]
	fields      *Fields[U]
	backends    []backend
	managers    []SessionManager // of all backends
	challenge   string           // for WWW-Authenticate; empty if no transport has one
	crossOrigin *http.CrossOriginProtection
	ambient     bool // some backend uses cookies
}

// backend is a Backend with what New found out about it.
type backend struct {
	Backend
	ambient bool
}

// New checks the configuration and returns the Auth. The error names every
// fault. U is the application's user type; it must embed User:
//
//	auth, err := usher.New(usher.Config[User]{Store: db, Backends: …})
func New[U any, P UserOf[U]](c Config[U]) (*Auth[U], error) {
	fields, fieldsErr := FieldsOf[U, P]()
	if err := errors.Join(fieldsErr, c.validate()); err != nil {
		return nil, err
	}
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	a := &Auth[U]{config: c, fields: fields, crossOrigin: http.NewCrossOriginProtection()}
	for _, origin := range c.TrustedOrigins {
		if err := a.crossOrigin.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	for _, b := range c.Backends {
		ambient := isAmbient(b.Transport)
		a.backends = append(a.backends, backend{b, ambient})
		a.ambient = a.ambient || ambient
		if a.challenge == "" {
			a.challenge = challengeOf(b.Transport)
		}
		if m, ok := b.Strategy.(SessionManager); ok {
			a.managers = append(a.managers, m)
		}
	}
	return a, nil
}

// Run does what has to be done from time to time until ctx ends: it calls Sweep. A
// program calls it once, in a goroutine of its own.
func (a *Auth[U]) Run(ctx context.Context) {
	const interval = 10 * time.Minute
	for {
		if _, err := a.Sweep(ctx); err != nil && ctx.Err() == nil {
			a.config.Logger.Error("usher: sweep of what has expired", "error", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(interval):
		}
	}
}

// Base returns the User embedded in user.
func (a *Auth[U]) Base(user *U) *User { return a.fields.Base(user) }

func (a *Auth[U]) backend(name string) (backend, bool) {
	for _, b := range a.backends {
		if b.Name == name {
			return b, true
		}
	}
	return backend{}, false
}
