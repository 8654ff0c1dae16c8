package mail

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"
	"unicode"

	"usher"
)

// data is what the templates can say. What a stranger chose is in it only in a
// form that says nothing but what it should: whoever asks for a mail to somebody
// else must not write it.
type data struct {
	Product   string
	Email     string // the address that the mail goes to
	Link      string // of the kind; may be empty where it has no token
	Lifetime  lifetime
	IP        string // "" if unknown
	UserAgent string // a browser and a system, in words of ours; "" if unknown
	Provider  string // by its name in the configuration; "" if unknown
	Time      time.Time
}

// subjectData is what a subject can say: nothing of a user.
type subjectData struct{ Product string }

// lifetime is how long a link is good.
type lifetime time.Duration

// Minutes returns it in whole minutes, for languages other than English.
func (l lifetime) Minutes() int { return max(1, int(time.Duration(l).Minutes())) }

// String returns it in English: "1 hour", "90 minutes", "2 days".
func (l lifetime) String() string {
	n, unit := l.Minutes(), "minute"
	switch {
	case n%(24*60) == 0 && n > 24*60:
		n, unit = n/(24*60), "day"
	case n%60 == 0:
		n, unit = n/60, "hour"
	}
	if n != 1 {
		unit += "s"
	}
	return fmt.Sprint(n, " ", unit)
}

// renderer makes mails of messages.
type renderer struct {
	from, product string
	urls          URLs
	lifetimes     map[usher.MessageKind]time.Duration
	templates     templates
}

// newRenderer returns every fault of the configuration that concerns how mails
// look. It has executed each template, with all data and with as little as can be.
func newRenderer(c Config) (*renderer, error) {
	var faults []error
	if _, err := sender(c.From); err != nil {
		faults = append(faults, err)
	}
	if strings.TrimSpace(c.Product) == "" || !isLine(c.Product) {
		faults = append(faults, errors.New("mail: Product is not one line of text"))
	}
	if c.VerifyLifetime < 0 || c.ResetLifetime < 0 {
		faults = append(faults, errors.New("mail: VerifyLifetime or ResetLifetime is negative"))
	}
	set, err := load(c.Templates, c.Language)
	if err != nil {
		faults = append(faults, fmt.Errorf("mail: templates: %w", err))
	}
	faults = append(faults, c.URLs.validate(c.InsecureLinks))
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	r := &renderer{
		from: c.From, product: c.Product, urls: c.URLs, templates: set,
		lifetimes: map[usher.MessageKind]time.Duration{
			usher.MailVerify: c.VerifyLifetime, usher.MailReset: c.ResetLifetime, usher.MailConfirmEmail: c.VerifyLifetime,
		},
	}
	return r, r.try()
}

// try renders every mail in every language.
func (r *renderer) try() error {
	var faults []error
	for language, kinds := range r.templates.byName {
		for kind := range kinds {
			m := sample(kind)
			_, err := r.mail(m, language, "token")
			delete(m.Data, "ip")
			delete(m.Data, "user_agent")
			delete(m.Data, "provider")
			_, bare := r.mail(m, language, "token")
			faults = append(faults, err)
			if bare != nil && (err == nil || bare.Error() != err.Error()) {
				faults = append(faults, bare)
			}
		}
	}
	return errors.Join(faults...)
}

// sample is a message as usher stores them.
func sample(kind usher.MessageKind) usher.Message {
	now := time.Date(2026, time.January, 15, 9, 30, 0, 0, time.UTC)
	return usher.Message{
		ID: "sample", Kind: kind, UserID: "1", Email: "ann@example.com", CreatedAt: now, DueAt: now,
		Data: map[string]string{
			"ip": "203.0.113.7", "time": now.Format(time.RFC3339),
			"provider":   "github",
			"user_agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
		},
	}
}

// mail renders a message, in a language if there are templates in it. The token is for
// the kinds that have one.
func (r *renderer) mail(m usher.Message, language, token string) (Mail, error) {
	t, ok := r.templates.find(language, m.Kind)
	if !ok {
		return Mail{}, fmt.Errorf("mail: no mail is of the kind %q", m.Kind)
	}
	subject, text, html, err := t.execute(data{
		Product: r.product, Email: strings.Map(printable, m.Email), Link: r.urls.link(m.Kind, token),
		Lifetime: lifetime(r.lifetimes[m.Kind]), IP: address(m.Data["ip"]),
		UserAgent: describeUserAgent(m.Data["user_agent"]), Provider: providerName.FindString(m.Data["provider"]), Time: timeOf(m),
	})
	if err != nil {
		return Mail{}, fmt.Errorf("mail: templates: %w", err)
	}
	mail := Mail{From: r.from, To: m.Email, Subject: subject, Text: text, HTML: html, ID: m.ID}
	if _, err := compose(mail); err != nil {
		return Mail{}, err
	}
	return mail, nil
}

// timeOf is when it happened.
func timeOf(m usher.Message) time.Time {
	if t, err := time.Parse(time.RFC3339, m.Data["time"]); err == nil {
		return t.UTC()
	}
	return m.CreatedAt.UTC()
}

// providerName is what providers are called.
var providerName = regexp.MustCompile(`^[a-z0-9_-]{1,64}$`)

func address(ip string) string {
	if addr, err := netip.ParseAddr(ip); err == nil && addr.Zone() == "" {
		return addr.Unmap().String()
	}
	return ""
}

// printable is for strings.Map. It leaves out what moves the cursor, of a
// terminal or of a reader.
func printable(c rune) rune {
	if unicode.IsPrint(c) {
		return c
	}
	return -1
}
