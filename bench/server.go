package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const (
	serverStarts = 5
	idleTime     = 2 * time.Second
	startLimit   = 10 * time.Second
)

// benchServer measures how fast `usher serve` starts without a configuration,
// and how large it is.
func benchServer(ctx context.Context, w *world, _ options) error {
	fmt.Printf("\n## `usher serve`\n\n")
	binary := filepath.Join(w.folder, "usher")
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", binary, "./cmd/usher")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if text, err := build.CombinedOutput(); err != nil {
		fmt.Printf("Not measured, it does not build: %v\n\n```\n%s\n```\n", err, strings.TrimSpace(string(text)))
		return nil
	}
	info, err := os.Stat(binary)
	if err != nil {
		return err
	}
	folder := filepath.Join(w.folder, "serve")
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	var starts []float64 // ms
	var idle int64
	for i := range serverStarts {
		wait := time.Duration(0)
		if i == serverStarts-1 {
			wait = idleTime
		}
		took, rss, err := startServer(ctx, binary, folder, wait)
		if err != nil {
			return fmt.Errorf("usher serve: %w", err)
		}
		starts, idle = append(starts, 1000*took.Seconds()), rss
	}
	later := median(starts[1:])
	size, held := megabytes(info.Size()), megabytes(idle)
	fmt.Printf("| | found | target |\n| --- | ---: | --- |\n"+
		"| start to first answer of `/readyz`, new database | %.0f ms | ≤ 150 ms %s |\n"+
		"| the same, database there (median of %d) | %.0f ms | ≤ 150 ms %s |\n"+
		"| memory, idle for %v | %.1f MB | ≤ 30 MB %s |\n"+
		"| program file | %.1f MB | ≤ 40 MB %s |\n",
		starts[0], verdict(starts[0] <= 150), serverStarts-1, later, verdict(later <= 150),
		idleTime, held, verdict(held <= 30), size, verdict(size <= 40))
	return nil
}

// startServer starts the program in folder, waits for its first answer and then
// a while, and returns how long the answer took and what memory is held at last.
func startServer(ctx context.Context, binary, folder string, wait time.Duration) (took time.Duration, rss int64, err error) {
	address, err := freeAddress()
	if err != nil {
		return 0, 0, err
	}
	log, err := os.Create(filepath.Join(folder, "log"))
	if err != nil {
		return 0, 0, err
	}
	defer log.Close()
	command := exec.CommandContext(ctx, binary, "serve", "--addr", address)
	command.Dir, command.Stderr = folder, log
	start := time.Now()
	if err := command.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		err = errors.Join(err, command.Process.Signal(syscall.SIGTERM), command.Wait())
		if err != nil {
			text, _ := os.ReadFile(log.Name())
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(text)))
		}
	}()
	for !answers(address) {
		if time.Since(start) > startLimit || ctx.Err() != nil {
			return 0, 0, errors.New("no answer")
		}
		time.Sleep(time.Millisecond)
	}
	took = time.Since(start)
	time.Sleep(wait)
	rss, _, err = residentMemory(command.Process.Pid)
	return took, rss, err
}

// answers reports whether there is a server, and it is ready.
func answers(address string) bool {
	c, err := dial(address, 1, nil)
	if err != nil {
		return false
	}
	defer c.close()
	r, err := c.conns[0].do(get("/readyz", ""))
	return err == nil && r.status == 200
}

// freeAddress returns an address on which nobody listens, for now.
func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return listener.Addr().String(), listener.Close()
}
