package main

import (
	"regexp"
	"strconv"

	"usher/password"
)

// hashLimits says which hashes package password reads: an account with another
// one could never be signed in to.
type hashLimits struct{ memory, work uint64 } // of Argon2, in KiB and KiB × passes

// maxBcryptCost is that of package password.
const maxBcryptCost = 15

func (c Argon2Config) limits() hashLimits {
	p := password.DefaultParams()
	if c.MemoryKiB != 0 {
		p.Memory = c.MemoryKiB
	}
	if c.Time != 0 {
		p.Time = c.Time
	}
	return hashLimits{
		memory: max(128<<10, uint64(p.Memory)),
		work:   max(512<<10, uint64(p.Memory)*uint64(p.Time)),
	}
}

var (
	argon2Text = regexp.MustCompile(`^\$argon2id?\$v=19\$m=([1-9]\d{0,9}),t=([1-9]\d{0,9}),p=([1-9]\d{0,2})\$[A-Za-z0-9+/]{11,86}\$[A-Za-z0-9+/]{6,171}$`)
	bcryptText = regexp.MustCompile(`^\$2[aby]\$(\d\d)\$[./A-Za-z0-9]{53}$`)
)

func (l hashLimits) allow(hash string) bool {
	if found := argon2Text.FindStringSubmatch(hash); found != nil {
		memory, passes, lanes := number(found[1]), number(found[2]), number(found[3])
		return lanes <= 255 && memory >= 8*lanes && memory <= l.memory && memory*passes <= l.work
	}
	if found := bcryptText.FindStringSubmatch(hash); found != nil {
		cost := number(found[1])
		return cost >= 4 && cost <= maxBcryptCost
	}
	return false
}

// number reads digits, ten at most.
func number(digits string) uint64 {
	n, _ := strconv.ParseUint(digits, 10, 64)
	return n
}
