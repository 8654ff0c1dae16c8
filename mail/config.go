package mail

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"usher"
)

// Tokens makes the tokens of links. An *usher.Auth[U] is one. ErrNotFound says
// that the mail is not due any more.
type Tokens interface {
	// NewToken returns no token for a message without a link.
	NewToken(ctx context.Context, m usher.Message) (token string, err error)
}

// Languages is what Tokens may be, too: it knows in which language users want their
// mails. "" stands for Config.Language.
type Languages interface {
	MailLanguage(ctx context.Context, m usher.Message) (language string, err error)
}

// Config is what a Worker needs: Outbox, Tokens, Mailer, From, Product and URLs;
// the rest has defaults.
type Config struct {
	Outbox usher.Outbox
	Tokens Tokens
	Mailer Mailer

	From    string // Example <no-reply@example.com>, or the bare address
	Product string // what users know the application as; it is in the subjects
	URLs    URLs
	// InsecureLinks allows links without TLS: everybody on the way can use them.
	InsecureLinks bool
	// VerifyLifetime and ResetLifetime are what the mails say of their links: the
	// same as in usher.Config. 0 means an hour.
	VerifyLifetime, ResetLifetime time.Duration

	// Templates take the place of usher's own, file by file: en/verify.txt. Nil
	// means none.
	Templates fs.FS
	// Language is that of users for whom Languages names none, or one without
	// templates; "" means en.
	Language string

	// Lease is how long a message is this worker's before another may take it
	// over; 0 means a minute. Half of it is the time to send one. The clocks of
	// workers that share an outbox must differ by less than a quarter of it.
	Lease time.Duration
	// Poll is how often to look for messages that nobody called Wake for; 0 means
	// 5 s.
	Poll time.Duration
	// MaxAttempts is how often to try; then the message stays in the outbox, dead.
	// 0 means 10, which are spread over about half a day.
	MaxAttempts int
	// MaxAge is how old a message may be when it is sent; 0 means a day.
	MaxAge time.Duration

	Logger *slog.Logger     // nil means slog.Default()
	Now    func() time.Time // nil means time.Now
}

func (c Config) withDefaults() Config {
	setDefault(&c.VerifyLifetime, time.Hour)
	setDefault(&c.ResetLifetime, time.Hour)
	setDefault(&c.Language, "en")
	setDefault(&c.Lease, time.Minute)
	setDefault(&c.Poll, 5*time.Second)
	setDefault(&c.MaxAttempts, 10)
	setDefault(&c.MaxAge, 24*time.Hour)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// validate returns every fault that newRenderer does not.
func (c Config) validate() error {
	var faults []error
	if c.Outbox == nil {
		faults = append(faults, errors.New("mail: Outbox is nil"))
	}
	if c.Tokens == nil {
		faults = append(faults, errors.New("mail: Tokens is nil"))
	}
	if c.Mailer == nil {
		faults = append(faults, errors.New("mail: Mailer is nil"))
	}
	if c.Lease < 0 || c.Poll < 0 || c.MaxAge < 0 || c.MaxAttempts < 0 {
		faults = append(faults, errors.New("mail: Lease, Poll, MaxAge or MaxAttempts is negative"))
	}
	return errors.Join(faults...)
}

// Preview returns the mail of a kind in a language, as users would get it, made
// of sample data. It needs what concerns how mails look and nothing else.
func (c Config) Preview(kind usher.MessageKind, language string) (Mail, error) {
	r, err := newRenderer(c.withDefaults())
	if err != nil {
		return Mail{}, err
	}
	return r.mail(sample(kind), language, "the-token-would-be-here")
}
