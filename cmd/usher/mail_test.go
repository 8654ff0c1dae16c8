package main

import (
	"crypto/x509"
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"usher/ushertest"
)

// mail returns the newest mail to an address whose subject has these words, when
// it is there.
func (b *booted) mail(to, words string) writtenMail {
	b.t.Helper()
	var m writtenMail
	eventually(b.t, 10*time.Second, "mail to "+to+": "+words, func() bool {
		var err error
		m, err = newestMail(b.mails, to)
		return err == nil && strings.Contains(m.subject, words)
	})
	return m
}

// token returns that of the link in it.
func (b *booted) token(to, words string) string {
	b.t.Helper()
	m := b.mail(to, words)
	if m.token() == "" {
		b.t.Fatalf("no token in %q", m.text)
	}
	return m.token()
}

func TestRegisterAndVerify(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.RequireVerified = true
	b := boot(t, c)
	b.register("ada@example.com")
	b.want(400, "POST", "/auth/jwt/login", loginForm("ada@example.com"))
	token := b.token("ada@example.com", "Confirm")
	verified := b.want(200, "POST", "/auth/verify", jsonOf(map[string]string{"token": token}))
	if !strings.Contains(verified.body, `"is_verified":true`) {
		t.Error(verified.body)
	}
	b.want(400, "POST", "/auth/verify", jsonOf(map[string]string{"token": token}))
	b.bearer("jwt", "ada@example.com")
	if strings.Contains(b.log.String(), token) {
		t.Error("the log has the token")
	}
	if err := b.stop(); err != nil {
		t.Error(err)
	}
}

func TestForgotAndReset(t *testing.T) {
	t.Parallel()
	b := boot(t, testConfig(t))
	b.register("ada@example.com")
	cookie := b.cookie("ada@example.com")
	b.want(202, "POST", "/auth/forgot-password", `{"email":"nobody@example.com"}`)
	b.want(202, "POST", "/auth/forgot-password", `{"email":"ADA@example.com"}`)
	token := b.token("ada@example.com", "password")
	const fresh = "another good password"
	b.want(200, "POST", "/auth/reset-password", jsonOf(map[string]string{"token": token, "password": fresh}))
	b.want(401, "GET", "/users/me", "", "Cookie", cookie)
	b.want(400, "POST", "/auth/jwt/login", loginForm("ada@example.com"))
	b.want(200, "POST", "/auth/jwt/login", "username=ada@example.com&password="+fresh)
	b.want(400, "POST", "/auth/reset-password", jsonOf(map[string]string{"token": token, "password": fresh}))
	b.mail("ada@example.com", "changed")
	for _, secret := range []string{token, fresh} {
		if strings.Contains(b.log.String(), secret) {
			t.Error("the log has a secret")
		}
	}
	if names, _ := filepath.Glob(filepath.Join(b.mails, "*")); len(names) != 3 {
		t.Errorf("mails: %v", names)
	}
}

func TestWithoutMails(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	c.Mail.Mailer = "none"
	b := boot(t, c)
	b.register("ada@example.com")
	b.want(202, "POST", "/auth/forgot-password", `{"email":"ada@example.com"}`)
	b.want(200, "PATCH", "/users/me", jsonOf(map[string]string{"email": "new@example.com", "current_password": goodPassword}),
		"Cookie", b.cookie("ada@example.com"))
	b.cookie("new@example.com") // at once: nobody could confirm it
	if _, err := os.Stat(filepath.Join(filepath.Dir(strings.TrimPrefix(c.Database, "sqlite:")), "usher-mail")); err == nil {
		t.Error("there is a folder")
	}
}

// smtpConfig sends through a mail server of the test.
func smtpConfig(t testing.TB, s *ushertest.SMTPServer) Config {
	c := testConfig(t)
	c.Mail = MailConfig{
		SMTP: SMTPConfig{Host: s.Host, Port: s.Port, TLS: "insecure_plaintext"},
		From: "Example <no-reply@example.com>", Product: "Example",
		URLs: MailURLs{
			Verify: "https://app.example.com/verify#{token}", Reset: "https://app.example.com/reset#{token}", Email: "https://app.example.com/email#{token}",
		},
	}
	return c
}

func TestMailThroughSMTP(t *testing.T) {
	t.Parallel()
	s := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{NoStartTLS: true})
	b := boot(t, smtpConfig(t, s))
	b.register("ada@example.com")
	eventually(t, 10*time.Second, "a mail", func() bool { return len(s.Mails()) == 1 })
	m := s.Mails()[0]
	if len(m.To) != 1 || !strings.Contains(m.To[0], "ada@example.com") || !strings.Contains(m.Data, "https://app.example.com/verify#eyJ") {
		t.Errorf("%+v", m)
	}
	if !strings.Contains(b.log.String(), `"msg":"mail","smtp":"127.0.0.1"`) {
		t.Error(b.log)
	}
}

// The password is given to the mail server, after TLS, and to nobody else.
func TestSMTPPassword(t *testing.T) {
	t.Parallel()
	const secret = "canary-of-the-mail-server"
	s := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{User: "app", Password: secret})
	wrong := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{User: "app", Password: "another"}) // says what it was given
	certified := httptest.NewTLSServer(nil)
	defer certified.Close()
	root := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certified.Certificate().Raw})
	if !x509.NewCertPool().AppendCertsFromPEM(root) {
		t.Fatal("no certificate")
	}
	for _, server := range []*ushertest.SMTPServer{s, wrong} {
		dir := t.TempDir()
		write(t, dir, "root.pem", string(root))
		write(t, dir, "smtp.password", secret+"\n")
		write(t, dir, "usher.yaml", `
mail:
  smtp: {host: 127.0.0.1, port: `+strconv.Itoa(server.Port)+`, user: app, password_file: `+filepath.Join(dir, "smtp.password")+`}
  from: no-reply@example.com
  product: Example
  urls: {verify: "https://app.example.com/#{token}", reset: "https://app.example.com/#{token}", email: "https://app.example.com/#{token}"}
`+cheapHashes)
		p := start(t, "USHER_CONFIG="+filepath.Join(dir, "usher.yaml"), "SSL_CERT_FILE="+filepath.Join(dir, "root.pem"), "USHER_LOG_LEVEL=debug")
		b := &booted{t: t, url: p.url}
		b.register("ada@example.com")
		eventually(t, 10*time.Second, "the server was asked", func() bool {
			return len(server.Mails()) == 1 || strings.Contains(strings.Join(server.Lines(), "\n"), "AUTH") && server.Connections() == 0
		})
		if server == s && s.Mails()[0].User != "app" {
			t.Errorf("%+v", s.Mails())
		}
		_ = p.Process.Signal(os.Interrupt)
		if err := p.wait(t); err != nil {
			t.Error(err)
		}
		if server == wrong && !strings.Contains(p.stderr.String(), "mail not sent") {
			t.Errorf("the log says nothing of the failure: %s", p.stderr)
		}
		if strings.Contains(p.stderr.String(), secret) {
			t.Errorf("the log has the password: %s", p.stderr)
		}
	}
}

// cheapHashes is what the configuration of a test has.
const cheapHashes = `
password:
  argon2: {memory_kib: 64, time: 1, lanes: 1}
  insecure_allow_weak: true
`

func write(t testing.TB, dir, name, text string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
