package usher

import (
	"context"
	"net/http"
)

// Requirement is a rule that the user of a request has to meet. It returns nil,
// ErrForbidden, or another *Error for another answer; a plain error becomes a
// 403 and is logged. Rules of the application look like usher's own:
//
//	func paying(u *User, _ usher.Authentication) error {
//		if u.Plan == "free" {
//			return usher.ErrForbidden
//		}
//		return nil
//	}
//
//	mux.Handle("GET /reports", auth.Require(usher.Verified, paying)(reports))
type Requirement[U any] func(user *U, a Authentication) error

// Verified requires a verified e-mail address.
func Verified[U any, P UserOf[U]](user *U, _ Authentication) error {
	if !P(user).usherUser().IsVerified {
		return ErrForbidden
	}
	return nil
}

// Superuser requires a superuser.
func Superuser[U any, P UserOf[U]](user *U, _ Authentication) error {
	if !P(user).usherUser().IsSuperuser {
		return ErrForbidden
	}
	return nil
}

// Require returns middleware that lets a request through if its user is active
// and meets the requirements, and answers 401, 403 or 503 otherwise (see
// Authenticate). The handler finds the user with CurrentUser.
func (a *Auth[U]) Require(requirements ...Requirement[U]) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, authn, err := a.Authenticate(r, requirements...)
			if err != nil {
				a.Refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r.WithContext(a.withCurrent(r.Context(), user, authn)))
		})
	}
}

// Optional returns middleware that also lets requests through whose user is
// nobody or fails a requirement: CurrentUser is then nil. Only when it cannot be
// known who it is does it answer 503.
func (a *Auth[U]) Optional(requirements ...Requirement[U]) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			user, authn, err := a.Authenticate(r, requirements...)
			if err != nil {
				if refusal, _ := asRefusal(err); refusal == nil || refusal.Status >= 500 {
					a.Refuse(w, r, err)
					return
				}
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(w, r.WithContext(a.withCurrent(r.Context(), user, authn)))
		})
	}
}

// current is what the context of an authenticated request holds, under the
// *Auth itself as the key: two Auths in one program do not mix.
type current[U any] struct {
	user  *U
	authn Authentication
}

func (a *Auth[U]) withCurrent(ctx context.Context, user *U, authn Authentication) context.Context {
	return context.WithValue(ctx, a, &current[U]{user, authn})
}

// CurrentUser returns the user of the request, or nil.
func (a *Auth[U]) CurrentUser(ctx context.Context) *U {
	if c, ok := ctx.Value(a).(*current[U]); ok {
		return c.user
	}
	return nil
}

// CurrentAuthentication returns how the request was authenticated, by which
// token of which backend, and whether it was.
func (a *Auth[U]) CurrentAuthentication(ctx context.Context) (Authentication, bool) {
	if c, ok := ctx.Value(a).(*current[U]); ok {
		return c.authn, true
	}
	return Authentication{}, false
}
