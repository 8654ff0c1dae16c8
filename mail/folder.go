package mail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
)

// Folder is a Mailer for development: it sends nothing but writes each mail
// into a file of a directory and prints the links in it. Whoever reads either
// can use the links.
type Folder struct {
	dir string
	mu  sync.Mutex // whole lines
	out io.Writer
}

// NewFolder makes the directory if there is none; only its owner can then read
// it. The links go to out, if that is not nil.
func NewFolder(dir string, out io.Writer) (*Folder, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("mail: folder: %w", err)
	}
	if out == nil {
		out = io.Discard
	}
	return &Folder{dir: dir, out: out}, nil
}

var links = regexp.MustCompile(`https?://\S+`)

// Send implements Mailer. The file is <ID>.eml, so a mail that is sent again
// takes the place of the first.
func (f *Folder) Send(_ context.Context, m Mail) error {
	msg, err := compose(m)
	if err != nil {
		return err
	}
	path := filepath.Join(f.dir, safeID(m.ID)+".eml")
	if err := writeFile(path, msg); err != nil {
		return fmt.Errorf("mail: folder: %w", err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	fmt.Fprintf(f.out, "mail to %s: %s\n", m.To, m.Subject)
	for _, line := range append(links.FindAllString(m.Text, -1), path) {
		fmt.Fprintf(f.out, "  %s\n", strings.Map(printable, line))
	}
	return nil
}

// writeFile writes a file that only its owner can read, whole or not at all.
func writeFile(path string, content io.WriterTo) (err error) {
	file, err := os.CreateTemp(filepath.Dir(path), ".mail-*") // 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(file.Name()))
		}
	}()
	_, err = content.WriteTo(file)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}
