package main

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// readyTimeout is how long a store may take to answer: probes do not wait long.
const readyTimeout = 1500 * time.Millisecond

type health struct {
	Status string   `json:"status"`
	Away   []string `json:"away,omitempty"`
}

// healthz answers 200 for as long as the process runs: a store that is away is
// no reason to restart it.
func (s *server) healthz(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, health{Status: "ok"})
}

// readyz answers 200 if every store that a backend needs can be reached, and
// else 503 with the names of those that cannot.
func (s *server) readyz(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	var database, redis error
	var pings sync.WaitGroup
	pings.Go(func() { database = s.db.Ping(ctx) })
	if s.redis != nil {
		pings.Go(func() { redis = s.redis.Ping(ctx) })
	}
	pings.Wait()

	var away []string
	if database != nil {
		away = append(away, "database")
		s.log.Warn("not ready", "store", "database", "error", database)
	}
	if redis != nil {
		away = append(away, "redis")
		s.log.Warn("not ready", "store", "redis", "error", redis)
	}
	if len(away) > 0 {
		w.Header().Set("Retry-After", "5")
		writeJSON(w, http.StatusServiceUnavailable, health{"unavailable", away})
		return
	}
	writeJSON(w, http.StatusOK, health{Status: "ok"})
}
