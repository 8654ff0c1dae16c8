package password

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// The gate is tested on the fake clock of synctest, where work is a sleep.

// occupy takes one slot for d and returns once it has it.
func occupy(t *testing.T, g *gate, d time.Duration) {
	t.Helper()
	go g.do(t.Context(), func() { time.Sleep(d) })
	synctest.Wait()
}

// checkEmpty verifies that nothing is left in the gate.
func checkEmpty(t *testing.T, g *gate) {
	t.Helper()
	synctest.Wait()
	if len(g.slots) != 0 || g.waiting != 0 {
		t.Errorf("gate holds %d slots and %d waiting, want none", len(g.slots), g.waiting)
	}
}

// F20: never more than Parallel hashes at once, and all of those slots used.
func TestGateParallelism(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(3, time.Hour, time.Second)
		running, peak, done := 0, 0, 0
		start := time.Now()
		for range 30 {
			go g.do(t.Context(), func() {
				g.mu.Lock()
				running++
				peak = max(peak, running)
				g.mu.Unlock()
				time.Sleep(time.Second)
				g.mu.Lock()
				running--
				done++
				g.mu.Unlock()
			})
		}
		time.Sleep(11 * time.Second)
		checkEmpty(t, g)
		if peak != 3 || done != 30 {
			t.Errorf("peak %d, done %d after %v; want 3 and 30", peak, done, time.Since(start))
		}
	})
}

func TestGateIsFIFO(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Hour, time.Second)
		occupy(t, g, time.Second)
		var served []int
		for i := range 20 {
			go g.do(t.Context(), func() {
				served = append(served, i) // one at a time: the gate has one slot
				time.Sleep(time.Second)
			})
			synctest.Wait()
		}
		time.Sleep(30 * time.Second)
		checkEmpty(t, g)
		if len(served) != 20 || !slices.IsSorted(served) {
			t.Errorf("served in the order %v", served)
		}
	})
}

// F20: who cannot be served in time is told at once.
func TestGateRefusesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(2, 5*time.Second, time.Second)
		const work = 900 * time.Millisecond // a little better than estimated
		occupy(t, g, work)
		occupy(t, g, work)
		var admitted atomic.Int32
		for range 10 { // 10 × 1 s ÷ 2 slots = 5 s
			go g.do(t.Context(), func() { admitted.Add(1); time.Sleep(work) })
			synctest.Wait()
		}
		start := time.Now()
		err := g.do(t.Context(), func() { t.Error("ran") })
		if waited := time.Since(start); waited != 0 {
			t.Errorf("refused after %v, want at once", waited)
		}
		var busy *BusyError
		if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) {
			t.Fatalf("error %v, want a BusyError", err)
		}
		if busy.RetryAfter != 6*time.Second {
			t.Errorf("RetryAfter %v, want the drain time of 5.5 s rounded up", busy.RetryAfter)
		}
		time.Sleep(time.Minute)
		checkEmpty(t, g)
		if n := admitted.Load(); n != 10 {
			t.Errorf("admitted %d, want 10", n)
		}
		if err := g.do(t.Context(), func() {}); err != nil {
			t.Errorf("after the storm: %v", err)
		}
	})
}

// Who was admitted on a wrong estimate does not wait past the deadline either.
func TestGateDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, 5*time.Second, time.Millisecond)
		occupy(t, g, time.Minute)
		start := time.Now()
		err := g.do(t.Context(), func() { t.Error("ran") })
		if waited := time.Since(start); !errors.Is(err, ErrBusy) || waited != 5*time.Second {
			t.Errorf("got %v after %v, want ErrBusy after 5s", err, waited)
		}
		time.Sleep(time.Minute)
		checkEmpty(t, g)
	})
}

func TestGateContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGate(1, time.Hour, time.Second)
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if err := g.do(ended, func() { t.Error("ran") }); !errors.Is(err, context.Canceled) {
			t.Errorf("ended context: %v", err)
		}

		occupy(t, g, 10*time.Second)
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		start := time.Now()
		err := g.do(brief, func() { t.Error("ran") })
		if waited := time.Since(start); !errors.Is(err, context.DeadlineExceeded) || waited != time.Second {
			t.Errorf("got %v after %v, want DeadlineExceeded after 1s", err, waited)
		}
		if errors.Is(err, ErrBusy) {
			t.Errorf("%v is ErrBusy", err)
		}

		// The slot it waited for goes to the next one.
		ran := false
		if err := g.do(t.Context(), func() { ran = true }); err != nil || !ran {
			t.Errorf("next caller: ran %v, %v", ran, err)
		}
		checkEmpty(t, g)
	})
}

func TestGateSurvivesPanic(t *testing.T) {
	t.Parallel()
	g := newGate(1, time.Second, time.Millisecond)
	func() {
		defer func() { recover() }()
		g.do(t.Context(), func() { panic("in a hash") })
	}()
	if len(g.slots) != 0 {
		t.Error("slot leaked")
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	tests := []struct {
		parallel, waiting int
		duration          time.Duration
		want              time.Duration
	}{
		{1, 0, 0, time.Second},
		{1, 5, 10 * time.Millisecond, time.Second},
		{1, 9, 100 * time.Millisecond, time.Second},
		{1, 10, 100 * time.Millisecond, 2 * time.Second},
		{4, 39, time.Second, 10 * time.Second},
		{1, 59, time.Second, time.Minute},
		{1, 1e6, time.Second, time.Minute},
	}
	for _, tt := range tests {
		g := newGate(tt.parallel, time.Second, tt.duration)
		g.waiting = tt.waiting
		if got := g.busy().RetryAfter; got != tt.want {
			t.Errorf("%d waiting for %d slots of %v: %v, want %v", tt.waiting, tt.parallel, tt.duration, got, tt.want)
		}
	}
}

// The estimate follows what is measured, whatever it began with.
func TestGateLearnsDuration(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		for _, estimate := range []time.Duration{0, time.Minute} {
			g := newGate(1, time.Second, estimate)
			for range 100 {
				if err := g.do(t.Context(), func() { time.Sleep(time.Second) }); err != nil {
					t.Fatal(err)
				}
			}
			if off := (g.duration - time.Second).Abs(); off > 10*time.Millisecond {
				t.Errorf("estimate %v became %v, want 1s", estimate, g.duration)
			}
		}
	})
}
