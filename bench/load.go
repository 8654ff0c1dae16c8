package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// request is one HTTP request, ready to be sent, and the status it should get.
type request struct {
	text   string
	status int
}

func get(path, token string) request {
	r := request{"GET " + path + " HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\nAccept: */*\r\n", 200}
	if token != "" {
		r.text += "Authorization: Bearer " + token + "\r\n"
	}
	r.text += "\r\n"
	return r
}

func postForm(path, form string) request {
	return request{fmt.Sprintf("POST %s HTTP/1.1\r\nHost: bench.example\r\nUser-Agent: bench\r\n"+
		"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s", path, len(form), form), 200}
}

// client keeps connections to a server and sends requests over them. It is as
// plain as it can be, because it shares the machine with the server.
type client struct {
	conns    []*conn
	requests []request
	next     atomic.Int64
}

// dial opens n connections. The requests will be sent in turn, whichever
// connection is free.
func dial(address string, n int, requests []request) (*client, error) {
	c := &client{requests: requests}
	for range n {
		nc, err := net.Dial("tcp", address)
		if err != nil {
			c.close()
			return nil, err
		}
		c.conns = append(c.conns, &conn{Conn: nc, reader: bufio.NewReader(nc)})
	}
	return c, nil
}

func (c *client) close() {
	for _, conn := range c.conns {
		_ = conn.Close()
	}
}

// result is what came of some load.
type result struct {
	count, refused int               // refused: answered 503
	elapsed        time.Duration     // until the last answer
	latencies      [][]time.Duration // of those not refused, by connection
}

func (r result) rate() float64 { return float64(r.count) / r.elapsed.Seconds() }

// steady is the latencies without each connection's first.
func (r result) steady() (latencies []time.Duration) {
	for _, of := range r.latencies {
		latencies = append(latencies, of[min(1, len(of)):]...)
	}
	return latencies
}

// forTime keeps every connection busy for d.
func (c *client) forTime(ctx context.Context, d time.Duration) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return c.run(ctx, -1)
}

// forCount sends n requests.
func (c *client) forCount(ctx context.Context, n int) (result, error) {
	return c.run(ctx, int64(n))
}

// run ends with ctx or after n requests, and waits for all answers.
func (c *client) run(ctx context.Context, n int64) (result, error) {
	var over atomic.Bool
	defer context.AfterFunc(ctx, func() { over.Store(true) })()
	var sent atomic.Int64
	var all sync.WaitGroup
	results, errs := make([]tally, len(c.conns)), make([]error, len(c.conns))
	start := time.Now()
	for i, conn := range c.conns {
		all.Go(func() {
			for !over.Load() && errs[i] == nil && (n < 0 || sent.Add(1) <= n) {
				r := c.requests[int(c.next.Add(1)-1)%len(c.requests)]
				errs[i] = results[i].add(ctx, conn, r)
			}
		})
	}
	all.Wait()
	total := result{elapsed: time.Since(start)}
	for _, r := range results {
		total.count += len(r.latencies)
		total.refused += r.refused
		total.latencies = append(total.latencies, r.latencies)
	}
	return total, errors.Join(errs...)
}

// tally is the part of one connection.
type tally struct {
	refused   int
	latencies []time.Duration
}

// add sends one request. Who is refused for now comes back when he was told to.
func (t *tally) add(ctx context.Context, c *conn, req request) error {
	start := time.Now()
	answer, err := c.do(req)
	switch {
	case err != nil:
		return err
	case answer.status == req.status:
		t.latencies = append(t.latencies, time.Since(start))
	case answer.status == 503:
		t.refused++
		select {
		case <-time.After(answer.retryAfter):
		case <-ctx.Done():
		}
	default:
		return fmt.Errorf("status %d, not %d: %.60s: %s", answer.status, req.status, req.text, answer.body)
	}
	return nil
}

type conn struct {
	net.Conn
	reader *bufio.Reader
	buffer []byte
}

type response struct {
	status     int
	retryAfter time.Duration
	body       []byte // until the next request
}

// do sends a request and reads the answer, which must have a Content-Length.
func (c *conn) do(r request) (answer response, err error) {
	if _, err := io.WriteString(c.Conn, r.text); err != nil {
		return answer, err
	}
	length := 0
	for first := true; ; first = false {
		line, err := c.reader.ReadSlice('\n')
		if err != nil {
			return answer, err
		}
		if len(line) <= 2 {
			break
		}
		if first {
			if answer.status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return answer, err
			}
			continue
		}
		switch line[0] { // of few headers the names have to be looked at
		case 'C':
			if value, found := strings.CutPrefix(string(line), "Content-Length: "); found {
				if length, err = strconv.Atoi(strings.TrimSpace(value)); err != nil {
					return answer, err
				}
			}
		case 'R':
			if value, found := strings.CutPrefix(string(line), "Retry-After: "); found {
				seconds, err := strconv.Atoi(strings.TrimSpace(value))
				if err != nil {
					return answer, err
				}
				answer.retryAfter = time.Duration(seconds) * time.Second
			}
		}
	}
	if length > len(c.buffer) {
		c.buffer = make([]byte, length)
	}
	answer.body = c.buffer[:length]
	_, err = io.ReadFull(c.reader, answer.body)
	return answer, err
}
