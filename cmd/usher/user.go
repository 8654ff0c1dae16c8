package main

import (
	"context"
	"encoding/json"

	"usher"
	"usher/sqlstore"
)

// User is the server's user: usher's own fields, and those that the configuration
// declares.
type User struct {
	usher.User
	// Profile is the values of the declared fields that were ever set, and of those
	// that once were declared. Who may set which no tag says, but the plan.
	Profile map[string]json.RawMessage `json:"profile,omitzero"`
	// declared is the plan; without it a user is shown without a profile.
	declared *profile
}

// MarshalJSON shows of the profile what clients may see.
func (u User) MarshalJSON() ([]byte, error) {
	type shown User
	u.Profile = u.declared.shown(u.Profile)
	return json.Marshal(shown(u))
}

// userStore is a store whose users know the plan of their profiles.
type userStore struct {
	*sqlstore.Store[User]
	declared *profile
}

func (s userStore) tell(user *User, err error) (*User, error) {
	if user != nil {
		user.declared = s.declared
	}
	return user, err
}

// UserByID implements usher.UserStore.
func (s userStore) UserByID(ctx context.Context, id usher.ID) (*User, error) {
	return s.tell(s.Store.UserByID(ctx, id))
}

// UserByEmail implements usher.UserStore.
func (s userStore) UserByEmail(ctx context.Context, emailKey string) (*User, error) {
	return s.tell(s.Store.UserByEmail(ctx, emailKey))
}

// ListUsers implements usher.UserStore.
func (s userStore) ListUsers(ctx context.Context, q usher.UserQuery) ([]*User, error) {
	users, err := s.Store.ListUsers(ctx, q)
	for _, user := range users {
		user.declared = s.declared
	}
	return users, err
}

// ReadSession implements usher.SessionStore.
func (s userStore) ReadSession(ctx context.Context, token usher.TokenHash) (usher.Session, any, error) {
	session, found, err := s.Store.ReadSession(ctx, token)
	if user, is := found.(*User); is {
		user.declared = s.declared
	}
	return session, found, err
}
