package password_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/argon2"

	"usher/password"
)

var weak = password.Params{Memory: 32, Time: 1, Lanes: 1}

// newWeak returns a Hasher whose hashes cost microseconds.
func newWeak(t testing.TB) *password.Hasher {
	t.Helper()
	return newHasher(t, password.Config{Params: weak, QueueTimeout: time.Minute, InsecureAllowWeak: true})
}

func newHasher(t testing.TB, c password.Config) *password.Hasher {
	t.Helper()
	h, err := password.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func hash(t testing.TB, h *password.Hasher, pw string) string {
	t.Helper()
	encoded, err := h.Hash(t.Context(), pw)
	if err != nil {
		t.Fatal(err)
	}
	return encoded
}

// A10: what is written by default, and that it is not upgraded.
func TestDefaults(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{})
	encoded := hash(t, h, "correct horse battery staple")
	form := regexp.MustCompile(`^\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$`)
	if !form.MatchString(encoded) {
		t.Errorf("hash %q", encoded)
	}
	checkVerify(t, h, encoded, "correct horse battery staple", current)
	checkVerify(t, h, encoded, "correct horse battery stable", refused)
}

// A10: New refuses what is too weak, and names every fault.
func TestNewFaults(t *testing.T) {
	t.Parallel()
	const mib = 1024
	tests := []struct {
		name   string
		config password.Config
		want   []string // parts of the error; none: accepted
	}{
		{"zero", password.Config{}, nil},
		{"OWASP 19 MiB", password.Config{Params: password.Params{Memory: 19 * mib, Time: 2, Lanes: 1}}, nil},
		{"OWASP 46 MiB", password.Config{Params: password.Params{Memory: 46 * mib, Time: 1, Lanes: 1}}, nil},
		{"RFC 9106 first choice", password.Config{Params: password.Params{Memory: 2048 * mib, Time: 1, Lanes: 4}}, nil},
		{"too little memory", password.Config{Params: password.Params{Memory: 19*mib - 1, Time: 2, Lanes: 1}}, []string{"OWASP"}},
		{"too few passes", password.Config{Params: password.Params{Memory: 46*mib - 1, Time: 1, Lanes: 1}}, []string{"OWASP"}},
		{"many passes over little", password.Config{Params: password.Params{Memory: 7 * mib, Time: 60, Lanes: 1}}, []string{"OWASP"}},
		{"weak allowed", password.Config{Params: weak, InsecureAllowWeak: true}, nil},
		{"zero passes", password.Config{Params: password.Params{Memory: 64 * mib, Lanes: 1}, InsecureAllowWeak: true}, []string{"Params.Time"}},
		{"zero lanes", password.Config{Params: password.Params{Memory: 64 * mib, Time: 1}}, []string{"Params.Lanes"}},
		{"no memory for the lanes", password.Config{Params: password.Params{Memory: 31, Time: 1, Lanes: 4}, InsecureAllowWeak: true}, []string{"Params.Memory"}},
		{"over 2 GiB", password.Config{Params: password.Params{Memory: 2048*mib + 1, Time: 1, Lanes: 4}}, []string{"Params.Memory"}},
		{"all at once", password.Config{
			Params:       password.Params{Memory: 1, Time: 65},
			Parallel:     -1,
			QueueTimeout: -time.Second,
		}, []string{"Params.Time", "Params.Lanes", "Parallel", "QueueTimeout"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h, err := password.New(tt.config)
			if (err == nil) != (tt.want == nil) || (h == nil) != (err != nil) {
				t.Fatalf("New = %v, %v", h, err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not name %s", err, part)
				}
			}
		})
	}
}

// A2, A3, A5: the password counts byte for byte; every variant differs from all
// the others.
func TestExactlyAsReceived(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("0123456789ab", 6) // 72 bytes
	variants := []string{
		"", "pw", " pw", "pw ", "pw\n", "PW", "Pw", "p\x00w", "pw\x00", "\x00pw", "pw\x00pw", "\x00",
		"\u00e9", "e\u0301", // é composed and not: no normalisation
		"\uff50\uff57", // full-width pw
		strings.Repeat("\U0001F600", 8), strings.Repeat("\U0001F600", 7),
		"\xff", "\xfe", // not UTF-8
		long, long + "x", long + "y", long[:71],
		strings.Repeat("a", 256), strings.Repeat("a", password.MaxBytes-1), strings.Repeat("a", password.MaxBytes),
	}
	h := newWeak(t)
	for _, hashed := range variants {
		encoded := hash(t, h, hashed)
		for _, typed := range variants {
			want := refused
			if typed == hashed {
				want = current
			}
			checkVerify(t, h, encoded, typed, want)
		}
	}
}

// A3, F21: a password over the limit is refused without a hash, not truncated.
func TestTooLong(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	longest := strings.Repeat("a", password.MaxBytes)
	encoded := hash(t, h, longest)
	before := h.Hashes()
	if _, err := h.Hash(t.Context(), longest+"a"); !errors.Is(err, password.ErrTooLong) {
		t.Errorf("error %v, want ErrTooLong", err)
	}
	if n := h.Hashes() - before; n != 0 {
		t.Errorf("computed %d hashes", n)
	}
	checkVerify(t, h, encoded, longest, current)
	checkVerify(t, h, encoded, longest+"a", refused)
	checkVerify(t, h, encoded, strings.Repeat("a", 1<<20), refused)
}

// A11: hashes of one password are all different.
func TestSaltsAreUnique(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	seen := make(map[string]bool)
	for range 1000 {
		encoded := hash(t, h, "same")
		seen[strings.Split(encoded, "$")[4]] = true
	}
	if len(seen) != 1000 {
		t.Errorf("%d distinct salts of 1000", len(seen))
	}
}

// A12: what is upgraded: anything but the scheme and parameters of new hashes.
func TestUpgrade(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	checkVerify(t, h, hash(t, h, "pw"), "pw", current)
	for _, other := range []password.Params{
		{Memory: weak.Memory + 8, Time: weak.Time, Lanes: weak.Lanes},
		{Memory: weak.Memory, Time: weak.Time + 1, Lanes: weak.Lanes},
		{Memory: weak.Memory, Time: weak.Time, Lanes: weak.Lanes + 1},
	} {
		older := newHasher(t, password.Config{Params: other, InsecureAllowWeak: true})
		encoded := hash(t, older, "pw")
		checkVerify(t, h, encoded, "pw", outdated)
		checkVerify(t, h, encoded, "px", refused)
	}
}

// weakHashOf is a hash of n times c that another program made.
func weakHashOf(c string, n int) string {
	salt := []byte("sixteen bytes of")
	tag := argon2.IDKey([]byte(strings.Repeat(c, n)), salt, weak.Time, weak.Memory, weak.Lanes, 32)
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=19$m=%d,t=%d,p=%d$%s$%s", weak.Memory, weak.Time, weak.Lanes, b64.EncodeToString(salt), b64.EncodeToString(tag))
}

// B4, A13, A14: one hash per login, whatever it fails for.
func TestOneHashPerLogin(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	argon := hash(t, h, "right")
	tests := []struct {
		name, encoded, typed string
		want                 password.Result
	}{
		{"right password", argon, "right", current},
		{"wrong password", argon, "wrong", refused},
		{"empty password", argon, "", refused},
		{"bcrypt, right", bcryptOf(t, "right"), "right", outdated},
		{"bcrypt, wrong", bcryptOf(t, "right"), "wrong", refused},
		{"bcrypt, over 72 bytes", bcryptOf(t, "right"), strings.Repeat("r", 73), refused},
		{"bcrypt, ambiguous NUL", bcryptOf(t, "right"), "right\x00right", refused},
		{"over 1024 bytes", argon, strings.Repeat("r", 1025), refused},
		{"over 1024 bytes, as elsewhere", weakHashOf("r", 5000), strings.Repeat("r", 5000), current},
		{"over 64 KiB", weakHashOf("r", 1<<16+1), strings.Repeat("r", 1<<16+1), refused},
		{"no hash", "", "right", refused},
		{"no hash, no password", "", "", refused},
		{"unusable", "!", "right", refused},
		{"unusable, typed", "!", "!", refused},
		{"unusable with text", "!oauth", "", refused},
		{"clear text", "right", "right", refused},
		{"MD5 crypt", "$1$etNnh7FA$OlM7eljE/B7F1J4XYNnk81", "right", refused},
		{"scrypt", "$scrypt$ln=16,r=8,p=1$aM15713r3Xsvxbi31lqr1Q$nFNh2CVHVjNldFVKDHDlm4CbdRSCdEBsjjJxD+iCs5E", "right", refused},
		{"truncated", argon[:len(argon)-1], "right", refused},
		{"extended", argon + "A", "right", refused},
		{"space before", " " + argon, "right", refused},
		{"space after", argon + " ", "right", refused},
		{"invalid UTF-8", "\xff\xfe", "right", refused},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			// A Hasher of its own, so that the count is too.
			checkVerify(t, newWeak(t), tt.encoded, tt.typed, tt.want)
		})
	}

	t.Run("unknown account", func(t *testing.T) {
		t.Parallel()
		h := newWeak(t)
		for i, typed := range []string{"", "right", strings.Repeat("r", 1<<20)} {
			if err := h.VerifyUnknown(t.Context(), typed); err != nil {
				t.Error(err)
			}
			if n := h.Hashes(); n != uint64(i+1) {
				t.Errorf("%d hashes after %d logins", n, i+1)
			}
		}
	})
}

// F20: of a flood some are served and the others refused; nobody is refused
// after the work was done, and known and unknown accounts are refused alike.
func TestFlood(t *testing.T) {
	t.Parallel()
	h := newHasher(t, password.Config{
		Params:            password.Params{Memory: 1024, Time: 1, Lanes: 1},
		Parallel:          1,
		QueueTimeout:      10 * time.Millisecond,
		InsecureAllowWeak: true,
	})
	encoded := hash(t, h, "pw")
	before := h.Hashes()
	var served, busy atomic.Int64
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range 500 {
		wg.Go(func() {
			<-start
			var err error
			switch i % 3 {
			case 0:
				_, err = h.Verify(t.Context(), encoded, "pw")
			case 1:
				err = h.VerifyUnknown(t.Context(), "pw")
			case 2:
				_, err = h.Hash(t.Context(), "pw")
			}
			var refusal *password.BusyError
			switch {
			case err == nil:
				served.Add(1)
			case errors.As(err, &refusal) && errors.Is(err, password.ErrBusy):
				busy.Add(1)
				if s := refusal.RetryAfter; s < time.Second || s > time.Minute || s%time.Second != 0 {
					t.Errorf("RetryAfter %v", s)
				}
			default:
				t.Errorf("unexpected error %v", err)
			}
		})
	}
	close(start)
	wg.Wait()
	if served.Load() == 0 || busy.Load() == 0 {
		t.Errorf("%d served, %d refused; want some of both", served.Load(), busy.Load())
	}
	if n := h.Hashes() - before; n != uint64(served.Load()) {
		t.Errorf("%d hashes for %d served", n, served.Load())
	}
}

func TestEndedContext(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, hashErr := h.Hash(ctx, "pw")
	result, verifyErr := h.Verify(ctx, "", "pw")
	unknownErr := h.VerifyUnknown(ctx, "pw")
	for _, err := range []error{hashErr, verifyErr, unknownErr} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want context.Canceled", err)
		}
	}
	if result != refused || h.Hashes() != 0 {
		t.Errorf("result %+v, %d hashes; want none", result, h.Hashes())
	}
}

func BenchmarkHash(b *testing.B) {
	h := newHasher(b, password.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Hash(b.Context(), "correct horse battery staple"); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkVerifyUnknown is what a login to a missing account costs.
func BenchmarkVerifyUnknown(b *testing.B) {
	h := newHasher(b, password.Config{})
	b.ReportAllocs()
	for b.Loop() {
		if err := h.VerifyUnknown(b.Context(), "correct horse battery staple"); err != nil {
			b.Fatal(err)
		}
	}
}

func Example() {
	ctx := context.Background()
	h, err := password.New(password.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	stored, err := h.Hash(ctx, "correct horse battery staple")
	if err != nil {
		fmt.Println(err) // a *BusyError tells when to retry
		return
	}
	result, err := h.Verify(ctx, stored, "correct horse battery staple")
	fmt.Println(result.OK, result.Upgrade, err)
	// Output: true false <nil>
}
