package oauth

import "usher"

// situation is all that decides what becomes of an account that was proved.
type situation struct {
	linked           bool // the account is linked to a user
	signedIn         bool // somebody is signed in and wants to link it
	sameUser         bool // he is the one it is linked to
	hasEmail         bool // the provider gave a valid address
	providerVerified bool // and says that it is verified
	userExists       bool // a user has that address
	userActive       bool // the user linked to the account, else the one with the address
	userVerified     bool // likewise
	associateByEmail bool // the option
}

type outcome int

const (
	refuse outcome = iota // with the error
	signIn                // the linked user signs in
	create                // a new user, linked
	link                  // the user (signed in, or with the address) is linked
	claim                 // likewise, and loses what was there before
	keep                  // it is linked to him already
)

// decide is the table in the package's comment, and the only place that says who
// becomes whom.
func decide(s situation) (outcome, error) {
	switch {
	case s.signedIn && s.linked && s.sameUser:
		return keep, nil
	case s.signedIn && s.linked:
		return refuse, ErrAccountLinked
	case s.signedIn:
		return link, nil
	case s.linked && !s.userActive:
		return refuse, usher.ErrBadCredentials
	case s.linked:
		return signIn, nil
	case !s.hasEmail:
		return refuse, ErrNoEmail
	case !s.userExists:
		return create, nil
	case !s.associateByEmail, !s.providerVerified:
		return refuse, ErrUserExists
	case !s.userActive:
		return refuse, usher.ErrBadCredentials
	case s.userVerified:
		return link, nil
	default:
		return claim, nil
	}
}
