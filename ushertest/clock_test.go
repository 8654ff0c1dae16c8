package ushertest_test

import (
	"sync"
	"testing"
	"time"

	"usher/ushertest"
)

func TestClock(t *testing.T) {
	start := time.Date(2030, 1, 2, 3, 4, 5, 6, time.UTC)
	clock := ushertest.NewClock(start)
	if got := clock.Now(); !got.Equal(start) {
		t.Errorf("a new clock shows %v, want %v", got, start)
	}
	var moves sync.WaitGroup
	for range 100 {
		moves.Go(func() { clock.Advance(time.Second); clock.Now() })
	}
	moves.Wait()
	if got, want := clock.Now(), start.Add(100*time.Second); !got.Equal(want) {
		t.Errorf("after 100 steps of a second at once: %v, want %v", got, want)
	}
	clock.Advance(-time.Hour)
	clock.Set(start)
	if got := clock.Now(); !got.Equal(start) {
		t.Errorf("after Set: %v, want %v", got, start)
	}
}
