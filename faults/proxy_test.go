//go:build linux

package faults_test

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// proxy is the network between usher and a store.
type proxy struct {
	target string
	ln     net.Listener

	mu      sync.Mutex
	weather weather
	changed chan struct{} // closed when the weather is another
	conns   map[net.Conn]bool
}

// weather is how bytes travel; the zero value: at once.
type weather struct {
	hole            bool          // nothing arrives, and nobody hears of it
	latency, jitter time.Duration // of what the store answers
	slice           bool          // answers come in single bytes
}

func (w *world) startProxy(target string) *proxy {
	w.t.Helper()
	ln, err := net.Listen("tcp", w.freeAddr())
	w.must(err)
	p := &proxy{target: target, ln: ln, changed: make(chan struct{}), conns: map[net.Conn]bool{}}
	go p.accept()
	w.t.Cleanup(func() { _ = ln.Close(); p.set(weather{}); p.reset() })
	return p
}

func (p *proxy) addr() string { return p.ln.Addr().String() }

// set changes the weather for what is on its way, too.
func (p *proxy) set(x weather) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.weather = x
	close(p.changed)
	p.changed = make(chan struct{})
}

// reset breaks all connections and returns how many usher had.
func (p *proxy) reset() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	broken := len(p.conns) / 2 // the other half is the store's
	for conn := range p.conns {
		_ = conn.(*net.TCPConn).SetLinger(0) // RST
		_ = conn.Close()
	}
	return broken
}

func (p *proxy) now() (weather, chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.weather, p.changed
}

// open waits until bytes travel.
func (p *proxy) open() weather {
	for {
		x, changed := p.now()
		if !x.hole {
			return x
		}
		<-changed
	}
}

func (p *proxy) accept() {
	for {
		conn, err := p.ln.Accept()
		if err != nil {
			return
		}
		go p.pass(conn)
	}
}

func (p *proxy) pass(conn net.Conn) {
	p.open()
	store, err := net.Dial("tcp", p.target)
	if err != nil {
		_ = conn.Close()
		return
	}
	p.mu.Lock()
	p.conns[conn], p.conns[store] = true, true
	p.mu.Unlock()
	var ends sync.WaitGroup
	ends.Go(func() { p.copy(store, conn, false) })
	ends.Go(func() { p.copy(conn, store, true) })
	ends.Wait()
	p.mu.Lock()
	delete(p.conns, conn)
	delete(p.conns, store)
	p.mu.Unlock()
}

func (p *proxy) copy(to, from net.Conn, answers bool) {
	defer to.Close()
	defer from.Close()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if !p.write(to, buffer[:n], answers) {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) write(to net.Conn, bytes []byte, answers bool) bool {
	x := p.open()
	if answers && x.latency+x.jitter > 0 {
		delay := x.latency
		if x.jitter > 0 {
			delay += rand.N(x.jitter)
		}
		_, changed := p.now()
		select { // what was slow arrives when the weather clears up
		case <-time.After(delay):
		case <-changed:
		}
		x = p.open()
	}
	for answers && x.slice && len(bytes) > 1 {
		if _, err := to.Write(bytes[:1]); err != nil {
			return false
		}
		bytes = bytes[1:]
	}
	_, err := to.Write(bytes)
	return err == nil
}
