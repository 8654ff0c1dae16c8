package password

import (
	"errors"
	"fmt"
	"runtime"
	"time"
)

// Params are the cost parameters of Argon2 (RFC 9106 §3.1).
type Params struct {
	Memory uint32 // m, in KiB; at least 8 × Lanes, at most 2 GiB
	Time   uint32 // t, the number of passes over the memory; 1 to 64
	Lanes  uint8  // p, the number of threads of one hash; at least 1
}

// DefaultParams returns the second recommended option of RFC 9106 §4: 64 MiB,
// 3 passes, 4 lanes. They are also those of FastAPI Users.
func DefaultParams() Params {
	return Params{Memory: 64 * mib, Time: 3, Lanes: 4}
}

const (
	mib = 1024 // KiB

	maxMemory = 2048 * mib // the first recommended option of RFC 9106 §4
	maxTime   = 64
)

// validate names every fault of p.
func (p Params) validate(allowWeak bool) error {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("password: "+format, args...))
	}
	if p.Time < 1 || p.Time > maxTime {
		fault("Params.Time is %d, must be 1 to %d", p.Time, maxTime)
	}
	if p.Lanes < 1 {
		fault("Params.Lanes is 0, must be at least 1")
	}
	if p.Memory < 8*uint32(p.Lanes) || p.Memory > maxMemory {
		fault("Params.Memory is %d KiB, must be 8 KiB per lane to 2 GiB", p.Memory)
	}
	if faults == nil && !allowWeak && !p.strong() {
		fault("Params (m=%d KiB, t=%d) are under the OWASP floor of 19 MiB and 2 passes, or 46 MiB and 1", p.Memory, p.Time)
	}
	return errors.Join(faults...)
}

// strong reports whether p is at least what the OWASP Password Storage Cheat
// Sheet asks of Argon2id.
func (p Params) strong() bool {
	return p.Memory >= 19*mib && p.Time >= 2 || p.Memory >= 46*mib
}

// work is the cost of one hash in KiB × passes.
func (p Params) work() uint64 {
	return uint64(p.Memory) * uint64(p.Time)
}

// estimate is a first guess of the duration of one hash, about 0.6 ms of CPU
// per MiB and pass. The gate corrects it by what it measures.
func (p Params) estimate() time.Duration {
	threads := min(int(p.Lanes), runtime.GOMAXPROCS(0))
	return time.Duration(p.work()) * 600 * time.Microsecond / mib / time.Duration(threads)
}

// limit bounds what a stored Argon2 hash may ask of the machine, so that a
// hostile row cannot exhaust it.
type limit struct {
	memory uint32 // KiB
	work   uint64 // KiB × passes
}

// limitFor returns 128 MiB and 512 MiB × passes, or the cost of the current
// parameters where that is more.
func limitFor(current Params) limit {
	return limit{
		memory: max(128*mib, current.Memory),
		work:   max(512*mib, current.work()),
	}
}

func (l limit) allows(p Params) bool {
	return p.Memory <= l.memory && p.work() <= l.work
}
