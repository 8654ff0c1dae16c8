package fastapiusers

import "usher"

// Counts say what became of the rows of a table. Each row is in one of them
// besides Read; Gone and Ended count what the source has no more.
type Counts struct {
	Read        int // rows
	New         int // carried for the first time
	Changed     int // carried again, because the source changed them
	Same        int // nothing to do: carried before
	ChangedHere int // changed in the source and in usher: usher's stays
	DeletedHere int // carried before and deleted in usher since
	Collided    int // left out: somebody else has the address, the id or the account
	Refused     int // left out: usher refuses something in them
	Expired     int // tokens: too old
	Inactive    int // tokens of users who are not active
	Orphaned    int // of users who were not carried
	Gone        int // users carried before who are no more in the source
	Ended       int // sessions ended because their token is no more in the source
}

// Report says what an import did, or in a dry run would have done.
type Report struct {
	Users, Accounts, Tokens, RedisTokens Counts
	// Columns are the application's own columns of the users that were carried,
	// and NotCarried those that usher has no column for.
	Columns, NotCarried []string
	// UnusablePasswords counts users whose hash usher cannot check. It is carried
	// as it is; they have to set a new password.
	UnusablePasswords int
	// DroppedProviderTokens counts tokens of providers that were not carried for
	// want of a key to seal them with.
	DroppedProviderTokens int
	// MissingTables are those that the source does not have.
	MissingTables []string
}

// The reasons of a Problem.
const (
	ReasonEmail       = "email_collision"     // a user with this usher.EmailKey is carried, or there already
	ReasonID          = "id_taken"            // another user has the id, or has changed before the first import knew him
	ReasonRefused     = "refused"             // usher refuses the address, the id or a value
	ReasonChangedHere = "changed_in_usher"    // changed in the source and in usher
	ReasonPassword    = "unusable_password"   // carried, but usher cannot check this kind of hash
	ReasonAccount     = "account_collision"   // the provider's account is linked to another user
	ReasonGone        = "gone_from_source"    // carried before, and still in usher
	ReasonToken       = "unusable_token"      // not a token as FastAPI Users makes them
	ReasonNoUser      = "user_is_not_carried" // an account of nobody
)

// Problem is a row that was not carried as it is.
type Problem struct {
	Table  string // by FastAPI Users' name
	ID     string // the user's
	Email  string
	Reason string
	Detail string // for people
}

// outcome is what became of a row.
type outcome struct {
	count   *int
	problem Problem // without Reason: none
	state   string  // for the ledger; empty: as before
	done    func()  // unless nil
}

func userProblem(u *usher.User, reason, detail string) Problem {
	return Problem{Table: userTable, ID: string(u.ID), Email: u.Email, Reason: reason, Detail: detail}
}
