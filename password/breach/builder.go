package breach

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math"
)

// Builder makes the file of a [Filter]:
//
//	b, err := breach.NewBuilder(1_000_000, 0)
//	err = b.AddHashes(list) // lines of HASH:COUNT, as Have I Been Pwned has them
//	_, err = b.WriteTo(file)
//
// It holds the filter in memory until then. For the default rate that is 3.6
// bytes for each password: 3.6 MB for a million of them, 3.6 GB for a billion. A
// rate of one in a thousand takes half of that. It is not safe for concurrent use.
type Builder struct {
	header
	array    []byte
	capacity uint64
}

// maxArray is 64 GiB, enough for 19 billion passwords at the default rate.
const maxArray = 1 << 36

// NewBuilder returns a Builder for a filter of at most n passwords, which takes
// this share of other passwords for one of them. Rate is at least 1e-15 and at
// most 0.5; 0 means 1e-6.
func NewBuilder(n int, rate float64) (*Builder, error) {
	if n < 1 {
		return nil, fmt.Errorf("breach: a filter of %d passwords, must be at least 1", n)
	}
	if rate == 0 {
		rate = 1e-6
	}
	if !(rate >= 1e-15 && rate <= 0.5) { // so that NaN is refused
		return nil, fmt.Errorf("breach: rate of false positives %v, must be 1e-15 to 0.5", rate)
	}
	// The textbook's optimum: half of the bits are set in the end.
	perPassword := -math.Log2(rate) / math.Ln2
	size := math.Ceil(float64(n) * perPassword / 8)
	if size > maxArray || size > math.MaxInt {
		return nil, fmt.Errorf("breach: a filter of %d passwords takes %.0f bytes, must be at most %d", n, size, uint64(maxArray))
	}
	return &Builder{
		header: header{
			probes: uint32(math.Round(perPassword * math.Ln2)),
			bits:   uint64(size) * 8,
		},
		array:    make([]byte, int(size)),
		capacity: uint64(n),
	}, nil
}

var errFull = errors.New("there are more passwords than the filter is made for")

// AddPassword adds one password. It fails if the filter is full.
func (b *Builder) AddPassword(password string) error {
	if err := b.add(digestOf(password)); err != nil {
		return fmt.Errorf("breach: %w", err)
	}
	return nil
}

// AddPasswords adds a list of passwords, one on each line. It fails if the list
// cannot be read or the filter is full.
func (b *Builder) AddPasswords(list io.Reader) error {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		if err := b.AddPassword(lines.Text()); err != nil {
			return err
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("breach: reading passwords: %w", err)
	}
	return nil
}

// AddHashes adds a list in the format of Have I Been Pwned, in any order: on
// each line the hexadecimal SHA-1 of a password, and after a colon how often it
// was seen, which may be left out. It fails at a line that is not so, and if
// the list cannot be read or the filter is full.
func (b *Builder) AddHashes(list io.Reader) error {
	if err := readDigests(list, "", b.add); err != nil {
		return fmt.Errorf("breach: reading hashes: %w", err)
	}
	return nil
}

// add sets the bits of a password. One whose bits are all set was added before.
func (b *Builder) add(d digest) error {
	fresh := false
	for i := range b.positions(d) {
		fresh = fresh || b.array[i/8]&(1<<(i%8)) == 0
	}
	if !fresh {
		return nil
	}
	if b.count == b.capacity {
		return errFull
	}
	b.count++
	for i := range b.positions(d) {
		b.array[i/8] |= 1 << (i % 8)
	}
	return nil
}

// WriteTo writes the filter. A file that was not written to its end is refused
// by [OpenFilter].
func (b *Builder) WriteTo(w io.Writer) (int64, error) {
	h := b.header
	h.checksum = checksum(b.array)
	var written int64
	for _, part := range [][]byte{h.encode(), b.array} {
		n, err := w.Write(part)
		written += int64(n)
		if err != nil {
			return written, fmt.Errorf("breach: writing the filter: %w", err)
		}
	}
	return written, nil
}
