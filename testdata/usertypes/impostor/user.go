// Package impostor has a user type with a method of the right name.
package impostor

import "usher"

type User struct{ inner usher.User }

func (u *User) usherUser() *usher.User { return &u.inner }

var _, _ = usher.New(usher.Config[User]{})
