//go:build linux

package faults_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// limit is usher's own limit for a request.
const limit = 10 * time.Second

// settle is how long all may take to work again (P8), and to rest (P7).
const settle = 10 * time.Second

// bench is what the faults have in common.
type bench struct {
	usher func() string // builds the program
	users int
	part  time.Duration // of a run: before the fault, during, after
	kills int           // of F01
	later time.Duration // after which the auditor comes again
	again int           // rounds of a race

	mu   sync.Mutex
	rows []row
	done map[string]int // operations of the loads that succeeded
}

// newBench is the short version, or the long one: USHER_FAULTS_TIME of each fault.
func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{usher: sync.OnceValue(func() string { return build(t) }), users: 8, part: 2 * time.Second, kills: 3, again: 3, done: map[string]int{}}
	if text := os.Getenv("USHER_FAULTS_TIME"); text != "" {
		long, err := time.ParseDuration(text)
		if err != nil || long < time.Second {
			t.Fatalf("USHER_FAULTS_TIME is %q: want one like 60s, and a second at least", text)
		}
		b.users, b.part, b.kills, b.again, b.later = 20, long/4, 20, 20, long
	}
	return b
}

// during is how long a fault lasts.
func (b *bench) during() time.Duration { return 2 * b.part }

// row is what came of a fault.
type row struct {
	fault                             string
	struck                            int
	requests, unavailable, unanswered int64
	accounts                          int
	recovered, slowest                time.Duration
	most                              vitals
	goroutines                        int
	lost, undone, violations          int
}

// answered is how many requests had their answer.
func (r row) answered() int64 { return r.requests - r.unavailable - r.unanswered }

// report ends a run: it fails if a promise was broken.
func (b *bench) report(w *world, r row) {
	w.t.Helper()
	r.fault = w.t.Name()[strings.IndexByte(w.t.Name(), '/')+1:]
	if r.requests == 0 {
		r.requests, r.unavailable, r.unanswered = w.requests.Load(), w.unavailable.Load(), w.unanswered.Load()
	}
	r.slowest = time.Duration(w.slowest.Load())
	r.violations, r.lost, r.undone = len(w.judge.violations), w.judge.lostTotal, w.judge.undoTotal
	b.mu.Lock()
	b.rows = append(b.rows, r)
	b.mu.Unlock()
	for i, v := range w.judge.violations {
		if i == 20 {
			w.t.Errorf("and %d more", r.violations-i)
			break
		}
		w.t.Error(v)
	}
	if r.violations > 0 {
		w.t.Errorf("the ledger and the logs are in %s", w.dir)
	}
	if r.requests == 0 || r.struck == 0 {
		w.t.Errorf("nothing happened: %+v", r)
	}
}

// did counts the operations of a load.
func (b *bench) did(entries []entry) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range entries {
		if e.Status >= 200 && e.Status < 300 {
			b.done[e.Op]++
		}
	}
}

// complete fails unless the loads did everything: a promise about what nobody
// does is easily kept.
func (b *bench) complete(t testing.TB) {
	if len(b.done) == 0 { // only races were run
		return
	}
	for _, op := range []string{"register", "login", "me", "sessions", "verify", "change", "forgot", "reset", "logout", "revoke"} {
		if b.done[op] == 0 {
			t.Errorf("no %s ever succeeded", op)
		}
	}
}

// table shows all rows.
func (b *bench) table() string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "fault\tstruck\trequests\tanswered\t503\tno answer\taccounts\tback in\tslowest\tmost\tgoroutines\tlost\tundone\tviolations")
	for _, r := range b.rows {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%d\t%d\t%.1fs\t%.1fs\t%v\t%d\t%d\t%d\t%d\n", r.fault, r.struck, r.requests, r.answered(), r.unavailable, r.unanswered,
			r.accounts, r.recovered.Seconds(), r.slowest.Seconds(), r.most, r.goroutines, r.lost, r.undone, r.violations)
	}
	_ = w.Flush()
	return text.String()
}

// pause waits for any time up to most.
func (w *world) pause(most time.Duration) { time.Sleep(most/2 + rand.N(most/2)) }
