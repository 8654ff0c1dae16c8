package ushertest

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// SMTPOptions say how an SMTPServer differs from one that speaks STARTTLS, lets
// anybody in and takes everything.
type SMTPOptions struct {
	ImplicitTLS bool
	NoStartTLS  bool
	// User and Password are asked for, if not empty.
	User, Password string
	// SMTPUTF8 offers addresses beyond ASCII (RFC 6531).
	SMTPUTF8 bool
	// Answer, if not nil, sees every line of the client before the server obeys
	// it, and "." for the end of a mail. What it returns is the answer instead;
	// "" leaves it to the server. It may block; "close" closes the connection.
	Answer func(line string) string
}

// SMTPServer is a mail server that delivers nothing.
type SMTPServer struct {
	Host    string
	Port    int
	RootCAs *x509.CertPool // sign its certificate
	options SMTPOptions
	tls     *tls.Config

	mu    sync.Mutex
	mails []SMTPMail
	lines []string
	conns map[net.Conn]bool
}

// SMTPMail is a mail as the server took it.
type SMTPMail struct {
	From string   // of MAIL FROM, with its parameters
	To   []string // of each RCPT TO
	Data string   // header and body
	TLS  bool
	User string // who signed in
}

// NewSMTPServer starts a mail server on 127.0.0.1, until the test ends.
func NewSMTPServer(t testing.TB, o SMTPOptions) *SMTPServer {
	t.Helper()
	certified := httptest.NewTLSServer(nil) // lends its certificate for 127.0.0.1
	defer certified.Close()
	s := &SMTPServer{
		options: o, conns: map[net.Conn]bool{}, RootCAs: x509.NewCertPool(),
		tls: &tls.Config{Certificates: certified.TLS.Certificates},
	}
	s.RootCAs.AddCert(certified.Certificate())
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().(*net.TCPAddr)
	s.Host, s.Port = address.IP.String(), address.Port
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.track(conn, true)
			running.Go(func() {
				defer s.track(conn, false)
				s.serve(conn)
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		s.mu.Lock()
		for conn := range s.conns {
			conn.Close()
		}
		s.mu.Unlock()
		running.Wait()
	})
	return s
}

// Mails returns what the server took, in order.
func (s *SMTPServer) Mails() []SMTPMail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SMTPMail(nil), s.mails...)
}

// Lines returns every command of every client.
func (s *SMTPServer) Lines() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.lines...)
}

// Connections returns how many are open.
func (s *SMTPServer) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.conns)
}

func (s *SMTPServer) track(conn net.Conn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[conn] = open; !open {
		delete(s.conns, conn)
		conn.Close()
	}
}

// smtpSession is one client's conversation.
type smtpSession struct {
	*SMTPServer
	conn   net.Conn
	reader *bufio.Reader
	mail   SMTPMail
}

func (s *SMTPServer) serve(conn net.Conn) {
	c := &smtpSession{SMTPServer: s}
	c.use(conn)
	c.conn.SetDeadline(time.Now().Add(time.Minute))
	if s.options.ImplicitTLS {
		c.startTLS()
	}
	if !c.say("220 test ESMTP") {
		return
	}
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.mu.Lock()
		s.lines = append(s.lines, line)
		s.mu.Unlock()
		if s.options.Answer != nil {
			if answer := s.options.Answer(line); answer == "close" || answer != "" && !c.say(answer) {
				return
			} else if answer != "" {
				continue
			}
		}
		if !c.obey(line) {
			return
		}
	}
}

func (c *smtpSession) use(conn net.Conn) { c.conn, c.reader = conn, bufio.NewReader(conn) }

func (c *smtpSession) say(answer string) bool {
	_, err := io.WriteString(c.conn, strings.ReplaceAll(answer, "\n", "\r\n")+"\r\n")
	return err == nil
}

func (c *smtpSession) startTLS() {
	c.use(tls.Server(c.conn, c.tls))
	c.mail.TLS = true
}

// obey carries out a command. False ends the conversation.
func (c *smtpSession) obey(line string) bool {
	command, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(command) {
	case "EHLO":
		return c.say(c.extensions())
	case "STARTTLS":
		if !c.say("220 2.0.0 go ahead") {
			return false
		}
		c.startTLS()
		return true
	case "AUTH":
		return c.authenticate(rest)
	case "MAIL":
		if c.options.User != "" && c.mail.User == "" {
			return c.say("530 5.7.0 authentication required")
		}
		c.mail.From, c.mail.To = strings.TrimPrefix(rest, "FROM:"), nil
		return c.say("250 2.1.0 ok")
	case "RCPT":
		c.mail.To = append(c.mail.To, strings.TrimPrefix(rest, "TO:"))
		return c.say("250 2.1.5 ok")
	case "DATA":
		return c.say("354 go ahead") && c.data()
	case "NOOP", "RSET":
		return c.say("250 2.0.0 ok")
	case "QUIT":
		c.say("221 2.0.0 bye")
		return false
	}
	return c.say("502 5.5.1 not known here")
}

func (c *smtpSession) extensions() string {
	names := []string{"test", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if !c.mail.TLS && !c.options.NoStartTLS {
		names = append(names, "STARTTLS")
	}
	if c.options.User != "" {
		names = append(names, "AUTH PLAIN LOGIN")
	}
	if c.options.SMTPUTF8 {
		names = append(names, "SMTPUTF8")
	}
	return "250-" + strings.Join(names[:len(names)-1], "\n250-") + "\n250 " + names[len(names)-1]
}

// authenticate knows PLAIN with an initial response.
func (c *smtpSession) authenticate(rest string) bool {
	want := fmt.Sprintf("\x00%s\x00%s", c.options.User, c.options.Password)
	if rest != "PLAIN "+base64.StdEncoding.EncodeToString([]byte(want)) {
		return c.say("535 5.7.8 who are you: " + rest) // as tactless as real ones are
	}
	c.mail.User = c.options.User
	return c.say("235 2.7.0 ok")
}

// data reads a mail up to the line with the dot, which is a line for Answer too.
func (c *smtpSession) data() bool {
	var b strings.Builder
	for {
		line, err := c.reader.ReadString('\n')
		if err != nil {
			return false
		}
		if line == ".\r\n" {
			break
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
	c.mail.Data = b.String()
	answer := ""
	if c.options.Answer != nil {
		answer = c.options.Answer(".")
	}
	if answer == "close" {
		return false
	}
	if answer != "" && !strings.HasPrefix(answer, "2") {
		return c.say(answer)
	}
	c.mu.Lock()
	c.mails = append(c.mails, c.mail)
	c.mu.Unlock()
	if answer == "" {
		answer = "250 2.0.0 taken"
	}
	return c.say(answer)
}
