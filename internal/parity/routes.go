package main

import (
	"encoding/json"
	"errors"
	"net/http"

	"usher"
)

func (a *app) handler() (http.Handler, error) {
	mux, verified := http.NewServeMux(), http.NewServeMux()
	a.auth.Mount(mux)
	a.verified.Mount(verified)
	if err := a.oauthRoutes(mux, verified); err != nil {
		return nil, err
	}
	for _, path := range []string{"/rv/auth/jwt/", "/rv/auth/cookie/", "/rv/auth/associate/", "/rv/users/"} {
		mux.Handle(path, http.StripPrefix("/rv", verified))
	}
	a.protectedRoutes(mux)
	a.testHooks(mux)
	return usher.ExactPaths(mux), nil
}

// protectedRoutes are the recorded application's own: one for each way to ask
// for the current user.
func (a *app) protectedRoutes(mux *http.ServeMux) {
	get := func(path string, auth *usher.Auth[user], middleware func(http.Handler) http.Handler) {
		mux.Handle(path, only(http.MethodGet, middleware(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			answer(w, http.StatusOK, view(auth.CurrentUser(r.Context())))
		}))))
	}
	get("/authenticated", a.auth, a.auth.Require())
	get("/verified", a.auth, a.auth.Require(usher.Verified))
	get("/superuser", a.auth, a.auth.Require(usher.Superuser))
	get("/verified-superuser", a.auth, a.auth.Require(usher.Verified, usher.Superuser))
	get("/optional-active", a.auth, a.auth.Optional())
	get("/optional-verified", a.auth, a.auth.Optional(usher.Verified))
	get("/enabled", a.enabled, a.enabled.Require())

	// No requirement at all, not even an active user.
	mux.Handle("/any", only(http.MethodGet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _, err := a.auth.Identify(r)
		if err != nil {
			a.auth.Refuse(w, r, err)
			return
		}
		answer(w, http.StatusOK, view(u))
	})))
	mux.Handle("/optional", only(http.MethodGet, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u, _, err := a.auth.Identify(r)
		if err != nil && !errors.Is(err, usher.ErrUnauthorized) {
			a.auth.Refuse(w, r, err)
			return
		}
		answer(w, http.StatusOK, view(u))
	})))
	mux.Handle("/token", only(http.MethodGet, a.auth.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authn, _ := a.auth.CurrentAuthentication(r.Context())
		answer(w, http.StatusOK, map[string]any{"email": a.auth.CurrentUser(r.Context()).Email, "token": authn.Token})
	}))))
}

func view(u *user) any {
	if u == nil {
		return nil
	}
	return map[string]any{"id": u.ID, "email": u.Email}
}

func only(method string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != method {
			w.Header().Set("Allow", method)
			answer(w, http.StatusMethodNotAllowed, map[string]any{"detail": "Method Not Allowed"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
