package ushertest

import (
	"context"
	"slices"
	"strings"
	"sync"

	"usher/mail"
)

// MailSink is a mail.Mailer that keeps what it is given. Its zero value is ready;
// it is safe for concurrent use.
type MailSink struct {
	mu    sync.Mutex
	mails []mail.Mail
	calls int
	fail  error
	hang  chan struct{} // nil: it does not
}

// Send implements mail.Mailer.
func (s *MailSink) Send(ctx context.Context, m mail.Mail) error {
	s.mu.Lock()
	s.calls++
	hang := s.hang
	s.mu.Unlock()
	if hang != nil {
		select {
		case <-hang:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fail != nil {
		return s.fail
	}
	s.mails = append(s.mails, m)
	return nil
}

// Fail makes every Send fail with err from now on; nil ends it.
func (s *MailSink) Fail(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = err
}

// Hang makes every Send hang from now on, until its context ends or resume is
// called, after which it goes on.
func (s *MailSink) Hang() (resume func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	hang := make(chan struct{})
	s.hang = hang
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		close(hang)
		if s.hang == hang {
			s.hang = nil
		}
	})
}

// Calls returns how often Send was called, successfully or not.
func (s *MailSink) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls
}

// Mails returns what was sent, in order.
func (s *MailSink) Mails() []mail.Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.mails)
}

// Token returns the token of the link that was last mailed to an address, which
// must be in its fragment as token=; empty if there is none.
func (s *MailSink) Token(to string) string {
	for _, m := range slices.Backward(s.Mails()) {
		if m.To != to {
			continue
		}
		if _, rest, ok := strings.Cut(m.Text, "#token="); ok {
			token, _, _ := strings.Cut(rest, "\n")
			return strings.TrimSpace(token)
		}
	}
	return ""
}
