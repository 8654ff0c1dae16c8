//go:build unix

package redisstore_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"usher/internal/testservices"

	"github.com/redis/rueidis"
)

// server is a Redis that belongs to one test, which may do it harm.
type server struct {
	t    testing.TB
	path string
	file string // of its configuration, or none
	args []string
	port int
	cmd  *exec.Cmd
	exit chan struct{} // closed when the process has ended
}

// startServer starts a Redis with these arguments besides the usual ones.
func startServer(t testing.TB, args ...string) *server {
	t.Helper()
	s := newServer(t, args...)
	s.start()
	return s
}

// newServer returns a Redis that does not run yet.
func newServer(t testing.TB, args ...string) *server {
	t.Helper()
	return &server{
		t: t, path: testservices.RedisServer(t),
		args: append([]string{"--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", ""}, args...),
		port: somePort(),
	}
}

// somePort returns a port that is, like the one 10000 above it that a Cluster's
// nodes speak on, below those of outgoing connections.
func somePort() int { return 20000 + rand.IntN(2700) }

func (s *server) url() string  { return "redis://" + s.addr() }
func (s *server) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// start starts the server, again on the same port if it ran before.
func (s *server) start() {
	s.t.Helper()
	for attempt := range 5 {
		if s.cmd == nil && attempt > 0 { // the port was taken
			s.port = somePort()
		}
		if s.run() {
			return
		}
	}
	s.t.Fatal("redis-server does not start")
}

func (s *server) run() bool {
	s.t.Helper()
	args := append([]string{"--port", strconv.Itoa(s.port)}, s.args...)
	if s.file != "" {
		args = append([]string{s.file}, args...)
	}
	cmd := exec.Command(s.path, args...)
	cmd.Args[0] = "redis-server" // decides which program it is
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	exit := make(chan struct{})
	go func() { cmd.Wait(); close(exit) }()
	for range 200 {
		select {
		case <-exit:
			s.t.Logf("redis-server ended: %s", output.String())
			return false
		case <-time.After(10 * time.Millisecond):
		}
		answer, _ := s.try("INFO", "server") // of our process, and not of another's on the port
		if info, err := answer.ToString(); err == nil && strings.Contains(info, "process_id:"+strconv.Itoa(cmd.Process.Pid)+"\r") {
			s.cmd, s.exit = cmd, exit
			s.t.Cleanup(s.kill)
			return true
		}
	}
	cmd.Process.Kill()
	<-exit
	return false
}

// kill ends the server as a crash does.
func (s *server) kill() {
	s.cmd.Process.Kill()
	<-s.exit
}

// freeze makes the server silent; its connections stay open.
func (s *server) freeze() { s.signal(syscall.SIGSTOP) }
func (s *server) thaw()   { s.signal(syscall.SIGCONT) }

func (s *server) signal(signal os.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Fatal(err)
	}
}

// do runs a command on a connection of its own.
func (s *server) do(command ...string) rueidis.RedisMessage {
	s.t.Helper()
	answer, err := s.try(command...)
	if err != nil {
		s.t.Fatalf("%q: %v", command, err)
	}
	return answer
}

func (s *server) try(command ...string) (rueidis.RedisMessage, error) {
	client, err := rueidis.NewClient(rueidis.ClientOption{
		InitAddress: []string{s.addr()}, ForceSingleClient: true, DisableCache: true, PipelineMultiplex: -1,
		ReadBufferEachConn: 4096, WriteBufferEachConn: 4096, RingScaleEachConn: 1,
	})
	if err != nil {
		return rueidis.RedisMessage{}, err
	}
	defer client.Close()
	return client.Do(context.Background(), client.B().Arbitrary(command...).Build()).ToMessage()
}

func (s *server) text(command ...string) string {
	s.t.Helper()
	answer := s.do(command...)
	text, err := answer.ToString()
	if err != nil {
		s.t.Fatalf("%q: %v", command, err)
	}
	return text
}

func (s *server) number(command ...string) int64 {
	s.t.Helper()
	answer := s.do(command...)
	n, err := answer.AsInt64()
	if err != nil {
		s.t.Fatalf("%q: %v", command, err)
	}
	return n
}

func (s *server) list(command ...string) []string {
	s.t.Helper()
	answer := s.do(command...)
	list, err := answer.AsStrSlice()
	if err != nil {
		s.t.Fatalf("%q: %v", command, err)
	}
	return list
}

// replicate makes s a replica of master and waits until it has everything.
func (s *server) replicate(master *server) {
	s.t.Helper()
	s.do("REPLICAOF", "127.0.0.1", strconv.Itoa(master.port))
	eventually(s.t, "a replica", func() bool { return strings.Contains(s.text("INFO", "replication"), "master_link_status:up") })
}

// eventually waits until it is so.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%s: not after 20 s", what)
		}
	}
}
