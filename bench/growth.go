package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

const (
	million = 1_000_000
	step    = 100_000
)

// sample is what a server holds after some requests.
type sample struct {
	requests int
	rss      int64 // bytes
	memory
}

// benchGrowth shows that a server keeps nothing of the requests it has answered:
// a million of every strategy, of good tokens and of forged ones.
func benchGrowth(ctx context.Context, w *world, o options) (err error) {
	p, err := w.start(allBackends)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()

	// The cache of verified JWTs may fill: it is bounded. Then it counts.
	var fill []request
	for _, token := range w.tokens[manyJWTs] {
		fill = append(fill, get(mePath, token))
	}
	if _, err := p.drive(ctx, o.conns, fill, len(fill)); err != nil {
		return err
	}
	requests := w.mixedRequests()
	var samples []sample
	var elapsed time.Duration
	for n := step; n <= million; n += step {
		r, err := p.drive(ctx, o.conns, requests, step)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return err
		}
		elapsed += r.elapsed
		time.Sleep(100 * time.Millisecond) // the server notices that the connections are gone
		s := sample{requests: n}
		if s.memory, err = p.collected(); err != nil {
			return err
		}
		if s.rss, _, err = residentMemory(p.pid); err != nil {
			return err
		}
		samples = append(samples, s)
		fmt.Fprintf(os.Stderr, "%d requests: %.1f MB\n", n, megabytes(s.HeapAlloc))
	}
	printGrowth(samples, elapsed)
	return nil
}

// drive sends n requests over new connections.
func (p *process) drive(ctx context.Context, conns int, requests []request, n int) (result, error) {
	c, err := dial(p.address, conns, requests)
	if err != nil {
		return result{}, err
	}
	defer c.close()
	return c.forCount(ctx, n)
}

// mixedRequests are of every user with every kind of token, good and forged.
func (w *world) mixedRequests() (requests []request) {
	for i := range w.users {
		for _, kind := range []string{jwtToken, databaseToken, redisToken} {
			if len(w.tokens[kind]) == 0 {
				continue // there is no Redis
			}
			token := w.tokens[kind][i]
			// The second last letter, since the last holds bits that do not count.
			end := len(token) - 2
			forged := get(mePath, token[:end]+strings.Map(otherLetter, token[end:end+1])+token[end+1:])
			forged.status = 401
			requests = append(requests, get(mePath, token), get(mePath, token), get(mePath, token), forged)
		}
	}
	return requests
}

func otherLetter(r rune) rune {
	if r == 'A' {
		return 'B'
	}
	return 'A'
}

func printGrowth(samples []sample, elapsed time.Duration) {
	fmt.Printf("\n## Memory over a million requests\n\n"+
		"`GET /users/me` with JWTs, database and Redis tokens in turn, one in four forged; %.0f requests/s. Each sample is taken after a collection, "+
		"with the connections closed.\n\n| requests | heap, MB | resident, MB | goroutines |\n| ---: | ---: | ---: | ---: |\n",
		million/elapsed.Seconds())
	for _, s := range samples {
		fmt.Printf("| %d | %.2f | %.1f | %d |\n", s.requests, megabytes(s.HeapAlloc), megabytes(s.rss), s.Goroutines)
	}
	heap := slope(samples, func(s sample) float64 { return float64(s.HeapAlloc) })
	resident := slope(samples, func(s sample) float64 { return float64(s.rss) })
	goroutines := samples[len(samples)-1].Goroutines - samples[0].Goroutines
	fmt.Printf("\nHeap: %+.2f bytes per request (target: ≤ 1, %s). Resident: %+.2f bytes per request. Goroutines: %+d (target: ≤ 0, %s).\n",
		heap, verdict(heap <= 1), resident, goroutines, verdict(goroutines <= 0))
}

// slope is that of the line with the least squares, per request.
func slope(samples []sample, value func(sample) float64) float64 {
	var meanX, meanY float64
	for _, s := range samples {
		meanX += float64(s.requests) / float64(len(samples))
		meanY += value(s) / float64(len(samples))
	}
	var xy, xx float64
	for _, s := range samples {
		x := float64(s.requests) - meanX
		xy += x * (value(s) - meanY)
		xx += x * x
	}
	return xy / xx
}
