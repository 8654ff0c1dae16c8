package main

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/url"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"usher/sqlstore"
)

type serveCommand struct{}

// Run serves until SIGINT or SIGTERM. A second signal ends the process at once.
func (serveCommand) Run(settings Settings) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	signal.Ignore(syscall.SIGPIPE) // whoever reads the log may go away

	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	ln, err := net.Listen("tcp", config.Addr) // first: it fails without a trace
	if err != nil {
		return err
	}
	defer ln.Close()
	s, err := openServer(ctx, config, config.Log.logger(os.Stderr))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.introduce(ln.Addr())
	return s.serve(ctx, ln)
}

// introduce logs what an operator wants to know about a server that starts.
func (s *server) introduce(addr net.Addr) {
	s.log.Info("starting", "version", version().Version, "pid", os.Getpid())
	kind, _, _ := parseDatabase(s.config.Database)
	s.log.Info("database", string(kind), shownDatabase(s.config.Database))
	if s.redis != nil {
		s.log.Info("redis", "url", withoutPassword(s.config.Redis))
		s.warnOfRedis()
	}
	switch {
	case s.config.Secret != "":
		s.log.Info("secret", "from", "USHER_SECRET")
	default:
		s.log.Info("secret", "file", absolute(s.config.SecretFile), "created", s.secretCreated)
		if s.secretCreated && kind != sqlstore.SQLite {
			s.log.Warn("a secret was made: every other process on this database needs the same, as a file or in USHER_SECRET")
		}
	}
	for _, b := range s.config.Backends {
		route := "POST /auth/" + b.Name
		s.log.Info("backend", "name", b.Name, "transport", b.Transport, "strategy", b.Strategy,
			slog.String("login", route+"/login"), slog.String("logout", route+"/logout"))
	}
	for _, p := range s.config.OAuth.Providers {
		s.log.Info("provider", "name", p.name(), "type", p.Type, "authorize", "GET /auth/"+p.name()+"/authorize",
			"callback", s.config.OAuth.BaseURL+"/auth/"+p.name()+"/callback")
	}
	switch m := s.config.Mail; m.Mailer {
	case "smtp":
		s.log.Info("mail", "smtp", m.SMTP.Host)
	case "folder":
		s.log.Warn("mail is not sent, but written to files: for development", "folder", absolute(m.Folder))
	}
	s.log.Info("listening", "url", "http://"+addr.String())
}

func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

func withoutPassword(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}
