package password

import (
	"strconv"
	"strings"

	"golang.org/x/crypto/bcrypt"
)

const (
	// A stored bcrypt hash over cost 15, about 1.6 s, is refused unread.
	minBcryptCost = bcrypt.MinCost
	maxBcryptCost = 15

	bcryptLength   = 60
	bcryptAlphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

	bcryptKeyBytes = 72 // what bcrypt reads of a password
)

// bcryptHash is a well-formed bcrypt hash: $2b$10$, 22 characters of salt and
// 31 of hash.
type bcryptHash string

// parseBcrypt reads a hash of the revisions 2a, 2b and 2y, which are the same
// for passwords of 72 bytes or less. 2x marks the hashes of an old bug that
// made passwords collide, and is refused.
func parseBcrypt(encoded string) (bcryptHash, bool) {
	if len(encoded) != bcryptLength || encoded[6] != '$' {
		return "", false
	}
	switch encoded[:4] {
	case "$2a$", "$2b$", "$2y$":
	default:
		return "", false
	}
	cost, err := strconv.ParseUint(encoded[4:6], 10, 8)
	if err != nil || cost < uint64(minBcryptCost) || cost > maxBcryptCost {
		return "", false
	}
	foreign := func(c rune) bool { return !strings.ContainsRune(bcryptAlphabet, c) }
	if strings.ContainsFunc(encoded[7:], foreign) {
		return "", false
	}
	return bcryptHash(encoded), true
}

func (h bcryptHash) matches(password string) bool {
	return bcrypt.CompareHashAndPassword([]byte(h), []byte(password)) == nil
}

func (bcryptHash) outdated(Params) bool { return true }

// bcryptDistinguishes reports whether bcrypt hashes the password differently
// from every shorter one. It does not if the password has more bytes than
// bcrypt reads. Nor does it for some with NUL bytes: bcrypt appends a NUL to
// the password and repeats that until the key is full, so that "a" and "a\x00a"
// give one key. Only the shortest password of a key is accepted.
func bcryptDistinguishes(password string) bool {
	if len(password) > bcryptKeyBytes {
		return false
	}
	key := bcryptKey(password)
	for i := range len(password) {
		if password[i] == 0 && bcryptKey(password[:i]) == key {
			return false
		}
	}
	return true
}

// bcryptKey returns the bytes that bcrypt makes of a password.
func bcryptKey(password string) string {
	return strings.Repeat(password+"\x00", bcryptKeyBytes)[:bcryptKeyBytes]
}
