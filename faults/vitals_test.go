//go:build linux

package faults_test

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// vitals are what a process holds (P7).
type vitals struct {
	rss, threads, fds int // RSS in MiB
}

func (v vitals) String() string {
	return fmt.Sprintf("%d MiB, %d threads, %d fds", v.rss, v.threads, v.fds)
}

func (v vitals) most(other vitals) vitals {
	return vitals{max(v.rss, other.rss), max(v.threads, other.threads), max(v.fds, other.fds)}
}

// look reads the vitals of a process. One that is gone has none.
func look(pid int) vitals {
	status, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	number := func(name string) int {
		found := regexp.MustCompile(name + `:\s+(\d+)`).FindSubmatch(status)
		if found == nil {
			return 0
		}
		n, _ := strconv.Atoi(string(found[1]))
		return n
	}
	fds, _ := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	return vitals{number("VmRSS") >> 10, number("Threads"), len(fds)}
}

const (
	mostRSS     = 256 // MiB, with cheap hashes
	mostThreads = 64
)

// watch samples the instances until stop is closed, and returns the most that any
// of them held.
func (w *world) watch(stop chan struct{}) (most vitals) {
	for {
		for _, in := range w.instances {
			most = most.most(look(in.pid()))
		}
		select {
		case <-stop:
			return most
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// bounded judges the most that any instance held.
func (w *world) bounded(most vitals) {
	if most.rss > mostRSS || most.threads > mostThreads {
		w.judge.add("P7", "%v, at most %d MiB and %d threads wanted", most, mostRSS, mostThreads)
	}
}

// calm waits until the instances hold no more than at the beginning, but for the
// connections of their pools.
func (w *world) calm(before map[*instance]vitals) {
	w.http.CloseIdleConnections()
	for _, in := range w.instances {
		err := eventually(w.settle, func() error {
			if now, most := look(in.pid()).fds, before[in].fds+2*pool+8; now > most {
				return fmt.Errorf("%d descriptors, at most %d wanted", now, most)
			}
			return nil
		})
		if err != nil {
			w.judge.add("P7", "%s: %v", in.name, err)
		}
	}
}

// goroutines ends a process and returns how many goroutines it had.
func (in *instance) goroutines() int {
	_ = in.stop(syscall.SIGQUIT, 10*time.Second)
	text, _ := os.ReadFile(in.log)
	return bytes.Count(text, []byte("\ngoroutine "))
}

// pid is that of the process now.
func (in *instance) pid() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.now
}

// together calls f for every account, some at a time.
func together(accounts []*account, f func(*account)) {
	queue := make(chan *account)
	var workers sync.WaitGroup
	for range 8 {
		workers.Go(func() {
			for a := range queue {
				f(a)
			}
		})
	}
	for _, a := range accounts {
		queue <- a
	}
	close(queue)
	workers.Wait()
}
