// Command scale measures how the stores' operations grow with what is in them.
//
//	make bench-scale
//	make bench-scale BENCHFLAGS='-sizes 1000,10000000 -stores PostgreSQL'
//
// Each store is filled to each size, in a database of its own, with as many users
// as sessions. Then every operation is timed, one at a time, on twenty keys from all
// over the table that were just read: a miss of a cache is not growth. (-keys 1000
// shows what one costs. SQLite's cache holds the pages of some 500 keys, and forgets
// them when another connection writes.) A round times each operation at every size;
// what is reported is the median over the rounds, and as growth the median of the
// rounds' ratios to the smallest size, so that what else the machine does falls on
// both sides. At last, a million sessions that have expired are swept while
// somebody signs in, reads and signs out.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"usher"
)

type options struct {
	sizes  []int
	rounds int
	keys   int
	sweep  int
	stores []string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "scale:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	var o options
	sizes := flag.String("sizes", "1000,100000,1000000", "numbers of users and sessions, the smallest first")
	stores := flag.String("stores", "SQLite,PostgreSQL,MariaDB,Redis", "stores to measure")
	flag.IntVar(&o.rounds, "rounds", 25, "rounds")
	flag.IntVar(&o.keys, "keys", 20, "keys that are looked up, in each round")
	flag.IntVar(&o.sweep, "sweep", 1_000_000, "expired sessions that are swept; 0: none")
	flag.Parse()
	o.stores = strings.Split(*stores, ",")
	for _, text := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("%q is no size", text)
		}
		o.sizes = append(o.sizes, n)
	}
	folder, err := os.MkdirTemp("", "usher-scale-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	for _, name := range o.stores {
		engine, known := engines[name]
		if !known {
			return fmt.Errorf("%q is none of the stores", name)
		}
		if err := measure(ctx, name, engine, folder, o); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// measure fills one store to each size and prints how its operations grow.
func measure(ctx context.Context, name string, e engine, folder string, o options) error {
	subjects := make([]*subject, len(o.sizes))
	for i, size := range o.sizes {
		began := time.Now()
		s, err := e(ctx, folder, size)
		if err != nil {
			return fmt.Errorf("fill with %d: %w", size, err)
		}
		defer s.close()
		subjects[i] = s
		fmt.Fprintf(os.Stderr, "%s: %d users and sessions after %v\n", name, size, time.Since(began).Round(time.Second))
	}
	times := map[string][][]time.Duration{} // operation → size → round
	for round := -1; round < o.rounds; round++ {
		for i, s := range subjects {
			for _, op := range s.operations {
				took, err := timed(ctx, op, s.size, o.keys)
				if err != nil {
					return fmt.Errorf("%s at %d: %w", op.name, s.size, err)
				}
				if round < 0 {
					continue // to warm up
				}
				if times[op.name] == nil {
					times[op.name] = make([][]time.Duration, len(subjects))
				}
				times[op.name][i] = append(times[op.name][i], took)
			}
		}
	}
	fmt.Printf("\n%s: microseconds, and growth\n\n| operation |", name)
	for _, size := range o.sizes {
		fmt.Printf(" %d |", size)
	}
	fmt.Printf("\n| --- |%s\n", strings.Repeat(" --- |", len(o.sizes)))
	for _, op := range subjects[0].operations {
		fmt.Printf("| %s |", op.name)
		for i := range subjects {
			fmt.Printf(" %.1f", float64(median(times[op.name][i]))/1e3)
			if i > 0 {
				fmt.Printf(" (×%.2f)", growth(times[op.name][0], times[op.name][i]))
			}
			fmt.Print(" |")
		}
		fmt.Println()
	}
	if last := subjects[len(subjects)-1]; last.expire != nil && o.sweep > 0 {
		return measureSweep(ctx, name, last, o.sweep)
	}
	return nil
}

// timed returns the median time of an operation on keys from all over the table.
func timed(ctx context.Context, op operation, size, keys int) (time.Duration, error) {
	keys = min(keys, size)
	took := make([]time.Duration, keys)
	for n := range 2 * keys { // the second time counts, when they are warm
		i := n % keys
		key := i * (size / keys)
		if op.before != nil {
			if err := op.before(ctx, key); err != nil {
				return 0, err
			}
		}
		began := time.Now()
		if err := op.do(ctx, key); err != nil {
			return 0, err
		}
		took[i] = time.Since(began)
		if op.after != nil {
			if err := op.after(ctx, key); err != nil {
				return 0, err
			}
		}
	}
	return median(took), nil
}

// measureSweep sweeps expired sessions as Auth.Sweep does, while one reader and
// one who signs in and out do as if nothing was.
func measureSweep(ctx context.Context, name string, s *subject, n int) error {
	if err := s.expire(ctx, n); err != nil {
		return fmt.Errorf("make expired sessions: %w", err)
	}
	quiet, err := s.waits(ctx, 5*time.Second)
	if err != nil {
		return err
	}
	swept, batches := 0, &timedSweeps{SessionStore: s.sessions}
	began := time.Now()
	done := make(chan error, 1)
	sweeping, stop := context.WithCancel(ctx)
	go func() {
		var err error
		swept, err = usher.Sessions{Store: batches}.Sweep(ctx)
		stop()
		done <- err
	}()
	busy, err := s.waits(sweeping, time.Hour)
	if err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	fmt.Printf("\n%s: %d expired sessions swept in %v, in batches of %v (longest %v).\n", name, swept,
		time.Since(began).Round(100*time.Millisecond), median(batches.took).Round(100*time.Microsecond), slices.Max(batches.took).Round(100*time.Microsecond))
	fmt.Printf("Who reads or signs in meanwhile waits, in ms: %s; without the sweep: %s.\n", busy, quiet)
	return nil
}

// timedSweeps notes how long each batch took.
type timedSweeps struct {
	usher.SessionStore
	took []time.Duration
}

func (s *timedSweeps) SweepSessions(ctx context.Context, now time.Time, limit int) (int, error) {
	began := time.Now()
	n, err := s.SessionStore.SweepSessions(ctx, now, limit)
	s.took = append(s.took, time.Since(began))
	return n, err
}

func median(d []time.Duration) time.Duration {
	if len(d) == 0 {
		return 0
	}
	d = slices.Sorted(slices.Values(d))
	return d[len(d)/2]
}

func growth(from, to []time.Duration) float64 {
	ratios := make([]float64, len(from))
	for i := range from {
		ratios[i] = float64(to[i]) / float64(from[i])
	}
	slices.Sort(ratios)
	return ratios[len(ratios)/2]
}
