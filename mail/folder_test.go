package mail_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"usher/mail"
)

func TestFolder(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "mail", "out")
	var out bytes.Buffer
	folder, err := mail.NewFolder(dir, &out)
	if err != nil {
		t.Fatal(err)
	}
	m := hello()
	for range 2 { // the second takes the first's place
		if err := folder.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, m.ID+".eml")
	for file, want := range map[string]os.FileMode{dir: 0o700 | os.ModeDir, path: 0o600} {
		if info, err := os.Stat(file); err != nil || info.Mode() != want {
			t.Errorf("%s: mode %v, error %v, want %v", file, info.Mode(), err, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("%d files, error %v, want 1", len(entries), err)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if message := parse(t, string(raw)); message.text != m.Text || message.subject != m.Subject || message.html != m.HTML {
		t.Errorf("the file holds %+v", message)
	}
	for _, want := range []string{"ann@example.org", m.Subject, "https://app.example.com/verify#token=" + secret + "\n", path} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("printed %q, want %q in it", out.String(), want)
		}
	}
}

func TestFolderFaults(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mail.NewFolder(file, nil); err == nil {
		t.Error("a file as the folder: no error")
	}
	folder, err := mail.NewFolder(filepath.Join(dir, "mail"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"../outside", "/tmp/outside", "..", ".hidden", "a\nb", strings.Repeat("x", 1000)} {
		m := hello()
		m.ID = id
		if err := folder.Send(t.Context(), m); err != nil {
			t.Errorf("ID %q: %v", id, err)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("a mail got out of the folder: %v, error %v", entries, err)
	}
	m := hello()
	m.To = "ann@example.org\n"
	if err := folder.Send(t.Context(), m); err == nil {
		t.Error("a bad recipient: no error")
	}
	if err := os.RemoveAll(filepath.Join(dir, "mail")); err != nil {
		t.Fatal(err)
	}
	if err := folder.Send(t.Context(), hello()); err == nil {
		t.Error("no folder any more: no error")
	}
}
