//go:build linux

package faults_test

import (
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// starter starts processes that end with this one, however it ends: the kernel
// kills them when the thread that started them is gone, so it is one that stays.
type starter chan func()

func newStarter(t testing.TB) starter {
	s := make(starter)
	go func() {
		runtime.LockOSThread()
		for f := range s {
			f()
		}
	}()
	t.Cleanup(func() { close(s) })
	return s
}

func (s starter) start(cmd *exec.Cmd) (err error) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	done := make(chan struct{})
	s <- func() { err = cmd.Start(); close(done) }
	<-done
	return err
}

// process is a program that can be killed and started again.
type process struct {
	starter starter
	path    string
	args    []string
	name    string // what the program finds as its own name; empty means path
	env     []string
	dir     string
	log     string // file of what it prints
	// unprivileged programs refuse to run as root.
	unprivileged bool

	cmd  *exec.Cmd
	exit chan struct{} // closed when it has ended
}

func (p *process) run() error {
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.path, p.args...)
	if p.name != "" {
		cmd.Args[0] = p.name
	}
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = append(os.Environ(), p.env...), p.dir, log, log
	if p.unprivileged {
		cmd.SysProcAttr = asNobody()
	}
	if err := p.starter.start(cmd); err != nil {
		return err
	}
	exit := make(chan struct{})
	go func() { _ = cmd.Wait(); close(exit) }()
	p.cmd, p.exit = cmd, exit
	return nil
}

// asNobody is the user of servers that refuse to run as root.
func asNobody() *syscall.SysProcAttr {
	if os.Getuid() != 0 {
		return nil
	}
	nobody, err := user.Lookup("nobody")
	if err != nil {
		return nil
	}
	uid, _ := strconv.Atoi(nobody.Uid)
	gid, _ := strconv.Atoi(nobody.Gid)
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}}
}

// await starts the program until ready says so: what a killed server left behind
// may stand in the way of the next for a moment.
func (p *process) await(within time.Duration, ready func() error) error {
	var err error
	for deadline := time.Now().Add(within); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if !p.running() {
			if err := p.run(); err != nil {
				return err
			}
		}
		if err = ready(); err == nil {
			return nil
		}
	}
	return fmt.Errorf("%s is not ready within %v (see %s): %w", p.path, within, p.log, err)
}

func (p *process) running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.exit:
		return false
	default:
		return true
	}
}

// kill ends the process as a crash does.
func (p *process) kill() {
	if p.cmd != nil {
		_ = p.cmd.Process.Kill()
		<-p.exit
	}
}

// stop asks the process to end and reports whether it did so in time and well.
func (p *process) stop(signal os.Signal, within time.Duration) error {
	if err := p.cmd.Process.Signal(signal); err != nil {
		return err
	}
	select {
	case <-p.exit:
	case <-time.After(within):
		p.kill()
		return fmt.Errorf("still runs %v after %v", within, signal)
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("ended with %v after %v", p.cmd.ProcessState, signal)
	}
	return nil
}
