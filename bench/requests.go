package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
)

// measured is a subject with its process and what each round found.
type measured struct {
	subject
	process  *process
	requests []request
	cpu      []float64 // µs per request
	rate     []float64 // requests per second
	allocs   float64   // per request, in the last round
	bytes    float64   // the same
}

// benchRequests measures the CPU time that a server spends on a request.
func benchRequests(ctx context.Context, w *world, o options) (err error) {
	var all []*measured
	defer func() {
		for _, m := range all {
			err = errors.Join(err, m.process.stop())
		}
	}()
	for _, s := range selected(w, o) {
		p, err := w.start(s)
		if err != nil {
			return err
		}
		m := &measured{subject: s, process: p}
		for _, token := range w.tokens[s.tokens] {
			m.requests = append(m.requests, get(s.path, token))
		}
		all = append(all, m)
		if err := m.check(w); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	for round := range o.rounds {
		order := slices.Clone(all)
		if round%2 == 1 { // a machine that gets slower or faster favours neither side
			slices.Reverse(order)
		}
		for _, m := range order {
			if err := m.load(ctx, o); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d: %-20s %6.1f µs\n", round+1, m.name, m.cpu[round])
		}
	}
	printRequests(all, o)
	return nil
}

// selected returns the subjects that shall and can be measured, with their
// floors.
func selected(w *world, o options) []subject {
	floors := map[string]bool{}
	possible := slices.DeleteFunc(slices.Clone(subjects), func(s subject) bool { return s.tokens == redisToken && w.Redis == "" })
	for _, s := range possible {
		floors[s.floor] = floors[s.floor] || o.run.MatchString(s.name)
	}
	return slices.DeleteFunc(possible, func(s subject) bool { return !floors[s.name] && !o.run.MatchString(s.name) })
}

// check sends a request of every user and looks at the answer: what is wrong may
// well be fast. It warms the server up, too.
func (m *measured) check(w *world) error {
	c, err := dial(m.process.address, 1, nil)
	if err != nil {
		return err
	}
	defer c.close()
	for i, r := range m.requests[:min(len(m.requests), len(w.users))] {
		var want []byte
		switch {
		case m.tokens == noToken:
		case m.path == mePath:
			want, err = json.Marshal(w.users[i])
		default:
			want, err = json.Marshal(claims{w.users[i].ID})
		}
		if err != nil {
			return err
		}
		answer, err := c.conns[0].do(r)
		if err != nil {
			return err
		}
		if answer.status != r.status || want != nil && !bytes.Equal(answer.body, want) {
			return fmt.Errorf("answered %d %s, not %d %s", answer.status, answer.body, r.status, want)
		}
	}
	return nil
}

// load is one round of one subject.
func (m *measured) load(ctx context.Context, o options) error {
	c, err := dial(m.process.address, o.conns, m.requests)
	if err != nil {
		return err
	}
	defer c.close()
	// Not measured: the connections' first requests, and the one in a minute that
	// records the use of a session; in so short a window it would weigh too much.
	if _, err := c.forCount(ctx, o.users); err != nil {
		return err
	}
	heapBefore, err := m.process.collected()
	if err != nil {
		return err
	}
	before, err := cpuTime(m.process.pid)
	if err != nil {
		return err
	}
	r, err := c.forTime(ctx, o.window)
	if err != nil {
		return err
	}
	after, err := cpuTime(m.process.pid)
	if err != nil {
		return err
	}
	heapAfter, err := m.process.collected()
	if err != nil {
		return err
	}
	if r.count == 0 {
		return errors.Join(errors.New("no answers"), ctx.Err())
	}
	m.allocs = float64(heapAfter.Mallocs-heapBefore.Mallocs) / float64(r.count)
	m.bytes = float64(heapAfter.TotalAlloc-heapBefore.TotalAlloc) / float64(r.count)
	m.cpu = append(m.cpu, float64(after-before)/float64(time.Microsecond)/float64(r.count))
	m.rate = append(m.rate, r.rate())
	return nil
}

func printRequests(all []*measured, o options) {
	fmt.Printf("\n## CPU time per request\n\n"+
		"User and system time of the server process, at %d connections; the median of %d rounds of %v each. "+
		"The ratio is the median of each round's. The load comes from another process on the same cores. "+
		"Recording the use of a session, once a minute, is left out. "+
		"Floors answer the same JSON with Content-Type and Content-Length only; usher adds three headers.\n\n"+
		"| subject | what it does | µs/request | range | requests/s | allocations | bytes | floor | ratio | range | target |\n"+
		"| --- | --- | ---: | ---: | ---: | ---: | ---: | --- | ---: | ---: | --- |\n", o.conns, o.rounds, o.window)
	for _, m := range all {
		fmt.Printf("| %s | %s | %.1f | %s | %.0f | %.0f | %.0f | ", m.name, m.does, median(m.cpu), spread(m.cpu, "%.1f"), median(m.rate), m.allocs, m.bytes)
		i := slices.IndexFunc(all, func(f *measured) bool { return f.name == m.floor })
		if i < 0 {
			fmt.Println("| | | |")
			continue
		}
		var ratios []float64
		for round, cpu := range m.cpu {
			ratios = append(ratios, cpu/all[i].cpu[round])
		}
		fmt.Printf("%s | **%.2f** | %s | ", m.floor, median(ratios), spread(ratios, "%.2f"))
		if m.target > 0 {
			fmt.Printf("≤ %.2f %s ", m.target, verdict(median(ratios) <= m.target))
		}
		fmt.Println("|")
	}
}
