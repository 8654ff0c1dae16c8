package mail_test

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
	"usher/internal/testlog"
	"usher/mail"
	"usher/ushertest"
)

var _ mail.Tokens = (*usher.Auth[usher.User])(nil)

// start is the time on the clocks of the tests.
var start = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

// outbox is an usher.Outbox in memory that can fail.
type outbox struct {
	mu       sync.Mutex
	messages map[string]usher.Message
	n        int
	fail     map[string]error // by method
}

func (o *outbox) broken(method string, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.fail = map[string]error{method: err}
}

func (o *outbox) AddMessage(_ context.Context, m *usher.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.messages == nil {
		o.messages = map[string]usher.Message{}
	}
	o.n++
	m.ID = "m" + strconv.Itoa(o.n)
	o.messages[m.ID] = *m
	return nil
}

func (o *outbox) ClaimMessages(_ context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.fail["ClaimMessages"]; err != nil {
		return nil, err
	}
	var claimed []usher.Message
	for _, m := range o.sorted() {
		if m.Dead || m.DueAt.After(now) || len(claimed) == limit {
			continue
		}
		m.Attempts++
		m.DueAt = now.Add(lease)
		o.messages[m.ID] = m
		claimed = append(claimed, m)
	}
	return claimed, nil
}

func (o *outbox) sorted() []usher.Message {
	return slices.SortedFunc(maps.Values(o.messages), func(a, b usher.Message) int {
		return cmp.Or(a.DueAt.Compare(b.DueAt), cmp.Compare(len(a.ID), len(b.ID)), cmp.Compare(a.ID, b.ID))
	})
}

func (o *outbox) DeleteMessage(_ context.Context, id string) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.fail["DeleteMessage"]; err != nil {
		return err
	}
	delete(o.messages, id)
	return nil
}

func (o *outbox) DelayMessage(_ context.Context, id string, due time.Time, cause string, dead bool) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.fail["DelayMessage"]; err != nil {
		return err
	}
	m, ok := o.messages[id]
	if ok {
		m.DueAt, m.LastError, m.Dead = due, cause, dead
		o.messages[id] = m
	}
	return nil
}

func (o *outbox) ListMessages(context.Context, int) ([]usher.Message, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sorted(), nil
}

// tokens are tokens that say what they are for.
type tokens struct {
	mu       sync.Mutex
	fail     error
	made     []string
	language string
}

func (t *tokens) MailLanguage(context.Context, usher.Message) (string, error) {
	return t.language, nil
}

// secret is in every token, and long enough to be one.
const secret = "c2VjcmV0-c2VjcmV0_c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"

func (t *tokens) make(parts ...string) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return "", t.fail
	}
	token := strings.Join(append(parts, secret), ".")
	t.made = append(t.made, token)
	return token, nil
}

func (t *tokens) NewToken(_ context.Context, m usher.Message) (string, error) {
	switch m.Kind {
	case usher.MailVerify:
		return t.make("verify", string(m.UserID))
	case usher.MailReset:
		return t.make("reset", string(m.UserID))
	case usher.MailConfirmEmail:
		return t.make("email", string(m.UserID), fmt.Sprintf("%x", m.Email))
	}
	return "", nil
}

// setup is a worker with everything around it. A test changes config first.
type setup struct {
	*testing.T
	outbox *outbox
	tokens *tokens
	sink   *ushertest.MailSink
	clock  *ushertest.Clock
	log    *testlog.Buffer
	config mail.Config
}

func newSetup(t *testing.T) *setup {
	t.Parallel()
	s := &setup{
		T: t, outbox: &outbox{}, tokens: &tokens{}, sink: &ushertest.MailSink{},
		clock: ushertest.NewClock(start), log: &testlog.Buffer{},
	}
	s.config = mail.Config{
		Outbox: s.outbox, Tokens: s.tokens, Mailer: s.sink,
		From: "Example <no-reply@example.com>", Product: "Example", URLs: urls,
		Poll: 20 * time.Millisecond, Now: s.clock.Now,
		Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	return s
}

var urls = mail.URLs{
	Verify:  "https://app.example.com/verify#token={token}",
	Reset:   "https://app.example.com/reset#token={token}",
	Email:   "https://app.example.com/email#token={token}",
	Account: "https://app.example.com/account",
}

func (s *setup) worker() *mail.Worker {
	s.Helper()
	w, err := mail.NewWorker(s.config)
	if err != nil {
		s.Fatal(err)
	}
	return w
}

// post stores a message that is due, and returns its id.
func (s *setup) post(kind usher.MessageKind, email string, data map[string]string) string {
	s.Helper()
	m := usher.Message{Kind: kind, UserID: "7", Email: email, CreatedAt: s.clock.Now(), DueAt: s.clock.Now(), Data: data}
	if err := s.config.Outbox.AddMessage(s.Context(), &m); err != nil {
		s.Fatal(err)
	}
	return m.ID
}

// deliver delivers what is due and expects n mails sent.
func (s *setup) deliver(w *mail.Worker, n int) error {
	s.Helper()
	sent, err := w.DeliverDue(s.Context())
	if sent != n {
		s.Errorf("DeliverDue sent %d, want %d (error %v)", sent, n, err)
	}
	return err
}

// waiting returns what is in the outbox.
func (s *setup) waiting() []usher.Message {
	s.Helper()
	messages, err := s.config.Outbox.ListMessages(s.Context(), 1000)
	if err != nil {
		s.Fatal(err)
	}
	return messages
}

// only returns the one message in the outbox.
func (s *setup) only() usher.Message {
	s.Helper()
	messages := s.waiting()
	if len(messages) != 1 {
		s.Fatalf("%d messages in the outbox, want 1", len(messages))
	}
	return messages[0]
}

// holdsNoSecret checks what operators see.
func (s *setup) holdsNoSecret(secrets ...string) {
	s.Helper()
	for _, m := range s.waiting() {
		for _, secret := range secrets {
			if strings.Contains(m.LastError, secret) {
				s.Errorf("LastError holds a secret: %s", m.LastError)
			}
		}
	}
	for _, secret := range secrets {
		if strings.Contains(s.log.String(), secret) {
			s.Errorf("the log holds a secret: %s", s.log)
		}
	}
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("not in time: " + what)
		}
	}
}

// parsed is a mail as its reader sees it.
type parsed struct {
	header     netmail.Header
	subject    string
	text, html string
}

func parse(t *testing.T, raw string) parsed {
	t.Helper()
	message, err := netmail.ReadMessage(strings.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	p := parsed{header: message.Header}
	if p.subject, err = new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(message.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	if kind == "text/plain" {
		p.text = read(t, quotedprintable.NewReader(message.Body))
		return p
	}
	parts := multipart.NewReader(message.Body, params["boundary"])
	for {
		part, err := parts.NextPart() // which decodes quoted-printable
		if err == io.EOF {
			return p
		}
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			p.html = read(t, part)
		} else {
			p.text = read(t, part)
		}
	}
}

func read(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), "\r\n", "\n")
}
