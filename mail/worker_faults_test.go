package mail_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/mail"
	"usher/ushertest"
)

// A panic costs an attempt, not the worker, and shows no secret.
func TestF35_Panics(t *testing.T) {
	for _, where := range []string{"mailer", "mailer with the token", "tokens", "nil"} {
		t.Run(where, func(t *testing.T) {
			s := newSetup(t)
			switch where {
			case "mailer":
				s.config.Mailer = mailerFunc(func(context.Context, mail.Mail) error { panic("oh no") })
			case "mailer with the token":
				s.config.Mailer = mailerFunc(func(_ context.Context, m mail.Mail) error { panic("oh no\n" + m.Text) })
			case "nil":
				s.config.Mailer = mailerFunc(nil)
			case "tokens":
				s.config.Tokens = panicTokens{}
			}
			w := s.worker()
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() { defer close(ended); w.Run(ctx) }()
			s.post(usher.MailVerify, "ann@example.org", nil)
			eventually(t, "the panic is in the outbox", func() bool { return strings.Contains(s.only().LastError, "panic") })
			if m := s.only(); m.Dead || m.Attempts != 1 {
				t.Errorf("%+v", m)
			}
			s.holdsNoSecret(secret)
			cancel()
			<-ended
		})
	}
}

type panicTokens struct{ mail.Tokens }

// A mailer that hangs is given half a lease, also one that does not listen.
func TestF33_HangingMailer(t *testing.T) {
	for name, listens := range map[string]bool{"it listens": true, "it does not": false} {
		t.Run(name, func(t *testing.T) {
			s := newSetup(t)
			s.config.Lease = 400 * time.Millisecond
			resume := make(chan struct{})
			defer close(resume)
			s.config.Mailer = mailerFunc(func(ctx context.Context, _ mail.Mail) error {
				if !listens {
					<-resume
					return nil
				}
				<-ctx.Done()
				return fmt.Errorf("gave up: %w", ctx.Err())
			})
			w := s.worker()
			for range 8 {
				s.post(usher.MailVerify, "ann@example.org", nil)
			}
			begin := time.Now()
			s.deliver(w, 0)
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
			for _, m := range s.waiting() {
				if m.Dead || m.Attempts != 1 || m.LastError == "" {
					t.Errorf("%+v", m)
				}
			}
		})
	}
}

// An outbox that fails is asked again until it works (P8).
func TestP8_OutboxAway(t *testing.T) {
	s := newSetup(t)
	s.outbox.broken("ClaimMessages", errors.New("database is away"))
	w := s.worker()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	s.post(usher.MailVerify, "ann@example.org", nil)
	time.Sleep(200 * time.Millisecond)
	if n := strings.Count(s.log.String(), "database is away"); n != 1 {
		t.Errorf("the outage was logged %d times, want once", n)
	}
	if _, err := w.DeliverDue(t.Context()); err == nil {
		t.Error("DeliverDue: no error")
	}
	s.outbox.broken("", nil)
	eventually(t, "the mail", func() bool { return len(s.sink.Mails()) == 1 })
	cancel()
	<-ended
}

// A store that is away is no reason to forget a mail (P1).
func TestP1_TokensAway(t *testing.T) {
	s := newSetup(t)
	s.tokens.fail = errors.New("database is away")
	w := s.worker()
	s.post(usher.MailVerify, "ann@example.org", nil)
	s.deliver(w, 0)
	if m := s.only(); m.Dead || !strings.Contains(m.LastError, "away") {
		t.Errorf("%+v", m)
	}
	s.tokens.fail = nil
	s.clock.Advance(time.Minute)
	s.deliver(w, 1)
}

// What cannot be delayed comes again when the lease ends.
func TestDelayFails(t *testing.T) {
	s := newSetup(t)
	s.sink.Fail(errors.New("no"))
	s.outbox.broken("DelayMessage", errors.New("database is away"))
	w := s.worker()
	s.post(usher.MailVerify, "ann@example.org", nil)
	if err := s.deliver(w, 0); err == nil || !strings.Contains(err.Error(), "away") {
		t.Errorf("error %v", err)
	}
	s.sink.Fail(nil)
	s.clock.Advance(time.Minute)
	s.deliver(w, 1)
}

// A mail that was sent is worth more than one attempt to forget it.
func TestDeleteFails(t *testing.T) {
	s := newSetup(t)
	s.config.Lease = 4 * time.Second
	s.config.Outbox = &forgetful{Outbox: s.outbox, failures: 2}
	s.post(usher.MailVerify, "ann@example.org", nil)
	s.deliver(s.worker(), 1)
	if strings.Contains(s.log.String(), "sent again") {
		t.Errorf("given up: %s", s.log)
	}
	if len(s.waiting()) != 0 {
		t.Errorf("in the outbox: %+v", s.waiting())
	}
	s.outbox.broken("DeleteMessage", errors.New("database is away"))
	s.post(usher.MailVerify, "ann@example.org", nil)
	s.deliver(s.worker(), 1)
	if !strings.Contains(s.log.String(), "sent again") {
		t.Errorf("the log does not say that the mail comes again: %s", s.log)
	}
}

// forgetful is an outbox whose first deletions fail.
type forgetful struct {
	usher.Outbox
	failures int
}

func (f *forgetful) DeleteMessage(ctx context.Context, id string) error {
	if f.failures--; f.failures >= 0 {
		return errors.New("database is away")
	}
	return f.Outbox.DeleteMessage(ctx, id)
}

// F33 with a real connection: the server hangs, fails and recovers.
func TestF33_WorkerAndSMTP(t *testing.T) {
	s := newSetup(t)
	var mu sync.Mutex
	answer := "hang"
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{Answer: func(line string) string {
		mu.Lock()
		defer mu.Unlock()
		if !strings.HasPrefix(line, "RCPT") || answer == "" {
			return ""
		}
		if answer == "hang" {
			time.Sleep(500 * time.Millisecond)
			return "close"
		}
		return answer
	}})
	set := func(to string) { mu.Lock(); defer mu.Unlock(); answer = to }
	s.config.Mailer = newSMTP(t, server, func(c *mail.SMTPConfig) { c.Timeout = 200 * time.Millisecond })
	w := s.worker()
	id := s.post(usher.MailReset, "ann@example.org", nil)
	s.deliver(w, 0)
	s.clock.Advance(time.Minute)
	set("451 4.2.0 token=reset.7." + secret)
	s.deliver(w, 0)
	if m := s.only(); m.Attempts != 2 || !strings.Contains(m.LastError, "451") {
		t.Errorf("%+v", m)
	}
	s.holdsNoSecret(secret)
	set("")
	s.clock.Advance(time.Hour)
	s.deliver(w, 1)
	mails := server.Mails()
	if len(mails) != 1 || mails[0].To[0] != "<ann@example.org>" {
		t.Fatalf("%+v", mails)
	}
	message := parse(t, mails[0].Data)
	if message.header.Get("Message-Id") != "<"+id+"@example.com>" || !strings.Contains(message.text, "#token=reset.7."+secret) ||
		!strings.Contains(message.html, "#token=reset.7."+secret) {
		t.Errorf("%+v", message)
	}
}

// Workers leave no goroutines behind (P7). Not parallel: it counts them.
func TestP7_Goroutines(t *testing.T) {
	before := runtime.NumGoroutine()
	sink := &ushertest.MailSink{}
	logger := slog.New(slog.DiscardHandler)
	for range 20 {
		box := &outbox{}
		w, err := mail.NewWorker(mail.Config{
			Outbox: box, Tokens: &tokens{}, Mailer: sink, From: "a@example.com", Product: "x", URLs: urls, Poll: time.Millisecond, Logger: logger,
		})
		if err != nil {
			t.Fatal(err)
		}
		m := usher.Message{Kind: usher.MailVerify, Email: "ann@example.org", CreatedAt: time.Now()}
		if err := box.AddMessage(t.Context(), &m); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		w.Run(ctx)
		cancel()
	}
	eventually(t, "the goroutines ended", func() bool { return runtime.NumGoroutine() <= before+2 })
}
