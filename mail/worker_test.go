package mail_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"usher"
	"usher/mail"
)

func TestNewWorkerNamesEveryFault(t *testing.T) {
	t.Parallel()
	_, err := mail.NewWorker(mail.Config{
		Lease: -1, VerifyLifetime: -1, Templates: files("en/verify.txt", "x"),
		URLs: mail.URLs{Verify: "x", Account: "y"},
	})
	for _, fault := range []string{
		"Outbox is nil", "Tokens is nil", "Mailer is nil", "sender", "Product", "Lease", "VerifyLifetime", "en/verify.txt:1",
		"URLs.Verify", "URLs.Reset", "URLs.Email", "URLs.Account",
	} {
		if err == nil || !strings.Contains(err.Error(), fault) {
			t.Errorf("the error does not say %q: %v", fault, err)
		}
	}
}

// Each kind is mailed to the address in the outbox, once, and then forgotten.
func TestS_B11_B13_K64_EveryKindIsMailedToTheStoredAddress(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	want := map[string]usher.MessageKind{}
	for i, kind := range mail.Kinds() {
		to := fmt.Sprintf("Ann%d@example.org", i)
		want[to] = kind
		s.post(kind, to, map[string]string{"email": "eve@evil.example", "new_email": "eve@evil.example", "to": "eve@evil.example"})
	}
	s.deliver(w, len(want))
	s.deliver(w, 0)
	for _, m := range s.sink.Mails() {
		kind, ok := want[m.To]
		if !ok {
			t.Errorf("a mail to %s", m.To)
			continue
		}
		delete(want, m.To)
		shown, err := s.config.Preview(kind, "en")
		if err != nil || m.Subject != shown.Subject || m.ID == "" || m.From != s.config.From {
			t.Errorf("%s: got %+v, error %v", kind, m, err)
		}
	}
	if len(want) != 0 || len(s.waiting()) != 0 {
		t.Errorf("not mailed: %v; in the outbox: %v", want, s.waiting())
	}
}

// A mail that is for nobody, or not due any more, is forgotten.
func TestS_B2_NothingToSend(t *testing.T) {
	s := newSetup(t)
	s.tokens.fail = fmt.Errorf("wrapped: %w", usher.ErrNotFound)
	w := s.worker()
	s.post(usher.MailNone, "", nil)
	for _, kind := range []usher.MessageKind{usher.MailVerify, usher.MailReset, usher.MailConfirmEmail} {
		s.post(kind, "ann@example.org", nil)
	}
	if err := s.deliver(w, 0); err != nil {
		t.Error(err)
	}
	if len(s.waiting()) != 0 || s.sink.Calls() != 0 {
		t.Errorf("%d messages wait, %d calls", len(s.waiting()), s.sink.Calls())
	}
}

// The secrets of links are made at delivery and are nowhere but in the mail.
func TestS_E18_NoTokenInLogsOrTheOutbox(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	s.post(usher.MailVerify, "ann@example.org", nil)
	s.deliver(w, 1)
	s.sink.Fail(fmt.Errorf("554 5.7.1 spam: https://app.example.com/reset#token=reset.7.%s and %s\r\n250 also =?x?= %s",
		secret, secret[3:], strings.Repeat("long ", 1000)))
	s.post(usher.MailReset, "ann@example.org", nil)
	s.deliver(w, 0)
	m := s.only()
	if !strings.Contains(m.LastError, "554 5.7.1 spam") || strings.ContainsAny(m.LastError, "\r\n") || len(m.LastError) > 600 {
		t.Errorf("LastError %q", m.LastError)
	}
	s.holdsNoSecret(secret, secret[3:])
	if !strings.Contains(s.log.String(), m.ID) {
		t.Errorf("the log lacks the message: %s", s.log)
	}
}

// Attempts come further and further apart, not at the same time for all, and end.
func TestBackOffAndDeadLetter(t *testing.T) {
	s := newSetup(t)
	s.config.MaxAge = 48 * time.Hour
	s.sink.Fail(fmt.Errorf("451 4.3.0 later"))
	w := s.worker()
	s.post(usher.MailPasswordChanged, "ann@example.org", nil)
	nominal := 15 * time.Second
	for attempt := 1; attempt <= 10; attempt++ {
		if err := s.deliver(w, 0); err == nil || !strings.Contains(err.Error(), "later") {
			t.Errorf("attempt %d: error %v", attempt, err)
		}
		m := s.only()
		if m.Attempts != attempt || m.Dead != (attempt == 10) || !strings.Contains(m.LastError, "451") {
			t.Fatalf("after attempt %d: %+v", attempt, m)
		}
		wait := m.DueAt.Sub(s.clock.Now())
		if wait < nominal*3/4 || wait > nominal*5/4 {
			t.Errorf("after attempt %d the next is in %v, want about %v", attempt, wait, nominal)
		}
		s.clock.Advance(wait - time.Second)
		s.deliver(w, 0)
		if s.sink.Calls() != attempt {
			t.Fatalf("%d calls, want %d: it was tried before its time", s.sink.Calls(), attempt)
		}
		s.clock.Advance(time.Second)
		nominal = min(3*nominal, 4*time.Hour)
	}
	if total := s.clock.Now().Sub(start); total < 9*time.Hour || total > 24*time.Hour {
		t.Errorf("given up after %v", total)
	}
	s.sink.Fail(nil)
	s.clock.Advance(100 * time.Hour)
	s.deliver(w, 0)
	if m := s.only(); !m.Dead || s.sink.Calls() != 10 {
		t.Errorf("a dead message was tried again: %+v", m)
	}
}

func TestJitter(t *testing.T) {
	s := newSetup(t)
	s.sink.Fail(fmt.Errorf("no"))
	for range 20 {
		s.post(usher.MailPasswordChanged, "ann@example.org", nil)
	}
	s.deliver(s.worker(), 0)
	due := map[time.Time]bool{}
	for _, m := range s.waiting() {
		due[m.DueAt] = true
	}
	if len(due) < 15 {
		t.Errorf("20 messages that failed together come back at %d times", len(due))
	}
}

func TestRejectedIsNotTriedAgain(t *testing.T) {
	s := newSetup(t)
	s.sink.Fail(fmt.Errorf("%w: 550 5.1.1 no such user", mail.ErrRejected))
	s.post(usher.MailPasswordChanged, "ann@example.org", nil)
	s.deliver(s.worker(), 0)
	if m := s.only(); !m.Dead || m.Attempts != 1 || !strings.Contains(m.LastError, "5.1.1") {
		t.Errorf("%+v", m)
	}
}

func TestAddressThatIsNone(t *testing.T) {
	s := newSetup(t)
	s.post(usher.MailPasswordChanged, "ann@example.org,eve@evil.example", nil)
	s.deliver(s.worker(), 0)
	if m := s.only(); !m.Dead || s.sink.Calls() != 0 {
		t.Errorf("%+v, %d calls", m, s.sink.Calls())
	}
}

func TestTooOld(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	s.post(usher.MailVerify, "ann@example.org", nil)
	s.sink.Fail(fmt.Errorf("451 later"))
	s.deliver(w, 0)
	s.sink.Fail(nil)
	s.clock.Advance(24*time.Hour + time.Second)
	s.deliver(w, 0)
	if m := s.only(); !m.Dead || !strings.Contains(m.LastError, "too old") || !strings.Contains(m.LastError, "451") || s.sink.Calls() != 1 {
		t.Errorf("%+v, %d calls", m, s.sink.Calls())
	}
}

// A message that ends its workers is given up, too.
func TestMessageThatKills(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	s.post(usher.MailVerify, "ann@example.org", nil)
	for range 10 { // claimed by workers that then died
		if claimed, err := s.outbox.ClaimMessages(t.Context(), s.clock.Now(), time.Second, 1); err != nil || len(claimed) != 1 {
			t.Fatal(claimed, err)
		}
		s.clock.Advance(time.Second)
	}
	s.deliver(w, 0)
	if m := s.only(); !m.Dead || s.sink.Calls() != 0 {
		t.Errorf("%+v, %d calls", m, s.sink.Calls())
	}
}

// Another attempt has another token and the same ID, so that a mailbox knows it.
func TestStableID(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	id := s.post(usher.MailVerify, "ann@example.org", nil)
	s.sink.Fail(fmt.Errorf("no"))
	s.deliver(w, 0)
	s.sink.Fail(nil)
	s.clock.Advance(time.Hour)
	s.deliver(w, 1)
	if mails := s.sink.Mails(); len(mails) != 1 || mails[0].ID != id || len(s.tokens.made) != 2 {
		t.Errorf("%+v, %d tokens", mails, len(s.tokens.made))
	}
}

func TestRunDeliversAndWakes(t *testing.T) {
	s := newSetup(t)
	s.config.Poll = time.Hour
	w := s.worker()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	for i := range 20 {
		s.post(usher.MailVerify, "ann@example.org", nil)
		w.Wake()
		eventually(t, "the mail", func() bool { return len(s.sink.Mails()) == i+1 })
	}
	for range 1000 {
		w.Wake() // never blocks
	}
	cancel()
	<-ended
}

func TestRunPolls(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	s.post(usher.MailVerify, "ann@example.org", nil) // nobody calls Wake
	eventually(t, "the mail", func() bool { return len(s.sink.Mails()) == 1 })
	cancel()
	<-ended
}

// Told to stop, a worker finishes what it is sending and begins nothing.
func TestF02_RunFinishesTheOneInFlight(t *testing.T) {
	s := newSetup(t)
	s.config.Lease = time.Minute
	w := s.worker()
	resume := s.sink.Hang()
	for range 10 {
		s.post(usher.MailVerify, "ann@example.org", nil)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); w.Run(ctx) }()
	eventually(t, "the first are being sent", func() bool { return s.sink.Calls() == 4 })
	time.Sleep(50 * time.Millisecond)
	if n := s.sink.Calls(); n != 4 {
		t.Errorf("%d mails at once, want 4", n)
	}
	cancel()
	select {
	case <-ended:
		t.Fatal("Run returned while mails were being sent")
	case <-time.After(50 * time.Millisecond):
	}
	resume()
	<-ended
	if sent, waiting := len(s.sink.Mails()), len(s.waiting()); sent != 4 || waiting != 6 {
		t.Errorf("%d sent and %d waiting, want 4 and 6", sent, waiting)
	}
	for _, m := range s.waiting() {
		if m.Attempts != 0 {
			t.Errorf("claimed and not sent: %+v", m)
		}
	}
}

// One mail that hangs does not hold up the others.
func TestF33_OneHangsOthersGoOn(t *testing.T) {
	s := newSetup(t)
	s.config.Lease, s.config.Poll = time.Minute, time.Hour
	s.config.Mailer = mailerFunc(func(ctx context.Context, m mail.Mail) error {
		if m.To == "slow@example.org" {
			<-ctx.Done()
			return ctx.Err()
		}
		return s.sink.Send(ctx, m)
	})
	w := s.worker()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go w.Run(ctx)
	s.post(usher.MailVerify, "slow@example.org", nil)
	for i := range 10 {
		s.post(usher.MailVerify, "ann@example.org", nil)
		w.Wake()
		eventually(t, "the mail", func() bool { return len(s.sink.Mails()) == i+1 })
	}
}

type mailerFunc func(context.Context, mail.Mail) error

func (f mailerFunc) Send(ctx context.Context, m mail.Mail) error { return f(ctx, m) }
