package ushertest_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"usher/mail"
	"usher/ushertest"
)

var _ mail.Mailer = (*ushertest.MailSink)(nil)

func letter(to, token string) mail.Mail {
	return mail.Mail{
		From: "no-reply@example.com", To: to, Subject: "Hello", ID: token,
		Text: "Open\n\nhttps://app.example.com/verify#token=" + token + "\n\nand press the button.\n",
	}
}

func TestMailSink(t *testing.T) {
	t.Parallel()
	var sink ushertest.MailSink
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if err := sink.Send(t.Context(), letter("ann@example.org", "one")); err != nil {
				t.Error(err)
			}
			sink.Mails()
		})
	}
	all.Wait()
	if len(sink.Mails()) != 20 || sink.Calls() != 20 {
		t.Errorf("%d mails of %d calls, want 20", len(sink.Mails()), sink.Calls())
	}
	for _, m := range []mail.Mail{letter("ann@example.org", "two"), letter("bob@example.org", "three")} {
		if err := sink.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if a, b, none := sink.Token("ann@example.org"), sink.Token("bob@example.org"), sink.Token("eve@example.org"); a != "two" || b != "three" || none != "" {
		t.Errorf("tokens %q, %q and %q", a, b, none)
	}

	sink.Fail(errors.New("full"))
	if err := sink.Send(t.Context(), letter("ann@example.org", "four")); err == nil || err.Error() != "full" {
		t.Errorf("error %v", err)
	}
	sink.Fail(nil)

	resume := sink.Hang()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := sink.Send(ctx, letter("ann@example.org", "five")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want the context's", err)
	}
	sent := make(chan error)
	go func() { sent <- sink.Send(t.Context(), letter("ann@example.org", "six")) }()
	select {
	case <-sent:
		t.Error("it does not hang")
	case <-time.After(20 * time.Millisecond):
	}
	resume()
	resume()
	if err := <-sent; err != nil || sink.Token("ann@example.org") != "six" {
		t.Errorf("error %v, token %q", err, sink.Token("ann@example.org"))
	}
	if len(sink.Mails()) != 23 {
		t.Errorf("%d mails, want 23", len(sink.Mails()))
	}
}

func TestSMTPServer(t *testing.T) {
	t.Parallel()
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{User: "app", Password: "hunter22"})
	smtp, err := mail.NewSMTP(mail.SMTPConfig{
		Host: server.Host, Port: server.Port, RootCAs: server.RootCAs, User: "app", Password: "hunter22",
	})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := smtp.Send(t.Context(), letter("ann@example.org", "one")); err != nil {
			t.Fatal(err)
		}
	}
	mails := server.Mails()
	if len(mails) != 2 || mails[0].To[0] != "<ann@example.org>" || !mails[0].TLS || mails[0].User != "app" || len(mails[1].To) != 1 {
		t.Errorf("%+v", mails)
	}
}
