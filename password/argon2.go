package password

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
)

const (
	argon2id = "argon2id"
	argon2i  = "argon2i"

	saltBytes = 16 // RFC 9106 §3.1 recommends 16 for password hashing
	tagBytes  = 32

	// The longest string with a 64-byte salt and a 128-byte tag has 309 bytes.
	maxEncoded = 320
)

// argon2Hash is a hash in the PHC string format
// (https://github.com/P-H-C/phc-string-format).
type argon2Hash struct {
	variant   string // argon2id or argon2i
	params    Params
	salt, tag []byte
}

// parseArgon2 reads an Argon2 version 19 hash without computing anything. It
// accepts one spelling only, the one that String writes, with a salt of 8 to 64
// bytes and a tag of 4 to 128, at a cost within l.
func parseArgon2(encoded string, l limit) (argon2Hash, bool) {
	var none argon2Hash
	if len(encoded) > maxEncoded {
		return none, false
	}
	fields := strings.Split(encoded, "$")
	if len(fields) != 6 {
		return none, false
	}
	costs := strings.Split(fields[3], ",")
	if len(costs) != 3 {
		return none, false
	}
	h := argon2Hash{
		variant: fields[1],
		params: Params{
			Memory: uint32(parseCost(costs[0], 32)),
			Time:   uint32(parseCost(costs[1], 32)),
			Lanes:  uint8(parseCost(costs[2], 8)),
		},
		salt: parseBase64(fields[4]),
		tag:  parseBase64(fields[5]),
	}
	switch {
	case h.variant != argon2id && h.variant != argon2i,
		len(h.salt) < 8 || len(h.salt) > 64,
		len(h.tag) < 4 || len(h.tag) > 128,
		h.params.Time < 1 || h.params.Lanes < 1,
		h.params.Memory < 8*uint32(h.params.Lanes), // RFC 9106 §3.1
		!l.allows(h.params),
		// Names, version and every lenience of the parsers (leading zeros,
		// line breaks in base64) are settled by this comparison.
		h.String() != encoded:
		return none, false
	}
	return h, true
}

// parseCost reads the number of a parameter like m=65536; a malformed one is 0.
func parseCost(param string, bits int) uint64 {
	_, number, _ := strings.Cut(param, "=")
	n, err := strconv.ParseUint(number, 10, bits)
	if err != nil {
		return 0
	}
	return n
}

// parseBase64 decodes unpadded standard base64; malformed text is nil.
func parseBase64(s string) []byte {
	b, err := base64.RawStdEncoding.DecodeString(s)
	if err != nil {
		return nil
	}
	return b
}

// String encodes h in the PHC string format.
func (h argon2Hash) String() string {
	return fmt.Sprintf("$%s$v=%d$m=%d,t=%d,p=%d$%s$%s",
		h.variant, argon2.Version, h.params.Memory, h.params.Time, h.params.Lanes,
		base64.RawStdEncoding.EncodeToString(h.salt),
		base64.RawStdEncoding.EncodeToString(h.tag))
}

// derive computes the tag of the password.
func (h argon2Hash) derive(password string, length int) []byte {
	key := argon2.IDKey
	if h.variant == argon2i {
		key = argon2.Key
	}
	return key([]byte(password), h.salt, h.params.Time, h.params.Memory, h.params.Lanes, uint32(length))
}

func (h argon2Hash) matches(password string) bool {
	return subtle.ConstantTimeCompare(h.derive(password, len(h.tag)), h.tag) == 1
}

func (h argon2Hash) outdated(current Params) bool {
	return h.variant != argon2id || h.params != current || len(h.salt) < saltBytes || len(h.tag) < tagBytes
}
