// Command bench measures usher against its floors: small programs that do the
// same work without it.
//
//	make bench
//	make bench BENCHFLAGS='-run "database|F8" -million=false'
//
// Each subject and each floor is a process of its own. This one prepares users
// and tokens through the library, loads them in turn over HTTP/1.1 keep-alive
// connections on loopback, and reads from the operating system how much CPU time
// each has used. A round loads every one of them; what is reported is the median
// of the rounds, and as ratio the median of the rounds' ratios, so that what else
// the machine does meanwhile falls on both sides. The exit status says only
// whether the measuring worked, not what came out.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"syscall"
	"time"
)

type options struct {
	rounds   int
	window   time.Duration
	conns    int
	users    int
	run      *regexp.Regexp
	logins   time.Duration
	million  bool
	server   bool
	profiles string
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == childArgument {
		if err := child(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
			os.Exit(1)
		}
		return
	}
	o := options{}
	flag.IntVar(&o.rounds, "rounds", 11, "rounds of CPU time per request")
	flag.DurationVar(&o.window, "window", time.Second, "how long a round loads each subject; 0: skip the rounds")
	flag.IntVar(&o.conns, "conns", 32, "connections")
	flag.IntVar(&o.users, "users", 1000, "users, each with a session and a JWT")
	run := flag.String("run", "", "measure only the subjects whose name matches, and their floors")
	flag.DurationVar(&o.logins, "logins", 12*time.Second, "how long each part of the storm of sign-ins lasts; 0: skip it")
	flag.BoolVar(&o.million, "million", true, "watch the memory over a million requests")
	flag.BoolVar(&o.server, "server", true, "measure start and size of `usher serve`, if it builds")
	flag.StringVar(&o.profiles, "profiles", "", "write a CPU profile of each subject into this `folder`")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := errors.Join(flagErrors(&o, *run), ctx.Err())
	if err == nil {
		err = bench(ctx, o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func flagErrors(o *options, run string) (err error) {
	if flag.NArg() > 0 || o.rounds < 1 || o.conns < 1 || o.users < 1 {
		return errors.New("want flags only, and at least one round, connection and user (see -help)")
	}
	o.run, err = regexp.Compile(run)
	return err
}

// bench prints a section as soon as it is measured.
func bench(ctx context.Context, o options) (err error) {
	folder, err := os.MkdirTemp("", "usher-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(folder)
	w, err := newWorld(ctx, folder, o.users)
	if err != nil {
		return fmt.Errorf("prepare: %w", err)
	}
	w.profiles = o.profiles

	printMachine(w)
	for _, part := range []struct {
		wanted  bool
		measure func(context.Context, *world, options) error
	}{
		{o.window > 0, benchRequests},
		{o.logins > 0, benchLogins},
		{o.million, benchGrowth},
		{o.server, benchServer},
	} {
		if !part.wanted {
			continue
		}
		if err := part.measure(ctx, w, o); err != nil {
			return errors.Join(err, ctx.Err())
		}
	}
	printLoad()
	return nil
}
