//go:build linux

package faults_test

import (
	"fmt"
	"sync"
)

// keeping is what a store promises of sessions through a fault; the zero value: all.
type keeping int

const (
	// mayLose: sessions may be lost, but what was ended stays ended.
	mayLose keeping = iota + 1
	// mayUndo: an acknowledged end of a session may be lost, too. It is counted.
	mayUndo
)

// judge collects what is wrong. A nil judge does not mind.
type judge struct {
	redis keeping

	mu         sync.Mutex
	violations []string
	lostTotal  int
	undoTotal  int
}

func (j *judge) violate(promise string, e entry, what string) {
	j.add(promise, "%s: request %d, %s of %s on %s: status %d %s", what, e.N, e.Op, e.Account, e.Instance, e.Status, e.Detail)
}

func (j *judge) add(promise, format string, args ...any) {
	if j == nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.violations = append(j.violations, promise+": "+fmt.Sprintf(format, args...))
}

func (j *judge) unexpected(e entry) { j.violate("P6", e, "unexpected answer") }

// lost is a session that should be there.
func (j *judge) lost(t *token, e entry) {
	if j == nil {
		return
	}
	if t.backend == "redis" && j.redis >= mayLose {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.lostTotal++
		return
	}
	j.violate("P1", e, "a live sign-in ("+t.backend+") is refused")
}

// undone is a session that should not be there.
func (j *judge) undone(t *token, e entry) {
	if j == nil {
		return
	}
	if t.backend == "redis" && j.redis >= mayUndo {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.undoTotal++
		return
	}
	j.violate("P2", e, "a sign-in ("+t.backend+") that was ended is good")
}
