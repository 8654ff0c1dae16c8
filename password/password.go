// Package password hashes and verifies passwords.
//
//	h, err := password.New(password.Config{})
//	encoded, err := h.Hash(ctx, "correct horse battery staple")
//	result, err := h.Verify(ctx, encoded, "correct horse battery staple")
//	// result.OK is true
//
// New hashes are Argon2id (RFC 9106) in the PHC string format:
//
//	$argon2id$v=19$m=65536,t=3,p=4$<salt>$<hash>
//
// Stored hashes may also be argon2i (version 19) or bcrypt ($2a$, $2b$, $2y$);
// a good sign-in with one of those reports that it should be upgraded.
// Argon2d and Argon2 version 16 are not verified: such accounts need a reset.
// So do rows that would cost too much: over 128 MiB or 512 MiB × passes of
// Argon2, unless the current parameters cost more, and over cost 15 of bcrypt.
//
// # The gate
//
// A hash takes tens of milliseconds of every core it may use and Params.Memory
// of RAM, so an unguarded sign-in route can be used to exhaust both. Every
// computation of a [Hasher] passes one gate: at most Config.Parallel run at
// once, the others wait their turn in order, and a caller that could not be
// served within Config.QueueTimeout is refused at once with a [BusyError].
// Peak memory is about three times Parallel × Params.Memory, because garbage
// of earlier hashes waits for the collector.
//
// # One hash whatever happens
//
// Verify computes exactly one hash for every stored value, also for one that
// can never match (empty, "!", malformed, unsupported), and VerifyUnknown does
// the same work where there is no account, so that neither the answer nor its
// cost tells which it was. An account without a password should store "!" or
// the empty string, which nothing verifies. One difference remains: rows made
// by another scheme or other parameters cost what those cost, until they are
// upgraded at the next good sign-in.
package password

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// MaxBytes is the length in bytes of the longest password that is hashed.
const MaxBytes = 1024

// maxVerifiedBytes is that of the longest one that is checked: a hash from elsewhere
// may be of a longer password, and next to Argon2's memory it costs nothing.
const maxVerifiedBytes = 64 << 10

// ErrTooLong is returned by [Hasher.Hash] for a password over [MaxBytes]. It is
// refused, never truncated.
var ErrTooLong = errors.New("password: longer than 1024 bytes")

// Config holds the options of a [Hasher]. Its zero value is a good choice.
type Config struct {
	// Params are the Argon2id parameters of new hashes. Zero: [DefaultParams].
	// New refuses parameters under the floor of the OWASP Password Storage
	// Cheat Sheet: 19 MiB and 2 passes, or 46 MiB and 1 pass.
	Params Params

	// Parallel is the number of hashes computed at once.
	// Zero: GOMAXPROCS ÷ Params.Lanes, at least one, which is where throughput
	// peaks; more only adds memory and latency.
	Parallel int

	// QueueTimeout is the longest a caller waits for its turn. Zero: 5 seconds.
	QueueTimeout time.Duration

	// InsecureAllowWeak permits Params under the floor. It is for tests, where
	// a hash should cost microseconds.
	InsecureAllowWeak bool
}

// Hasher hashes and verifies passwords behind one gate. Make it with [New], and
// only once per process, as the gate limits what passes through it. It is safe
// for concurrent use.
type Hasher struct {
	params Params
	limit  limit
	decoy  argon2Hash // what is verified when there is nothing to verify
	gate   *gate
	hashes atomic.Uint64
}

// Result is the outcome of [Hasher.Verify].
type Result struct {
	// OK is true if the password is the one that was hashed.
	OK bool

	// Upgrade is true if OK is and the stored hash is of another scheme or
	// other parameters than new ones. The caller should then Hash the password
	// and replace the stored value by compare-and-set, as it may have changed
	// meanwhile. A failed upgrade, as by [ErrBusy], should not fail the sign-in.
	Upgrade bool
}

// New returns a Hasher. Its error names every fault of the configuration.
func New(c Config) (*Hasher, error) {
	if c.Params == (Params{}) {
		c.Params = DefaultParams()
	}
	faults := []error{c.Params.validate(c.InsecureAllowWeak)}
	if c.Parallel < 0 {
		faults = append(faults, fmt.Errorf("password: Parallel is %d, must not be negative", c.Parallel))
	}
	if c.QueueTimeout < 0 {
		faults = append(faults, fmt.Errorf("password: QueueTimeout is %v, must not be negative", c.QueueTimeout))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	if c.Parallel == 0 {
		c.Parallel = max(1, runtime.GOMAXPROCS(0)/int(c.Params.Lanes))
	}
	if c.QueueTimeout == 0 {
		c.QueueTimeout = 5 * time.Second
	}
	return &Hasher{
		params: c.Params,
		limit:  limitFor(c.Params),
		decoy: argon2Hash{
			variant: argon2id,
			params:  c.Params,
			salt:    randomBytes(saltBytes),
			tag:     randomBytes(tagBytes),
		},
		gate: newGate(c.Parallel, c.QueueTimeout, c.Params.estimate()),
	}, nil
}

// Hash returns the encoded Argon2id hash of the password, exactly as given: it
// is not trimmed, folded or normalised. Every call uses a fresh 16-byte salt.
//
// It fails with [ErrTooLong] for a password over [MaxBytes], with a [*BusyError]
// if there is no turn in time, and with the context's error if it ends while
// waiting.
func (h *Hasher) Hash(ctx context.Context, password string) (encoded string, err error) {
	if len(password) > MaxBytes {
		return "", ErrTooLong
	}
	fresh := argon2Hash{variant: argon2id, params: h.params, salt: randomBytes(saltBytes)}
	err = h.compute(ctx, func() { fresh.tag = fresh.derive(password, tagBytes) })
	if err != nil {
		return "", err
	}
	return fresh.String(), nil
}

// Verify tells whether encoded is a hash of the password, by computing exactly
// one hash: that of the stored scheme and parameters, or the current ones if
// encoded is empty, malformed, unsupported or too costly to compute, or if the
// password is too long for it. Those are refused logins like any other: the
// result is not OK and the error nil.
//
// It fails only if nothing was computed: with a [*BusyError] if there is no turn
// in time, and with the context's error if it ends while waiting.
func (h *Hasher) Verify(ctx context.Context, encoded, password string) (Result, error) {
	stored, usable := h.read(encoded, password)
	if !usable {
		// The decoy matches nothing, so a password too long to hash may be cut.
		stored, password = h.decoy, password[:min(len(password), maxVerifiedBytes)]
	}
	var matches bool
	if err := h.compute(ctx, func() { matches = stored.matches(password) }); err != nil {
		return Result{}, err
	}
	ok := usable && matches
	return Result{OK: ok, Upgrade: ok && stored.outdated(h.params)}, nil
}

// VerifyUnknown does the work of a refused [Hasher.Verify]. Call it where a login
// names no account, so that the answer takes as long as for a known one. Its
// errors are those of Verify.
func (h *Hasher) VerifyUnknown(ctx context.Context, password string) error {
	_, err := h.Verify(ctx, "", password)
	return err
}

// Hashes returns the number of hashes computed since New, of any scheme. It is
// a metric, and lets tests prove that every login costs the same.
func (h *Hasher) Hashes() uint64 {
	return h.hashes.Load()
}

// storedHash is a hash as found in a store.
type storedHash interface {
	matches(password string) bool // computes one hash
	outdated(current Params) bool
}

// read parses encoded; false means that no computation could make the password
// match it.
func (h *Hasher) read(encoded, password string) (storedHash, bool) {
	if len(password) > maxVerifiedBytes {
		return nil, false
	}
	if stored, ok := parseArgon2(encoded, h.limit); ok {
		return stored, true
	}
	if stored, ok := parseBcrypt(encoded); ok && bcryptDistinguishes(password) {
		return stored, true
	}
	return nil, false
}

// compute runs work, which is one hash, through the gate.
func (h *Hasher) compute(ctx context.Context, work func()) error {
	return h.gate.do(ctx, func() {
		h.hashes.Add(1)
		work()
	})
}

// randomBytes returns n bytes from crypto/rand, which cannot fail.
func randomBytes(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
