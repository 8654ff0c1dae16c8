package mail

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"usher"
)

// concurrency is how many mails a worker sends at once.
const concurrency = 4

// Worker delivers the messages of an outbox. It is safe for concurrent use.
type Worker struct {
	config   Config
	renderer *renderer
	wake     chan struct{}
}

// NewWorker returns a worker. It has parsed and tried all templates; the error
// names every fault, those of templates with file and line.
func NewWorker(c Config) (*Worker, error) {
	c = c.withDefaults()
	r, err := newRenderer(c)
	if err := errors.Join(c.validate(), err); err != nil {
		return nil, err
	}
	return &Worker{config: c, renderer: r, wake: make(chan struct{}, 1)}, nil
}

// Wake makes Run look for messages at once. Call it when a transaction that
// stored one is committed; it does not block.
func (w *Worker) Wake() {
	select {
	case w.wake <- struct{}{}:
	default: // it is awake, or about to be
	}
}

// Run delivers messages until ctx ends. It returns when those that it was
// sending by then are finished, which is before their leases end.
func (w *Worker) Run(ctx context.Context) {
	var running sync.WaitGroup
	defer running.Wait()
	slots := make(chan struct{}, concurrency)
	outage := false
	for ctx.Err() == nil {
		err := w.claimDue(ctx, slots, func(m usher.Message) {
			running.Go(func() {
				defer func() { <-slots }()
				w.handle(ctx, m) // which has logged the error
			})
		})
		switch {
		case ctx.Err() != nil:
		case err != nil && !outage: // once, not every time that it is still so
			w.config.Logger.Error("usher: mail: the outbox fails", "error", err)
		case err == nil && outage:
			w.config.Logger.Info("usher: mail: the outbox works again")
		}
		outage = err != nil
		select {
		case <-w.wake:
		case <-time.After(w.config.Poll):
		case <-ctx.Done():
		}
	}
}

// DeliverDue sends what is due now and returns how many mails it sent. The error
// says what could not be sent; the outbox keeps that for another attempt.
func (w *Worker) DeliverDue(ctx context.Context) (n int, err error) {
	var running sync.WaitGroup
	var mu sync.Mutex
	slots := make(chan struct{}, concurrency)
	outage := w.claimDue(ctx, slots, func(m usher.Message) {
		running.Go(func() {
			defer func() { <-slots }()
			sent, failure := w.handle(ctx, m)
			mu.Lock()
			defer mu.Unlock()
			if sent {
				n++
			}
			if failure != nil {
				err = errors.Join(err, fmt.Errorf("mail: message %s: %w", m.ID, failure))
			}
		})
	})
	running.Wait()
	return n, errors.Join(outage, err)
}

// claimDue claims messages until none is due or ctx ends, each when there is a
// slot for it and not before: its lease has begun then. The error is the outbox's.
func (w *Worker) claimDue(ctx context.Context, slots chan struct{}, start func(usher.Message)) error {
	for {
		select {
		case slots <- struct{}{}:
		case <-ctx.Done():
			return nil
		}
		m, ok, err := w.claim(ctx)
		if !ok {
			<-slots
			return err
		}
		start(m)
	}
}

// claim claims one message. Once it has begun it goes on when ctx ends: a claim
// that nobody hears of costs an attempt.
func (w *Worker) claim(ctx context.Context) (m usher.Message, ok bool, err error) {
	if ctx.Err() != nil {
		return usher.Message{}, false, nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.config.Lease/4)
	defer cancel()
	claimed, err := w.config.Outbox.ClaimMessages(ctx, w.config.Now(), w.config.Lease, 1)
	if err != nil || len(claimed) == 0 {
		return usher.Message{}, false, err
	}
	return claimed[0], true, nil
}

// handle sends a message, or finds that there is nothing to send, and tells the
// outbox how it ended, all before the lease ends. It does so to the end, also
// when the worker is told to stop.
func (w *Worker) handle(ctx context.Context, m usher.Message) (sent bool, err error) {
	ctx = context.WithoutCancel(ctx)
	log := w.config.Logger.With("message", m.ID, "kind", string(m.Kind), "user", string(m.UserID), "attempt", m.Attempts)
	sent, err = w.attempt(ctx, m)
	ctx, cancel := context.WithTimeout(ctx, w.config.Lease/4)
	defer cancel()
	switch {
	case err == nil:
		if sent {
			log.Info("usher: mail sent")
		}
		if err := w.forget(ctx, m.ID); err != nil {
			log.Error("usher: mail: it will be sent again, the outbox does not forget it", "error", err)
		}
		return sent, nil
	case w.isLast(m, err):
		log.Error("usher: mail given up", "error", err)
		return false, errors.Join(err, w.delay(ctx, log, m, err, true))
	}
	log.Warn("usher: mail not sent", "error", err)
	return false, errors.Join(err, w.delay(ctx, log, m, err, false))
}

// forget deletes a message that was delivered. It is worth several attempts: a
// message that stays is delivered again.
func (w *Worker) forget(ctx context.Context, id string) error {
	for {
		err := w.config.Outbox.DeleteMessage(ctx, id)
		if err == nil {
			return nil
		}
		select {
		case <-time.After(min(time.Second, w.config.Lease/20)):
		case <-ctx.Done():
			return err
		}
	}
}

func (w *Worker) isLast(m usher.Message, err error) bool {
	return m.Attempts >= w.config.MaxAttempts || errors.Is(err, ErrRejected) || errors.Is(err, errTooOld)
}

func (w *Worker) delay(ctx context.Context, log *slog.Logger, m usher.Message, cause error, dead bool) error {
	due := w.config.Now().Add(backOff(m.Attempts))
	err := w.config.Outbox.DelayMessage(ctx, m.ID, due, cause.Error(), dead)
	if err != nil {
		log.Error("usher: mail: the next attempt is when the lease ends", "error", err)
	}
	return err
}
