package usher

import (
	"errors"
	"testing"
	"time"
)

func TestNextSweepBatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		batch int
		took  time.Duration
		want  int
	}{
		{50, time.Millisecond, 100},
		{50, 7 * time.Millisecond, 50},
		{50, 11 * time.Millisecond, 25},
		{15, time.Second, leastSweepBatch},
		{800, 0, mostSweepBatch},
	} {
		if got := nextSweepBatch(test.batch, test.took); got != test.want {
			t.Errorf("after %d in %v come %d, want %d", test.batch, test.took, got, test.want)
		}
	}
}

// A batch that is not full is the last.
func TestSweep(t *testing.T) {
	t.Parallel()
	outage := errors.New("outage")
	for _, test := range []struct {
		name        string
		left, calls int // calls before the outage; 0: none
		want        int
		err         error
	}{
		{"nothing", 0, 0, 0, nil},
		{"one batch, and an empty one", firstSweepBatch, 0, firstSweepBatch, nil},
		{"many", 2500, 0, 2500, nil},
		{"an outage", 2500, 2, firstSweepBatch, outage},
	} {
		left, calls := test.left, 0
		n, err := sweep(t.Context(), func(limit int) (int, error) {
			if calls++; calls == test.calls {
				return 0, outage
			}
			if limit < leastSweepBatch || limit > mostSweepBatch {
				t.Errorf("%s: a batch of %d", test.name, limit)
			}
			deleted := min(left, limit)
			left -= deleted
			return deleted, nil
		})
		if n != test.want || !errors.Is(err, test.err) || test.err == nil && left > 0 {
			t.Errorf("%s: %d, %v, and %d are left, want %d, %v", test.name, n, err, left, test.want, test.err)
		}
	}
}
