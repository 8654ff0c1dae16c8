package mail

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"unicode"

	"usher"
)

// placeholder is where a URL has the token.
const placeholder = "{token}"

// URLs are the pages that mails link to. They come from the configuration only,
// never from a request. The first three have {token} in them:
//
//	https://app.example.com/verify#token={token}
//
// In the fragment, as here, the token gets into no log and no Referer on the way;
// a path or query is possible too. The page must ask its visitor before it posts
// the token: mail scanners open links, and a GET must use nothing up.
type URLs struct {
	Verify  string // proves an address
	Reset   string // sets a new password
	Email   string // confirms a new address
	Account string // where to sign in or ask for a new password; may be empty
}

// link is the link of a mail, empty if it has none.
func (u URLs) link(kind usher.MessageKind, token string) string {
	pages := map[usher.MessageKind]string{
		usher.MailVerify: u.Verify, usher.MailReset: u.Reset, usher.MailConfirmEmail: u.Email,
	}
	page, ok := pages[kind]
	if !ok {
		return u.Account
	}
	return strings.Replace(page, placeholder, url.QueryEscape(token), 1)
}

// validate returns every fault. Links without TLS are for the same machine only,
// unless insecure.
func (u URLs) validate(insecure bool) error {
	var faults []error
	for _, page := range []struct {
		name, url string
		tokens    int
	}{{"Verify", u.Verify, 1}, {"Reset", u.Reset, 1}, {"Email", u.Email, 1}, {"Account", u.Account, 0}} {
		if page.name == "Account" && page.url == "" {
			continue
		}
		if err := checkURL(page.url, page.tokens, insecure); err != nil {
			faults = append(faults, fmt.Errorf("mail: URLs.%s %q: %w", page.name, page.url, err))
		}
	}
	return errors.Join(faults...)
}

func checkURL(page string, tokens int, insecure bool) error {
	parsed, err := url.Parse(strings.ReplaceAll(page, placeholder, "TOKEN"))
	switch {
	case err != nil || strings.ContainsFunc(page, unicode.IsSpace):
		return errors.New("malformed")
	case parsed.Scheme != "https" && parsed.Scheme != "http" || parsed.Hostname() == "" || parsed.User != nil:
		return errors.New("want https://host/…")
	case parsed.Scheme == "http" && !insecure && !isThisMachine(parsed.Hostname()):
		return errors.New("http:// would show the token to everybody on the way")
	case strings.Contains(parsed.Host, "TOKEN") && tokens > 0:
		return errors.New("the token cannot be in the host")
	case strings.Count(page, placeholder) != tokens:
		return fmt.Errorf("%s must be in it %d times", placeholder, tokens)
	}
	return nil
}

func isThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
