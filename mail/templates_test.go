package mail_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"usher"
	"usher/mail"
)

func TestPreview(t *testing.T) {
	t.Parallel()
	subjects := map[string]usher.MessageKind{}
	for _, kind := range mail.Kinds() {
		m, err := preview.Preview(kind, "en")
		if err != nil {
			t.Errorf("%s: %v", kind, err)
			continue
		}
		if other, twice := subjects[m.Subject]; twice {
			t.Errorf("%s and %s have the same subject", kind, other)
		}
		subjects[m.Subject] = kind
		if m.From != preview.From || m.To != "ann@example.com" || !strings.Contains(m.Subject, "Example") {
			t.Errorf("%s: %+v", kind, m)
		}
		for part, text := range map[string]string{"text": m.Text, "HTML": m.HTML} {
			if !strings.Contains(text, "Example") || !strings.Contains(text, "ann@example.com") ||
				strings.Contains(text, "{{") || strings.Contains(text, "<no value>") || strings.Contains(text, "\n\n\n") {
				t.Errorf("%s: the %s is %s", kind, part, text)
			}
		}
		if !strings.HasPrefix(m.HTML, "<!doctype html>") || !strings.HasSuffix(m.HTML, "</html>\n") {
			t.Errorf("%s: the HTML is %s", kind, m.HTML)
		}
	}
	if _, err := preview.Preview("nonsense", "en"); err == nil {
		t.Error("an unknown kind: no error")
	}
	if _, err := preview.Preview(usher.MailNone, "en"); err == nil {
		t.Error("the kind of no mail: no error")
	}
}

func files(pairs ...string) fstest.MapFS {
	fs := fstest.MapFS{}
	for i := 0; i < len(pairs); i += 2 {
		fs[pairs[i]] = &fstest.MapFile{Data: []byte(pairs[i+1])}
	}
	return fs
}

const verifyText = `{{define "subject"}}Ours, {{.Product}}{{end}}Ours: {{.Link}} {{.Email}}`

func TestTemplatesAreOverriddenFileByFile(t *testing.T) {
	t.Parallel()
	config := preview
	config.Templates = files("en/verify.txt", verifyText, "en/reset.html", "", "en/README", "{{nothing", ".git/x.txt", "{{")
	m, err := config.Preview(usher.MailVerify, "en")
	if err != nil || m.Subject != "Ours, Example" || !strings.HasPrefix(m.Text, "Ours: https://app") || !strings.HasPrefix(m.HTML, "<!doctype") {
		t.Errorf("verify: %+v, error %v", m, err)
	}
	m, err = config.Preview(usher.MailReset, "en")
	if err != nil || m.HTML != "" || !strings.Contains(m.Text, "new password") {
		t.Errorf("reset with an empty .html: %+v, error %v", m, err)
	}
	config.Templates = files("en/layout.html", `{{define "header"}}<b>head</b>{{end}}{{define "footer"}}foot{{end}}{{define "button"}}{{.Link}}{{end}}`)
	m, err = config.Preview(usher.MailVerify, "en")
	if err != nil || !strings.HasPrefix(m.HTML, "<b>head</b>") || !strings.HasSuffix(m.HTML, "foot\n") {
		t.Errorf("layout: %+v, error %v", m, err)
	}
}

// A configuration that is mounted, as by Kubernetes, is made of symbolic links.
func TestTemplatesBehindSymbolicLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "..data", "en"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "..data", "en", "verify.txt"), []byte(verifyText), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("..data", "en"), filepath.Join(dir, "en")); err != nil {
		t.Fatal(err)
	}
	config := preview
	config.Templates = os.DirFS(dir)
	if m, err := config.Preview(usher.MailVerify, "en"); err != nil || m.Subject != "Ours, Example" {
		t.Errorf("%+v, error %v", m, err)
	}
}

func TestLanguages(t *testing.T) {
	s := newSetup(t)
	german := `{{define "subject"}}Adresse bestätigen{{end}}{{.Link}} gilt {{.Lifetime.Minutes}} Minuten`
	s.config.Templates = files("de/verify.txt", german, "de/verify.html", `{{template "header" .}}<p>Bestätigen</p>{{template "footer" .}}`,
		"de/reset.txt", `{{define "subject"}}Neues Passwort{{end}}{{.Link}}`,
		"pt-BR/verify.txt", `{{define "subject"}}Confirme{{end}}{{.Link}}`)
	w := s.worker()
	for _, test := range []struct {
		language string
		kind     usher.MessageKind
		subject  string
		html     bool
	}{
		{"de", usher.MailVerify, "Adresse bestätigen", true},
		{"de-AT", usher.MailVerify, "Adresse bestätigen", true},
		{"DE", usher.MailVerify, "Adresse bestätigen", true},
		{"de", usher.MailReset, "Neues Passwort", false}, // never text in one language and HTML in another
		{"de", usher.MailPasswordChanged, "Your password for Example was changed", true},
		{"pt-br", usher.MailVerify, "Confirme", false},
		{"pt", usher.MailVerify, "Confirm your e-mail address for Example", true},
		{"", usher.MailVerify, "Confirm your e-mail address for Example", true},
		{"../../etc", usher.MailVerify, "Confirm your e-mail address for Example", true},
	} {
		s.tokens.language = test.language
		s.post(test.kind, "ann@example.org", nil)
		s.deliver(w, 1)
		mails := s.sink.Mails()
		m := mails[len(mails)-1]
		if m.Subject != test.subject || (m.HTML != "") != test.html {
			t.Errorf("%s in %q: subject %q, HTML %v", test.kind, test.language, m.Subject, m.HTML != "")
		}
	}
	s.config.Language = "de"
	if _, err := mail.NewWorker(s.config); err == nil || !strings.Contains(err.Error(), "de/") {
		t.Errorf("a default language that lacks mails: error %v", err)
	}
}

// A broken template is an error at the start that names the file and the line.
func TestBrokenTemplates(t *testing.T) {
	t.Parallel()
	subject := `{{define "subject"}}x{{end}}` + "\n"
	for name, test := range map[string]struct{ file, text, want string }{
		"syntax":                   {"en/verify.txt", subject + "\n{{if}}", "en/verify.txt:3"},
		"unknown field":            {"en/verify.txt", subject + "{{.Password}}", "en/verify.txt:2"},
		"unknown function":         {"en/reset.txt", subject + "\n\n{{shout .Email}}", "en/reset.txt:4"},
		"only without data":        {"en/verify.txt", subject + "\n{{if not .IP}}{{.Nothing}}{{end}}", "en/verify.txt:3"},
		"no subject":               {"en/verify.txt", "text", "en/verify.txt:1"},
		"empty subject":            {"en/verify.txt", `{{define "subject"}} {{end}}x`, "subject"},
		"two lines":                {"en/verify.txt", `{{define "subject"}}a` + "\n" + `b{{end}}x`, "subject"},
		"user text in the subject": {"en/verify.txt", "\n" + `{{define "subject"}}For {{.Email}}{{end}}x`, "en/verify.txt:2"},
		"no text":                  {"en/verify.txt", subject, "no text"},
		"HTML syntax":              {"en/verify.html", "\n<p>{{if}}", "en/verify.html:2"},
		"HTML unknown field":       {"en/verify.html", "\n\n<p>{{.Secret}}", "en/verify.html:3"},
		"HTML that cannot be safe": {"en/verify.html", "<p>\n<a href='{{if .IP}}x{{else}}'{{end}}>", "en/verify.html:2"},
		"unknown part":             {"en/verify.html", "\n{{template \"heder\" .}}", "en/verify.html:2"},
		"layout":                   {"en/layout.html", "\n\n{{end}}", "en/layout.html:3"},
		"misspelt":                 {"en/verfy.txt", subject + "x", "en/verfy.txt"},
		"misspelt HTML":            {"de/verify.htm.html", "x", "de/verify.htm.html"},
		"HTML alone":               {"de/verify.html", "x", "de/verify.txt"},
		"another language":         {"de/verify.txt", subject + "{{.Nothing}}", "de/verify.txt:2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			config := preview
			config.Templates = files(test.file, test.text)
			_, err := config.Preview(usher.MailVerify, "en")
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("error %v, want %s in it", err, test.want)
			}
		})
	}
	config := preview
	config.Templates = files("en/verify.txt", "a", "en/reset.html", "{{")
	_, err := config.Preview(usher.MailVerify, "en")
	if err == nil || !strings.Contains(err.Error(), "verify.txt:1") || !strings.Contains(err.Error(), "reset.html:1") {
		t.Errorf("error %v does not name both faults", err)
	}
}

// KNOWN-FLAWS 62 (CVE-2022-31127): whatever strangers chose, a mail says only
// what it should.
func TestS_K62_StrangersWriteNothingIntoMails(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	payload := "<a href=\"https://evil.example\">click</a>\r\n\r\nYour account is locked: https://evil.example\u202e"
	s.tokens.language = payload
	for _, kind := range mail.Kinds() {
		s.post(kind, "o'neil&https=evil.example/x@example.org", map[string]string{
			"ip": payload, "user_agent": payload, "time": payload, "provider": payload, "new_email": "https/evil.example@x.example",
		})
	}
	s.deliver(w, len(mail.Kinds()))
	for _, m := range s.sink.Mails() {
		if strings.Contains(m.Subject, "evil") || strings.Contains(m.Subject, "neil") {
			t.Errorf("subject %q", m.Subject)
		}
		text := strings.ReplaceAll(m.Text, m.To, "")
		html := strings.ReplaceAll(m.HTML, "o&#39;neil&amp;https=evil.example/x@example.org", "")
		if strings.Contains(text+html, "evil") || strings.Contains(text+html, "locked") || strings.Contains(text+html, "\u202e") {
			t.Errorf("the mail holds what a stranger wrote:\n%s\n%s", m.Text, m.HTML)
		}
		if strings.Contains(m.HTML, m.To) {
			t.Errorf("the address is not escaped:\n%s", m.HTML)
		}
	}
	// A mail's own template with more trust in its data escapes it, too.
	s.config.Product = `<b>&"Co"</b>`
	s.post(usher.MailVerify, "ann@example.org", nil)
	s.deliver(s.worker(), 1)
	mails := s.sink.Mails()
	last := mails[len(mails)-1]
	if strings.Contains(last.HTML, "<b>") || !strings.Contains(last.HTML, "&lt;b&gt;") || !strings.Contains(last.Subject, `<b>&"Co"</b>`) {
		t.Errorf("subject %q, HTML %s", last.Subject, last.HTML)
	}
}

func TestSignInDetails(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	for _, test := range []struct{ ip, agent, wantIP, wantAgent string }{
		{"203.0.113.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "203.0.113.7", "Firefox, Linux"},
		{"::ffff:203.0.113.7", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36 Edg/130.0", "203.0.113.7", "Edge, Windows"},
		{"2001:db8::1", "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1", "2001:db8::1", "Safari, iPhone"},
		{"2001:db8::1", "Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Mobile Safari/537.36", "2001:db8::1", "Chrome, Android"},
		{"2001:db8::1", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36", "2001:db8::1", "Chrome, macOS"},
		{"fe80::1%<b>", "curl/8.5.0", "", "curl"},
		{"", "", "", ""},
	} {
		s.post(usher.MailNewSignIn, "ann@example.org", map[string]string{"ip": test.ip, "user_agent": test.agent, "time": "2026-02-03T04:05:06+02:00"})
		s.deliver(w, 1)
		mails := s.sink.Mails()
		m := mails[len(mails)-1]
		for part, text := range map[string]string{"text": m.Text, "HTML": m.HTML} {
			if !strings.Contains(text, "3 February 2026 at 02:05 UTC") {
				t.Errorf("%s lacks the time: %s", part, text)
			}
			if strings.Contains(text, "IP address:") != (test.wantIP != "") || !strings.Contains(text, test.wantIP) {
				t.Errorf("%s: want the IP address %q: %s", part, test.wantIP, text)
			}
			if strings.Contains(text, "Device:") != (test.wantAgent != "") || !strings.Contains(text, test.wantAgent) {
				t.Errorf("%s: want the device %q: %s", part, test.wantAgent, text)
			}
		}
	}
}

func TestLifetimes(t *testing.T) {
	t.Parallel()
	for lifetime, want := range map[time.Duration]string{
		0: "1 hour", time.Second: "1 minute", 90 * time.Minute: "90 minutes", 2 * time.Hour: "2 hours", 24 * time.Hour: "24 hours", 72 * time.Hour: "3 days",
	} {
		config := preview
		config.VerifyLifetime = lifetime
		if m, err := config.Preview(usher.MailVerify, "en"); err != nil || !strings.Contains(m.Text, "for "+want+".") {
			t.Errorf("%v: error %v, want %q in %s", lifetime, err, want, m.Text)
		}
		config = preview
		config.ResetLifetime = lifetime
		if m, err := config.Preview(usher.MailReset, "en"); err != nil || !strings.Contains(m.Text, "for "+want+".") {
			t.Errorf("%v: error %v, want %q in %s", lifetime, err, want, m.Text)
		}
	}
}
