package usher_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usher"
)

// conn is a client that says exactly what a test wants.
type conn struct {
	net.Conn
	r *bufio.Reader
}

func (s *site) dial(t testing.TB) *conn {
	t.Helper()
	c, err := net.Dial("tcp", strings.TrimPrefix(s.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return &conn{c, bufio.NewReader(c)}
}

func (c *conn) write(t testing.TB, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// want reads an answer and checks its status.
func (c *conn) want(t testing.TB, status int) {
	t.Helper()
	if got, err := c.answer(10 * time.Second); err != nil || got != status {
		t.Errorf("status %d, %v, want %d", got, err, status)
	}
}

// answer reads an answer that is there within a time.
func (c *conn) answer(within time.Duration) (status int, err error) {
	_ = c.SetReadDeadline(time.Now().Add(within))
	response, err := http.ReadResponse(c.r, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}

// wantClosed checks that the server closes the connection within a time.
func (c *conn) wantClosed(t testing.TB, within time.Duration) {
	t.Helper()
	_ = c.SetReadDeadline(time.Now().Add(within))
	if _, err := io.Copy(io.Discard, c.r); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the connection is still open after %v", within)
	}
}

const bodyTimeout = 300 * time.Millisecond

// A body that does not come is waited for no longer than BodyTimeout, on every
// route, whether it reads the body or not: the answer is a 408, or what the
// route says without a body, and the connection ends (F23, F9).
func TestF23_SlowBody(t *testing.T) {
	t.Parallel()
	s, u, header := rootSite(t, configured(func(c *usher.Config[User]) { c.BodyTimeout = bodyTimeout }))
	session := s.signedIn(t, "bearer-db", "root@example.com")
	type test struct {
		route, header string
		status        int
	}
	tests := []test{
		{"POST /auth/jwt/login", "", 408}, {"POST /auth/cookie/login", "", 408},
		{"PATCH /users/me", "", 408}, // nobody's, too
		// These do not read it.
		{"POST /auth/jwt/logout", "", 401}, {"POST /auth/jwt/logout", header, 204},
		{"GET /users/me", header, 200}, {"GET /users/me", "", 401}, {"PUT /users/me", header, 405},
		{"GET /users/me/sessions", session, 200}, {"DELETE /users/me/sessions/x", session, 404},
	}
	for _, route := range jsonRoutes(u.ID) {
		tests = append(tests, test{route, header, 408})
	}
	var done sync.WaitGroup
	for _, test := range tests {
		for what, body := range map[string]string{
			"no byte":               "Content-Length: 100\r\n\r\n",
			"some bytes":            "Content-Length: 100\r\n\r\n{\"email\":",
			"chunks":                "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"ema\r\n",
			"half a chunk":          "Transfer-Encoding: chunked\r\n\r\nff\r\n{\"ema",
			"half the size":         "Transfer-Encoding: chunked\r\n\r\n5",
			"waiting to be told to": "Expect: 100-continue\r\nContent-Length: 100\r\n\r\n",
			"byte by byte":          "Content-Length: 100000\r\n\r\n",
		} {
			c := s.dial(t)
			done.Go(func() {
				request := test.route + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
				if test.header != "" {
					request += test.header + "\r\n"
				}
				c.write(t, request+body)
				if what == "byte by byte" {
					go func() {
						for {
							if _, err := io.WriteString(c, " "); err != nil {
								return
							}
							time.Sleep(bodyTimeout / 10)
						}
					}()
				}
				start := time.Now()
				status, err := c.answer(10 * time.Second)
				if status == 100 {
					status, err = c.answer(10 * time.Second)
				}
				if err != nil || status != test.status {
					t.Errorf("%s, %s: status %d, %v, want %d", test.route, what, status, err, test.status)
				}
				if took := time.Since(start); took > bodyTimeout+2*time.Second {
					t.Errorf("%s, %s: takes %v", test.route, what, took)
				}
				c.wantClosed(t, 5*time.Second)
			})
		}
	}
	done.Wait()
	s.wantAlive(t, "another client", header, true)
}

// The time for the body is not the time for the work: a request whose body is
// there may take longer, and the connection lives on.
func TestSlowWorkIsNoSlowBody(t *testing.T) {
	t.Parallel()
	s := newSite(t, configured(func(c *usher.Config[User]) {
		c.BodyTimeout = bodyTimeout
		c.Hooks.BeforeRegister = func(ctx context.Context, _ *User) error {
			select {
			case <-time.After(2 * bodyTimeout):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}))
	c := s.dial(t)
	for _, email := range []string{"a@example.com", "b@example.com"} {
		body := `{"email":"` + email + `","password":"correct horse"}`
		c.write(t, "POST /auth/register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
		time.Sleep(bodyTimeout / 3)
		c.write(t, fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(body), body))
		c.want(t, 201)
		time.Sleep(2 * bodyTimeout) // idle
	}
}

// frozen is a user store that answers nobody while it is set.
type frozen struct {
	usher.UserStore[User]
	set atomic.Bool
}

func (f *frozen) wait(ctx context.Context) error {
	if !f.set.Load() {
		return nil
	}
	<-ctx.Done()
	return ctx.Err()
}

func (f *frozen) UserByID(ctx context.Context, id usher.ID) (*User, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	return f.UserStore.UserByID(ctx, id)
}

func (f *frozen) UserByEmail(ctx context.Context, key string) (*User, error) {
	if err := f.wait(ctx); err != nil {
		return nil, err
	}
	return f.UserStore.UserByEmail(ctx, key)
}

func (f *frozen) CreateUser(ctx context.Context, u *User) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	return f.UserStore.CreateUser(ctx, u)
}

// All that one request needs may take RequestTimeout, whatever it waits for (P6,
// F13, F15).
func TestP6_RequestTimeout(t *testing.T) {
	t.Parallel()
	users := &frozen{}
	s := newSite(t, configured(func(c *usher.Config[User]) {
		c.RequestTimeout = 200 * time.Millisecond
		users.UserStore, c.Store = c.Store, users
		c.Hooks.BeforeRegister = func(ctx context.Context, u *User) error {
			if u.Email == "slow-hook@example.com" {
				<-ctx.Done()
			}
			return ctx.Err()
		}
	}))
	s.add(t, "ann@example.com")
	header := s.signedIn(t, "jwt", "ann@example.com")
	users.set.Store(true)
	var done sync.WaitGroup
	send := func(request string, body any) {
		done.Go(func() {
			method, path, _ := strings.Cut(request, " ")
			start := time.Now()
			s.send(t, method, path, body, header).wantUnavailable(t)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("%s: answered after %v", request, took)
			}
		})
	}
	send("PATCH /users/me", map[string]any{"is_verified": true})
	send("GET /users", nil)
	send("POST /auth/register", map[string]any{"email": "bob@example.com", "password": "correct horse"})
	send("POST /auth/register", map[string]any{"email": "slow-hook@example.com", "password": "correct horse"})
	send("POST /auth/forgot-password", map[string]any{"email": "ann@example.com"})
	send("POST /auth/request-verify-token", map[string]any{"email": "ann@example.com"})
	done.Wait()
	users.set.Store(false)
	s.wantAlive(t, "afterwards", header, true)
}

// Clients that leave, at whatever moment, leave nothing behind (P7, F17). Not in
// parallel with others: it counts goroutines.
func TestP7_GoroutinesReturnToBaseline(t *testing.T) {
	s, u, header := rootSite(t, configured(func(c *usher.Config[User]) { c.BodyTimeout = bodyTimeout }))
	s.client.CloseIdleConnections()
	baseline := settled(0)
	for _, route := range append(jsonRoutes(u.ID), "POST /auth/jwt/login", "POST /auth/jwt/logout", "GET /users/me") {
		for _, rest := range []string{
			"", "Content-Length: 100\r\n\r\n", "Content-Length: 100\r\n\r\n{", "Transfer-Encoding: chunked\r\n\r\nzz\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n{}",
			"Content-Length: 2\r\n\r\n{}", "Content-Length: -1\r\n\r\n", "Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}", "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n",
		} {
			for _, stay := range []bool{true, false} {
				c := s.dial(t)
				c.write(t, route+" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"+header+"\r\n"+rest)
				if !stay {
					c.Close()
				}
				defer c.Close()
			}
		}
	}
	time.Sleep(2 * bodyTimeout)
	s.wantAlive(t, "another client", header, true)
	s.client.CloseIdleConnections()
	// What stays are the connections that wait for a request or for its end,
	// which is for the server's own timeouts; they end with the clients.
	t.Cleanup(func() {
		if n := settled(baseline); n > baseline {
			buf := make([]byte, 1<<20)
			t.Errorf("%d goroutines, %d before:\n%s", n, baseline, buf[:runtime.Stack(buf, true)])
		}
	})
}

// settled waits until there are no more than n goroutines, or their number does
// not change any more, and returns it.
func settled(n int) int {
	last := runtime.NumGoroutine()
	for range 100 {
		if last <= n {
			break
		}
		time.Sleep(20 * time.Millisecond)
		now := runtime.NumGoroutine()
		if n == 0 && now == last {
			break
		}
		last = now
	}
	return last
}
