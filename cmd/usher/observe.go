package main

import (
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"
)

// observe logs every request, without its query string, headers and body, and
// turns a panic into a 500. It does so outside of everything else, so that
// nothing escapes it.
func (s *server) observe(next http.Handler) http.Handler {
	clientIP := s.config.clientIP()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		rec := &recorder{ResponseWriter: w}
		method, path := r.Method, r.URL.Path // inner handlers may change r
		defer func() {
			panicked := recover()
			if panicked != nil && panicked != http.ErrAbortHandler {
				s.log.Error("panic", "method", method, "path", path, "panic", panicked, "stack", string(debug.Stack()))
				if rec.status == 0 {
					writeJSON(rec, http.StatusInternalServerError, detail("Internal Server Error"))
					panicked = nil
				}
			}
			if rec.status == 0 && panicked == nil {
				rec.status = http.StatusOK // net/http answers so for a handler that says nothing
			}
			level := slog.LevelInfo
			if path == "/healthz" || path == "/readyz" {
				level = slog.LevelDebug // probes come every few seconds
			}
			s.log.Log(r.Context(), level, "request", "method", method, "path", path, "status", rec.status,
				"duration", time.Since(start), "bytes", rec.bytes, "ip", clientIP(r))
			if panicked != nil {
				panic(http.ErrAbortHandler) // half an answer must not look like a whole one
			}
		}()
		next.ServeHTTP(rec, r)
	})
}

// recorder remembers what was answered.
type recorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (r *recorder) WriteHeader(status int) {
	if r.status < 200 { // before it may come 1xx
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status < 200 {
		r.status = http.StatusOK
	}
	n, err := r.ResponseWriter.Write(b)
	r.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }
