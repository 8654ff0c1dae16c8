package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"usher"
)

// outbox remembers what the application's hooks were called with.
type outbox struct {
	mu     sync.Mutex
	events []outboxEvent
}

type outboxEvent struct {
	Kind  string   `json:"kind"`
	Email string   `json:"email"`
	ID    usher.ID `json:"id"`
	Token *string  `json:"token"`
}

func (o *outbox) add(kind string, u *user, token *string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.events = append(o.events, outboxEvent{kind, u.Email, u.ID, token})
}

func (o *outbox) find(kind, email string) []outboxEvent {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := []outboxEvent{}
	for _, e := range o.events {
		if e.Kind == kind && strings.EqualFold(e.Email, email) {
			found = append(found, e)
		}
	}
	return found
}

func (o *outbox) hooks() usher.Hooks[user] {
	return usher.Hooks[user]{
		AfterLogin:    func(_ context.Context, u *user, _ usher.Authentication) { o.add("login", u, nil) },
		AfterRegister: func(_ context.Context, u *user) { o.add("register", u, nil) },
		AfterUpdate: func(_ context.Context, u *user, members []string) {
			names := strings.Join(members, ",")
			o.add("after_update", u, &names)
		},
		AfterRequestVerify:  func(_ context.Context, u *user, token string) { o.add("verify", u, &token) },
		AfterForgotPassword: func(_ context.Context, u *user, token string) { o.add("forgot", u, &token) },
		AfterVerify:         func(_ context.Context, u *user) { o.add("after_verify", u, nil) },
		AfterResetPassword:  func(_ context.Context, u *user) { o.add("after_reset", u, nil) },
		BeforeDelete:        func(_ context.Context, u *user) error { o.add("before_delete", u, nil); return nil },
		AfterDelete:         func(_ context.Context, u *user) { o.add("after_delete", u, nil) },
	}
}

func (a *app) testHooks(mux *http.ServeMux) {
	mux.HandleFunc("GET /ping", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, map[string]any{"ping": "pong"})
	})
	mux.HandleFunc("GET /_outbox", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusOK, a.outbox.find(r.FormValue("kind"), r.FormValue("email")))
	})
	hook := func(path string, do func(r *http.Request) (any, error)) {
		mux.HandleFunc("POST "+path, func(w http.ResponseWriter, r *http.Request) {
			result, err := do(r)
			if err != nil {
				answer(w, http.StatusInternalServerError, map[string]any{"detail": err.Error()})
				return
			}
			answer(w, http.StatusOK, result)
		})
	}
	hook("/_test/user", a.writeColumns)
	hook("/_test/expire", a.ageToken)
	hook("/_test/peek", a.peek)
}

// writeColumns sets columns of a user, past every rule.
func (a *app) writeColumns(r *http.Request) (any, error) {
	var columns struct {
		Email          string  `json:"email"`
		HashedPassword *string `json:"hashed_password"`
		IsActive       *bool   `json:"is_active"`
		IsSuperuser    *bool   `json:"is_superuser"`
		IsVerified     *bool   `json:"is_verified"`
	}
	if err := json.NewDecoder(r.Body).Decode(&columns); err != nil {
		return nil, err
	}
	old, err := a.auth.UserByEmail(r.Context(), columns.Email)
	if err != nil {
		return nil, err
	}
	changed := *old
	set(&changed.HashedPassword, columns.HashedPassword)
	set(&changed.IsActive, columns.IsActive)
	set(&changed.IsSuperuser, columns.IsSuperuser)
	set(&changed.IsVerified, columns.IsVerified)
	if err := a.users.UpdateUser(r.Context(), old, &changed); err != nil {
		return nil, err
	}
	return map[string]any{"updated": 1}, nil
}

func set[T any](target, value *T) {
	if value != nil {
		*target = *value
	}
}

// ageToken makes an opaque token older.
func (a *app) ageToken(r *http.Request) (any, error) {
	var order struct {
		Token   string `json:"token"`
		Seconds int    `json:"seconds"`
	}
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		return nil, err
	}
	aged, hash := 0, usher.HashToken(order.Token)
	for _, store := range []usher.SessionStore{a.users, a.redis} {
		s, _, err := store.ReadSession(r.Context(), hash)
		if errors.Is(err, usher.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		expires := s.ExpiresAt.Add(-time.Duration(order.Seconds) * time.Second)
		if err := store.TouchSession(r.Context(), hash, s.LastSeenAt, expires); err != nil {
			return nil, err
		}
		aged++
	}
	return map[string]any{"aged": aged}, nil
}

// peek tells where a token lives, or what is stored of a user.
func (a *app) peek(r *http.Request) (any, error) {
	var order struct{ Token, Email string }
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		return nil, err
	}
	if order.Email == "" {
		hash := usher.HashToken(order.Token)
		_, _, inDatabase := a.users.ReadSession(r.Context(), hash)
		_, _, inRedis := a.redis.ReadSession(r.Context(), hash)
		return map[string]bool{"db": inDatabase == nil, "redis": inRedis == nil}, nil
	}
	u, err := a.auth.UserByEmail(r.Context(), order.Email)
	if err != nil {
		return nil, err
	}
	accounts, err := a.users.OAuthAccounts(r.Context(), u.ID)
	if err != nil {
		return nil, err
	}
	return map[string]any{
		"email": u.Email, "hashed_password": u.HashedPassword, "first_name": u.FirstName,
		"is_active": u.IsActive, "is_superuser": u.IsSuperuser, "is_verified": u.IsVerified,
		"oauth_accounts": len(accounts),
	}, nil
}
