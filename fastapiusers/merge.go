package fastapiusers

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strconv"
	"strings"

	"usher"
)

// The parts of a user that are compared, each as one thing. An address and that it
// is verified belong together: else an address that somebody took here could pass
// for verified because another one was verified there.
const (
	partAddress = iota
	partPassword
	partActive
	partSuperuser
	partOwn // the application's own columns
	partCount
)

var partNames = [partCount]string{"address", "password", "is_active", "is_superuser", "own columns"}

// parts are short hashes of the parts of a user.
type parts [partCount]string

func (im *importer[U]) partsOf(u *U) parts {
	b := im.base(u)
	own := map[string]any{} // what is empty is left out: a column that is added later changes nobody
	for _, c := range im.own {
		if value := c.Get(u); value != nil {
			own[c.Name] = value
		}
	}
	return parts{
		partAddress:   shortHash(b.Email, b.IsVerified),
		partPassword:  shortHash(b.HashedPassword),
		partActive:    shortHash(b.IsActive),
		partSuperuser: shortHash(b.IsSuperuser),
		partOwn:       shortHash(own),
	}
}

// shortHash is 66 bits: enough to see a change.
func shortHash(values ...any) string {
	text, _ := json.Marshal(values) // usher stores them: they can be written as JSON
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])[:11]
}

// state is what the ledger knows of a user: how he was carried.
type state struct {
	parts parts
	epoch int64
}

func (s state) String() string {
	return strings.Join(s.parts[:], ".") + "." + strconv.FormatInt(s.epoch, 10)
}

func parseState(text string) (s state, ok bool) {
	fields := strings.Split(text, ".")
	if len(fields) != partCount+1 {
		return s, false
	}
	copy(s.parts[:], fields)
	var err error
	s.epoch, err = strconv.ParseInt(fields[partCount], 10, 64)
	return s, err == nil
}

// merge returns a user as he should be in usher: with what the source has changed
// since he was carried, unless usher has changed it too. These conflicts are named.
// If usher has changed how he signs in, after is nil.
func (im *importer[U]) merge(known state, source, here *U) (after *U, next state, conflicts []string) {
	theirs, ours := im.partsOf(source), im.partsOf(here)
	if im.base(here).Epoch != known.epoch && theirs != ours {
		return nil, known, []string{"usher has changed how he signs in"}
	}
	merged := *here
	a, b := im.base(&merged), im.base(source)
	next = known
	changed := func(part int, take func()) {
		switch {
		case theirs[part] == known.parts[part]:
		case theirs[part] == ours[part]:
			next.parts[part] = theirs[part]
		case ours[part] == known.parts[part]:
			next.parts[part] = theirs[part]
			take()
		default:
			conflicts = append(conflicts, partNames[part]+" has changed in usher too")
		}
	}
	changed(partAddress, func() {
		if a.Email != b.Email {
			a.Epoch++ // links mailed before end
		}
		a.Email, a.IsVerified = b.Email, b.IsVerified
	})
	changed(partPassword, func() {
		a.HashedPassword = b.HashedPassword
		a.Epoch++
	})
	changed(partActive, func() {
		a.IsActive = b.IsActive
		if !a.IsActive { // all sign-ins end: see usher.User
			a.Epoch = (a.Epoch>>32 + 1) << 32
		}
	})
	changed(partSuperuser, func() { a.IsSuperuser = b.IsSuperuser })
	changed(partOwn, func() {
		for _, c := range im.own {
			c.Copy(&merged, source)
		}
	})
	next.epoch = a.Epoch
	return &merged, next, conflicts
}

// signInChanged tells whether usher has changed how a user signs in since he was
// carried.
func signInChanged(u *usher.User, ledger string) bool {
	known, there := parseState(ledger)
	return !there || known.epoch != u.Epoch
}
