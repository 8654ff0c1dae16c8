package usher_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"usher"
)

// Mails that were given up are kept for operators, and no longer than that: they
// hold addresses. Those that wait are not touched, however old.
func TestSweepDeadMail(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for lifetime, after := range map[time.Duration]time.Duration{0: 30 * day, time.Hour: time.Hour} {
		x := newFlows(t, configured(func(c *usher.Config[User]) { c.DeadMailLifetime = lifetime }))
		start := x.clock.Now().Truncate(time.Second) // stores keep microseconds
		x.clock.Set(start)
		post := func(dead bool, due time.Duration) string {
			t.Helper()
			m := usher.Message{Kind: usher.MailVerify, Email: "ann@example.com", CreatedAt: start, DueAt: start}
			if err := x.db.AddMessage(t.Context(), &m); err != nil {
				t.Fatal(err)
			}
			if err := x.db.DelayMessage(t.Context(), m.ID, start.Add(due), "refused", dead); err != nil {
				t.Fatal(err)
			}
			return m.ID
		}
		waiting, first, second := post(false, 0), post(true, 0), post(true, time.Minute)
		sweep := func(what string, want ...string) {
			t.Helper()
			before := len(x.mails(t))
			n, err := x.auth.Sweep(t.Context())
			var left []string
			for _, m := range x.mails(t) {
				left = append(left, m.ID)
			}
			if err != nil || n != before-len(want) || !slices.Equal(left, want) {
				t.Errorf("%s: Sweep: %d, %v, left %q, want %q", what, n, err, left, want)
			}
		}
		sweep("at once", waiting, first, second)
		x.clock.Advance(after)
		sweep(fmt.Sprint("after ", after), waiting, first, second)
		x.clock.Advance(time.Second)
		sweep("a second later", waiting, second)
		x.store.fail("DeleteMessage", errOutage)
		x.clock.Advance(time.Minute)
		if n, err := x.auth.Sweep(t.Context()); n != 0 || err == nil {
			t.Errorf("Sweep during an outage: %d, %v", n, err)
		}
		x.store.fail("DeleteMessage", nil)
		sweep("at last", waiting)
	}
}

func (s *spy) DeleteMessage(ctx context.Context, id string) error {
	if err := s.enter("DeleteMessage"); err != nil {
		return err
	}
	return s.Store.DeleteMessage(ctx, id)
}
