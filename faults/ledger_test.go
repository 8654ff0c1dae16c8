//go:build linux

package faults_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// entry is a line of the ledger: a request that is about to be sent, and again
// with its answer.
type entry struct {
	N        int64     `json:"n"`
	Ack      bool      `json:"ack"`
	At       time.Time `json:"at"`
	Op       string    `json:"op"` // see account.apply
	Instance string    `json:"instance"`
	Account  string    `json:"account"` // its address

	Backend  string `json:"backend,omitempty"`
	Token    string `json:"token,omitempty"`    // that is sent, or that a login made
	Password string `json:"password,omitempty"` // that is proved
	New      string `json:"new,omitempty"`      // that is set
	Link     string `json:"link,omitempty"`     // token of a mail
	Target   string `json:"target,omitempty"`   // token of the session that is revoked
	Session  string `json:"session,omitempty"`  // id of that session, or of the own

	Status   int           `json:"status,omitempty"` // of an answer; 0 if there was none
	Took     time.Duration `json:"took,omitempty"`
	ID       string        `json:"id,omitempty"` // of the user whom the answer is about
	Email    string        `json:"email,omitempty"`
	Verified bool          `json:"verified,omitempty"`
	Detail   string        `json:"detail,omitempty"` // or the error
}

// ledger is a file of entries. What append has returned for is on the disk.
type ledger struct {
	path string
	n    atomic.Int64

	mu   sync.Mutex
	file *os.File
	next *batch
	busy bool
}

// batch is what is synced together.
type batch struct {
	lines []byte
	done  chan struct{}
	err   error
}

func newLedger(path string) (*ledger, error) {
	file, err := os.Create(path)
	return &ledger{path: path, file: file, next: &batch{done: make(chan struct{})}}, err
}

func (l *ledger) append(e entry) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	l.mu.Lock()
	b := l.next
	b.lines = append(append(b.lines, line...), '\n')
	if !l.busy {
		l.busy = true
		go l.sync()
	}
	l.mu.Unlock()
	<-b.done
	return b.err
}

// sync writes batches until there is none.
func (l *ledger) sync() {
	for {
		l.mu.Lock()
		b := l.next
		if len(b.lines) == 0 {
			l.busy = false
			l.mu.Unlock()
			return
		}
		l.next = &batch{done: make(chan struct{})}
		l.mu.Unlock()
		if _, b.err = l.file.Write(b.lines); b.err == nil {
			b.err = l.file.Sync()
		}
		close(b.done)
	}
}

// read returns what each request came to, in the order of the answers. Those
// without an answer come last.
func (l *ledger) read() ([]entry, error) {
	file, err := os.Open(l.path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var answered []entry
	open := map[int64]entry{}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e entry
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			return nil, fmt.Errorf("%s: %w", l.path, err)
		}
		if !e.Ack {
			open[e.N] = e
			continue
		}
		delete(open, e.N)
		answered = append(answered, e)
	}
	for _, e := range open {
		answered = append(answered, e)
	}
	return answered, lines.Err()
}
