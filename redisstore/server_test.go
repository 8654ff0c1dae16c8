//go:build unix

package redisstore_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/rueidis"
)

// server is a Redis that belongs to one test, which may do it harm.
type server struct {
	t    testing.TB
	path string
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
	path, err := exec.LookPath("redis-server")
	if err != nil {
		path, err = exec.LookPath("redis-check-rdb") // the same program under another name
	}
	if err != nil {
		if os.Getenv("USHER_TEST_REQUIRE") == "1" {
			t.Fatal("redis-server is not installed, and USHER_TEST_REQUIRE=1 lets no test skip for want of it")
		}
		t.Skip("redis-server is not installed")
	}
	return &server{
		t: t, path: path,
		args: append([]string{"--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", ""}, args...),
		port: 20000 + rand.IntN(10000), // below the ports of outgoing connections
	}
}

func (s *server) url() string  { return "redis://" + s.addr() }
func (s *server) addr() string { return "127.0.0.1:" + strconv.Itoa(s.port) }

// start starts the server, again on the same port if it ran before.
func (s *server) start() {
	s.t.Helper()
	for attempt := range 5 {
		if s.cmd == nil && attempt > 0 { // the port was taken
			s.port = 20000 + rand.IntN(10000)
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

// startCluster starts a Redis Cluster of one node, which refuses commands on
// keys of several slots as larger ones do.
func startCluster(t testing.TB) *server {
	t.Helper()
	s := newServer(t, "--cluster-enabled", "yes", "--cluster-announce-ip", "127.0.0.1",
		"--cluster-config-file", filepath.Join(t.TempDir(), "nodes.conf"))
	s.start()
	s.do("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
	for deadline := time.Now().Add(5 * time.Second); !strings.Contains(s.text("CLUSTER", "INFO"), "cluster_state:ok"); {
		if time.Now().After(deadline) {
			t.Fatal("the cluster is not ready")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return s
}
