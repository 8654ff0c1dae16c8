package ushertest_test

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// mailbox keeps messages in a map.
type mailbox struct {
	mu       sync.Mutex
	messages map[string]usher.Message
}

func newMailbox() *mailbox { return &mailbox{messages: map[string]usher.Message{}} }

func cloneMessage(m usher.Message) usher.Message {
	m.Data = maps.Clone(m.Data)
	return m
}

// enter takes the lock, unless nobody waits for the answer any more.
func (b *mailbox) enter(ctx context.Context) (leave func(), err error) {
	b.mu.Lock()
	if err := ctx.Err(); err != nil {
		b.mu.Unlock()
		return nil, err
	}
	return b.mu.Unlock, nil
}

func (b *mailbox) AddMessage(ctx context.Context, m *usher.Message) error {
	leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	m.ID = string(usher.NewID())
	b.messages[m.ID] = cloneMessage(*m)
	return nil
}

// first returns copies of the first messages that which agrees to.
func (b *mailbox) first(limit int, which func(usher.Message) bool) (found []usher.Message) {
	for _, m := range b.messages {
		if which(m) {
			found = append(found, cloneMessage(m))
		}
	}
	slices.SortFunc(found, func(x, y usher.Message) int {
		return cmp.Or(x.CreatedAt.Compare(y.CreatedAt), cmp.Compare(x.ID, y.ID))
	})
	return found[:min(limit, len(found))]
}

func (b *mailbox) ClaimMessages(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	claimed := b.first(limit, func(m usher.Message) bool { return !m.Dead && !m.DueAt.After(now) })
	for i := range claimed {
		claimed[i].Attempts++
		claimed[i].DueAt = now.Add(lease)
		b.messages[claimed[i].ID] = cloneMessage(claimed[i])
	}
	return claimed, nil
}

func (b *mailbox) DeleteMessage(ctx context.Context, id string) error {
	leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	delete(b.messages, id)
	return nil
}

func (b *mailbox) DelayMessage(ctx context.Context, id string, due time.Time, cause string, dead bool) error {
	leave, err := b.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if m, ok := b.messages[id]; ok {
		m.DueAt, m.LastError, m.Dead = due, cause, dead
		b.messages[id] = m
	}
	return nil
}

func (b *mailbox) ListMessages(ctx context.Context, limit int) ([]usher.Message, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	return b.first(limit, func(usher.Message) bool { return true }), nil
}

// InTx is one transaction at a time, with nobody else around.
func (b *mailbox) InTx(ctx context.Context, f func(context.Context) error) error {
	if ctx.Value(b) != nil {
		return f(ctx)
	}
	before := maps.Clone(b.messages)
	err := f(context.WithValue(ctx, b, true))
	if err != nil {
		b.messages = before
	}
	return err
}

func TestOutbox(t *testing.T) {
	t.Parallel()
	ushertest.TestOutbox(t, func(*testing.T) usher.Outbox { return newMailbox() })
}

func TestOutboxWithoutTransactions(t *testing.T) {
	t.Parallel()
	ushertest.TestOutbox(t, func(*testing.T) usher.Outbox { return struct{ usher.Outbox }{newMailbox()} })
}

func TestOutboxNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		store      func(b *mailbox) usher.Outbox
	}{
		{"drops the data", "round trip", func(b *mailbox) usher.Outbox {
			return adding{b, func(m *usher.Message) { m.Data = nil }}
		}},
		{"sends at once", "due", func(b *mailbox) usher.Outbox {
			return adding{b, func(m *usher.Message) { m.DueAt = m.CreatedAt }}
		}},
		{"does not return the attempt", "round trip", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
				claimed, err := b.ClaimMessages(ctx, now, lease, limit)
				for i := range claimed {
					claimed[i].Attempts--
				}
				return claimed, err
			}}
		}},
		{"shares its memory", "returns copies", func(b *mailbox) usher.Outbox { return sharingData{b} }},
		{"claims what is not due", "due", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
				return b.ClaimMessages(ctx, now.Add(time.Second), lease, limit)
			}}
		}},
		{"claims the newest first", "oldest first", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
				claimed, err := b.ClaimMessages(ctx, now, lease, limit)
				slices.Reverse(claimed)
				return claimed, err
			}}
		}},
		{"claims all", "oldest first", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, lease time.Duration, _ int) ([]usher.Message, error) {
				return b.ClaimMessages(ctx, now, lease, 100)
			}}
		}},
		{"hides for ever", "lease", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, _ time.Duration, limit int) ([]usher.Message, error) {
				return b.ClaimMessages(ctx, now, 1000*time.Hour, limit)
			}}
		}},
		{"hides until it likes", "lease", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, _ time.Duration, limit int) ([]usher.Message, error) {
				return b.ClaimMessages(ctx, now, 30*time.Second, limit)
			}}
		}},
		{"counts no attempts", "lease", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
				claimed, err := b.ClaimMessages(ctx, now, lease, limit)
				for _, m := range claimed {
					m.Attempts = 0
					b.messages[m.ID] = m
				}
				return claimed, err
			}}
		}},
		{"forgets the cause", "delay", func(b *mailbox) usher.Outbox {
			return delaying{b, func(ctx context.Context, id string, due time.Time, _ string, dead bool) error {
				return b.DelayMessage(ctx, id, due, "", dead)
			}}
		}},
		{"never delays to before the lease's end", "delay", func(b *mailbox) usher.Outbox {
			return delaying{b, func(ctx context.Context, id string, due time.Time, cause string, dead bool) error {
				if end := b.messages[id].DueAt; due.Before(end) {
					due = end
				}
				return b.DelayMessage(ctx, id, due, cause, dead)
			}}
		}},
		{"tries the dead", "dead", func(b *mailbox) usher.Outbox {
			return delaying{b, func(ctx context.Context, id string, due time.Time, cause string, _ bool) error {
				return b.DelayMessage(ctx, id, due, cause, false)
			}}
		}},
		{"forgets the dead", "dead", func(b *mailbox) usher.Outbox {
			return delaying{b, func(ctx context.Context, id string, due time.Time, cause string, dead bool) error {
				if dead {
					return b.DeleteMessage(ctx, id)
				}
				return b.DelayMessage(ctx, id, due, cause, dead)
			}}
		}},
		{"brings back by delaying", "delete", func(b *mailbox) usher.Outbox {
			return delaying{b, func(ctx context.Context, id string, due time.Time, cause string, dead bool) error {
				m := b.messages[id]
				m.ID, m.DueAt, m.LastError, m.Dead = id, due, cause, dead
				b.messages[id] = m
				return ctx.Err()
			}}
		}},
		{"lists what is due", "list", func(b *mailbox) usher.Outbox { return listingDue{b} }},
		{"commits at once", "transaction", func(b *mailbox) usher.Outbox { return committing{b} }},
		{"ends with the inner transaction", "transaction", func(b *mailbox) usher.Outbox { return nesting{b} }},
		{"ignores the context", "cancelled context", func(b *mailbox) usher.Outbox {
			return delaying{b, func(_ context.Context, id string, due time.Time, cause string, dead bool) error {
				return b.DelayMessage(context.Background(), id, due, cause, dead)
			}}
		}},
		{"has no messages in an outage", "cancelled context", func(b *mailbox) usher.Outbox {
			return claiming{b, func(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
				claimed, _ := b.ClaimMessages(ctx, now, lease, limit)
				return claimed, nil
			}}
		}},
		{"looks, then claims", "one claim wins", func(b *mailbox) usher.Outbox { return lookingMail{b} }},
		{"looks, then claims many", "workers share nothing", func(b *mailbox) usher.Outbox { return lookingMail{b} }},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestOutbox(t, func(*testing.T) usher.Outbox { return d.store(newMailbox()) })
		}})
	}
	mustFail(t, defects)
}

// adding stores something else than it was given.
type adding struct {
	*mailbox
	change func(*usher.Message)
}

func (b adding) AddMessage(ctx context.Context, m *usher.Message) error {
	stored := cloneMessage(*m)
	b.change(&stored)
	err := b.mailbox.AddMessage(ctx, &stored)
	m.ID = stored.ID
	return err
}

type sharingData struct{ *mailbox }

func (b sharingData) AddMessage(ctx context.Context, m *usher.Message) error {
	err := b.mailbox.AddMessage(ctx, m)
	if err == nil {
		b.messages[m.ID] = *m
	}
	return err
}

type claiming struct {
	*mailbox
	claim func(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error)
}

func (b claiming) ClaimMessages(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
	return b.claim(ctx, now, lease, limit)
}

type delaying struct {
	*mailbox
	delay func(ctx context.Context, id string, due time.Time, cause string, dead bool) error
}

func (b delaying) DelayMessage(ctx context.Context, id string, due time.Time, cause string, dead bool) error {
	return b.delay(ctx, id, due, cause, dead)
}

type listingDue struct{ *mailbox }

func (b listingDue) ListMessages(ctx context.Context, limit int) ([]usher.Message, error) {
	list, err := b.mailbox.ListMessages(ctx, 100)
	list = slices.DeleteFunc(list, func(m usher.Message) bool { return m.Dead })
	return list[:min(limit, len(list))], err
}

type committing struct{ *mailbox }

func (b committing) InTx(ctx context.Context, f func(context.Context) error) error { return f(ctx) }

// nesting commits what an inner transaction did.
type nesting struct{ *mailbox }

func (b nesting) InTx(ctx context.Context, f func(context.Context) error) error {
	before := maps.Clone(b.messages)
	inner := ctx.Value(b.mailbox)
	if inner == nil {
		inner = new(bool)
	} else {
		*inner.(*bool) = true
	}
	err := f(context.WithValue(ctx, b.mailbox, inner))
	if err != nil && !*inner.(*bool) {
		b.messages = before
	}
	return err
}

// lookingMail looks first and claims later.
type lookingMail struct{ *mailbox }

func (b lookingMail) ClaimMessages(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
	leave, err := b.enter(ctx)
	if err != nil {
		return nil, err
	}
	claimed := b.first(limit, func(m usher.Message) bool { return !m.Dead && !m.DueAt.After(now) })
	leave()
	meanwhile()
	for i := range claimed {
		claimed[i].Attempts++
		_ = b.DelayMessage(ctx, claimed[i].ID, now.Add(lease), "", false)
	}
	return claimed, nil
}
