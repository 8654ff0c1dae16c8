package password

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrBusy matches every [*BusyError] in errors.Is.
var ErrBusy = errors.New("password: too many hashes waiting")

// BusyError reports that a hash was refused because there was no turn for it
// within Config.QueueTimeout. Nothing was computed.
type BusyError struct {
	// RetryAfter is when the queue should have drained: whole seconds, 1 to
	// 60, fit for a Retry-After header (RFC 9110 §10.2.3).
	RetryAfter time.Duration
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("%v, retry after %v", ErrBusy, e.RetryAfter)
}

// Is makes every BusyError match [ErrBusy].
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// gate bounds the hashes computed at once and the time callers wait for a turn.
type gate struct {
	// slots holds one element per running hash. The runtime serves the senders
	// that block on a full channel first come, first served.
	slots   chan struct{}
	timeout time.Duration

	mu       sync.Mutex
	waiting  int           // callers blocked on slots
	duration time.Duration // of one hash, smoothed
}

// newGate returns a gate of parallel slots. estimate is the duration of one
// hash, until some have been measured.
func newGate(parallel int, timeout, estimate time.Duration) *gate {
	return &gate{slots: make(chan struct{}, parallel), timeout: timeout, duration: estimate}
}

// do runs work when its turn comes. Its error, a *BusyError or the context's,
// means that work was not run.
func (g *gate) do(ctx context.Context, work func()) error {
	if err := g.enter(ctx); err != nil {
		return err
	}
	start := time.Now()
	defer func() {
		g.observe(time.Since(start))
		<-g.slots
	}()
	work()
	return nil
}

// enter takes a slot.
func (g *gate) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return gaveUp(err)
	}
	select {
	case g.slots <- struct{}{}:
		return nil
	default:
	}
	if err := g.join(); err != nil {
		return err
	}
	defer g.leave()
	deadline := time.NewTimer(g.timeout)
	defer deadline.Stop()
	select {
	case g.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return gaveUp(ctx.Err())
	case <-deadline.C:
		g.mu.Lock()
		defer g.mu.Unlock()
		return g.busy()
	}
}

func gaveUp(err error) error {
	return fmt.Errorf("password: gave up waiting to hash: %w", err)
}

// join counts the caller among those waiting, or refuses it if its turn would
// come too late.
func (g *gate) join() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.drain(g.waiting+1) > g.timeout {
		return g.busy()
	}
	g.waiting++
	return nil
}

func (g *gate) leave() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waiting--
}

// observe smooths the measured durations, so that one odd hash changes little.
func (g *gate) observe(d time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.duration += (d - g.duration) / 8
}

// drain estimates how long the gate takes to start n waiting hashes.
func (g *gate) drain(n int) time.Duration {
	return time.Duration(n) * g.duration / time.Duration(cap(g.slots))
}

// busy describes the queue as it is now.
func (g *gate) busy() *BusyError {
	drained := g.drain(g.waiting + 1)
	roundedUp := (drained + time.Second - 1).Truncate(time.Second)
	return &BusyError{RetryAfter: min(max(roundedUp, time.Second), time.Minute)}
}
