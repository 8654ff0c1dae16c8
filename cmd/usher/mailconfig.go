package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"

	"usher"
	"usher/mail"
)

// MailConfig says how users get their mails.
type MailConfig struct {
	Mailer        string     `yaml:"mailer"` // folder, smtp, none
	Folder        string     `yaml:"folder"`
	SMTP          SMTPConfig `yaml:"smtp"`
	From          string     `yaml:"from"`
	Product       string     `yaml:"product"`
	URLs          MailURLs   `yaml:"urls"`
	InsecureLinks bool       `yaml:"insecure_links"`
	Templates     string     `yaml:"templates"`
	Language      string     `yaml:"language"`
}

// SMTPConfig is a mail server. The password comes from a file or the
// environment.
type SMTPConfig struct {
	Host         string `yaml:"host"`
	Port         int    `yaml:"port"`
	User         string `yaml:"user"`
	PasswordFile string `yaml:"password_file"`
	TLS          string `yaml:"tls"` // starttls, implicit, insecure_plaintext
	// Password is that of USHER_SMTP_PASSWORD.
	Password string `yaml:"-"`
}

// MailURLs are the pages that mails link to.
type MailURLs struct {
	Verify  string `yaml:"verify"`
	Reset   string `yaml:"reset"`
	Email   string `yaml:"email"`
	Account string `yaml:"account"`
}

// withDefaults makes mails files beside the database, unless a mail server is
// given.
func (m MailConfig) withDefaults(addr, database string) MailConfig {
	if m.Mailer == "" {
		m.Mailer = "folder"
		if m.SMTP.Host != "" {
			m.Mailer = "smtp"
		}
	}
	if m.Mailer != "folder" {
		return m
	}
	_, port, _ := net.SplitHostPort(addr)
	for target, value := range map[*string]string{
		&m.Folder:  filepath.Join(folderOf(database), "usher-mail"),
		&m.From:    "usher <no-reply@localhost>",
		&m.Product: "usher",
		// Nobody serves these pages: they show where the token would be.
		&m.URLs.Verify: "http://localhost:" + port + "/verify#token={token}",
		&m.URLs.Reset:  "http://localhost:" + port + "/reset#token={token}",
		&m.URLs.Email:  "http://localhost:" + port + "/email#token={token}",
	} {
		if *target == "" {
			*target = value
		}
	}
	return m
}

// mails tells whether users get mails at all.
func (c Config) mails() bool { return c.Mail.Mailer != "none" }

// mailConfig returns what concerns how mails look.
func (c Config) mailConfig() mail.Config {
	m := c.Mail
	config := mail.Config{
		From: m.From, Product: m.Product, InsecureLinks: m.InsecureLinks, Language: m.Language,
		URLs:           mail.URLs{Verify: m.URLs.Verify, Reset: m.URLs.Reset, Email: m.URLs.Email, Account: m.URLs.Account},
		VerifyLifetime: c.Lifetimes.Verify, ResetLifetime: c.Lifetimes.Reset,
	}
	if m.Templates != "" {
		config.Templates = os.DirFS(m.Templates)
	}
	return config
}

// checkMail names every fault. It makes no folder and speaks to no server.
func (c Config) checkMail() error {
	m := c.Mail
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("mail."+format, args...)) }
	switch m.Mailer {
	case "none":
		return nil
	case "folder", "smtp":
	default:
		fault("mailer: %q is none of folder, smtp, none", m.Mailer)
	}
	if m.Mailer == "smtp" {
		_, err := m.SMTP.mailer()
		faults = append(faults, inWordsOf(mailWords, err))
	} else if m.SMTP.Host != "" {
		fault("smtp: is only for the mailer smtp")
	}
	for _, key := range []struct {
		name  string
		value *string
		what  string
		good  string // for the package to judge the rest
	}{
		{"from", &c.Mail.From, "the sender, such as Example <no-reply@example.com>", "no-reply@example.com"},
		{"product", &c.Mail.Product, "what users know the application as", "Example"},
		{"urls.verify", &c.Mail.URLs.Verify, "the page that proves an address, with {token} in it", "https://example.com/{token}"},
		{"urls.reset", &c.Mail.URLs.Reset, "the page to set a new password, with {token} in it", "https://example.com/{token}"},
		{"urls.email", &c.Mail.URLs.Email, "the page that confirms a new address, with {token} in it", "https://example.com/{token}"},
	} {
		if *key.value == "" { // c is a copy
			fault("%s: is missing: %s", key.name, key.what)
			*key.value = key.good
		}
	}
	if info, err := os.Stat(m.Templates); m.Templates != "" && (err != nil || !info.IsDir()) {
		fault("templates: the directory %s does not exist", m.Templates)
		c.Mail.Templates = ""
	}
	_, err := c.mailConfig().Preview(usher.MailVerify, "")
	return errors.Join(append(faults, inWordsOf(mailWords, err))...)
}

// mailWords are the names of the package in the words of the configuration.
var mailWords = strings.NewReplacer(
	"mail: SMTP: ", "mail.smtp: ", "mail: URLs.Verify", "mail.urls.verify", "mail: URLs.Reset", "mail.urls.reset",
	"mail: URLs.Email", "mail.urls.email", "mail: URLs.Account", "mail.urls.account", "mail: sender", "mail.from:",
	"mail: Product is", "mail.product: is", "mail: templates: ", "mail.templates: ", "Timeout", "timeout",
)

func inWordsOf(words *strings.Replacer, err error) error {
	if err == nil {
		return nil
	}
	return errors.New(words.Replace(err.Error()))
}

// mailer returns the mail server of the configuration.
func (s SMTPConfig) mailer() (mail.Mailer, error) {
	password := s.Password
	if password == "" && s.PasswordFile != "" {
		text, err := readPrivate(s.PasswordFile)
		if err != nil {
			return nil, fmt.Errorf("mail.smtp.password_file: %w", err)
		}
		password = string(text)
	}
	return mail.NewSMTP(mail.SMTPConfig{Host: s.Host, Port: s.Port, User: s.User, Password: password, TLS: mail.TLSMode(s.TLS)})
}

// readPrivate reads a file with a secret that only its owner can read.
func readPrivate(name string) ([]byte, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return trimSecret(text), checkPrivate(name)
}

// newWorker returns who delivers the mails of the outbox. Of those in the folder it
// prints the links on a terminal, and nowhere else: logs must not have their tokens.
func (a *app) newWorker(c Config, log *slog.Logger) (*mail.Worker, error) {
	config := c.mailConfig()
	config.Outbox, config.Tokens, config.Logger = a.outbox, a.auth, log
	var err error
	if c.Mail.Mailer == "smtp" {
		config.Mailer, err = c.Mail.SMTP.mailer()
	} else {
		var links io.Writer
		if isTerminal(os.Stdout) {
			links = os.Stdout
		}
		config.Mailer, err = mail.NewFolder(c.Mail.Folder, links)
	}
	if err != nil {
		return nil, err
	}
	return mail.NewWorker(config)
}

// wakingOutbox tells a worker of this process that there is something to do. One
// that commits later than it is told finds the message at its next look.
type wakingOutbox struct {
	usher.Outbox
	wake func()
}

// AddMessage implements usher.Outbox.
func (o *wakingOutbox) AddMessage(ctx context.Context, m *usher.Message) error {
	err := o.Outbox.AddMessage(ctx, m)
	if err == nil && o.wake != nil {
		o.wake()
	}
	return err
}
