package mail

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"usher"
)

// compose writes a mail as an RFC 5322 message. It takes nothing that could
// become another header or another recipient.
func compose(m Mail) (*gomail.Msg, error) {
	from, err := sender(m.From)
	if err != nil {
		return nil, err
	}
	to, err := recipient(m.To)
	if err != nil {
		return nil, err
	}
	switch {
	case m.Subject == "" || !isLine(m.Subject):
		return nil, errors.New("mail: the subject is not one line of text")
	case strings.TrimSpace(m.Text) == "":
		return nil, errors.New("mail: no text")
	}
	_, domain, _ := strings.Cut(from.Address, "@")
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(from)
	msg.ToMailAddress(to)
	msg.Subject(m.Subject)
	msg.SetDate()
	msg.SetMessageIDWithValue(safeID(m.ID) + "@" + domain)
	// Nobody's absence note shall answer (RFC 3834, and Exchange's own way).
	msg.SetGenHeader("Auto-Submitted", "auto-generated")
	msg.SetGenHeader(gomail.HeaderXAutoResponseSuppress, "All")
	msg.SetBodyString(gomail.TypeTextPlain, m.Text)
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	}
	return msg, nil
}

// sender parses the operator's own address, which may have a name.
func sender(from string) (*netmail.Address, error) {
	address, err := netmail.ParseAddress(from)
	if err == nil && !isLine(from) {
		err = errors.New("not one line of text")
	}
	if err != nil {
		return nil, fmt.Errorf("mail: sender %q: %w", from, err)
	}
	bare, err := recipient(address.Address)
	if err != nil {
		return nil, err
	}
	return &netmail.Address{Name: address.Name, Address: bare.Address}, nil
}

// recipient takes a bare address and nothing that a parser of addresses could
// read as another or as several: no name, list, comment, quotes or route.
func recipient(to string) (*netmail.Address, error) {
	bad := fmt.Errorf("%w: %q is not a bare address", ErrRejected, to)
	if !isLine(to) || strings.ContainsAny(to, ` ,;:<>()[]"\`) || strings.Count(to, "@") != 1 {
		return nil, bad
	}
	address, err := netmail.ParseAddress(to)
	if err != nil || address.Address != to || address.Name != "" {
		return nil, bad
	}
	local, domain, _ := strings.Cut(to, "@")
	if !isASCII(domain) { // every server takes it in ASCII
		if domain, err = idna.Lookup.ToASCII(domain); err != nil {
			return nil, bad
		}
	}
	return &netmail.Address{Address: local + "@" + domain}, nil
}

var plainID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// safeID is id if it can stand in a header and name a file, else its hash.
func safeID(id string) string {
	switch {
	case id == "":
		return string(usher.NewID())
	case plainID.MatchString(id):
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

func isLine(s string) bool {
	return utf8.ValidString(s) && !strings.ContainsFunc(s, unicode.IsControl) && !strings.ContainsAny(s, "\u2028\u2029")
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(c rune) bool { return c >= utf8.RuneSelf })
}
