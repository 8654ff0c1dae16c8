// Parity is a program built with usher that offers what the recordings of
// FastAPI Users were made against: six backends, the routes of all routers, and
// hooks for tests. It is no example: the secrets are public and the hooks let
// anybody change any user.
//
//	PARITY_ADDR      where to listen, such as 127.0.0.1:9000
//	PARITY_DATABASE  path of a SQLite file
//	PARITY_REDIS     redis://host:port
//	PARITY_PROVIDER  base URL of the OAuth provider stub
package main

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		slog.Error("parity", "error", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	app, err := newApp(ctx, settings{
		database: os.Getenv("PARITY_DATABASE"),
		redis:    os.Getenv("PARITY_REDIS"),
		provider: os.Getenv("PARITY_PROVIDER"),
	})
	if err != nil {
		return err
	}
	defer app.close()
	handler, err := app.handler()
	if err != nil {
		return err
	}
	server := &http.Server{Addr: os.Getenv("PARITY_ADDR"), Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		grace, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = server.Shutdown(grace)
	}()
	slog.Info("parity: listening", "addr", server.Addr)
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
