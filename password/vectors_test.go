package password_test

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"usher/password"
)

// Published vectors; testdata/README.md tells their origin.

func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// checkVerify verifies once and checks that this cost one hash (B4).
func checkVerify(t *testing.T, h *password.Hasher, encoded, pw string, want password.Result) {
	t.Helper()
	before := h.Hashes()
	got, err := h.Verify(t.Context(), encoded, pw)
	if err != nil || got != want {
		t.Errorf("Verify(%.80q, %.80q) = %+v, %v; want %+v", encoded, pw, got, err, want)
	}
	if n := h.Hashes() - before; n != 1 {
		t.Errorf("Verify(%.80q, %.80q) computed %d hashes, want 1", encoded, pw, n)
	}
}

var (
	refused  = password.Result{}
	current  = password.Result{OK: true}
	outdated = password.Result{OK: true, Upgrade: true}
)

// A12, A13: rows within the cost limit verify; version 16 and rows that ask for
// 256 MiB or more are refused.
func TestArgon2Vectors(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct {
			MemoryKiB                  uint32 `json:"m_kib"`
			Password, Encoded, Version string
		}
		Malformed []struct{ Encoded, Password string }
	}
	readVectors(t, "argon2_encoded.json", &file)
	if len(file.Vectors) != 26 || len(file.Malformed) != 8 {
		t.Fatalf("%d vectors and %d malformed, want 26 and 8", len(file.Vectors), len(file.Malformed))
	}
	h := newWeak(t)
	verified := 0
	for _, v := range file.Vectors {
		switch {
		case v.Version == "ARGON2_VERSION_10", v.MemoryKiB > 128*1024:
			checkVerify(t, h, v.Encoded, v.Password, refused)
		default:
			checkVerify(t, h, v.Encoded, v.Password, outdated)
			verified++
		}
		if v.MemoryKiB == 256 {
			checkVerify(t, h, v.Encoded, v.Password+" ", refused)
		}
	}
	if verified != 14 {
		t.Errorf("%d vectors verified, want 14", verified)
	}
	for _, v := range file.Malformed {
		checkVerify(t, h, v.Encoded, v.Password, refused)
	}
}

// A12: a row written by FastAPI Users signs in at the default parameters.
func TestPwdlibInterop(t *testing.T) {
	t.Parallel()
	var file struct {
		Vectors []struct{ Password, Encoded string }
	}
	readVectors(t, "pwdlib_interop.json", &file)
	want := []password.Result{
		outdated, // argon2id at the same parameters, but a salt of 8 bytes
		refused,  // argon2d
		outdated, // argon2i
		refused,  // malformed
	}
	if len(file.Vectors) != len(want) {
		t.Fatalf("%d vectors, want %d", len(file.Vectors), len(want))
	}
	h, err := password.New(password.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for i, v := range file.Vectors {
		checkVerify(t, h, v.Encoded, v.Password, want[i])
	}
}

// A13: hostile rows cost one hash at the current parameters, in memory too. Not
// parallel, as it measures what the process allocates.
func TestHostileRowsAreCheap(t *testing.T) {
	large, err := os.ReadFile("testdata/pwdlib_argon2id_large_hash.txt")
	if err != nil {
		t.Fatal(err)
	}
	const tail = "$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	h := newWeak(t)
	for _, encoded := range []string{
		string(large),
		strings.Repeat("$", 1<<20),
		"$argon2id$v=19$m=1048576,t=2,p=1" + tail,
		"$argon2id$v=19$m=262144,t=2,p=1" + tail,
		"$argon2id$v=19$m=4294967295,t=4294967295,p=255" + tail,
		"$argon2i$v=19$m=8,t=4294967295,p=1" + tail,
		"$argon2id$v=19$m=65536,t=1000000,p=4" + tail,
		"$2b$31$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
		"$2b$16$cVWp4XaNU8a4v1uMRum2SO026BWLIoQMD/TXg5uZV.0P.uO8m3YEm",
	} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		checkVerify(t, h, encoded, "herminetincture", refused)
		elapsed := time.Since(start)
		runtime.ReadMemStats(&after)
		if allocated := after.TotalAlloc - before.TotalAlloc; allocated > 1<<20 {
			t.Errorf("%.60q allocated %d bytes", encoded, allocated)
		}
		if elapsed > time.Second {
			t.Errorf("%.60q took %v", encoded, elapsed)
		}
	}
}

// A5, A12: bcrypt as imported.
func TestBcryptVectors(t *testing.T) {
	t.Parallel()
	type vector struct {
		Password []byte `json:"password_b64"`
		Hash     string
	}
	var file struct {
		Vectors, Invalid []vector
		LengthRule       []struct {
			FillHex   string `json:"fill_hex"`
			Len       int
			MustError bool `json:"must_error"`
		} `json:"length_rule"`
	}
	readVectors(t, "bcrypt.json", &file)
	if len(file.Vectors) != 30 || len(file.Invalid) != 5 || len(file.LengthRule) != 3 {
		t.Fatalf("%d vectors, %d invalid, %d lengths; want 30, 5, 3", len(file.Vectors), len(file.Invalid), len(file.LengthRule))
	}
	h := newWeak(t)
	for _, v := range file.Vectors {
		checkVerify(t, h, v.Hash, string(v.Password), outdated)
		checkVerify(t, h, v.Hash, string(v.Password)+"x", refused)
	}
	for _, v := range file.Invalid {
		checkVerify(t, h, v.Hash, string(v.Password), refused)
	}
	for _, v := range file.LengthRule {
		fill, err := hex.DecodeString(v.FillHex)
		if err != nil {
			t.Fatal(err)
		}
		pw := strings.Repeat(string(fill), v.Len)
		want := outdated
		if v.MustError {
			want = refused
		}
		checkVerify(t, h, bcryptOf(t, pw[:min(v.Len, 72)]), pw, want)
	}
}

func bcryptOf(t *testing.T, pw string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(pw), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// A3: passwords equal in the 72 bytes that bcrypt reads are not interchangeable.
func TestBcryptReads72Bytes(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	stem := strings.Repeat("0123456789ab", 6)
	encoded := bcryptOf(t, stem)
	checkVerify(t, h, encoded, stem, outdated)
	checkVerify(t, h, encoded, stem+"x", refused)
	checkVerify(t, h, encoded, stem+"\x00", refused)
	checkVerify(t, h, encoded, stem+stem, refused)
	checkVerify(t, h, encoded, stem[:71], refused)
}

// A5: NUL bytes count, also where bcrypt's cyclic key makes passwords collide.
func TestBcryptNUL(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	long := strings.Repeat("x", 40)
	tests := []struct {
		hashed, typed string
		want          password.Result
	}{
		{"abc\x00def", "abc\x00def", outdated},
		{"abc\x00def", "abc\x00deg", refused},
		{"abc\x00def", "abc\x00def\x00", refused},
		{"abc\x00def", "abc", refused},
		{"abc", "abc\x00", refused},
		{"abc\x00", "abc\x00", outdated},
		{"abc", "abc\x00abc", refused},
		{"abc", "abc\x00abc\x00abc", refused},
		{"", "\x00", refused},
		{"", strings.Repeat("\x00", 72), refused},
		{long, long + "\x00" + long[:31], refused},
		{long, long + "\x00" + long[:30], refused},
	}
	for _, tt := range tests {
		checkVerify(t, h, bcryptOf(t, tt.hashed), tt.typed, tt.want)
	}
}

// The letters of a bcrypt hash are its own alphabet, and its length is fixed.
func TestBcryptSpelling(t *testing.T) {
	t.Parallel()
	h := newWeak(t)
	good := bcryptOf(t, "secret")
	checkVerify(t, h, good, "secret", outdated)
	checkVerify(t, h, "$2b$"+good[4:], "secret", outdated)
	checkVerify(t, h, "$2y$"+good[4:], "secret", outdated)
	for _, bad := range []string{
		"$2x$" + good[4:],
		"$2$" + good[4:],
		"$2c$" + good[4:],
		good + "A",
		good + "\n",
		good[:59],
		good[:20] + "+" + good[21:],
		good[:6] + "x" + good[7:],
		"$2a$+4$" + good[7:],
		"$2a$03$" + good[7:],
		"$2a$ 4$" + good[7:],
		base64.StdEncoding.EncodeToString([]byte(good)),
	} {
		checkVerify(t, h, bad, "secret", refused)
	}
}
