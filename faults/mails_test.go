//go:build linux

package faults_test

import (
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"
)

// mails reads the folder that all instances deliver to.
type mails struct {
	dir string

	mu   sync.Mutex
	read map[string]bool     // files
	got  map[string][]letter // by address
}

type letter struct{ kind, token string }

func newMails(dir string) *mails {
	return &mails{dir: dir, read: map[string]bool{}, got: map[string][]letter{}}
}

// to returns the letters to an address.
func (m *mails) to(address string) []letter {
	m.mu.Lock()
	defer m.mu.Unlock()
	folder, err := os.Open(m.dir)
	if err != nil {
		return nil
	}
	defer folder.Close()
	names, _ := folder.Readdirnames(-1)
	for _, name := range names {
		if m.read[name] || !strings.HasSuffix(name, ".eml") { // a mail that is sent again has the same name
			continue
		}
		if to, l, err := readLetter(filepath.Join(m.dir, name)); err == nil {
			m.read[name] = true
			m.got[to] = append(m.got[to], l)
			_ = os.Remove(folder.Name() + "/" + name) // so that there are few to look at
		}
	}
	return m.got[address]
}

// count returns how many letters of a kind there are to an address.
func (m *mails) count(address, kind string) (n int) {
	for _, l := range m.to(address) {
		if l.kind == kind {
			n++
		}
	}
	return n
}

// await returns the token of the nth letter of a kind to an address, or nothing if
// it does not come in time.
func (m *mails) await(address, kind string, nth int, within time.Duration) string {
	for deadline := time.Now().Add(within); ; time.Sleep(25 * time.Millisecond) {
		n := 0
		for _, l := range m.to(address) {
			if l.kind != kind {
				continue
			}
			if n++; n == nth {
				return l.token
			}
		}
		if time.Now().After(deadline) {
			return ""
		}
	}
}

// link is one with a token, and what the page is for.
func link() *regexp.Regexp {
	return regexp.MustCompile(`https?://[^/\s]+/(\w+)#token=(eyJ[\w-]+\.[\w-]+\.[\w-]+)`)
}

func readLetter(name string) (to string, l letter, err error) {
	file, err := os.Open(name)
	if err != nil {
		return "", l, err
	}
	defer file.Close()
	message, err := mail.ReadMessage(file)
	if err != nil {
		return "", l, err
	}
	address, err := mail.ParseAddress(message.Header.Get("To"))
	if err != nil {
		return "", l, err
	}
	body, encoding := message.Body, message.Header.Get("Content-Transfer-Encoding")
	if media, params, _ := mime.ParseMediaType(message.Header.Get("Content-Type")); strings.HasPrefix(media, "multipart/") {
		part, err := multipart.NewReader(body, params["boundary"]).NextRawPart()
		if err != nil {
			return "", l, err
		}
		body, encoding = part, part.Header.Get("Content-Transfer-Encoding")
	}
	if strings.EqualFold(encoding, "quoted-printable") {
		body = quotedprintable.NewReader(body)
	}
	text, err := io.ReadAll(body)
	if found := link().FindStringSubmatch(string(text)); found != nil {
		l = letter{kind: found[1], token: found[2]}
	}
	return address.Address, l, err
}
