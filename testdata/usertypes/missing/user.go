// Package missing has a user type that does not embed usher.User.
package missing

import "usher"

type User struct{ Inner usher.User }

var _, _ = usher.New(usher.Config[User]{})
