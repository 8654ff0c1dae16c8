package redisstore

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"usher/internal/tlsfault"

	"github.com/redis/rueidis"
)

// reconnectInterval is the least time between two attempts at a first connection.
const reconnectInterval = 500 * time.Millisecond

var (
	errURL    = errors.New("redisstore: malformed URL, want redis://[user:password@]host[:port][/db]")
	errClosed = errors.New("redisstore: closed")
)

// clientOption returns the settings for a URL, with small buffers and with
// timeouts that bound every wait for a Redis that is silent.
func clientOption(address string) (rueidis.ClientOption, error) {
	o, err := rueidis.ParseURL(address)
	if err != nil {
		return o, errURL // the cause may quote the password
	}
	u, err := url.Parse(address)
	if err != nil {
		return o, errURL
	}
	if err := readCertificates(&o, u.Query()); err != nil {
		return o, err
	}
	if o.Dialer.Timeout == 0 {
		o.Dialer.Timeout = 2 * time.Second
	}
	if o.ConnWriteTimeout == 0 {
		o.ConnWriteTimeout = 2 * time.Second // for answers, too
	}
	o.Dialer.KeepAlive = time.Second // also how soon an idle connection is checked
	o.ClusterOption.ShardsRefreshInterval = 5 * time.Second
	o.Sentinel.Dialer = o.Dialer
	o.Sentinel.TLSConfig = o.TLSConfig
	o.Sentinel.Username, o.Sentinel.Password = u.Query().Get("sentinel_user"), u.Query().Get("sentinel_password")
	o.Sentinel.TopologyRefreshInterval = 5 * time.Second // a missed announcement would bind us to the old master
	o.ReadBufferEachConn = 32 << 10
	o.WriteBufferEachConn = 32 << 10
	o.DisableCache = true
	o.MaxFlushDelay = 20 * time.Microsecond // concurrent requests share system calls: a third less CPU
	o.RetryDelay = retryDelay
	return o, nil
}

// retryDelay lets rueidis repeat a read whose connection broke, as all do when
// Redis restarts: more often than the four connections there are at most. It
// does not repeat one that was not answered in time, since the next would not be
// either. Scripts are never repeated once they may have run: a second create might
// follow a revocation, and a second end would find nothing to end.
func retryDelay(attempt int, _ rueidis.Completed, err error) time.Duration {
	if isElsewhere(err) {
		return movePause
	}
	var network interface{ Timeout() bool }
	if attempt > 4 || errors.As(err, &network) && network.Timeout() {
		return -1
	}
	return time.Duration(attempt) * 10 * time.Millisecond
}

// movePause is between two attempts while a Cluster moves the keys. How often it
// is tried is for the context to end.
const movePause = 20 * time.Millisecond

// isElsewhere reports whether a node of a Cluster refused a command, without
// having begun it, because keys of it are or may be on another.
func isElsewhere(err error) bool {
	refusal, ok := rueidis.IsRedisErr(err)
	if !ok {
		return false
	}
	_, moved := refusal.IsMoved()
	_, ask := refusal.IsAsk()
	return moved || ask || refusal.IsTryAgain()
}

// explain says in its text what an operator has to mend, for the faults that do
// not end by themselves as an outage does.
func explain(err error) error {
	var remote *net.OpError
	if tlsfault.Is(err) || errors.As(err, &remote) && remote.Op == "remote error" { // an alert, about our certificate
		return fmt.Errorf("TLS with Redis failed: %w", err)
	}
	const forbidden = "what usher needs is forbidden to its user in Redis: %w"
	var command *forbiddenCommand
	if errors.As(err, &command) {
		return fmt.Errorf(forbidden, err)
	}
	if refusal, ok := rueidis.IsRedisErr(err); ok {
		switch word, _, _ := strings.Cut(refusal.Error(), " "); word {
		case "WRONGPASS", "NOAUTH":
			return fmt.Errorf("the user or the password was refused by Redis: %w", err)
		case "NOPERM":
			return fmt.Errorf(forbidden, err)
		}
	}
	return err
}

// connector makes a client as soon as Redis is there: rueidis makes none
// without, but keeps one connected ever after.
type connector struct {
	options   rueidis.ClientOption
	connected atomic.Pointer[rueidis.Client]

	mu     sync.Mutex
	last   *attempt
	closed bool
}

type attempt struct {
	began time.Time
	done  chan struct{}
	err   error // valid when done is closed
}

// client returns the client. If there is none yet it waits for the attempt that
// is running, or starts one, unless one failed a moment ago.
func (c *connector) client(ctx context.Context) (rueidis.Client, error) {
	if client := c.connected.Load(); client != nil {
		return *client, nil
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil, errClosed
	}
	if c.last == nil || c.last.isOver() && time.Since(c.last.began) > reconnectInterval {
		c.last = &attempt{began: time.Now(), done: make(chan struct{})}
		go c.connect(c.last) // it does not obey a context, and is for all who wait
	}
	a := c.last
	c.mu.Unlock()

	select {
	case <-a.done:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if client := c.connected.Load(); client != nil {
		return *client, nil
	}
	return nil, a.err
}

func (c *connector) connect(a *attempt) {
	defer close(a.done)
	client, err := rueidis.NewClient(c.options)
	if err != nil {
		a.err = c.doubt(err)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		client.Close()
		a.err = errClosed
		return
	}
	c.connected.Store(&client)
}

// doubt asks, where somebody listens but is not Redis to us, whether only one side
// speaks TLS. (TCP has errors of its own when nobody listens.)
func (c *connector) doubt(err error) error {
	switch {
	case c.options.TLSConfig != nil && errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("nothing came back: is this a port for TLS? %w", err)
	case c.options.TLSConfig == nil && (errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)):
		return fmt.Errorf("it hung up at once: does this port want TLS? Then write rediss:// %w", err)
	}
	return err
}

func (c *connector) close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if client := c.connected.Load(); client != nil {
		(*client).Close()
	}
}

func (a *attempt) isOver() bool {
	select {
	case <-a.done:
		return true
	default:
		return false
	}
}
