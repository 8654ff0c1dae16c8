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

// inFlight sends the header of a login and returns when the server waits for
// the body.
func (b *booted) inFlight(body string) (net.Conn, *bufio.Reader) {
	b.t.Helper()
	conn := b.dial()
	fmt.Fprintf(conn, "POST /auth/jwt/login HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n", len(body))
	r := bufio.NewReader(conn)
	if line, err := r.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
		b.t.Fatalf("got %q: %v", line, err)
	}
	if _, err := r.ReadString('\n'); err != nil {
		b.t.Fatal(err)
	}
	return conn, r
}

// Fault F02: what was accepted is finished, and nothing new is taken.
func TestStopLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	b.register("ada@example.com")
	body := loginForm("ada@example.com")
	conn, r := b.inFlight(body)
	stopped := make(chan error, 1)
	go func() { stopped <- b.stop() }()
	eventually(t, 5*time.Second, "the server takes no connections", func() bool {
		other, err := net.Dial("tcp", b.addr)
		if err == nil {
			_ = other.Close()
		}
		return err != nil
	})
	select {
	case err := <-stopped:
		t.Fatalf("stopped before the request was answered: %v", err)
	default:
	}
	if _, err := io.WriteString(conn, body); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(r, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != 200 || !response.Close {
		t.Errorf("got %d, close %v", response.StatusCode, response.Close)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestStopDoesNotWaitForever(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Shutdown = 200 * time.Millisecond
	b := boot(t, c)
	b.inFlight(loginForm("ada@example.com"))
	start := time.Now()
	if err := b.stop(); err == nil {
		t.Error("no error")
	}
	if took := time.Since(start); took > 3*time.Second {
		t.Errorf("took %v", took)
	}
}
