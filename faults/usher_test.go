//go:build linux

package faults_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

// build returns the path of an usher.
func build(t testing.TB) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "usher")
	if output, err := exec.Command("go", "build", "-o", program, "usher/cmd/usher").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v: %s", err, output)
	}
	return program
}

// instance is one of the usher processes.
type instance struct {
	*process
	name string
	url  string

	mu   sync.Mutex
	down []span // when it could not answer: it was killed
	now  int    // the id of the process
}

type span struct{ from, to time.Time }

const config = `
addr: %s
database: %s
secret_file: unused
backends:
  - {name: cookie, transport: cookie, strategy: database}
  - {name: jwt, transport: bearer, strategy: jwt}
`

// cheapHashes are for the rest of the machine's time.
const cheapHashes = `
password:
  argon2: {memory_kib: 1024, time: 1, lanes: 1}
  insecure_allow_weak: true
`

const provider = `
oauth:
  base_url: http://localhost:8000
  providers:
    - {type: oidc, name: sso, issuer: "%s", client_id: "%s"}
`

// startUsher starts an instance over these stores; redis may be empty.
func (w *world) startUsher(name, database, redis string) *instance {
	w.t.Helper()
	addr := w.freeAddr()
	text := fmt.Sprintf(config, addr, database)
	if redis != "" {
		text += "  - {name: redis, transport: bearer, strategy: redis}\nredis: " + redis + "\n"
	}
	text += cheapHashes + "mail: {folder: " + w.mails.dir + "}\n" + fmt.Sprintf(provider, w.provider.URL, w.provider.ClientID)
	file := filepath.Join(w.dir, name+".yaml")
	w.must(os.WriteFile(file, []byte(text), 0o600))
	in := &instance{name: name, url: "http://" + addr, process: &process{
		starter: w.starter, path: w.bench.usher(), args: []string{"serve", "--config", file}, dir: w.dir, log: filepath.Join(w.dir, name+".log"),
		env: []string{"USHER_SECRET=" + w.secret, "USHER_OAUTH_SSO_SECRET=" + w.provider.ClientSecret},
	}}
	w.t.Cleanup(in.process.kill)
	w.must(in.start())
	return in
}

// start starts the process and waits until it is ready.
func (in *instance) start() error {
	err := in.await(20*time.Second, func() error { return in.answers("/readyz", http.StatusOK) })
	in.mu.Lock()
	defer in.mu.Unlock()
	if n := len(in.down); n > 0 && in.down[n-1].to.IsZero() {
		in.down[n-1].to = time.Now()
	}
	in.now = in.cmd.Process.Pid
	return err
}

// kill kills the process; from now on it may owe answers.
func (in *instance) kill() {
	in.mu.Lock()
	in.down = append(in.down, span{from: time.Now()})
	in.mu.Unlock()
	in.process.kill()
}

// wasDown tells whether the process was down at any time between the two.
func (in *instance) wasDown(from, to time.Time) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, s := range in.down {
		if s.from.Before(to) && (s.to.IsZero() || from.Before(s.to)) {
			return true
		}
	}
	return false
}

// answers is an error unless a GET of the path has this status.
func (in *instance) answers(path string, status int) error {
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Get(in.url + path)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != status {
		return fmt.Errorf("%s of %s: %s", path, in.name, response.Status)
	}
	return nil
}
