//go:build unix

package usher_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/redisstore"
)

// redisServer is a Redis of one test, which may do it harm.
type redisServer struct {
	addr string
	args []string
	cmd  *exec.Cmd
}

func startRedis(t testing.TB) *redisServer {
	t.Helper()
	path := testservices.RedisServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &redisServer{addr: l.Addr().String()}
	l.Close()
	_, port, _ := net.SplitHostPort(r.addr)
	r.args = []string{path, "--port", port, "--bind", "127.0.0.1", "--dir", t.TempDir(), "--save", "", "--appendonly", "yes", "--appendfsync", "always"}
	r.start(t)
	t.Cleanup(func() { r.kill() })
	return r
}

// start starts it, again on the same port and with the same data if it ran
// before.
func (r *redisServer) start(t testing.TB) {
	t.Helper()
	var output bytes.Buffer
	r.cmd = exec.Command(r.args[0], r.args[1:]...)
	r.cmd.Stdout, r.cmd.Stderr = &output, &output
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for range 500 {
		time.Sleep(10 * time.Millisecond)
		c, err := net.DialTimeout("tcp", r.addr, time.Second)
		if err != nil {
			continue
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Second))
		fmt.Fprint(c, "PING\r\n")
		answer := make([]byte, 5)
		if n, _ := c.Read(answer); string(answer[:n]) == "+PONG" {
			return
		}
	}
	r.kill()
	t.Fatalf("redis-server does not start: %s", output.String())
}

func (r *redisServer) kill() {
	_ = r.cmd.Process.Kill()
	_ = r.cmd.Wait()
}

func (r *redisServer) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// A Redis that is frozen, or gone, answers nothing: usher does, within five
// seconds, and knows who its other users are all the while (DEFECTS H, where the
// original hangs; F13, P6). When Redis is back, so are its sessions, without a
// restart (P8).
func TestDefect_H_FrozenRedis(t *testing.T) {
	t.Parallel()
	server := startRedis(t)
	s := newSite(t, func(t testing.TB, _ *site, c *usher.Config[User]) {
		store, err := redisstore.Open(t.Context(), "redis://"+server.addr, redisstore.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(store.Close)
		c.Backends = append(c.Backends, redisPair(store)...)
	})
	s.add(t, "ann@example.com")
	headers := s.everySignIn(t, "ann@example.com")
	phase := func(name string) {
		t.Helper()
		tests := []struct {
			request, header string
			body            any
			status          int
			atOnce          bool
		}{
			{"GET /users/me", headers["jwt"], nil, 200, true},
			{"GET /users/me", headers["cookie"], nil, 200, true},
			{"GET /users/me", headers["bearer-db"], nil, 200, true},
			{"GET /users/me", "X-None: 1", nil, 401, true},
			{"GET /users/me", "Authorization: Bearer garbage", nil, 401, true},
			{"POST /auth/jwt/login", "X-None: 1", loginForm("ann@example.com", goodPassword), 200, true},
			{"POST /auth/redis/login", "X-None: 1", loginForm("ann@example.com", "wrong"), 400, true},
			{"GET /users/me", headers["redis"], nil, 503, false},
			{"GET /users/me", headers["cookie-redis"], nil, 503, false},
			{"GET /users/me", "Authorization: Bearer " + strings.Repeat("A", 43), nil, 503, false},
			{"GET /users/me/sessions", headers["jwt"], nil, 503, false},
			{"POST /auth/redis/login", "X-None: 1", loginForm("ann@example.com", goodPassword), 503, false},
			{"POST /auth/redis/logout", headers["redis"], nil, 503, false},
			{"POST /auth/cookie-redis/logout", headers["cookie-redis"], nil, 503, false},
			{"DELETE /users/me/sessions/x", headers["jwt"], nil, 503, false},
		}
		var all sync.WaitGroup
		for _, test := range tests {
			all.Go(func() {
				method, path, _ := strings.Cut(test.request, " ")
				start := time.Now()
				a, err := s.try(context.Background(), method, path, test.body, test.header)
				took := time.Since(start)
				if err != nil || a.status != test.status {
					t.Errorf("%s: %s with %s: %d %s %v, want %d", name, test.request, test.header, a.status, a.body, err, test.status)
				} else if a.status == 503 {
					a.wantUnavailable(t)
				}
				if took > 5*time.Second || test.atOnce && took > 2*time.Second {
					t.Errorf("%s: %s takes %v", name, test.request, took)
				}
			})
		}
		all.Wait()
	}
	well := func(name string) {
		t.Helper()
		for start := time.Now(); ; time.Sleep(20 * time.Millisecond) {
			a := s.send(t, "GET", "/users/me", nil, headers["redis"])
			if a.status == 200 {
				break
			}
			if a.status != 503 || time.Since(start) > 10*time.Second {
				t.Fatalf("%s: Redis is back for %v, and its token is answered %d", name, time.Since(start), a.status)
			}
		}
		for backend, header := range headers {
			s.wantAlive(t, name+": "+backend, header, true)
		}
		s.wantAlive(t, name+": a new sign-in", s.signedIn(t, "redis", "ann@example.com"), true)
	}
	server.signal(t, syscall.SIGSTOP)
	phase("frozen")
	server.signal(t, syscall.SIGCONT)
	well("thawed")
	server.kill()
	phase("gone")
	server.start(t)
	well("started again")
	s.send(t, "POST", "/auth/redis/logout", nil, headers["redis"]).want(t, 204)
	s.wantAlive(t, "after a logout", headers["redis"], false)
}
