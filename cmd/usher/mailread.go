package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"usher"
)

type mailReadCommand struct {
	Email string `arg:"" help:"Whom the mail is to."`
	Token bool   `help:"Print nothing but the token of the link in it."`
}

// mailPatience is how long to wait for a mail that the server is delivering.
const mailPatience = 10 * time.Second

// Run first waits until the server has delivered what it has for the address.
func (m mailReadCommand) Run(settings Settings) error {
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	if config.Mail.Mailer != "folder" {
		return errors.New("only the mails of the mailer folder can be read here")
	}
	err = withApp(settings, func(ctx context.Context, a *app) error { return a.waitForMails(ctx, m.Email) })
	if err != nil {
		return err
	}
	found, err := newestMail(config.Mail.Folder, m.Email)
	switch {
	case err != nil:
		return err
	case m.Token && found.token() == "":
		return errors.New("there is no token in the newest mail to " + m.Email)
	case m.Token:
		fmt.Println(found.token())
	default:
		fmt.Printf("Subject: %s\n\n%s", found.subject, found.text)
	}
	return nil
}

func (a *app) waitForMails(ctx context.Context, address string) error {
	for deadline := time.Now().Add(mailPatience); ; time.Sleep(50 * time.Millisecond) {
		waiting, err := a.db.ListMessages(ctx, 1000)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(waiting, func(x usher.Message) bool { return !x.Dead && strings.EqualFold(x.Email, address) }) {
			return nil
		}
		if time.Now().After(deadline) {
			return errors.New("a mail to " + address + " is not delivered: does the server run? (see usher mail list)")
		}
	}
}

// writtenMail is a mail of the folder.
type writtenMail struct{ subject, text string }

// newestMail returns the last mail to an address. The names of the files are ids
// in the order of time.
func newestMail(folder, to string) (writtenMail, error) {
	names, err := filepath.Glob(filepath.Join(folder, "*.eml"))
	if err != nil {
		return writtenMail{}, err
	}
	slices.Sort(names)
	for _, name := range slices.Backward(names) {
		found, recipient, err := readMail(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return writtenMail{}, fmt.Errorf("%s: %w", name, err)
		}
		if strings.EqualFold(recipient, to) {
			return found, nil
		}
	}
	return writtenMail{}, fmt.Errorf("there is no mail to %s in %s", to, absolute(folder))
}

// readMail reads the first text of a mail, which is the plain one.
func readMail(name string) (m writtenMail, to string, err error) {
	file, err := os.Open(name)
	if err != nil {
		return m, "", err
	}
	defer file.Close()
	message, err := netmail.ReadMessage(file)
	if err != nil {
		return m, "", err
	}
	recipients, err := message.Header.AddressList("To")
	if err != nil || len(recipients) != 1 {
		return m, "", errors.New("no recipient")
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
	if err != nil {
		return m, "", err
	}
	var body io.Reader = message.Body
	encoding := message.Header.Get("Content-Transfer-Encoding")
	if media, params, _ := mime.ParseMediaType(message.Header.Get("Content-Type")); strings.HasPrefix(media, "multipart/") {
		part, err := multipart.NewReader(body, params["boundary"]).NextRawPart()
		if err != nil {
			return m, "", err
		}
		body, encoding = part, part.Header.Get("Content-Transfer-Encoding")
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	return writtenMail{subject, strings.ReplaceAll(string(text), "\r\n", "\n")}, recipients[0].Address, err
}

// linkToken is a JWT in a link.
var linkToken = regexp.MustCompile(`https?://\S*?(eyJ[\w-]+\.[\w-]+\.[\w-]+)`)

func (m writtenMail) token() string {
	if found := linkToken.FindStringSubmatch(m.text); found != nil {
		return found[1]
	}
	return ""
}
