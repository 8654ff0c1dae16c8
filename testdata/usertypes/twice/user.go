// Package twice has a user type that embeds usher.User in two ways.
package twice

import "usher"

type (
	a struct{ usher.User }
	b struct{ usher.User }
)

type User struct {
	a
	b
}

var _, _ = usher.New(usher.Config[User]{})
