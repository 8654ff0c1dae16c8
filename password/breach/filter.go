package breach

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"math/bits"
	"os"
)

// Filter checks passwords with a file that was written by a [Builder]: a Bloom
// filter, which knows every password it was made of and takes about one in a
// million others for one of them. It holds no passwords nor hashes.
//
// The file is read where it lies, a few bytes for each check, so that a Filter
// takes hardly any memory: the operating system keeps in its cache what is used.
// Do not write to a file in use; put another in its place and open that.
//
// Make it with [OpenFilter] or [NewFilter]. It is safe for concurrent use.
type Filter struct {
	header
	file  io.ReaderAt
	close func() error
}

// OpenFilter opens a filter file. Its error tells what is wrong with the file.
// Only its header and its size are examined; see [Filter.Verify] for the rest.
func OpenFilter(path string) (*Filter, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("breach: %w", err)
	}
	f, err := openFile(file)
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("breach: %s: %w", path, err)
	}
	return f, nil
}

func openFile(file *os.File) (*Filter, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	h, err := readHeader(file, info.Size())
	if err != nil {
		return nil, err
	}
	return &Filter{header: h, file: file, close: file.Close}, nil
}

// NewFilter is [OpenFilter] for a filter that is not a file of its own, such as
// one embedded in the program. size is that of the filter in bytes.
func NewFilter(r io.ReaderAt, size int64) (*Filter, error) {
	h, err := readHeader(r, size)
	if err != nil {
		return nil, fmt.Errorf("breach: %w", err)
	}
	return &Filter{header: h, file: r, close: func() error { return nil }}, nil
}

// Breached reports whether the filter was made of the password, or takes it for
// one of those. It fails if the context has ended or the file cannot be read.
func (f *Filter) Breached(ctx context.Context, password string) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, fmt.Errorf("breach: %w", err)
	}
	var b [1]byte
	for i := range f.positions(digestOf(password)) {
		if n, err := f.file.ReadAt(b[:], headerSize+int64(i/8)); n < 1 {
			return false, fmt.Errorf("breach: reading the filter: %w", err)
		}
		if b[0]&(1<<(i%8)) == 0 {
			return false, nil
		}
	}
	return true, nil
}

// Len returns the number of passwords that the filter was made of, without
// repetitions. It is a little less where the rate of false positives is high.
func (f *Filter) Len() uint64 { return f.count }

// Verify reads the whole filter and fails if it is not as it was written, as
// after a bad copy. It takes seconds for a large one; do it once it arrives.
func (f *Filter) Verify() error {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	if _, err := io.Copy(sum, io.NewSectionReader(f.file, headerSize, int64(f.bits/8))); err != nil {
		return fmt.Errorf("breach: reading the filter: %w", err)
	}
	if sum.Sum32() != f.checksum {
		return errors.New("breach: the checksum of the filter is wrong: it was damaged")
	}
	return nil
}

// Close closes the file. Checks after that fail.
func (f *Filter) Close() error { return f.close() }

// A filter is a header and a bit array. Numbers are little-endian, checksums
// are CRC-32C. Bit i is bit i%8 of byte i/8, of value 1<<(i%8).
//
//	 0  magic "usherblm"
//	 8  version, 1
//	12  bits set for each password, uint32
//	16  length of the array in bits, uint64
//	24  number of passwords, uint64
//	32  checksum of the array
//	36  checksum of bytes 0 to 36
const (
	magic      = "usherblm"
	version    = 1
	headerSize = 40

	maxProbes = 64
)

type header struct {
	probes   uint32 // bits set for each password
	bits     uint64 // length of the array
	count    uint64 // passwords
	checksum uint32 // of the array
}

func (h header) encode() []byte {
	b := make([]byte, 0, headerSize)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint32(b, version)
	b = binary.LittleEndian.AppendUint32(b, h.probes)
	b = binary.LittleEndian.AppendUint64(b, h.bits)
	b = binary.LittleEndian.AppendUint64(b, h.count)
	b = binary.LittleEndian.AppendUint32(b, h.checksum)
	return binary.LittleEndian.AppendUint32(b, checksum(b))
}

// readHeader reads the header of a filter of size bytes and checks that no
// position is outside of it.
func readHeader(r io.ReaderAt, size int64) (header, error) {
	b := make([]byte, headerSize)
	if size < headerSize {
		return header{}, fmt.Errorf("not a filter: %d bytes are less than its header", size)
	}
	if n, err := r.ReadAt(b, 0); n < headerSize {
		return header{}, fmt.Errorf("reading the header: %w", err)
	}
	number := binary.LittleEndian
	h := header{
		probes:   number.Uint32(b[12:]),
		bits:     number.Uint64(b[16:]),
		count:    number.Uint64(b[24:]),
		checksum: number.Uint32(b[32:]),
	}
	switch v := number.Uint32(b[8:]); {
	case string(b[:8]) != magic:
		return header{}, errors.New("not a filter: it does not begin with " + magic)
	case v != version:
		return header{}, fmt.Errorf("filter version %d, want %d", v, version)
	case number.Uint32(b[36:]) != checksum(b[:36]):
		return header{}, errors.New("the checksum of the header is wrong: it was damaged")
	case h.probes < 1 || h.probes > maxProbes:
		return header{}, fmt.Errorf("the header asks for %d bits for each password, must be 1 to %d", h.probes, maxProbes)
	case h.bits == 0 || h.bits%8 != 0:
		return header{}, fmt.Errorf("the header tells of %d bits, must be whole bytes", h.bits)
	case h.bits/8 != uint64(size-headerSize):
		return header{}, fmt.Errorf("%d bytes, but the header tells of %d: it was cut or appended to", size, headerSize+h.bits/8)
	}
	return h, nil
}

func checksum(b []byte) uint32 {
	return crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))
}

// positions returns the bits of a password. Every one comes from all of 16
// bytes of the digest, through the finalizer of SplitMix64, so that they are
// independent also where the array is short; the well-known h1 + i*h2 modulo
// the length is not, and would spoil rates as low as ours.
func (h header) positions(d digest) iter.Seq[uint64] {
	return func(yield func(uint64) bool) {
		z, step := binary.BigEndian.Uint64(d[:8]), binary.BigEndian.Uint64(d[8:16])
		for range h.probes {
			i, _ := bits.Mul64(mix(z), h.bits) // the fraction mix(z)/2⁶⁴ of the array
			if !yield(i) {
				return
			}
			z += step
		}
	}
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}
