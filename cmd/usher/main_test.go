package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// raceOptions keep the race detector from sleeping for a second whenever a
// process ends.
const raceOptions = "atexit_sleep_ms=0"

// TestMain makes the program itself a command for scripts and processes.
func TestMain(m *testing.M) {
	os.Setenv("GORACE", raceOptions)
	testscript.Main(m, map[string]func(){"usher": main})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Setenv("GORACE", raceOptions)
			return nil
		},
	})
}

// process is `usher serve` as a process.
type process struct {
	*exec.Cmd
	url    string
	log    io.Closer     // our end of its stderr
	stderr *bytes.Buffer // what was in it, after the end
	ended  chan error
}

// start starts usher serve in a directory of its own and waits until it listens.
func start(t *testing.T, environment ...string) *process {
	t.Helper()
	return startIn(t, t.TempDir(), environment...)
}

func startIn(t *testing.T, dir string, environment ...string) *process {
	t.Helper()
	p := &process{Cmd: exec.Command("usher", "serve", "--addr", "127.0.0.1:0"), stderr: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.Dir = dir
	p.Env = append(p.Environ(), environment...)
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.log = stderr
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill() })
	lines := bufio.NewReader(stderr)
	for p.url == "" {
		line, err := lines.ReadString('\n')
		p.stderr.WriteString(line)
		if err != nil {
			t.Fatalf("usher ended: %s", p.stderr)
		}
		var record struct{ Msg, URL string }
		if json.Unmarshal([]byte(line), &record) == nil && record.Msg == "listening" {
			p.url = record.URL
		}
	}
	go func() {
		_, _ = io.Copy(p.stderr, lines)
		p.ended <- p.Wait()
	}()
	return p
}

func (p *process) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-p.ended:
		return err
	case <-time.After(10 * time.Second):
		t.Fatal("the process does not end")
		return nil
	}
}

func TestProcessWithoutConfiguration(t *testing.T) {
	t.Parallel()
	p := start(t)
	response, err := http.Get(p.url + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	if response.StatusCode != 200 {
		t.Errorf("readyz: %d", response.StatusCode)
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(t); err != nil {
		t.Errorf("%v: %s", err, p.stderr)
	}
	for _, said := range []string{`"sqlite":"` + p.Dir, `usher.secret","created":true`, `"name":"cookie"`, `"name":"jwt"`, `"msg":"stopping"`} {
		if !strings.Contains(p.stderr.String(), said) {
			t.Errorf("did not say %s: %s", said, p.stderr)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	t.Parallel()
	p := start(t)
	b := &booted{t: t, url: p.url, addr: strings.TrimPrefix(p.url, "http://")}
	b.inFlight("username=a&password=b")
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	time.Sleep(200 * time.Millisecond)
	select {
	case err := <-p.ended:
		t.Fatalf("did not wait for the request: %v", err)
	default:
	}
	if err := p.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	if err := p.wait(t); err == nil {
		t.Error("exit status 0")
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("took %v", took)
	}
}

// Fault F25: who reads the log may end, the server does not.
func TestLogThatBreaks(t *testing.T) {
	t.Parallel()
	p := start(t)
	if err := p.log.Close(); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		response, err := http.Get(p.url + "/nope")
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
	}
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := p.wait(t); err != nil {
		t.Error(err)
	}
}
