//go:build linux

package faults_test

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "modernc.org/sqlite"
)

// lie gives the auditor two instances that answer like this.
func (w *world) lie(answer http.HandlerFunc) {
	w.t.Helper()
	server := httptest.NewServer(answer)
	w.t.Cleanup(server.Close)
	for _, name := range []string{"A", "B"} {
		w.instances = append(w.instances, &instance{name: name, url: server.URL})
	}
}

// saysAll answers everything with this.
func saysAll(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		_, _ = w.Write([]byte(body))
	}
}

// rows gives the auditor a database with these keys of addresses, and so many
// connections at work.
func (w *world) rows(busy int, keys ...string) {
	w.t.Helper()
	w.db = &database{driver: "sqlite", dsn: filepath.Join(w.dir, "db"), load: fmt.Sprint("SELECT ", busy)}
	w.query(w.db, "CREATE TABLE users (email TEXT, email_key TEXT)")
	for _, key := range keys {
		w.query(w.db, "INSERT INTO users VALUES ('"+key+"', '"+key+"')")
	}
}

// letter puts a mail into the folder.
func (w *world) letter(name, address string) {
	w.t.Helper()
	text := "To: " + address + "\r\n\r\nhttps://app.example/verify#token=eyJh.eyJi.c\r\n"
	w.must(os.WriteFile(filepath.Join(w.mails.dir, name+".eml"), []byte(text), 0o600))
}

// TestAuditorAsks plants violations in the answers, the database and the mails.
func TestAuditorAsks(t *testing.T) {
	for _, c := range []struct {
		name  string
		audit func(*world)
		want  string
	}{
		{"all is well", func(w *world) {
			w.lie(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/users/me" {
					rw.WriteHeader(401)
					return
				}
				saysAll(200, `{"access_token":"t"}`)(rw, r)
			})
			w.rows(0, "a@example.com", fixture)
			w.audit([]*account{{email: "a@example.com", exists: yes, passwords: []string{"one"}, tokens: map[string]*token{"c": {text: "c", backend: "cookie"}}}})
			w.idle()
			w.recover()
		}, ""},
		{"a session that ended is good", func(w *world) {
			w.lie(saysAll(200, `{"id":"1","email":"a@example.com"}`))
			w.rows(0, "a@example.com")
			w.audit([]*account{{email: "a@example.com", id: "1", exists: yes, passwords: []string{"one"}, tokens: map[string]*token{"c": {text: "c", backend: "cookie"}}}})
		}, "P2"},
		{"no password is good", func(w *world) {
			w.lie(saysAll(400, ""))
			w.rows(0, "a@example.com")
			w.audit([]*account{{email: "a@example.com", exists: yes, passwords: []string{"one"}}})
		}, "P1 P10"},
		{"both passwords are good", func(w *world) {
			w.lie(saysAll(200, ""))
			w.rows(0, "a@example.com")
			w.audit([]*account{{email: "a@example.com", exists: yes, passwords: []string{"one", "two"}, tokens: map[string]*token{}}})
		}, "P10 P5"},
		{"neither made nor free", func(w *world) {
			w.lie(saysAll(400, ""))
			w.rows(0)
			w.auditPasswords(&account{email: "a@example.com", exists: maybe, passwords: []string{"one"}})
		}, "P10"},
		{"no row", func(w *world) {
			w.rows(0)
			w.auditRows([]*account{{email: "a@example.com", exists: yes}})
		}, "P3"},
		{"two rows", func(w *world) {
			w.rows(0, "a@example.com", "a@example.com")
			w.auditRows([]*account{{email: "a@example.com", exists: yes}})
		}, "P3"},
		{"a row of nobody", func(w *world) {
			w.rows(0, "b@example.com")
			w.auditRows(nil)
		}, "P3"},
		{"all register one address", func(w *world) {
			w.lie(saysAll(201, ""))
			w.rows(0, spellings(0)[0])
			w.letter("1", spellings(0)[0])
			w.oneAddress()
		}, "P3"},
		{"two mails", func(w *world) {
			w.letter("1", spellings(0)[0])
			w.letter("2", strings.ToUpper(spellings(0)[0][:strings.Index(spellings(0)[0], "@")])+"@example.com")
			w.welcomed(spellings(0))
		}, "P3"},
		{"one mail", func(w *world) {
			w.letter("1", spellings(0)[0])
			w.welcomed(spellings(0))
		}, ""},
		{"no mail", func(w *world) { w.welcomed(spellings(0)) }, "P3"},
		{"two use one token", func(w *world) {
			w.oneWins("link", []answer{{status: 200}, {status: 200}, {status: 400, body: "BAD"}}, 200, "BAD")
		}, "P3"},
		{"nobody can use a token", func(w *world) { w.oneWins("link", []answer{{status: 400, body: "BAD"}}, 200, "BAD") }, "P3"},
		{"good amid and after the logout", func(w *world) {
			w.lie(func(rw http.ResponseWriter, r *http.Request) {
				status := map[string]int{"/auth/register": 201, "/auth/cookie/logout": 204, "/auth/redis/logout": 204}[r.URL.Path]
				saysAll(max(status, 200), `{}`)(rw, r)
			})
			w.logoutAmid()
		}, "P2"},
		{"all are let in", func(w *world) {
			stop := make(chan struct{})
			var end sync.Once
			w.backends = []string{"cookie"}
			w.lie(func(rw http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/users/me" {
					end.Do(func() { close(stop) })
				}
				saysAll(200, "")(rw, r)
			})
			w.probe(stop)
		}, "P5"},
		{"late", func(w *world) { w.recovered("usher", w.settle+1, nil) }, "P8"},
		{"not ready again", func(w *world) {
			w.lie(saysAll(503, ""))
			w.recover()
		}, "P8"},
		{"ready, but nobody can sign in", func(w *world) {
			w.backends = []string{"jwt"}
			w.lie(func(rw http.ResponseWriter, r *http.Request) {
				saysAll(map[bool]int{true: 200, false: 400}[r.URL.Path == "/readyz"], "")(rw, r)
			})
			w.recover()
		}, "P8"},
		{"another body", func(w *world) { w.compare("login", answer{status: 400, body: "known"}, answer{status: 400}) }, "P9"},
		{"another header", func(w *world) {
			w.compare("login", answer{status: 400, header: http.Header{"X-Known": {"yes"}}}, answer{status: 400})
		}, "P9"},
		{"another status", func(w *world) { w.compare("login", answer{status: 400}, answer{status: 422}) }, "P9"},
		{"outages for all", func(w *world) {
			for range 40 {
				w.compare("login", answer{status: 400}, answer{status: 503})
				w.compare("login", answer{status: 503}, answer{status: 400})
			}
			w.even()
		}, ""},
		{"outages for the known only", func(w *world) {
			for range 40 {
				w.compare("login", answer{status: 503}, answer{status: 400})
			}
			w.even()
		}, "P9"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newAuditor(t)
			c.audit(w)
			if got := w.judge.promises(); got != c.want {
				t.Errorf("broken: %q, want %q: %.2000q", got, c.want, w.judge.violations)
			}
		})
	}
}

// TestAnswers: how an answer is given is judged, whatever it says (P6).
func TestAnswers(t *testing.T) {
	unavailable := func(after string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", after)
			w.WriteHeader(503)
		}
	}
	hangUp := func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		faulty bool
		limit  time.Duration
		want   string
	}{
		{"200", saysAll(200, ""), false, limit, ""},
		{"400", saysAll(400, ""), false, limit, ""},
		{"503 in an outage", unavailable("1"), true, limit, ""},
		{"503 without an outage", unavailable("1"), false, limit, "P6"},
		{"503 without a time", saysAll(503, ""), true, limit, "P6"},
		{"503 for too long", unavailable("61"), true, limit, "P6"},
		{"500 in an outage", saysAll(500, ""), true, limit, "P6"},
		{"504", saysAll(504, ""), true, limit, "P6"},
		{"no answer", hangUp, true, limit, "P6"},
		{"too late", saysAll(200, ""), true, -slack, "P6"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newAuditor(t)
			w.lie(c.answer)
			w.limit = c.limit
			w.faulty.Store(c.faulty)
			w.send(t.Context(), w.any(), "POST", "/", "{}")
			if got := w.judge.promises(); got != c.want {
				t.Errorf("broken: %q, want %q: %q", got, c.want, w.judge.violations)
			}
		})
	}
}

// TestVitals: an instance that holds too much is reported (P7).
func TestVitals(t *testing.T) {
	for _, c := range []struct {
		name  string
		judge func(*world)
		want  string
	}{
		{"little", func(w *world) { w.bounded(vitals{rss: mostRSS, threads: mostThreads}) }, ""},
		{"memory", func(w *world) { w.bounded(vitals{rss: mostRSS + 1}) }, "P7"},
		{"threads", func(w *world) { w.bounded(vitals{threads: mostThreads + 1}) }, "P7"},
		{"descriptors", func(w *world) {
			in := &instance{now: os.Getpid()}
			w.instances = []*instance{in}
			w.calm(map[*instance]vitals{in: {fds: -1000}})
		}, "P7"},
		{"connections", func(w *world) {
			w.rows(1)
			w.idle()
		}, "P7"},
		{"ends badly", func(w *world) { w.endWith("exit 3", mostGoroutines) }, "P7"},
		{"goroutines", func(w *world) { w.endWith("exit 0", mostGoroutines+1) }, "P7"},
		{"ends well", func(w *world) { w.endWith("exit 0", mostGoroutines) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newAuditor(t)
			c.judge(w)
			if got := w.judge.promises(); got != c.want {
				t.Errorf("broken: %q, want %q: %q", got, c.want, w.judge.violations)
			}
		})
	}
}

// endWith lets instances end that do this when asked to end, and have so many
// goroutines.
func (w *world) endWith(end string, goroutines int) {
	w.t.Helper()
	s := newStarter(w.t)
	for _, name := range []string{"A", "B"} {
		log := filepath.Join(w.dir, name+".log")
		script := fmt.Sprintf(`trap '%s' TERM; trap 'seq -f "goroutine %%g" %d; exit 2' QUIT; echo up; while :; do sleep 0.02; done`, end, goroutines)
		in := &instance{name: name, process: &process{starter: s, path: "/bin/sh", args: []string{"-c", script}, log: log}}
		w.t.Cleanup(in.process.kill)
		w.must(in.await(20*time.Second, func() error {
			if text, _ := os.ReadFile(log); !bytes.Contains(text, []byte("up\n")) {
				return errors.New("not up")
			}
			return nil
		}))
		w.instances = append(w.instances, in)
	}
	if n := w.end(); n != goroutines {
		w.t.Errorf("%d goroutines, want %d", n, goroutines)
	}
}
