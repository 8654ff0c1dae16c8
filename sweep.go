package usher

import (
	"context"
	"errors"
	"time"
)

// Who writes while a batch is deleted waits for its end, so a batch should take
// about as long as one slow write, whatever the store and the disk are.
const (
	sweepPatience   = 10 * time.Millisecond
	firstSweepBatch = 50
	leastSweepBatch = 10
	mostSweepBatch  = 1000
)

// sweep calls deleteUpTo, which returns how many it has deleted, until there is
// nothing more to delete, and returns how many those were. After each batch it rests
// as long as that took: a store that falls behind with its own cleaning would stop
// everybody to catch up.
func sweep(ctx context.Context, deleteUpTo func(limit int) (int, error)) (total int, err error) {
	for batch := firstSweepBatch; ; {
		began := time.Now()
		n, err := deleteUpTo(batch)
		total += n
		if err != nil || n < batch {
			return total, err
		}
		took := time.Since(began)
		batch = nextSweepBatch(batch, took)
		select {
		case <-ctx.Done():
			return total, ctx.Err()
		case <-time.After(took):
		}
	}
}

// nextSweepBatch is how many to delete after a batch that took so long.
func nextSweepBatch(batch int, took time.Duration) int {
	switch {
	case took > sweepPatience:
		return max(batch/2, leastSweepBatch)
	case took < sweepPatience/2:
		return min(batch*2, mostSweepBatch)
	}
	return batch
}

// Sweep deletes the expired sessions of every backend, what the store remembers of
// one-time tokens that have expired, and mails that were given up long ago, and
// returns how many. It deletes in small batches, so that nobody waits long behind
// it.
func (a *Auth[U]) Sweep(ctx context.Context) (total int, err error) {
	for _, b := range a.backends {
		if s, ok := b.Strategy.(interface {
			Sweep(context.Context) (int, error)
		}); ok {
			n, sweepErr := s.Sweep(ctx)
			total += n
			err = errors.Join(err, sweepErr)
		}
	}
	if s, ok := a.config.Store.(interface {
		SweepUsedTokens(ctx context.Context, now time.Time, limit int) (int, error)
	}); ok {
		n, sweepErr := sweep(ctx, func(limit int) (int, error) { return s.SweepUsedTokens(ctx, a.config.now(), limit) })
		total += n
		err = errors.Join(err, sweepErr)
	}
	n, sweepErr := a.sweepDeadMail(ctx)
	return total + n, errors.Join(err, sweepErr)
}
