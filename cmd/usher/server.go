package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"usher"
	"usher/mail"

	"github.com/rs/cors"
)

// server is the running server as a value: a test can boot one.
type server struct {
	*app
	config Config
	log    *slog.Logger
	mails  *mail.Worker // nil if users get none
}

// openServer checks the configuration and opens the stores.
func openServer(ctx context.Context, c Config, log *slog.Logger) (*server, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	a, err := openApp(ctx, c, log)
	if err != nil {
		return nil, err
	}
	s := &server{app: a, config: c, log: log}
	if c.mails() {
		if s.mails, err = a.newWorker(c, log); err != nil {
			return nil, errors.Join(err, a.close())
		}
		a.outbox.wake = s.mails.Wake
	}
	return s, nil
}

// serve answers requests on ln until ctx ends. It then takes no new ones, lets
// those that run finish, and returns nil if they did in time.
func (s *server) serve(ctx context.Context, ln net.Listener) error {
	var background sync.WaitGroup
	alive, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		stop()
		ended := make(chan struct{})
		go func() { background.Wait(); close(ended) }()
		select {
		case <-ended:
		case <-time.After(s.config.Shutdown):
			s.log.Warn("stopping while a mail is being sent: it will be sent again")
		}
	}()
	background.Go(func() { s.auth.Run(alive) })
	if s.mails != nil {
		background.Go(func() { s.mails.Run(alive) }) // which ends after the requests that may add mails
	}

	httpServer := &http.Server{
		Handler:           s.handler(),
		ReadHeaderTimeout: s.config.Limits.ReadHeaderTimeout,
		ReadTimeout:       s.config.Limits.ReadTimeout,
		WriteTimeout:      s.config.Limits.WriteTimeout,
		IdleTimeout:       s.config.Limits.IdleTimeout,
		MaxHeaderBytes:    s.config.Limits.MaxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	ended := make(chan error, 1)
	go func() { ended <- httpServer.Serve(ln) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	s.log.Info("stopping", "timeout", s.config.Shutdown.String())
	deadline, cancel := context.WithTimeout(alive, s.config.Shutdown)
	defer cancel()
	if err := httpServer.Shutdown(deadline); err != nil {
		return errors.Join(fmt.Errorf("requests were still running after %v", s.config.Shutdown), httpServer.Close())
	}
	return nil
}

// handler returns all routes, and what every request goes through.
func (s *server) handler() http.Handler {
	mux := http.NewServeMux()
	s.auth.Mount(mux)
	if s.oauth != nil {
		s.oauth.Mount(mux)
	}
	mux.HandleFunc("GET /healthz", s.healthz)
	mux.HandleFunc("GET /readyz", s.readyz)
	h := usher.ExactPaths(mux)
	if len(s.config.CORSOrigins) > 0 { // the library takes none for all
		h = cors.New(cors.Options{
			AllowedOrigins:   s.config.CORSOrigins,
			AllowedMethods:   []string{"GET", "HEAD", "POST", "PATCH", "DELETE"},
			AllowedHeaders:   []string{"Authorization", "Content-Type"},
			ExposedHeaders:   []string{"Retry-After", "WWW-Authenticate"},
			AllowCredentials: true,
			MaxAge:           600,
		}).Handler(h)
	}
	if s.config.HSTS {
		h = hsts(h)
	}
	return s.observe(h)
}

// hsts tells browsers to use nothing but HTTPS here from now on (RFC 6797).
func hsts(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=31536000; includeSubDomains")
		next.ServeHTTP(w, r)
	})
}
