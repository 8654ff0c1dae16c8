package usher

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/google/uuid"
)

// generationBits is how far up in Epoch the count of the generations is.
const generationBits = 32

// generationOf is how often all sign-ins of the user have ended, from 1.
func generationOf(u *User) int64 { return u.Epoch>>generationBits + 1 }

// endLinks ends the links mailed to the user before.
func endLinks(u *User) { u.Epoch++ }

// endSignIns ends all that endLinks ends and every token that says of which
// generation it is. Sessions have to be revoked besides.
func endSignIns(u *User) { u.Epoch = (u.Epoch>>generationBits + 1) << generationBits }

// tokenID is a jti that says of which generation the token is. It is not a claim
// of its own because FastAPI Users' clients may compare the claims.
func tokenID(generation int64) string {
	if generation == 0 {
		return uuid.NewString()
	}
	return fmt.Sprintf("g%d.%s", generation, uuid.NewString())
}

// generationIn reads what tokenID wrote, and is 0 for any other jti.
func generationIn(id string) int64 {
	text, _, found := strings.Cut(strings.TrimPrefix(id, "g"), ".")
	n, err := strconv.ParseInt(text, 10, 64)
	if !found || err != nil || n < 1 || !strings.HasPrefix(id, "g"+strconv.FormatInt(n, 10)+".") {
		return 0
	}
	return n
}
