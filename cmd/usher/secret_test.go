package main

import (
	"bytes"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

func TestSecretIsMadeOnce(t *testing.T) {
	t.Parallel()
	c := Config{SecretFile: filepath.Join(t.TempDir(), "usher.secret")}
	var wait sync.WaitGroup
	secrets, created := make([][]byte, 16), make([]bool, 16)
	for i := range secrets {
		wait.Go(func() {
			var err error
			if secrets[i], created[i], err = c.loadSecret(); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	makers := 0
	for i := range secrets {
		if created[i] {
			makers++
		}
		if len(secrets[i]) != 64 || !bytes.Equal(secrets[i], secrets[0]) {
			t.Errorf("%d: %q", i, secrets[i])
		}
	}
	if makers != 1 {
		t.Errorf("made %d times", makers)
	}
	info, err := os.Stat(c.SecretFile)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	files, err := os.ReadDir(filepath.Dir(c.SecretFile))
	if err != nil || len(files) != 1 {
		t.Errorf("left %v: %v", files, err)
	}
}

func TestSecretThatIsNoneIsRefused(t *testing.T) {
	t.Parallel()
	good := string(newSecret())
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		ok   bool
	}{
		"good":                  {good + "\n", 0o600, true},
		"read-only":             {good, 0o400, true},
		"readable by the group": {good, 0o640, false},
		"readable by all":       {good, 0o644, false},
		"empty":                 {"", 0o600, false},
		"short":                 {"0123456789abcdef", 0o600, false},
		"sample":                {"changeme-changeme-changeme-changeme", 0o600, false},
	} {
		config := Config{SecretFile: filepath.Join(t.TempDir(), "usher.secret")}
		if err := os.WriteFile(config.SecretFile, []byte(c.text), c.mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(config.SecretFile, c.mode); err != nil { // whatever the umask
			t.Fatal(err)
		}
		secret, created, err := config.loadSecret()
		if (err == nil) != c.ok || created {
			t.Errorf("%s: created %v, %v", name, created, err)
		}
		if c.ok && string(secret) != good {
			t.Errorf("%s: got %q", name, secret)
		}
	}
}
