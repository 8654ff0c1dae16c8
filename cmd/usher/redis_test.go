package main

import (
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"usher/internal/testservices"
)

// link is a way to Redis that can be cut.
type link struct {
	t      testing.TB
	addr   string // of this end
	redis  string // of the other
	mu     sync.Mutex
	ln     net.Listener
	conns  []net.Conn
	passed sync.WaitGroup
}

// newLink returns a link that is cut, and the URL of a Redis behind it.
func newLink(t testing.TB) (*link, string) {
	t.Helper()
	u, err := url.Parse(testservices.Redis(t))
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &link{t: t, addr: ln.Addr().String(), redis: u.Host}
	_ = ln.Close()
	u.Host = l.addr
	t.Cleanup(l.cut)
	return l, u.String()
}

func (l *link) mend() {
	l.t.Helper()
	ln, err := net.Listen("tcp", l.addr)
	if err != nil {
		l.t.Fatal(err)
	}
	l.mu.Lock()
	l.ln = ln
	l.mu.Unlock()
	l.passed.Go(func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			l.pass(conn)
		}
	})
}

func (l *link) pass(conn net.Conn) {
	redis, err := net.Dial("tcp", l.redis)
	if err != nil {
		_ = conn.Close()
		return
	}
	l.mu.Lock()
	l.conns = append(l.conns, conn, redis)
	l.mu.Unlock()
	for _, ends := range [][2]net.Conn{{conn, redis}, {redis, conn}} {
		l.passed.Go(func() {
			_, _ = io.Copy(ends[0], ends[1])
			_ = ends[0].Close()
		})
	}
}

func (l *link) cut() {
	l.mu.Lock()
	if l.ln != nil {
		_ = l.ln.Close()
		l.ln = nil
	}
	for _, conn := range l.conns {
		_ = conn.Close()
	}
	l.conns = nil
	l.mu.Unlock()
	l.passed.Wait()
}

func withRedis(t testing.TB, address string) Config {
	c := testConfig(t)
	c.Redis = address
	c = c.withDefaults()
	for i := range c.Backends { // nothing of a test shall stay long in Redis
		c.Backends[i].Lifetime = time.Minute
	}
	return c
}

func TestRedisIsAwayAtTheStartAndReturns(t *testing.T) {
	t.Parallel()
	l, address := newLink(t)
	begin := time.Now()
	b := boot(t, withRedis(t, address))
	if took := time.Since(begin); took > 2*time.Second {
		t.Errorf("the start took %v", took)
	}
	b.register("ada@example.com")

	// Everything that needs no Redis works; the rest says so.
	unready := func() {
		t.Helper()
		a := b.want(503, "GET", "/readyz", "")
		if a.body != `{"status":"unavailable","away":["redis"]}`+"\n" || a.Header.Get("Retry-After") == "" {
			t.Errorf("readyz: %v %s", a.Header, a.body)
		}
		b.want(200, "GET", "/healthz", "")
		b.want(200, "GET", "/users/me", "", "Authorization", b.bearer("jwt", "ada@example.com"))
		b.want(200, "GET", "/users/me", "", "Cookie", b.cookie("ada@example.com"))
		if a := b.want(503, "POST", "/auth/redis/login", loginForm("ada@example.com")); a.Header.Get("Retry-After") == "" {
			t.Error("login: no Retry-After")
		}
	}
	ready := func() {
		t.Helper()
		eventually(t, 10*time.Second, "ready", func() bool { return b.do("GET", "/readyz", "").StatusCode == 200 })
	}
	unready()
	l.mend()
	ready()
	bearer := b.bearer("redis", "ada@example.com")
	b.want(200, "GET", "/users/me", "", "Authorization", bearer)

	l.cut()
	unready()
	if a := b.want(503, "GET", "/users/me", "", "Authorization", bearer); a.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	l.mend()
	ready()
	b.want(200, "GET", "/users/me", "", "Authorization", bearer)
	b.want(204, "POST", "/auth/redis/logout", "", "Authorization", bearer)
	b.want(401, "GET", "/users/me", "", "Authorization", bearer)
}

// A command ends the sessions in Redis too.
func TestDeactivatingEndsSessionsInRedis(t *testing.T) {
	t.Parallel()
	l, address := newLink(t)
	l.mend()
	c := withRedis(t, address)
	b := boot(t, c)
	b.register("ada@example.com")
	bearer := b.bearer("redis", "ada@example.com")

	for _, verb := range []string{"deactivate", "activate"} {
		command := exec.Command("usher", "user", verb, "ada@example.com", "--database", c.Database, "--redis", c.Redis)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", verb, err, output)
		}
		b.want(401, "GET", "/users/me", "", "Authorization", bearer)
	}
}

// A server starts without Redis, and says at once what is wrong with it.
func TestRedisIsWrongAtTheStart(t *testing.T) {
	t.Parallel()
	address := testservices.Redis(t)
	for url, want := range map[string]string{
		strings.Replace(address, "redis://", "redis://test_nobody:canary@", 1): "the user or the password was refused by Redis",
		"redis://127.0.0.1:1": "connection refused",
		address:               "",
	} {
		log := boot(t, withRedis(t, url)).log.String()
		if said := strings.Contains(log, "Redis cannot be used"); said != (want != "") || !strings.Contains(log, want) || strings.Contains(log, "canary") {
			t.Errorf("%s: %s", url, log)
		}
	}
}

func TestRedisPasswordIsNotLogged(t *testing.T) {
	t.Parallel()
	b := boot(t, withRedis(t, "redis://user:canary@127.0.0.1:1/0"))
	b.want(503, "GET", "/readyz", "")
	if log := b.log.String(); strings.Contains(log, "canary") || !strings.Contains(log, "redis://127.0.0.1:1/0") {
		t.Error(log)
	}
}
