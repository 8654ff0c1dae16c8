package ushertest_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/ushertest"
)

// denied remembers sessions in a map.
type denied struct {
	mu       sync.Mutex
	sessions map[string]bool
}

func newDenied() *denied { return &denied{sessions: map[string]bool{}} }

func (d *denied) Deny(ctx context.Context, session string, _ time.Time) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	d.sessions[session] = true
	return nil
}

func (d *denied) Denied(ctx context.Context, session string) (bool, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.sessions[session], ctx.Err()
}

func TestDenyList(t *testing.T) {
	ushertest.TestDenyList(t, func(*testing.T) usher.DenyList { return newDenied() })
}

// denyingWith is a list whose Deny is another.
type denyingWith struct {
	*denied
	deny func(ctx context.Context, session string, until time.Time) error
}

func (d denyingWith) Deny(ctx context.Context, session string, until time.Time) error {
	return d.deny(ctx, session, until)
}

// trusting is a list whose Denied never fails.
type trusting struct{ *denied }

func (d trusting) Denied(_ context.Context, session string) (bool, error) {
	return d.denied.Denied(context.Background(), session)
}

func TestDenyListNotices(t *testing.T) {
	var defects []defect
	for _, d := range []struct {
		name, part string
		list       func(d *denied) usher.DenyList
	}{
		{"forgets at once", "denied", func(d *denied) usher.DenyList {
			return denyingWith{d, func(context.Context, string, time.Time) error { return nil }}
		}},
		{"refuses to deny again", "denied", func(d *denied) usher.DenyList {
			return denyingWith{d, func(ctx context.Context, session string, until time.Time) error {
				if yes, _ := d.Denied(ctx, session); yes {
					return usher.ErrAlreadyUsed
				}
				return d.Deny(ctx, session, until)
			}}
		}},
		{"trims ids", "hostile ids", func(d *denied) usher.DenyList {
			return denyingWith{d, func(ctx context.Context, session string, until time.Time) error {
				return d.Deny(ctx, strings.TrimSpace(session), until)
			}}
		}},
		{"denies later", "at once", func(d *denied) usher.DenyList {
			return denyingWith{d, func(ctx context.Context, session string, until time.Time) error {
				go func() { meanwhile(); _ = d.Deny(context.WithoutCancel(ctx), session, until) }()
				return ctx.Err()
			}}
		}},
		{"denies whatever the context", "cancelled context", func(d *denied) usher.DenyList {
			return denyingWith{d, func(_ context.Context, session string, until time.Time) error {
				return d.Deny(context.Background(), session, until)
			}}
		}},
		{"answers whatever the context", "cancelled context", func(d *denied) usher.DenyList { return trusting{d} }},
	} {
		defects = append(defects, defect{d.name, d.part, func(t *testing.T) {
			ushertest.TestDenyList(t, func(*testing.T) usher.DenyList { return d.list(newDenied()) })
		}})
	}
	mustFail(t, defects)
}
