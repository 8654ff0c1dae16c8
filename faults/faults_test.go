//go:build linux

package faults_test

import (
	"sync"
	"testing"
	"time"
)

// atOnce is how many faults are in work at a time, on however few processors:
// each waits more than it works.
const atOnce = 4

// TestFaults runs every fault.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	b := newBench(t)
	queue := make(chan fault)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for f := range queue {
				t.Run(f.name, func(t *testing.T) {
					w := newWorld(t, b, f.setting)
					b.report(w, f.run(w))
				})
			}
		})
	}
	for _, f := range faults() {
		queue <- f
	}
	close(queue)
	workers.Wait()
	t.Logf("\n%s", b.table())
	b.complete(t)
}

// fault is one of the plan.
type fault struct {
	name    string
	setting setting
	run     func(*world) row
}

func faults() []fault {
	durable := []string{"--appendonly", "yes", "--appendfsync", "always"}
	everysec := []string{"--appendonly", "yes", "--appendfsync", "everysec"}
	nothing := []string{"--appendonly", "no"}
	postgres, mariaDB := setting{redis: durable}, setting{redis: durable, mariaDB: true}
	exhausted := setting{pool: 4, postgres: []string{"max_connections=10", "superuser_reserved_connections=0"}}
	return []fault{
		{"F01 usher killed", postgres, outage((*world).killUsher)},
		{"F01 usher killed, MariaDB", mariaDB, outage((*world).killUsher)},
		{"F04 PostgreSQL killed", postgres, outage((*world).killDatabase)},
		{"F05 MariaDB killed", mariaDB, outage((*world).killDatabase)},
		{"F07 Redis killed, AOF always", postgres, outage((*world).killRedis)},
		{"F07 Redis killed, AOF everysec", setting{redis: everysec, keeps: mayUndo}, outage((*world).killRedis)},
		{"F07 Redis killed, keeps nothing", setting{redis: nothing, keeps: mayLose}, outage((*world).killRedis)},
		{"F09 Sentinel failover", setting{redisURL: sentinels, keeps: mayUndo}, outage((*world).killPrimary)},
		{"F11 Cluster primary killed", setting{redisURL: cluster, keeps: mayUndo}, outage((*world).killPrimary)},
		{"F13 PostgreSQL black hole", postgres, outage(weathers(toDatabase, weather{hole: true}))},
		{"F13 MariaDB black hole", mariaDB, outage(weathers(toDatabase, weather{hole: true}))},
		{"F13 Redis black hole", postgres, outage(weathers(toRedis, weather{hole: true}))},
		{"F14 PostgreSQL resets", postgres, outage(resets(toDatabase))},
		{"F14 MariaDB resets", mariaDB, outage(resets(toDatabase))},
		{"F14 Redis resets", postgres, outage(resets(toRedis))},
		{"F15 PostgreSQL slow", postgres, run(weathers(toDatabase, slow()...))},
		{"F15 MariaDB slow", mariaDB, run(weathers(toDatabase, slow()...))},
		{"F16 Redis slow and sliced", postgres, over(20_000, run(weathers(toRedis, weather{slice: true}, weather{latency: 1500 * time.Millisecond, jitter: time.Second, slice: true})))},
		{"F17 clients go away", postgres, run((*world).goAway)},
		{"F17 clients go away, MariaDB", mariaDB, run((*world).goAway)},
		{"F18 connections exhausted", exhausted, outage((*world).exhaust)},
		{"F28 one address", postgres, race((*world).oneAddress)},
		{"F28 one address, MariaDB", mariaDB, race((*world).oneAddress)},
		{"F29 one-time tokens", postgres, race((*world).oneTime)},
		{"F29 one-time tokens, MariaDB", mariaDB, race((*world).oneTime)},
		{"F30 logout amid requests", postgres, race((*world).logoutAmid)},
		{"F30 logout amid requests, MariaDB", mariaDB, race((*world).logoutAmid)},
	}
}

// run is a fault under load.
func run(inject func(*world) int) func(*world) row {
	return func(w *world) row { return w.fail(func() int { return inject(w) }) }
}

// outage is a fault that takes away what requests need: one that nobody feels has
// not struck.
func outage(inject func(*world) int) func(*world) row {
	return func(w *world) row {
		r := run(inject)(w)
		if r.unavailable+r.unanswered == 0 {
			r.struck = 0
		}
		return r
	}
}

// over is a fault that shows something only over many answers: that many in a
// minute of it.
func over(answers float64, run func(*world) row) func(*world) row {
	return func(w *world) row {
		r := run(w)
		if float64(r.answered()) < answers*w.bench.later.Minutes() {
			w.t.Errorf("%d answers show too little, want %.0f in a minute", r.answered(), answers)
		}
		return r
	}
}

// race is a fault that the clients make themselves.
func race(run func(*world) row) func(*world) row {
	return func(w *world) row {
		r := run(w)
		for _, in := range w.instances {
			r.most = r.most.most(look(in.pid()))
		}
		w.bounded(r.most)
		r.goroutines = w.end()
		return r
	}
}

func sentinels(w *world) (url string) {
	w.primary, url = w.startSentinels()
	return url
}

func cluster(w *world) (url string) {
	w.primary, url = w.startCluster()
	return url
}
