package usher

import (
	"context"
	"net/http"
	"slices"
	"strings"
)

// route is one method of one path. A handler that returns an error has written
// nothing.
type route struct {
	method, path string
	handle       func(http.ResponseWriter, *http.Request) error
	// ambient: a browser may be made to send it with its cookies, so it has to
	// pass the cross-origin check.
	ambient bool
}

// onlyIdentifies tells whether the route does no more than middleware does with every
// request: look up who it is of. Stores bound that themselves, and a timer would be
// a tenth of what it costs.
func (r route) onlyIdentifies() bool { return r.method == "GET" && r.path == "/users/me" }

func (a *Auth[U]) routes() []route {
	var routes []route
	for _, b := range a.backends {
		routes = append(routes,
			route{"POST", "/auth/" + b.Name + "/login", a.login(b), b.ambient},
			route{"POST", "/auth/" + b.Name + "/logout", a.logout(b), false}, // the authenticator checks
		)
	}
	if len(a.config.VerifySecret) > 0 {
		routes = append(routes,
			route{"POST", "/auth/request-verify-token", a.requestVerify, a.ambient},
			route{"POST", "/auth/verify", a.verify, a.ambient},
			route{"POST", "/auth/confirm-email", a.confirmEmail, a.ambient},
		)
	}
	if len(a.config.ResetSecret) > 0 {
		routes = append(routes,
			route{"POST", "/auth/forgot-password", a.forgotPassword, a.ambient},
			route{"POST", "/auth/reset-password", a.resetPassword, a.ambient},
		)
	}
	return append(routes,
		route{"POST", "/auth/register", a.register, a.ambient},
		route{"GET", "/users/me", a.me, false},
		route{"PATCH", "/users/me", a.patchMe, false},
		route{"DELETE", "/users/me", a.deleteMe, false},
		route{"GET", "/users/me/sessions", a.mySessions, false},
		route{"DELETE", "/users/me/sessions", a.revokeMySessions, false},
		route{"DELETE", "/users/me/sessions/{session}", a.revokeMySession, false},
		route{"GET", "/users", a.listUsers, false},
		route{"GET", "/users/{id}", a.user, false},
		route{"PATCH", "/users/{id}", a.patchUser, false},
		route{"DELETE", "/users/{id}", a.deleteUser, false},
		route{"GET", "/users/{id}/sessions", a.userSessions, false},
		route{"DELETE", "/users/{id}/sessions", a.revokeUserSessions, false},
		route{"DELETE", "/users/{id}/sessions/{session}", a.revokeUserSession, false},
	)
}

// Mount adds usher's routes to mux:
//
//	POST   /auth/{backend}/login, /auth/{backend}/logout   of each backend
//	POST   /auth/register
//	POST   /auth/request-verify-token, /auth/verify, /auth/confirm-email   with a Secret
//	POST   /auth/forgot-password, /auth/reset-password         with a Secret
//	GET    /users/me              PATCH, DELETE /users/me
//	GET    /users/me/sessions     DELETE /users/me/sessions[/{session}]
//	GET    /users                 list, search and page                superusers
//	GET    /users/{id}            PATCH, DELETE /users/{id}            superusers
//	GET    /users/{id}/sessions   DELETE /users/{id}/sessions[/{session}]
//
// Paths take no method in mux's patterns: a wrong one is answered here, with 405.
func (a *Auth[U]) Mount(mux *http.ServeMux) {
	methods := map[string][]route{}
	var paths []string
	for _, r := range a.routes() {
		if !slices.Contains(paths, r.path) {
			paths = append(paths, r.path)
		}
		methods[r.path] = append(methods[r.path], r)
	}
	for _, path := range paths {
		mux.Handle(path, a.serve(methods[path]))
	}
}

// Handler returns usher's routes as a handler of its own, which answers 404 to
// every other path.
func (a *Auth[U]) Handler() http.Handler {
	mux := http.NewServeMux()
	a.Mount(mux)
	return ExactPaths(mux)
}

// serve is every route's way in and out.
func (a *Auth[U]) serve(routes []route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.limitBody(w, r)
		i := slices.IndexFunc(routes, func(x route) bool { return x.method == r.Method })
		if i < 0 {
			var allowed []string
			for _, x := range routes {
				allowed = append(allowed, x.method)
			}
			w.Header().Set("Allow", strings.Join(allowed, ", "))
			a.Refuse(w, r, ErrMethodNotAllowed)
			return
		}
		if routes[i].ambient && !a.sameOrigin(r) {
			a.Refuse(w, r, ErrCrossOrigin)
			return
		}
		limited := r
		if !routes[i].onlyIdentifies() {
			ctx, cancel := context.WithTimeout(r.Context(), a.config.RequestTimeout)
			defer cancel()
			limited = r.WithContext(ctx)
		}
		if err := routes[i].handle(w, limited); err != nil {
			a.Refuse(w, r, err)
		}
	})
}
