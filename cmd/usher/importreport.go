package main

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"usher/fastapiusers"
)

// problemFile lists problems as CSV (RFC 4180). It is made with the first one, and
// only its owner may read it: it has addresses.
type problemFile struct {
	name   string
	count  int
	file   *os.File
	writer *csv.Writer
	err    error
}

func (p *problemFile) add(x fastapiusers.Problem) {
	p.count++
	p.write([]string{x.Table, x.ID, x.Email, x.Reason, x.Detail})
}

func (p *problemFile) write(record []string) {
	if p.file == nil && p.err == nil {
		if p.file, p.err = os.OpenFile(p.name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600); p.err == nil {
			p.writer = csv.NewWriter(p.file)
			p.err = p.writer.Write([]string{"table", "id", "email", "reason", "detail"})
		}
	}
	if p.err == nil && record != nil {
		p.err = p.writer.Write(record)
	}
}

// close ends the file, and empties that of an earlier run if there are no problems.
func (p *problemFile) close() error {
	if _, err := os.Stat(p.name); err == nil {
		p.write(nil)
	}
	if p.file == nil {
		return p.err
	}
	p.writer.Flush()
	return errors.Join(p.err, p.writer.Error(), p.file.Close())
}

// progressBar shows how far an import is: a bar on a terminal, else a line for each
// tenth of a table.
type progressBar struct {
	w        io.Writer
	terminal bool
	table    string
	began    time.Time
	shown    time.Time

	tenth int64  // the last that has a line
	line  string // that has not been written yet
}

func newProgressBar(w *os.File) *progressBar {
	return &progressBar{w: w, terminal: term.IsTerminal(int(w.Fd()))}
}

func (b *progressBar) show(table string, done, total int64) {
	if !b.terminal {
		b.lines(table, done, total)
		return
	}
	now := time.Now()
	if table == b.table && done < total && now.Sub(b.shown) < 100*time.Millisecond {
		return
	}
	if table != b.table {
		b.table, b.began = table, now
	}
	b.shown = now
	const width = 30
	filled, left := width, ""
	if done < total {
		filled = int(width * done / total)
		if done > 0 {
			rest := time.Duration(float64(now.Sub(b.began)) * float64(total-done) / float64(done))
			left = ", " + rest.Round(time.Second).String() + " left"
		}
	}
	fmt.Fprintf(b.w, "\r\x1b[K%-13s [%s%s] %d of %d%s", table, strings.Repeat("=", filled), strings.Repeat(" ", width-filled), done, total, left)
}

func (b *progressBar) lines(table string, done, total int64) {
	if table != b.table {
		b.end()
		b.table, b.tenth = table, 0
	}
	b.line = fmt.Sprintf("%s: %d of %d\n", table, done, total)
	if done < total && 10*done/total > b.tenth {
		b.tenth = 10 * done / total
		b.end()
	}
}

// end takes the bar away, or writes the last line.
func (b *progressBar) end() {
	if b.terminal {
		fmt.Fprint(b.w, "\r\x1b[K")
		return
	}
	fmt.Fprint(b.w, b.line)
	b.line = ""
}
