package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"runtime"
	"time"

	"golang.org/x/crypto/argon2"

	"usher/password"
)

const (
	quietTime = 3 * time.Second
	hashTime  = 3 * time.Second // before the storm, and again after it
)

// storm is what benchLogins found.
type storm struct {
	hashes        [2]float64 // per second, without a server: before and after
	hashCPU       [2]float64 // ms of CPU time for one
	alone, beside result     // sign-ins
	aloneCPU      float64    // ms for one
	quiet, during result     // other requests: without sign-ins, and with
	peak          int64      // of the server's memory, in bytes
}

// benchLogins measures a storm of sign-ins at the default cost of a password:
// clients that sign in again as soon as they have signed in.
func benchLogins(ctx context.Context, w *world, o options) (err error) {
	var s storm
	if err := s.measureHashes(0); err != nil {
		return err
	}
	p, err := w.start(allBackends)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.stop()) }()

	var gets, posts []request
	for i, token := range w.tokens[databaseToken] {
		gets = append(gets, get(mePath, token))
		form := url.Values{"username": {w.users[i].Email}, "password": {userPassword}}
		posts = append(posts, postForm("/auth/"+databaseToken+"/login", form.Encode()))
	}
	others, err := dial(p.address, o.conns, gets)
	if err != nil {
		return err
	}
	defer others.close()
	logins, err := dial(p.address, o.conns, posts)
	if err != nil {
		return err
	}
	defer logins.close()

	fmt.Fprintln(os.Stderr, "storm of sign-ins")
	if s.quiet, err = others.forTime(ctx, quietTime); err != nil {
		return err
	}
	before, err := cpuTime(p.pid)
	if err != nil {
		return err
	}
	if s.alone, err = logins.forTime(ctx, o.logins); err != nil {
		return err
	}
	after, err := cpuTime(p.pid)
	if err != nil {
		return err
	}
	s.aloneCPU = 1000 * (after - before).Seconds() / float64(s.alone.count)
	begun, failed := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		close(begun)
		s.beside, err = logins.forTime(ctx, o.logins)
		failed <- err
	}()
	<-begun
	s.during, err = others.forTime(ctx, o.logins)
	if err := errors.Join(err, <-failed, ctx.Err()); err != nil {
		return err
	}
	if _, s.peak, err = residentMemory(p.pid); err != nil {
		return err
	}
	if err := s.measureHashes(1); err != nil {
		return err
	}
	s.print(o)
	return nil
}

// measureHashes finds what this machine can do: hashes one after the other, each
// on as many cores as it has lanes.
func (s *storm) measureHashes(i int) error {
	params := password.DefaultParams()
	before, err := cpuTime(os.Getpid())
	if err != nil {
		return err
	}
	start, n := time.Now(), 0.0
	for ; time.Since(start) < hashTime; n++ {
		argon2.IDKey([]byte(userPassword), make([]byte, 16), params.Time, params.Memory, params.Lanes, 32)
	}
	s.hashes[i] = n / time.Since(start).Seconds()
	after, err := cpuTime(os.Getpid())
	s.hashCPU[i] = 1000 * (after - before).Seconds() / n
	return err
}

func (s *storm) print(o options) {
	params := password.DefaultParams()
	gate := max(1, runtime.GOMAXPROCS(0)/int(params.Lanes))
	limit := 2*float64(gate)*float64(params.Memory)*1024/1e6 + 64
	fmt.Printf("\n## A storm of sign-ins\n\n"+
		"%d clients sign in again and again (argon2id, %d MiB, t=%d, p=%d; %d at once), alone and beside as many that read `/users/me` from SQLite; "+
		"%v each. A client's first sign-in does not count for the latencies: there all come at once.\n\n"+
		"| | found | compared with | ratio | target |\n| --- | ---: | ---: | ---: | --- |\n",
		o.conns, params.Memory/1024, params.Time, params.Lanes, gate, o.logins)
	row := func(what, found, than string, ratio float64, target string, met bool) {
		fmt.Printf("| %s | %s | %s | %.2f | %s %s |\n", what, found, than, ratio, target, verdict(met))
	}

	bare := (s.hashes[0] + s.hashes[1]) / 2
	ratio := s.alone.rate() / bare
	row("sign-ins/s", fmt.Sprintf("%.1f", s.alone.rate()), fmt.Sprintf("bare loop of hashes: %.1f", bare), ratio, "≥ 0.95", ratio >= 0.95)
	bare = (s.hashCPU[0] + s.hashCPU[1]) / 2
	fmt.Printf("| CPU time of one | %.0f ms | bare loop: %.0f ms | %.2f | |\n", s.aloneCPU, bare, s.aloneCPU/bare)
	latencies := seconds(s.alone.steady())
	half, late := median(latencies), quantile(latencies, 0.99)
	row("p99", fmt.Sprintf("%.2f s", late), fmt.Sprintf("p50: %.2f s", half), late/half, "≤ 1.2", late <= 1.2*half)
	fmt.Printf("| refused with 503 | %d of %d | | | |\n", s.alone.refused, s.alone.count+s.alone.refused)
	peak := megabytes(s.peak)
	row("most memory held (VmHWM)", fmt.Sprintf("%.0f MB", peak), fmt.Sprintf("2 × %d × %d MiB + 64 MB: %.0f MB", gate, params.Memory/1024, limit),
		peak/limit, "≤ 1", peak <= limit)
	row("the same", fmt.Sprintf("%.0f MB", peak), "400 MB", peak/400, "≤ 1", peak <= 400)
	ratio = s.during.rate() / s.quiet.rate()
	row("other requests/s meanwhile", fmt.Sprintf("%.0f", s.during.rate()), fmt.Sprintf("quiet: %.0f", s.quiet.rate()), ratio, "≥ 0.25", ratio >= 0.25)
	latencies = seconds(s.during.steady())
	fmt.Printf("| other requests, p99 | %.1f ms | quiet: %.1f ms | | |\n", 1000*quantile(latencies, 0.99), 1000*quantile(seconds(s.quiet.steady()), 0.99))
	latencies = seconds(s.beside.steady())
	fmt.Printf("| sign-ins/s beside them | %.1f | alone: %.1f | %.2f | |\n", s.beside.rate(), s.alone.rate(), s.beside.rate()/s.alone.rate())
	fmt.Printf("| their p99 | %.2f s | p50: %.2f s | | |\n", quantile(latencies, 0.99), median(latencies))
	fmt.Printf("| of them refused with 503 | %d of %d | | | |\n", s.beside.refused, s.beside.count+s.beside.refused)
}
