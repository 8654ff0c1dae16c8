package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// impatient is a server whose limits a test can wait for.
func impatient(t *testing.T) *booted {
	c := testConfig(t)
	c.Limits.ReadHeaderTimeout = 300 * time.Millisecond
	c.Limits.ReadTimeout = 400 * time.Millisecond
	c.Limits.IdleTimeout = 300 * time.Millisecond
	return boot(t, c)
}

func (b *booted) dial() net.Conn {
	b.t.Helper()
	conn, err := net.Dial("tcp", b.addr)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
	return conn
}

// drip sends one byte every 20 ms until the server has closed the connection.
func drip(conn net.Conn) {
	for {
		if _, err := conn.Write([]byte("x")); err != nil {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// closedWithin checks that the server closes the connection in time and returns
// what it has said.
func closedWithin(t *testing.T, conn net.Conn, d time.Duration) string {
	t.Helper()
	start := time.Now()
	said, err := io.ReadAll(conn)
	if took := time.Since(start); took > d {
		t.Errorf("closed after %v, want %v at most (%v)", took, d, err)
	}
	return string(said)
}

func TestSlowHeaderIsClosed(t *testing.T) {
	t.Parallel()
	conn := impatient(t).dial()
	fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	go drip(conn)
	closedWithin(t, conn, 2*time.Second)
}

func TestSlowBodyIsClosed(t *testing.T) {
	t.Parallel()
	b := impatient(t)
	for _, path := range []string{"/auth/jwt/login", "/auth/register", "/nope", "/users/me"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			conn := b.dial()
			fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n{", path)
			go drip(conn)
			said := closedWithin(t, conn, 2*time.Second)
			if strings.HasPrefix(path, "/auth") && !strings.HasPrefix(said, "HTTP/1.1 408 ") {
				t.Errorf("said %q", said)
			}
		})
	}
}

func TestIdleConnectionIsClosed(t *testing.T) {
	t.Parallel()
	conn := impatient(t).dial()
	fmt.Fprint(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
	if said := closedWithin(t, conn, 2*time.Second); !strings.HasPrefix(said, "HTTP/1.1 200 ") {
		t.Errorf("said %q", said)
	}
}

func TestSlowClientsKeepNobodyWaiting(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	for range 200 {
		fmt.Fprint(b.dial(), "GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ")
	}
	start := time.Now()
	b.want(200, "GET", "/healthz", "")
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestLargeRequests(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	for name, c := range map[string]struct {
		path, body string
		headers    []string
		status     int
	}{
		"body of a form": {"/auth/jwt/login", "username=" + strings.Repeat("a", 65<<10), nil, 413},
		"body of JSON":   {"/auth/register", `{"email": "` + strings.Repeat("a", 65<<10) + `"}`, nil, 413},
		"long password":  {"/auth/jwt/login", "username=a@example.com&password=" + strings.Repeat("a", 2000), nil, 400},
		"header":         {"/auth/jwt/login", "", []string{"X-Large", strings.Repeat("a", 40<<10)}, 431},
		"many cookies":   {"/auth/jwt/login", "", []string{"Cookie", strings.Repeat("a=b; ", 8<<10)}, 431},
	} {
		start := time.Now()
		if a := b.do("POST", c.path, c.body, c.headers...); a.StatusCode != c.status {
			t.Errorf("%s: got %d %s", name, a.StatusCode, a.body)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
}

// A body that is announced as endless is not read to its end.
func TestEndlessBody(t *testing.T) {
	t.Parallel()
	conn := boot(t, testConfig(t)).dial()
	fmt.Fprint(conn, "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	go func() {
		chunk := "1000\r\n" + strings.Repeat(" ", 0x1000) + "\r\n"
		for {
			if _, err := io.WriteString(conn, chunk); err != nil {
				return
			}
		}
	}()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 413 {
		t.Errorf("got %d", response.StatusCode)
	}
}
