// Package breach tells whether a password is known from a data breach.
//
// [Range] asks a server, Have I Been Pwned by default, without telling it the
// password:
//
//	breached, err := breach.Range{}.Breached(ctx, password)
//
// [Filter] looks into a file, made with a [Builder], and needs no network:
//
//	filter, err := breach.OpenFilter("passwords.bloom")
//	breached, err := filter.Breached(ctx, password)
//
// # When there is no answer
//
// Both return an error if they could not find out. Callers should then log it
// and accept the password: the check is an additional one, and nobody should be
// unable to sign up or to recover an account because another service is down.
// No error holds any part of the password or of its hash.
package breach

import (
	"bufio"
	"bytes"
	"crypto/fips140"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"io"
	"strconv"
)

// digest is the name of a password in the published lists of breached ones.
type digest [sha1.Size]byte

// digestOf uses SHA-1 because the lists do. It protects nothing here, so it may
// also be used where GODEBUG=fips140=only forbids it.
func digestOf(password string) (d digest) {
	fips140.WithoutEnforcement(func() { d = sha1.Sum([]byte(password)) })
	return d
}

// readDigests calls f for every line HASH:COUNT or HASH of r. The prefix
// completes the hashes. Lines that count 0 are padding and skipped.
func readDigests(r io.Reader, prefix string, f func(digest) error) error {
	lines := bufio.NewScanner(r)
	var whole []byte
	for n := 1; lines.Scan(); n++ {
		whole = append(append(whole[:0], prefix...), lines.Bytes()...)
		d, count, ok := parseDigest(whole)
		if !ok {
			return fmt.Errorf("line %d is not the hexadecimal SHA-1 of a password, a colon and a number", n)
		}
		if count == 0 {
			continue
		}
		if err := f(d); err != nil {
			return err
		}
	}
	return lines.Err()
}

func parseDigest(line []byte) (d digest, count uint64, ok bool) {
	hash, number, counted := bytes.Cut(line, []byte(":"))
	if len(hash) != hex.EncodedLen(len(d)) {
		return d, 0, false
	}
	if _, err := hex.Decode(d[:], hash); err != nil {
		return d, 0, false
	}
	if !counted {
		return d, 1, true
	}
	count, err := strconv.ParseUint(string(number), 10, 64)
	return d, count, err == nil
}
