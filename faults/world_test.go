//go:build linux

package faults_test

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"usher/ushertest"
)

// pool is how many connections an instance may have to its database.
const pool = 8

// fixture is an account that is there before everything begins.
const fixture = "fixture@example.com"

// world is two instances, their stores, and who uses and watches them.
type world struct {
	t       testing.TB
	bench   *bench
	starter starter
	dir     string
	host    string // of all servers
	ports   int    // that have been given away
	secret  string // of all instances

	db        *database
	redis     *server // nil if usher has none, or several
	primary   *server // of several
	provider  *ushertest.FakeProvider
	dbProxy   *proxy
	redisWay  *proxy
	instances []*instance
	backends  []string

	mails    *mails
	http     *http.Client
	ledger   *ledger
	judge    *judge
	auditing *judge // nil during the load

	limit  time.Duration // usher's own for a request
	settle time.Duration // within which all works again, and rests
	back   time.Duration // the longest that anything took to work again
	faulty atomic.Bool   // 503 is an answer
	aborts atomic.Int64  // percent of the requests whose client goes away

	requests, answered, unavailable, unanswered, onlyKnown, onlyUnknown, slowest atomic.Int64
}

// setting is what a fault needs.
type setting struct {
	mariaDB  bool
	postgres []string // settings of the server
	// redis starts a Redis: one behind a proxy, or what returns usher's URL.
	redis    []string // arguments; nil: none
	redisURL func(*world) string
	keeps    keeping
	pool     int
}

func newWorld(t testing.TB, b *bench, s setting) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "usher-faults-")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, bench: b, starter: newStarter(t), dir: dir, host: ownHost(), secret: crand.Text() + crand.Text(), judge: &judge{redis: s.keeps},
		limit: limit, settle: settle, mails: newMails(filepath.Join(dir, "mail")),
		http: &http.Client{
			// Less than limits.idle_timeout: a POST that met usher's close would have no answer.
			Transport:     &http.Transport{MaxIdleConnsPerHost: 200, IdleConnTimeout: 30 * time.Second, ResponseHeaderTimeout: 45 * time.Second},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(func() {
		w.http.CloseIdleConnections()
		if !t.Failed() {
			_ = os.RemoveAll(dir)
		}
	})
	w.must(os.Chmod(dir, 0o711)) // for servers without privileges
	w.must(os.Mkdir(w.mails.dir, 0o700))
	w.ledger, err = newLedger(filepath.Join(dir, "ledger.jsonl"))
	w.must(err)
	w.startStores(s)
	return w
}

func (w *world) startStores(s setting) {
	w.t.Helper()
	if s.mariaDB {
		w.db = w.startMariaDB()
	} else {
		w.db = w.startPostgres(s.postgres...)
	}
	w.dbProxy = w.startProxy(w.db.addr)
	w.backends = []string{"cookie", "jwt"}
	redis := ""
	switch {
	case s.redisURL != nil:
		redis = s.redisURL(w)
	case s.redis != nil:
		w.redis = w.startRedis("redis", s.redis...)
		w.redisWay = w.startProxy(w.redis.addr)
		redis = "redis://" + w.redisWay.addr()
	}
	if redis != "" {
		w.backends = append(w.backends, "redis")
	}
	connections := pool
	if s.pool > 0 {
		connections = s.pool
	}
	address, err := url.Parse(w.db.url(w.dbProxy.addr()))
	w.must(err)
	query := address.Query()
	query.Set("pool_max_conns", fmt.Sprint(connections))
	address.RawQuery = query.Encode()
	w.provider = ushertest.NewFakeProvider(w.t)
	for _, name := range []string{"A", "B"} {
		w.instances = append(w.instances, w.startUsher(name, address.String(), redis))
	}
	if a := w.send(context.Background(), w.any(), "POST", "/auth/register", object("email", fixture, "password", "the fixture's password")); a.status != 201 {
		w.t.Fatalf("register: %d %s %v", a.status, a.body, a.err)
	}
}

// providerUser is another one for each round.
func providerUser(round int) ushertest.ProviderUser {
	return ushertest.ProviderUser{ID: fmt.Sprint(round), Email: fmt.Sprintf("sso%d@example.com", round), EmailVerified: true}
}

// must ends the test.
func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) any() *instance { return w.instances[rand.IntN(len(w.instances))] }

// shuffled returns the instances in any order.
func (w *world) shuffled() []*instance {
	first := rand.IntN(2)
	return []*instance{w.instances[first], w.instances[1-first]}
}

// fail runs a fault under load, lets everything recover, and audits. inject
// returns how often it struck; what it broke is whole again then.
func (w *world) fail(inject func() (struck int)) row {
	before := map[*instance]vitals{}
	for _, in := range w.instances {
		before[in] = look(in.pid())
	}
	stopLoad, stopWatch := make(chan struct{}), make(chan struct{})
	var most vitals
	var load, watch sync.WaitGroup
	load.Go(func() { w.load(stopLoad) })
	watch.Go(func() { most = w.watch(stopWatch) })

	time.Sleep(w.bench.part) // as long before as during as after
	w.faulty.Store(true)
	struck := inject()
	w.recover()
	w.faulty.Store(false)
	time.Sleep(w.bench.part)
	close(stopLoad)
	load.Wait()
	close(stopWatch)
	watch.Wait()

	w.bounded(most)
	w.even()
	w.calm(before)
	w.idle()
	requests, unavailable, unanswered := w.requests.Load(), w.unavailable.Load(), w.unanswered.Load()
	accounts := w.accounts()
	w.audit(accounts)
	if w.bench.later > 0 {
		time.Sleep(w.bench.later)
		w.audit(accounts)
	}
	w.restart()
	w.audit(accounts)
	goroutines := w.end()
	return row{
		struck: struck, requests: requests, unavailable: unavailable, unanswered: unanswered, accounts: len(accounts),
		recovered: w.back, most: most, goroutines: goroutines,
	}
}

// recover waits until all works again.
func (w *world) recover() {
	start := time.Now()
	err := eventually(3*w.settle, func() error {
		for _, in := range w.instances {
			if err := in.answers("/readyz", http.StatusOK); err != nil {
				return err
			}
			for _, backend := range w.backends {
				form := url.Values{"username": {fixture}, "password": {"the fixture's password"}}
				if a := w.send(context.Background(), in, "POST", "/auth/"+backend+"/login", form.Encode()); a.status >= 300 || a.status == 0 {
					return fmt.Errorf("login (%s) on %s: %d %s %v", backend, in.name, a.status, a.body, a.err)
				}
			}
		}
		return nil
	})
	w.recovered("all works", time.Since(start), err)
}

// recovered judges how long something took to work again (P8).
func (w *world) recovered(what string, took time.Duration, err error) {
	w.back = max(w.back, took)
	if err != nil || took > w.settle {
		w.judge.add("P8", "%s after %v: %v", what, took, err)
	}
}

// idle waits until no connection to the database works any more: one that was
// given up must not stay busy, or the pool runs dry.
func (w *world) idle() {
	err := eventually(w.settle, func() error {
		n, err := w.db.count(w.db.load)
		if err == nil && n > 0 {
			err = fmt.Errorf("%d connections are at work", n)
		}
		return err
	})
	if err != nil {
		w.judge.add("P7", "%v", err)
	}
}

// restart kills everything and starts it again.
func (w *world) restart() {
	w.t.Helper()
	for _, in := range w.instances {
		in.kill()
	}
	w.db.kill()
	w.must(w.db.start())
	if w.redis != nil {
		w.redis.kill()
		w.must(w.redis.start())
	}
	for _, in := range w.instances {
		w.must(in.start())
	}
}

// mostGoroutines is for an idle instance, with its pools.
const mostGoroutines = 100

// end ends one instance well and asks the other for its goroutines (P7).
func (w *world) end() (goroutines int) {
	w.http.CloseIdleConnections()
	if err := w.instances[0].stop(syscall.SIGTERM, 12*time.Second); err != nil {
		w.judge.add("P7", "A: %v", err)
	}
	if goroutines = w.instances[1].goroutines(); goroutines > mostGoroutines {
		w.judge.add("P7", "B has %d goroutines", goroutines)
	}
	return goroutines
}
