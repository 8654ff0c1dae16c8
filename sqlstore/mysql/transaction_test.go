package mysql_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/internal/testservices"
	"usher/sqlstore/mysql"
)

// A transaction ends with its context, also when the network falls silent before
// the answer to COMMIT or ROLLBACK (FAULTS.md, F13, P6), and all works again after
// it (P8).
func TestSilenceBeforeTheEnd(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	refused := errors.New("refused")
	for name, result := range map[string]error{"COMMIT": nil, "ROLLBACK": refused} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, _ := url.Parse(address)
			way := newWay(t, server.Host)
			store, err := mysql.Open[User](t.Context(), changed(t, address, func(u *url.URL) {
				u.Host, u.RawQuery = way.ln.Addr().String(), "pool_max_conns=1"
			}))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			short, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			ended := make(chan error, 1)
			go func() {
				ended <- store.InTx(short, func(ctx context.Context) error {
					err := store.CreateUser(ctx, &User{User: usher.User{Email: name + "@example.com"}})
					way.silence()
					return errors.Join(err, result)
				})
			}()
			select {
			case err := <-ended:
				if err == nil || result != nil && !errors.Is(err, refused) {
					t.Errorf("the transaction ended with %v", err)
				}
			case <-time.After(20 * time.Second):
				way.talk() // else Close waits, too
				t.Fatal("the transaction does not end")
			}
			way.talk()
			if err := store.Ping(t.Context()); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

// What is given up between two statements is taken back: nobody gets a connection
// with an open transaction.
func TestGivenUpTransaction(t *testing.T) {
	t.Parallel()
	address := testservices.MariaDB(t)
	store, err := mysql.Open[User](t.Context(), changed(t, address, with("pool_max_conns=1")))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for range 20 {
		ctx, giveUp := context.WithCancel(t.Context())
		err := store.InTx(ctx, func(ctx context.Context) error {
			defer giveUp()
			return store.CreateUser(ctx, &User{User: usher.User{Email: "a@example.com"}})
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("the transaction ended with %v", err)
		}
		if _, err := store.UserByEmail(t.Context(), "a@example.com"); !errors.Is(err, usher.ErrNotFound) {
			t.Fatalf("the user of the transaction: %v", err)
		}
	}
	create(t, store, "b@example.com")
	var n int
	if err := pool(t, testservices.DSN(address)).QueryRow("SELECT count(*) FROM users").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d users, %v", n, err)
	}
}

// way is a network between the store and the server that can fall silent.
type way struct {
	ln net.Listener

	mu   sync.Mutex
	open chan struct{} // closed unless it is silent
}

func newWay(t *testing.T, server string) *way {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &way{ln: ln, open: make(chan struct{})}
	close(w.open)
	t.Cleanup(func() { ln.Close() })
	go func() {
		for {
			client, err := ln.Accept()
			if err != nil {
				return
			}
			to, err := net.Dial("tcp", server)
			if err != nil {
				client.Close()
				continue
			}
			go func() { defer to.Close(); _, _ = io.Copy(to, client) }()
			go func() { defer client.Close(); _, _ = io.Copy(muffled{client, w}, to) }()
		}
	}()
	return w
}

func (w *way) silence() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = make(chan struct{})
}

func (w *way) talk() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.open)
}

// muffled passes nothing on while the way is silent.
type muffled struct {
	io.Writer
	way *way
}

func (m muffled) Write(bytes []byte) (int, error) {
	m.way.mu.Lock()
	open := m.way.open
	m.way.mu.Unlock()
	<-open
	return m.Writer.Write(bytes)
}
