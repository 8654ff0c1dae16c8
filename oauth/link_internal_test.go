package oauth

import (
	"errors"
	"testing"

	"usher"
)

// TestS_H6_Decide has every row of the table in the package's comment, for every
// value of what the row does not look at.
func TestS_H6_Decide(t *testing.T) {
	t.Parallel()
	want := func(s situation) (outcome, error) {
		rows := []struct {
			row     string
			applies bool
			what    outcome
			err     error
		}{
			{"linked, active", s.linked && !s.signedIn && s.userActive, signIn, nil},
			{"linked, inactive", s.linked && !s.signedIn && !s.userActive, refuse, usher.ErrBadCredentials},
			{"no address", !s.linked && !s.signedIn && !s.hasEmail, refuse, ErrNoEmail},
			{"free", !s.linked && !s.signedIn && s.hasEmail && !s.userExists, create, nil},
			{"taken, option off", !s.linked && !s.signedIn && s.hasEmail && s.userExists && !s.associateByEmail, refuse, ErrUserExists},
			{"taken, not verified there", !s.linked && !s.signedIn && s.hasEmail && s.userExists && s.associateByEmail && !s.providerVerified, refuse, ErrUserExists},
			{"taken, inactive", !s.linked && !s.signedIn && s.hasEmail && s.userExists && s.associateByEmail && s.providerVerified && !s.userActive, refuse, usher.ErrBadCredentials},
			{"taken, both verified", !s.linked && !s.signedIn && s.hasEmail && s.userExists && s.associateByEmail && s.providerVerified && s.userActive && s.userVerified, link, nil},
			{"taken, verified there only", !s.linked && !s.signedIn && s.hasEmail && s.userExists && s.associateByEmail && s.providerVerified && s.userActive && !s.userVerified, claim, nil},
			{"signed in, free", s.signedIn && !s.linked, link, nil},
			{"signed in, his", s.signedIn && s.linked && s.sameUser, keep, nil},
			{"signed in, another's", s.signedIn && s.linked && !s.sameUser, refuse, ErrAccountLinked},
		}
		found := -1
		for i, row := range rows {
			if row.applies && found >= 0 {
				t.Fatalf("%+v: both %q and %q", s, rows[found].row, row.row)
			}
			if row.applies {
				found = i
			}
		}
		if found < 0 {
			t.Fatalf("%+v: no row", s)
		}
		return rows[found].what, rows[found].err
	}
	for bits := range 1 << 9 {
		bit := func(i int) bool { return bits>>i&1 == 1 }
		s := situation{bit(0), bit(1), bit(2), bit(3), bit(4), bit(5), bit(6), bit(7), bit(8)}
		wantWhat, wantErr := want(s)
		what, err := decide(s)
		if what != wantWhat || !errors.Is(err, wantErr) || (err == nil) != (wantErr == nil) {
			t.Errorf("%+v: %v, %v; want %v, %v", s, what, err, wantWhat, wantErr)
		}
	}
}
