package mail_test

import (
	"context"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"usher/mail"
	"usher/ushertest"
)

// hello is a mail that every mailer takes.
func hello() mail.Mail {
	return mail.Mail{
		From: "Example <no-reply@example.com>", To: "ann@example.org", Subject: "Grüße",
		Text: "Hello,\n.\nhttps://app.example.com/verify#token=" + secret + "\n", HTML: "<p>Hello</p>\n", ID: "0197-abc",
	}
}

func newSMTP(t *testing.T, server *ushertest.SMTPServer, change func(*mail.SMTPConfig)) *mail.SMTP {
	t.Helper()
	config := mail.SMTPConfig{Host: server.Host, Port: server.Port, RootCAs: server.RootCAs, Timeout: 10 * time.Second}
	if change != nil {
		change(&config)
	}
	smtp, err := mail.NewSMTP(config)
	if err != nil {
		t.Fatal(err)
	}
	return smtp
}

func TestSMTPHandsAMailIn(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]ushertest.SMTPOptions{
		"STARTTLS":     {User: "app", Password: "pass word"},
		"implicit TLS": {User: "app", Password: "pass word", ImplicitTLS: true},
		"plaintext":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ushertest.NewSMTPServer(t, o)
			smtp := newSMTP(t, server, func(c *mail.SMTPConfig) {
				c.User, c.Password = o.User, o.Password
				switch name {
				case "implicit TLS":
					c.TLS = mail.ImplicitTLS
				case "plaintext":
					c.TLS = mail.InsecurePlaintext
				}
			})
			if err := smtp.Send(t.Context(), hello()); err != nil {
				t.Fatal(err)
			}
			mails := server.Mails()
			if len(mails) != 1 {
				t.Fatalf("the server has %d mails, want 1", len(mails))
			}
			got := mails[0]
			if got.TLS != (name != "plaintext") || got.User != o.User {
				t.Errorf("TLS %v, user %q", got.TLS, got.User)
			}
			if !strings.HasPrefix(got.From, "<no-reply@example.com>") || strings.Contains(got.From, "SMTPUTF8") {
				t.Errorf("MAIL FROM:%s", got.From)
			}
			if want := []string{"<ann@example.org>"}; !slices.Equal(got.To, want) {
				t.Errorf("RCPT TO %q, want %q", got.To, want)
			}
			message := parse(t, got.Data)
			want := hello()
			if message.subject != want.Subject || message.text != want.Text || message.html != want.HTML {
				t.Errorf("got %+v, want %+v", message, want)
			}
			for header, value := range map[string]string{
				"Message-Id": "<0197-abc@example.com>", "Auto-Submitted": "auto-generated",
				"From": `"Example" <no-reply@example.com>`, "To": "<ann@example.org>",
			} {
				if message.header.Get(header) != value {
					t.Errorf("%s: %s, want %s", header, message.header.Get(header), value)
				}
			}
			eventually(t, "the connection is closed", func() bool { return server.Connections() == 0 })
		})
	}
}

func TestSMTPConfig(t *testing.T) {
	t.Parallel()
	_, err := mail.NewSMTP(mail.SMTPConfig{Host: "a/b", Port: 70000, User: "app", TLS: "", Timeout: -1})
	for _, fault := range []string{"host", "no port is 70000", "needs a password", "Timeout"} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("error %v does not say %q", err, fault)
		}
	}
	for name, c := range map[string]mail.SMTPConfig{
		"no host":               {},
		"unknown TLS mode":      {Host: "localhost", TLS: "opportunistic"},
		"password in plaintext": {Host: "localhost", TLS: mail.InsecurePlaintext, User: "a", Password: "b"},
		"injection":             {Host: "a\r\nb"},
		"host with port":        {Host: "mail.example.com:25"},
	} {
		if _, err := mail.NewSMTP(c); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	for _, c := range []mail.SMTPConfig{{Host: "localhost"}, {Host: "::1", Port: 465}, {Host: "mail.example.com", TLS: mail.ImplicitTLS}} {
		if _, err := mail.NewSMTP(c); err != nil {
			t.Error(err)
		}
	}
}

// The connection is protected as configured or not used.
func TestSMTPWithoutTheTLSAskedFor(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		options ushertest.SMTPOptions
		change  func(*mail.SMTPConfig)
	}{
		"no STARTTLS":               {ushertest.SMTPOptions{NoStartTLS: true, User: "app", Password: "hunter22"}, nil},
		"unknown authority":         {ushertest.SMTPOptions{}, func(c *mail.SMTPConfig) { c.RootCAs = x509.NewCertPool() }},
		"unknown authority, 465":    {ushertest.SMTPOptions{ImplicitTLS: true}, func(c *mail.SMTPConfig) { c.RootCAs, c.TLS = x509.NewCertPool(), mail.ImplicitTLS }},
		"another name":              {ushertest.SMTPOptions{}, func(c *mail.SMTPConfig) { c.Host = "localhost" }},
		"plaintext where TLS is":    {ushertest.SMTPOptions{ImplicitTLS: true}, func(c *mail.SMTPConfig) { c.TLS, c.Timeout = mail.InsecurePlaintext, 300*time.Millisecond }},
		"TLS where plaintext is":    {ushertest.SMTPOptions{}, func(c *mail.SMTPConfig) { c.TLS = mail.ImplicitTLS }},
		"STARTTLS and then nothing": {ushertest.SMTPOptions{Answer: answerTo("STARTTLS", "454 4.7.0 not now")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := ushertest.NewSMTPServer(t, test.options)
			smtp := newSMTP(t, server, func(c *mail.SMTPConfig) {
				c.User, c.Password = test.options.User, test.options.Password
				if test.change != nil {
					test.change(c)
				}
			})
			if err := smtp.Send(t.Context(), hello()); err == nil {
				t.Error("no error")
			}
			for _, line := range server.Lines() {
				if strings.HasPrefix(line, "AUTH") || strings.HasPrefix(line, "MAIL") {
					t.Errorf("the client said %q", line)
				}
			}
			eventually(t, "the connection is closed", func() bool { return server.Connections() == 0 })
		})
	}
}

// answerTo answers commands that begin with prefix.
func answerTo(prefix, answer string) func(string) string {
	return func(line string) string {
		if strings.HasPrefix(line, prefix) {
			return answer
		}
		return ""
	}
}

func TestSMTPNeverShowsThePassword(t *testing.T) {
	t.Parallel()
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{User: "app", Password: "the right one"})
	smtp := newSMTP(t, server, func(c *mail.SMTPConfig) { c.User, c.Password = "app", "the wrong one" })
	err := smtp.Send(t.Context(), hello())
	if err == nil || !strings.Contains(err.Error(), "535") {
		t.Fatalf("error %v, want what the server said", err)
	}
	for _, secret := range []string{
		"the wrong one", base64.StdEncoding.EncodeToString([]byte("the wrong one")),
		base64.StdEncoding.EncodeToString([]byte("\x00app\x00the wrong one")),
	} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds the password: %v", err)
		}
	}
}

// What the server took is sent, whatever happens afterwards: an error would send
// it again.
func TestSMTPTakenIsSent(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]string{"error": "421 4.3.0 no", "closed": "close"} {
		server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{Answer: answerTo("QUIT", answer)})
		if err := newSMTP(t, server, nil).Send(t.Context(), hello()); err != nil || len(server.Mails()) != 1 {
			t.Errorf("%s: %d mails, error %v", name, len(server.Mails()), err)
		}
	}
}

func TestF33_SMTPFaults(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		command, answer string
		rejected        bool
	}{
		{"EHLO", "close", false},
		{"MAIL", "451 4.3.0 later", false},
		{"MAIL", "552 5.2.2 full", false},
		{"RCPT", "450 4.2.1 later", false},
		{"RCPT", "550 5.7.1 relaying denied", false}, // the operator can mend it
		{"RCPT", "550 5.1.1 no such user", true},
		{"RCPT", "close", false},
		{"DATA", "554 5.5.1 no", false},
		{"DATA", "close", false},
		{".", "554 5.7.1 spam", false},
		{".", "close", false},
		{"MAIL", "garbage", false},
		{"RCPT", "5", false},
	} {
		t.Run(test.command+" "+test.answer, func(t *testing.T) {
			t.Parallel()
			server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{Answer: answerTo(test.command, test.answer)})
			err := newSMTP(t, server, nil).Send(t.Context(), hello())
			if err == nil || errors.Is(err, mail.ErrRejected) != test.rejected {
				t.Errorf("error %v, rejected %v", err, test.rejected)
			}
			if n := len(server.Mails()); n != 0 {
				t.Errorf("the server took %d mails", n)
			}
			eventually(t, "the connection is closed", func() bool { return server.Connections() == 0 })
		})
	}
}

// A server that says nothing costs a bounded time, at any point.
func TestF33_SMTPHangs(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"EHLO", "STARTTLS", "AUTH", "MAIL", "RCPT", "DATA", "."} {
		for name, timeout := range map[string]time.Duration{"its time": 100 * time.Millisecond, "the caller's": time.Minute} {
			t.Run(command+" "+name, func(t *testing.T) {
				t.Parallel()
				resume := make(chan struct{})
				server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{
					User: "app", Password: "hunter22",
					Answer: func(line string) string {
						if strings.HasPrefix(line, command) {
							<-resume
						}
						return ""
					},
				})
				defer close(resume)
				smtp := newSMTP(t, server, func(c *mail.SMTPConfig) { c.Timeout, c.User, c.Password = timeout, "app", "hunter22" })
				ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
				defer cancel()
				if name == "its time" {
					ctx = t.Context()
				}
				begin := time.Now()
				err := smtp.Send(ctx, hello())
				if err == nil || time.Since(begin) > 10*time.Second {
					t.Errorf("error %v after %v", err, time.Since(begin))
				}
				if name == "the caller's" && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("error %v, want the context's", err)
				}
			})
		}
	}
}

func TestSMTPNoServer(t *testing.T) {
	t.Parallel()
	smtp, err := mail.NewSMTP(mail.SMTPConfig{Host: "127.0.0.1", Port: 1, Timeout: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := smtp.Send(t.Context(), hello()); err == nil {
		t.Error("no error")
	}
}
