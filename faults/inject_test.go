//go:build linux

package faults_test

import (
	"context"
	"database/sql"
	"errors"
	"net/http"
	"time"
)

// readyAgain is how soon usher serves after it was killed.
const readyAgain = 2 * time.Second

// killUsher kills one instance after the other, at any moment.
func (w *world) killUsher() int {
	for n := range w.bench.kills {
		in := w.instances[n%2]
		w.pause(w.bench.during() / time.Duration(w.bench.kills))
		in.kill()
		down := time.Now()
		w.must(in.start())
		took := time.Since(down)
		w.recovered("usher is ready", took, nil)
		if w.bench.later > 0 && took > readyAgain { // in the short run the machine may be busy with other tests
			w.judge.add("P8", "usher is ready %v after it was started again, %v wanted", took, readyAgain)
		}
	}
	return w.bench.kills
}

func (w *world) killDatabase() int { return w.killServer(w.db.server) }
func (w *world) killRedis() int    { return w.killServer(w.redis) }

// killServer kills a server and leaves it away for a while.
func (w *world) killServer(s *server) int {
	kills := max(1, w.bench.kills/4)
	for range kills {
		s.kill()
		w.pause(w.bench.during() / time.Duration(2*kills))
		w.must(s.start())
		w.pause(w.bench.during() / time.Duration(2*kills))
	}
	return kills
}

// killPrimary kills the primary for good: another has to take its place, for
// which the others need some seconds. It comes back as a replica.
func (w *world) killPrimary() int {
	w.primary.kill()
	time.Sleep(w.bench.during())
	w.recover()
	w.must(w.primary.start())
	time.Sleep(time.Second)
	return 1
}

func toDatabase(w *world) *proxy { return w.dbProxy }
func toRedis(w *world) *proxy    { return w.redisWay }

func slow() []weather {
	return []weather{{latency: 50 * time.Millisecond}, {latency: 500 * time.Millisecond}, {latency: 3 * time.Second}}
}

// weathers makes the way to a store as bad as each of these, one after the other.
func weathers(way func(*world) *proxy, bad ...weather) func(*world) int {
	return func(w *world) int {
		for _, x := range bad {
			way(w).set(x)
			// Long enough for requests to run into their limits.
			time.Sleep(max(w.bench.during()/time.Duration(len(bad)), x.latency+x.jitter+time.Second))
			if x.hole {
				time.Sleep(w.limit)
			}
		}
		way(w).set(weather{})
		return len(bad)
	}
}

// resets breaks all connections again and again, and counts them.
func resets(way func(*world) *proxy) func(*world) int {
	return func(w *world) (n int) {
		for end := time.Now().Add(w.bench.during()); time.Now().Before(end); {
			n += way(w).reset()
			w.pause(100 * time.Millisecond)
		}
		return n
	}
}

// goAway lets three of ten clients go away before they are answered.
func (w *world) goAway() int {
	before := w.unanswered.Load()
	w.faulty.Store(false) // for all who stay it is as ever
	w.aborts.Store(30)
	time.Sleep(w.bench.during())
	w.aborts.Store(0)
	return int(w.unanswered.Load() - before)
}

// exhaust takes the connections of the database away, first all but two and then
// all: usher is alive, but not ready.
func (w *world) exhaust() int {
	db, err := w.db.open()
	w.must(err)
	defer db.Close()
	var held []*sql.Conn
	for _, n := range []int{8, 10} {
		w.must(eventually(10*time.Second, func() error {
			if len(held) > 0 {
				// Whom it throws out comes again: who is faster has the connection.
				_, _ = held[0].ExecContext(context.Background(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'usher'")
			}
			for len(held) < n {
				conn, err := db.Conn(context.Background())
				if err != nil {
					return err
				}
				held = append(held, conn)
			}
			return nil
		}))
		time.Sleep(w.bench.during() / 2)
	}
	for _, in := range w.instances {
		err := errors.Join(in.answers("/healthz", http.StatusOK), in.answers("/readyz", http.StatusServiceUnavailable))
		if err != nil {
			w.judge.add("P6", "without connections: %v", err)
		}
	}
	for _, conn := range held {
		_ = conn.Close()
	}
	return len(held)
}
