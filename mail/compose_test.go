package mail_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"usher/mail"
	"usher/ushertest"
)

// KNOWN-FLAWS 61 (CVE-2022-35924): what is mailed to is one bare address, the
// one in the outbox, whatever a parser could make of it.
func TestS_B12_K61_RecipientIsABareAddress(t *testing.T) {
	t.Parallel()
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{SMTPUTF8: true})
	smtp := newSMTP(t, server, nil)
	for _, to := range []string{
		"", "ann", "@", "ann@", "@example.org", "ann@example.org,eve@evil.example", "ann@example.org, eve@evil.example",
		`"e@attacker.example"@example.org`, `"ann"@example.org`, "Ann <ann@example.org>", "<ann@example.org>",
		"ann@example.org>\r\nRCPT TO:<eve@evil.example", "ann@example.org\r\nBcc: eve@evil.example", "ann@example.org\n",
		" ann@example.org", "ann@example.org ", "ann@example.org\x00", "a@b@example.org", "ann@example.org (eve@evil.example)",
		"@relay.example:ann@example.org", "friends:ann@example.org;", "ann@[127.0.0.1]", "ann@example.org> NOTIFY=NEVER <",
		"ann\\@example.org", "ann@example.org\u2028Bcc: eve@evil.example", "ann@exam\u00adple.org\uff0ceve@evil.example\uff20x",
	} {
		m := hello()
		m.To = to
		if err := smtp.Send(t.Context(), m); !errors.Is(err, mail.ErrRejected) {
			t.Errorf("to %q: error %v, want ErrRejected", to, err)
		}
	}
	if lines := server.Lines(); len(lines) != 0 {
		t.Fatalf("the server was asked: %q", lines)
	}
	good := map[string]string{
		"ann@example.org": "<ann@example.org>", "ann+tag@example.org": "<ann+tag@example.org>",
		"o'neil/x=y?z@example.org": "<o'neil/x=y?z@example.org>", "ann@bücher.example": "<ann@xn--bcher-kva.example>",
		"jörg@example.org": "<jörg@example.org>",
	}
	for to, want := range good {
		m := hello()
		m.To = to
		if err := smtp.Send(t.Context(), m); err != nil {
			t.Errorf("to %q: %v", to, err)
			continue
		}
		mails := server.Mails()
		got := mails[len(mails)-1]
		if !slices.Equal(got.To, []string{want}) {
			t.Errorf("to %q: RCPT TO %q, want %q", to, got.To, want)
		}
		if utf8 := strings.Contains(got.From, "SMTPUTF8"); utf8 != (to == "jörg@example.org") {
			t.Errorf("to %q: SMTPUTF8 %v", to, utf8)
		}
	}
}

func TestAddressBeyondASCIIForAServerWithout(t *testing.T) {
	t.Parallel()
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{})
	m := hello()
	m.To = "jörg@example.org"
	if err := newSMTP(t, server, nil).Send(t.Context(), m); !errors.Is(err, mail.ErrRejected) || len(server.Mails()) != 0 {
		t.Errorf("%d mails, error %v, want ErrRejected", len(server.Mails()), err)
	}
}

// Nothing in a mail becomes a header or a command.
func TestS_B12_NoHeaderInjection(t *testing.T) {
	t.Parallel()
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{})
	smtp := newSMTP(t, server, nil)
	for _, bad := range []string{"x\r\nBcc: eve@evil.example", "x\nBcc: eve@evil.example", "x\rBcc: eve@evil.example", "x\x00", "", "x\xff", "x\u0085y"} {
		for field, change := range map[string]func(*mail.Mail){
			"subject":         func(m *mail.Mail) { m.Subject = bad },
			"sender":          func(m *mail.Mail) { m.From = "ann@example.com" + bad },
			"sender's name":   func(m *mail.Mail) { m.From = bad + " <ann@example.com>" },
			"quoted name":     func(m *mail.Mail) { m.From = `"` + bad + `" <ann@example.com>` },
			"sender, trailer": func(m *mail.Mail) { m.From = "<ann@example.com> " + bad },
		} {
			m := hello()
			if change(&m); bad == "" && field != "subject" {
				continue
			}
			if err := smtp.Send(t.Context(), m); err == nil {
				t.Errorf("%s with %q: no error", field, bad)
			}
		}
	}
	if n := len(server.Mails()); n != 0 {
		t.Fatalf("%d mails were sent", n)
	}
	m := hello()
	m.ID = "1@x>\r\nBcc: eve@evil.example\r\nX: <"
	m.Subject = strings.Repeat("long ", 60) + "=?utf-8?q?x=0D=0ABcc:_eve@evil.example?="
	m.Text = "body\r\n.\r\nRSET\r\n\r\nBcc: eve@evil.example\r\n" + strings.Repeat("x", 5000)
	if err := smtp.Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	message := parse(t, server.Mails()[0].Data)
	if message.header.Get("Bcc") != "" || message.text != strings.ReplaceAll(m.Text, "\r\n", "\n") {
		t.Errorf("header %v, text %q", message.header, message.text)
	}
	for line := range strings.Lines(server.Mails()[0].Data) {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
	if slices.Contains(server.Lines(), "RSET") {
		t.Error("the text became a command")
	}
}

func TestMessageID(t *testing.T) {
	t.Parallel()
	server := ushertest.NewSMTPServer(t, ushertest.SMTPOptions{})
	smtp := newSMTP(t, server, nil)
	send := func(id string) string {
		m := hello()
		m.ID = id
		if err := smtp.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		mails := server.Mails()
		return parse(t, mails[len(mails)-1].Data).header.Get("Message-Id")
	}
	if a, b := send("one"), send("one"); a != b || a != "<one@example.com>" {
		t.Errorf("Message-ID %s, then %s", a, b)
	}
	if a, b := send("o ne"), send("o ne"); a != b || strings.Contains(a, " ") {
		t.Errorf("Message-ID %s, then %s", a, b)
	}
	if a, b := send(""), send(""); a == b {
		t.Errorf("Message-ID %s twice, for mails without an ID", a)
	}
}
