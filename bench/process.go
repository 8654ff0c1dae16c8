package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// process is a child that serves a subject.
type process struct {
	pid     int
	address string // host:port
	command *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Reader
	log     string // file of its standard error
}

// start starts a child and waits until it serves.
func (w *world) start(s subject) (_ *process, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	name := strings.NewReplacer(", ", "-", " ", "-").Replace(s.name)
	log, err := os.Create(filepath.Join(w.folder, name+".log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	p := &process{command: exec.Command(self, childArgument), log: log.Name()}
	p.command.Stderr = log
	if p.in, err = p.command.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	if err := p.command.Start(); err != nil {
		return nil, err
	}
	p.pid = p.command.Process.Pid
	o := order{Subject: s.name, environment: w.environment}
	if w.profiles != "" {
		o.Profile = filepath.Join(w.profiles, name+".prof")
	}
	if err := json.NewEncoder(p.in).Encode(o); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	address, err := p.out.ReadString('\n')
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s did not start", s.name), p.stop())
	}
	p.address = strings.TrimSpace(address)
	return p, nil
}

// stop ends the child, which ends with its input.
func (p *process) stop() error {
	_ = p.in.Close() // it is gone: Wait tells
	err := p.command.Wait()
	if err == nil {
		return nil
	}
	text, _ := os.ReadFile(p.log)
	return fmt.Errorf("%w: %s", err, strings.TrimSpace(string(text)))
}

// collected has the child collect its garbage and returns what is left.
func (p *process) collected() (m memory, err error) {
	if _, err := fmt.Fprintln(p.in); err != nil {
		return m, err
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return m, err
	}
	return m, json.Unmarshal(line, &m)
}

// cpuTime is how much a process has used, user and system, by /proc's clock of
// 100 ticks a second.
func cpuTime(pid int) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// The second field is the name in parentheses, which may hold anything.
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("/proc/%d/stat has only %d fields", pid, len(fields))
	}
	var ticks int64
	for _, field := range fields[11:13] { // utime, stime
		n, err := strconv.ParseInt(field, 10, 64)
		if err != nil {
			return 0, err
		}
		ticks += n
	}
	return time.Duration(ticks) * time.Second / 100, nil
}

// residentMemory is what a process holds now, and the most it ever held, in bytes.
func residentMemory(pid int) (now, peak int64, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(line, ":")
		var into *int64
		switch name {
		case "VmRSS":
			into = &now
		case "VmHWM":
			into = &peak
		default:
			continue
		}
		kilobytes, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		if err != nil {
			return 0, 0, err
		}
		*into = kilobytes << 10
	}
	return now, peak, nil
}
