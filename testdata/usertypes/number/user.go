// Package number has a user type that is no struct.
package number

import "usher"

type User int

var _, _ = usher.New(usher.Config[User]{})
