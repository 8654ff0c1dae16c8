package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// TLSMode says how the connection to a mail server is protected.
type TLSMode string

// The ways to talk to a mail server.
const (
	StartTLS    TLSMode = "starttls" // a server without STARTTLS gets no mail
	ImplicitTLS TLSMode = "implicit" // TLS from the first byte
	// InsecurePlaintext lets everybody on the way read and change the mails and
	// use the links in them. It is for a server on the same machine.
	InsecurePlaintext TLSMode = "insecure_plaintext"
)

// SMTPConfig says where and how to hand mails in. Only Host is needed.
type SMTPConfig struct {
	Host string // a name, or an IP address, for which the server has a certificate
	Port int    // 0 means 587, 465 with ImplicitTLS, 25 with InsecurePlaintext
	// User and Password sign in to the server; neither or both. They are not
	// given away in plaintext.
	User, Password string
	// TLS is how the connection is protected; "" means StartTLS, or ImplicitTLS
	// at port 465.
	TLS TLSMode
	// RootCAs sign the certificates that are believed; nil means the system's.
	RootCAs *x509.CertPool
	// Timeout is for each of: connecting, greeting with TLS and signing in, and
	// handing the mail in. 0 means 10 s.
	Timeout time.Duration
}

// SMTP is a Mailer that hands mails in to a mail server, each through a
// connection of its own.
type SMTP struct {
	config SMTPConfig
	tls    *tls.Config
	hide   *strings.Replacer // takes the password out of what a server says
}

// NewSMTP returns a mailer. It does not connect yet. The error names every
// fault of the configuration.
func NewSMTP(c SMTPConfig) (*SMTP, error) {
	if c.TLS == "" {
		c.TLS = StartTLS
		if c.Port == 465 {
			c.TLS = ImplicitTLS
		}
	}
	ports := map[TLSMode]int{StartTLS: 587, ImplicitTLS: 465, InsecurePlaintext: 25}
	if c.Port == 0 {
		c.Port = ports[c.TLS]
	}
	if c.Timeout == 0 {
		c.Timeout = 10 * time.Second
	}
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("mail: SMTP: "+format, args...)) }
	if c.Host == "" || !isLine(c.Host) || strings.ContainsAny(c.Host, "/ ") || strings.Contains(c.Host, ":") && net.ParseIP(c.Host) == nil {
		fault("the host %q is not a name or an IP address", c.Host)
	}
	if _, known := ports[c.TLS]; !known {
		fault("no TLS mode is %q: %s, %s, %s", c.TLS, StartTLS, ImplicitTLS, InsecurePlaintext)
	} else if c.Port < 1 || c.Port > 65535 {
		fault("no port is %d", c.Port)
	}
	if (c.User == "") != (c.Password == "") {
		fault("a user needs a password, and a password a user")
	}
	if c.TLS == InsecurePlaintext && c.Password != "" {
		fault("a password is not sent in plaintext")
	}
	if c.Timeout < 0 {
		fault("Timeout is negative")
	}
	if len(faults) > 0 {
		return nil, errors.Join(faults...)
	}
	s := &SMTP{
		config: c,
		tls:    &tls.Config{ServerName: c.Host, RootCAs: c.RootCAs, MinVersion: tls.VersionTLS12},
		hide:   strings.NewReplacer(),
	}
	if c.Password != "" {
		in64 := base64.StdEncoding.EncodeToString
		s.hide = strings.NewReplacer(
			in64([]byte("\x00"+c.User+"\x00"+c.Password)), "[password]",
			in64([]byte(c.Password)), "[password]",
			c.Password, "[password]",
		)
	}
	return s, nil
}

// Send implements Mailer. It gives up when ctx ends or after three times the
// Timeout.
func (s *SMTP) Send(ctx context.Context, m Mail) error {
	msg, err := compose(m)
	if err != nil {
		return err
	}
	err = s.send(ctx, msg, !isASCII(m.To[:strings.Index(m.To, "@")]))
	if msg.IsDelivered() { // what goes wrong afterwards is no reason to send it again
		return nil
	}
	if err == nil {
		return nil
	}
	// The chain of errors ends here: what is in it may hold the password.
	text := fmt.Sprintf("mail: SMTP server %s: %s", s.config.Host, s.hide.Replace(err.Error()))
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("%w: %s", ctx.Err(), text)
	case isRejection(err):
		return fmt.Errorf("%w: %s", ErrRejected, text)
	}
	return errors.New(text)
}

// send has one conversation with the server. The connection is closed however it
// ends: a half-written mail must not be completed by a polite goodbye.
func (s *SMTP) send(ctx context.Context, msg *gomail.Msg, needsUTF8 bool) error {
	var conn net.Conn
	stop := func() bool { return true }
	defer func() {
		stop()
		if conn != nil {
			conn.Close()
		}
	}()
	dial := func(dialing context.Context, network, _ string) (net.Conn, error) {
		var err error
		if conn, err = s.dial(dialing, network); err != nil {
			conn = nil
			return nil, err
		}
		closing := conn
		stop = context.AfterFunc(ctx, func() { closing.Close() })
		return conn, nil
	}
	client, err := gomail.NewClient(s.config.Host, s.options(dial, needsUTF8)...)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return err
	}
	if ok, _ := session.Extension("SMTPUTF8"); needsUTF8 && !ok {
		return errNeedsUTF8
	}
	if err := client.SendWithSMTPClient(session, msg); err != nil {
		return err
	}
	if err := conn.SetDeadline(time.Now().Add(time.Second)); err != nil {
		return err
	}
	return session.Quit()
}

func (s *SMTP) dial(ctx context.Context, network string) (net.Conn, error) {
	address := net.JoinHostPort(s.config.Host, strconv.Itoa(s.config.Port))
	if s.config.TLS == ImplicitTLS {
		return (&tls.Dialer{Config: s.tls}).DialContext(ctx, network, address)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func (s *SMTP) options(dial gomail.DialContextFunc, needsUTF8 bool) []gomail.Option {
	options := []gomail.Option{
		gomail.WithDialContextFunc(dial),
		gomail.WithTimeout(s.config.Timeout),
		gomail.WithTLSConfig(s.tls.Clone()),
		gomail.WithoutNoop(),
		gomail.WithoutRset(),
	}
	switch s.config.TLS {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	case InsecurePlaintext:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}
	if !needsUTF8 { // a server that was asked for it may insist on it with the next
		options = append(options, gomail.WithoutSMTPUTF8())
	}
	if s.config.Password != "" {
		options = append(options,
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin),
			gomail.WithUsername(s.config.User), gomail.WithPassword(s.config.Password))
	}
	return options
}

var errNeedsUTF8 = errors.New("the server takes no addresses beyond ASCII (SMTPUTF8)")

// isRejection tells an address that does not exist (RFC 3463 §3.2) from a server
// that does not want us, which its operator may yet change.
func isRejection(err error) bool {
	var refusal *gomail.SendError
	return errors.Is(err, errNeedsUTF8) || errors.As(err, &refusal) &&
		refusal.Reason == gomail.ErrSMTPRcptTo && strings.HasPrefix(refusal.EnhancedStatusCode(), "5.1.")
}
