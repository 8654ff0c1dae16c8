package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"time"
)

const childArgument = "serve-subject"

// order is the first line that a child reads: what it shall be.
type order struct {
	Subject string
	Profile string // file for a CPU profile; empty: none
	environment
}

// memory is the answer to each further line: what is in use after a collection.
type memory struct {
	HeapAlloc           uint64
	TotalAlloc, Mallocs uint64 // since the start
	Goroutines          int
}

// child serves one subject on a free port, which it prints, until its input
// ends. It is watched from outside, and does nothing to watch itself unless
// asked.
func child(in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(first, &o); err != nil {
		return err
	}
	s, known := subjectNamed(o.Subject)
	if !known {
		return fmt.Errorf("no subject is named %q", o.Subject)
	}
	handler, err := s.build(context.Background(), o.environment)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	if o.Profile != "" {
		stop, err := profile(o.Profile)
		if err != nil {
			return err
		}
		defer stop()
	}
	fmt.Fprintln(out, listener.Addr())

	answers := json.NewEncoder(out)
	for {
		if _, err := lines.ReadBytes('\n'); err != nil {
			break // the parent is done, or gone
		}
		runtime.GC()
		runtime.GC() // the first one only marks what finalizers and pools hold
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		if err := answers.Encode(memory{m.HeapAlloc, m.TotalAlloc, m.Mallocs, runtime.NumGoroutine()}); err != nil {
			return err
		}
	}
	err = server.Close()
	if serveErr := <-failed; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}

func profile(path string) (stop func(), err error) {
	file, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(file); err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		if err := file.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "bench:", err)
		}
	}, nil
}
