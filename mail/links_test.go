package mail_test

import (
	"fmt"
	"strings"
	"testing"

	"usher"
	"usher/mail"
)

// F10, KNOWN-FLAWS 56 and 100: links come from the configuration. There is nothing else
// that they could come from; what a message says of itself changes nothing.
func TestS_F10_K100_LinksComeFromTheConfiguration(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	evil := map[string]string{}
	for _, name := range []string{"host", "Host", "X-Forwarded-Host", "Forwarded", "link", "Link", "url", "base_url", "product"} {
		evil[name] = "https://evil.example"
	}
	for _, kind := range mail.Kinds() {
		s.post(kind, "ann@example.org", evil)
	}
	s.deliver(w, len(mail.Kinds()))
	for _, m := range s.sink.Mails() {
		if strings.Contains(m.Subject+m.Text+m.HTML, "evil") {
			t.Errorf("evil got into the mail %s", m.Text)
		}
	}
}

// The token is in the link once, in the fragment, and every mail with a token
// carries the link as text and as HTML.
func TestLinks(t *testing.T) {
	s := newSetup(t)
	w := s.worker()
	want := map[usher.MessageKind]string{
		usher.MailVerify:            "https://app.example.com/verify#token=verify.7." + secret,
		usher.MailReset:             "https://app.example.com/reset#token=reset.7." + secret,
		usher.MailConfirmEmail:      "https://app.example.com/email#token=email.7." + fmt.Sprintf("%x", "ann@example.org") + "." + secret,
		usher.MailAlreadyRegistered: urls.Account,
		usher.MailPasswordChanged:   urls.Account,
		usher.MailNewSignIn:         urls.Account,
		usher.MailAccountLinked:     urls.Account,
		usher.MailAccountUnlinked:   urls.Account,
		usher.MailEmailChanged:      "",
	}
	for _, kind := range mail.Kinds() {
		s.post(kind, "ann@example.org", nil)
		s.deliver(w, 1)
		mails := s.sink.Mails()
		m := mails[len(mails)-1]
		link := want[kind]
		if link == "" {
			if strings.Contains(m.Text+m.HTML, "https://") {
				t.Errorf("%s has a link: %s", kind, m.Text)
			}
			continue
		}
		if !strings.Contains(m.Text, "\n"+link+"\n") || !strings.Contains(m.HTML, `href="`+link+`"`) {
			t.Errorf("%s lacks %s:\n%s\n%s", kind, link, m.Text, m.HTML)
		}
	}
	if len(s.tokens.made) != 3 {
		t.Errorf("%d tokens were made, want 3", len(s.tokens.made))
	}
}

func TestURLs(t *testing.T) {
	t.Parallel()
	good := []string{
		"https://app.example.com/verify#token={token}", "https://app.example.com/verify?token={token}&x=1",
		"https://app.example.com/verify/{token}", "http://localhost:3000/#/verify/{token}", "http://127.0.0.1/{token}", "http://[::1]:8080/{token}",
	}
	for _, url := range good {
		if err := withVerifyURL(url, false); err != nil {
			t.Errorf("%s: %v", url, err)
		}
	}
	bad := []string{
		"", "{token}", "/verify#token={token}", "app.example.com/{token}", "https:///{token}", "https://app.example.com/verify",
		"https://app.example.com/{token}/{token}", "https://{token}.example.com/", "https://{token}/", "ftp://app.example.com/{token}",
		"javascript:alert({token})", "https://user:pw@app.example.com/{token}", "https://app.example.com/a b#{token}",
		"https://app.example.com/\r\n{token}", "https://app.example.com:port/{token}", "http://app.example.com/{token}",
		"http://localhost.evil.example/{token}",
	}
	for _, url := range bad {
		if err := withVerifyURL(url, false); err == nil || !strings.Contains(err.Error(), "URLs.Verify") {
			t.Errorf("%s: error %v, want one about URLs.Verify", url, err)
		}
	}
	if err := withVerifyURL("http://app.example.com/{token}", true); err != nil {
		t.Errorf("http:// with InsecureLinks: %v", err)
	}
	config := preview
	config.URLs.Account = "https://app.example.com/{token}"
	if _, err := config.Preview(usher.MailVerify, "en"); err == nil {
		t.Error("a token for Account: no error")
	}
	config.URLs.Account = ""
	if _, err := config.Preview(usher.MailVerify, "en"); err != nil {
		t.Errorf("no Account: %v", err)
	}
}

// preview is what Preview needs.
var preview = mail.Config{From: "no-reply@example.com", Product: "Example", URLs: urls}

func withVerifyURL(url string, insecure bool) error {
	config := preview
	config.URLs.Verify, config.InsecureLinks = url, insecure
	_, err := config.Preview(usher.MailVerify, "en")
	return err
}
