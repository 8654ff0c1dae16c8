// Package embeds is the way it should be: it compiles.
package embeds

import "usher"

type base struct{ usher.User }

type User struct {
	base
	Name string
}

var _, _ = usher.New(usher.Config[User]{})
