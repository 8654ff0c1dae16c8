package breach_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"usher/password/breach"
)

func newBuilder(t testing.TB, n int, rate float64) *breach.Builder {
	t.Helper()
	b, err := breach.NewBuilder(n, rate)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// encoded returns the file of a filter of n passwords, "0", "1", ….
func encoded(t testing.TB, n int, rate float64) []byte {
	t.Helper()
	b := newBuilder(t, n, rate)
	for i := range n {
		if err := b.AddPassword(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	return written(t, b)
}

func written(t testing.TB, b *breach.Builder) []byte {
	t.Helper()
	var buf bytes.Buffer
	n, err := b.WriteTo(&buf)
	if err != nil || n != int64(buf.Len()) {
		t.Fatalf("WriteTo = %d, %v for %d bytes", n, err, buf.Len())
	}
	return buf.Bytes()
}

func newFilter(t testing.TB, data []byte) *breach.Filter {
	t.Helper()
	f, err := breach.NewFilter(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func breached(t testing.TB, f *breach.Filter, password string) bool {
	t.Helper()
	known, err := f.Breached(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// A filter knows all of its passwords, and takes as many others for one of them
// as it was made for. SHA-1 of fixed texts makes the counts always the same.
func TestFilterRate(t *testing.T) {
	t.Parallel()
	tests := []struct {
		n      int
		rate   float64
		probes int
	}{
		{20_000, 1e-2, 20_000},
		{20_000, 1e-3, 50_000},
		{1000, 1e-3, 50_000},
		{1000, 0, 50_000},
		{20_000, 0, 50_000},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%d at %v", tt.n, tt.rate), func(t *testing.T) {
			t.Parallel()
			f := newFilter(t, encoded(t, tt.n, tt.rate))
			// False positives among the passwords themselves are not counted.
			if missing := float64(tt.n) - float64(f.Len()); missing < 0 || missing > float64(tt.n)*tt.rate {
				t.Errorf("Len = %d, want %d", f.Len(), tt.n)
			}
			for i := range tt.n {
				if !breached(t, f, fmt.Sprint(i)) {
					t.Fatalf("password %d is not known", i)
				}
			}
			wrong := 0
			for i := range tt.probes {
				if breached(t, f, fmt.Sprint("other ", i)) {
					wrong++
				}
			}
			rate := tt.rate
			if rate == 0 {
				rate = 1e-6
			}
			want := float64(tt.probes) * rate
			t.Logf("%d false positives, %v expected", wrong, want)
			if math.Abs(float64(wrong)-want) > 4*math.Sqrt(want)+1 {
				t.Errorf("%d false positives of %d, want about %v", wrong, tt.probes, want)
			}
		})
	}
}

// The size is what the documentation says.
func TestFilterSize(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		n    int
		rate float64
		want int
	}{
		{1, 0, 44},
		{1000, 0, 40 + 3595},
		{1_000_000, 0, 40 + 3_594_397},
		{1_000_000, 1e-3, 40 + 1_797_199},
	} {
		if got := len(written(t, newBuilder(t, tt.n, tt.rate))); got != tt.want {
			t.Errorf("%d passwords at %v: %d bytes, want %d", tt.n, tt.rate, got, tt.want)
		}
	}
}

// Files are for keeps: this one must never come out otherwise.
func TestFilterFormat(t *testing.T) {
	t.Parallel()
	const want = "2375a8e8e68597214272e281a5cbb9d6e7a46053f69caceffc9e008b92710ec8"
	if got := fmt.Sprintf("%x", sha256.Sum256(encoded(t, 1000, 0))); got != want {
		t.Errorf("the filter's SHA-256 is %s, want %s", got, want)
	}
}

// All ways to add passwords make the same filter.
func TestBuilderLists(t *testing.T) {
	t.Parallel()
	passwords := []string{"password", "pass word", " ", "P\u00e4ssw\u00f6rd", "123456", ""}
	var plain, crlf, hashes, bare, lower, twice strings.Builder
	for _, pw := range passwords {
		hash := hashOf(pw)
		fmt.Fprintf(&plain, "%s\n", pw)
		fmt.Fprintf(&crlf, "%s\r\n", pw)
		fmt.Fprintf(&hashes, "%s:12\r\n", hash)
		fmt.Fprintf(&bare, "%s\n", hash)
		fmt.Fprintf(&lower, "%s:3\n%s:0\n", strings.ToLower(hash), hashOf("padding "+pw))
		fmt.Fprintf(&twice, "%s:1\n%s:1\n", hash, hash)
	}
	one := newBuilder(t, len(passwords), 0)
	for _, pw := range passwords {
		if err := one.AddPassword(pw); err != nil {
			t.Fatal(err)
		}
	}
	want := written(t, one)
	for _, tt := range []struct {
		name, list string
		add        func(*breach.Builder, io.Reader) error
	}{
		{"passwords", plain.String(), (*breach.Builder).AddPasswords},
		{"passwords, CRLF", crlf.String(), (*breach.Builder).AddPasswords},
		{"hashes", hashes.String(), (*breach.Builder).AddHashes},
		{"hashes, no end of line", strings.TrimSpace(hashes.String()), (*breach.Builder).AddHashes},
		{"hashes alone", bare.String(), (*breach.Builder).AddHashes},
		{"lower case and padding", lower.String(), (*breach.Builder).AddHashes},
		{"everything twice", twice.String(), (*breach.Builder).AddHashes},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := newBuilder(t, len(passwords), 0)
			if err := tt.add(b, iotest.OneByteReader(strings.NewReader(tt.list))); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(written(t, b), want) {
				t.Error("another filter")
			}
		})
	}
}

func TestBuilderFaults(t *testing.T) {
	t.Parallel()
	good := hashOf("a") + ":1\n"
	addHashes, addPasswords := (*breach.Builder).AddHashes, (*breach.Builder).AddPasswords
	broken := iotest.ErrReader(errors.New("disk on fire"))
	for _, tt := range []struct {
		name string
		list io.Reader
		add  func(*breach.Builder, io.Reader) error
		want string
	}{
		{"NTLM", strings.NewReader(good + "8846F7EAEE8FB117AD06BDD830B7586C:1"), addHashes, "line 2 is not"},
		{"passwords for hashes", strings.NewReader("123456\n"), addHashes, "line 1 is not"},
		{"empty line", strings.NewReader(good + "\n" + good), addHashes, "line 2 is not"},
		{"no number", strings.NewReader(good[:41]), addHashes, "line 1 is not"},
		{"long line of hashes", strings.NewReader(strings.Repeat("A", 1<<20)), addHashes, "too long"},
		{"long password", strings.NewReader(strings.Repeat("A", 1<<20)), addPasswords, "too long"},
		{"hashes unreadable", broken, addHashes, "disk on fire"},
		{"passwords unreadable", broken, addPasswords, "disk on fire"},
		{"too many hashes", strings.NewReader(good + hashOf("b") + "\n" + hashOf("c")), addHashes, "more passwords"},
		{"too many passwords", strings.NewReader("a\nb\nc\n"), addPasswords, "more passwords"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			checkError(t, tt.add(newBuilder(t, 2, 0), tt.list), tt.want)
		})
	}

	for _, tt := range []struct {
		n    int
		rate float64
		want string
	}{
		{0, 0, "0 passwords"},
		{-1, 0, "-1 passwords"},
		{1, -1e-6, "rate"},
		{1, 0.6, "rate"},
		{1, 1e-16, "rate"},
		{1, math.NaN(), "rate"},
		{1, math.Inf(1), "rate"},
		{math.MaxInt, 0, "bytes"},
	} {
		_, err := breach.NewBuilder(tt.n, tt.rate)
		checkError(t, err, tt.want)
	}

	b := newBuilder(t, 1000, 0)
	for _, room := range []int{0, 39, 40, 1000} {
		n, err := b.WriteTo(&shortWriter{room})
		checkError(t, err, "no space")
		if n != int64(room) {
			t.Errorf("%d bytes written, want %d", n, room)
		}
	}
}

// shortWriter has room for so many bytes.
type shortWriter struct{ room int }

func (w *shortWriter) Write(p []byte) (int, error) {
	n := min(len(p), w.room)
	w.room -= n
	if n < len(p) {
		return n, errors.New("no space left")
	}
	return n, nil
}

func checkError(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.HasPrefix(err.Error(), "breach: ") || !strings.Contains(err.Error(), want) {
		t.Errorf("error %v, want %q", err, want)
	}
}

func TestOpenFilter(t *testing.T) {
	t.Parallel()
	data := encoded(t, 1000, 0)
	path := writeFile(t, data)
	f, err := breach.OpenFilter(path)
	if err != nil {
		t.Fatal(err)
	}
	if !breached(t, f, "999") || breached(t, f, "1000") || f.Len() != 1000 {
		t.Error("the filter is not as it was made")
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := f.Breached(ended, "999"); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want Canceled", err)
	}

	// Somebody cuts the file while it is in use.
	if err := os.Truncate(path, 40); err != nil {
		t.Fatal(err)
	}
	_, err = f.Breached(t.Context(), "999")
	checkError(t, err, "EOF")
	checkError(t, f.Verify(), "checksum")

	if err := f.Close(); err != nil {
		t.Error(err)
	}
	_, err = f.Breached(t.Context(), "999")
	if checkError(t, err, "closed"); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("error %v, want ErrClosed", err)
	}
	checkError(t, f.Verify(), "closed")

	if err := newFilter(t, data).Close(); err != nil {
		t.Error(err)
	}
}

func writeFile(t *testing.T, data []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "passwords.bloom")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// The error for a file that is none names what is wrong with it.
func TestOpenFilterFaults(t *testing.T) {
	t.Parallel()
	good := encoded(t, 1000, 0)
	// with returns the filter with a number of its header replaced, and a
	// checksum that fits.
	with := func(offset int, number uint64, size int) []byte {
		data := slices.Clone(good)
		copy(data[offset:], binary.LittleEndian.AppendUint64(nil, number)[:size])
		return sealed(data)
	}
	damaged := slices.Clone(good)
	damaged[25] ^= 1
	for _, tt := range []struct {
		name string
		data []byte
		want string
	}{
		{"empty", nil, "0 bytes are less"},
		{"one byte", good[:1], "1 bytes are less"},
		{"part of a header", good[:39], "39 bytes are less"},
		{"header only", good[:40], "40 bytes, but the header tells of 3635"},
		{"cut", good[:len(good)-1], "3634 bytes, but the header tells of 3635"},
		{"appended to", append(slices.Clone(good), 0), "3636 bytes, but the header tells of 3635"},
		{"something else", bytes.Repeat([]byte("123456\n"), 100), "does not begin with usherblm"},
		{"version 0", with(8, 0, 4), "version 0, want 1"},
		{"version 2", with(8, 2, 4), "version 2, want 1"},
		{"damaged", damaged, "checksum of the header"},
		{"no probes", with(12, 0, 4), "0 bits for each password"},
		{"many probes", with(12, math.MaxUint32, 4), "4294967295 bits for each password"},
		{"no bits", with(16, 0, 8), "0 bits"},
		{"half a byte", with(16, 3595*8+4, 8), "28764 bits"},
		{"fewer bits", with(16, 3594*8, 8), "the header tells of 3634"},
		{"more bits", with(16, 3596*8, 8), "the header tells of 3636"},
		{"most bits", with(16, math.MaxUint64-7, 8), "the header tells of 2305843009213693991"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			path := writeFile(t, tt.data)
			f, err := breach.OpenFilter(path)
			if checkError(t, err, tt.want); f != nil || !strings.Contains(fmt.Sprint(err), path) {
				t.Errorf("OpenFilter = %v, %v", f, err)
			}
			f, err = breach.NewFilter(bytes.NewReader(tt.data), int64(len(tt.data)))
			if checkError(t, err, tt.want); f != nil {
				t.Errorf("NewFilter = %v", f)
			}
		})
	}

	_, err := breach.OpenFilter(filepath.Join(t.TempDir(), "missing"))
	if checkError(t, err, "missing"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v, want ErrNotExist", err)
	}
	_, err = breach.OpenFilter(t.TempDir())
	checkError(t, err, "")
	_, err = breach.NewFilter(bytes.NewReader(nil), 1000)
	checkError(t, err, "EOF")
	_, err = breach.NewFilter(bytes.NewReader(nil), -1)
	checkError(t, err, "-1 bytes")
}

// sealed puts the right checksum into a header.
func sealed(data []byte) []byte {
	if len(data) >= 40 {
		sum := crc32.Checksum(data[:36], crc32.MakeTable(crc32.Castagnoli))
		binary.LittleEndian.PutUint32(data[36:], sum)
	}
	return data
}

// Verify finds any bit that was turned.
func TestVerify(t *testing.T) {
	t.Parallel()
	data := encoded(t, 10, 0)
	f := newFilter(t, data)
	for i := 40; i < len(data); i++ {
		for bit := range 8 {
			data[i] ^= 1 << bit
			checkError(t, f.Verify(), "checksum")
			data[i] ^= 1 << bit
		}
	}
	if err := f.Verify(); err != nil {
		t.Error(err)
	}
}

func TestFilterConcurrent(t *testing.T) {
	t.Parallel()
	f, err := breach.OpenFilter(writeFile(t, encoded(t, 1000, 0)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 2000 {
				known, err := f.Breached(t.Context(), fmt.Sprint(i))
				if known != (i < 1000) || err != nil {
					t.Errorf("password %d: %v, %v", i, known, err)
				}
			}
		})
		wg.Go(func() {
			if err := f.Verify(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

// Whatever the file, there is an error or a filter whose checks work.
func FuzzOpenFilter(f *testing.F) {
	good := encoded(f, 10, 0)
	for _, seed := range [][]byte{
		nil, good, good[:40], good[:39], append(slices.Clone(good), 0), encoded(f, 1, 0.5), encoded(f, 1, 1e-15),
	} {
		f.Add(seed, false)
		f.Add(seed, true)
	}
	f.Fuzz(func(t *testing.T, data []byte, seal bool) {
		if seal { // to get behind the checksum
			data = sealed(slices.Clone(data))
		}
		filter, err := breach.NewFilter(bytes.NewReader(data), int64(len(data)))
		if err != nil {
			checkError(t, err, "")
			return
		}
		for _, pw := range []string{"", "0", "9", "other"} {
			breached(t, filter, pw)
		}
		if err := filter.Verify(); err != nil {
			checkError(t, err, "checksum")
		}
	})
}

func BenchmarkFilter(b *testing.B) {
	path := filepath.Join(b.TempDir(), "passwords.bloom")
	if err := os.WriteFile(path, encoded(b, 1_000_000, 0), 0o600); err != nil {
		b.Fatal(err)
	}
	f, err := breach.OpenFilter(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	for _, pw := range []string{"999999", "correct horse battery staple"} {
		b.Run(pw, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				breached(b, f, pw)
			}
		})
	}
}

func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "passwords.bloom")

	if err := build(path, strings.NewReader("password\nletmein123\n")); err != nil {
		fmt.Println(err)
		return
	}

	filter, err := breach.OpenFilter(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer filter.Close()
	fmt.Println(filter.Breached(ctx, "letmein123"))
	fmt.Println(filter.Breached(ctx, "correct horse battery staple"))
	// Output:
	// true <nil>
	// false <nil>
}

func build(path string, list io.Reader) error {
	b, err := breach.NewBuilder(1000, 0)
	if err != nil {
		return err
	}
	if err := b.AddPasswords(list); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	_, err = b.WriteTo(file)
	return errors.Join(err, file.Close())
}
