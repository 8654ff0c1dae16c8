package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"usher"
)

// defaultSecretFile is beside the database, where backups find both.
func defaultSecretFile(database string) string {
	return filepath.Join(folderOf(database), "usher.secret")
}

// readSecret returns the secret: that of the environment, or else of the file.
// The error is fs.ErrNotExist if there is no file.
func (c Config) readSecret() ([]byte, error) {
	secret, source := []byte(c.Secret), "USHER_SECRET"
	if c.Secret == "" {
		source = c.SecretFile
		text, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return nil, err
		}
		if err := checkPrivate(c.SecretFile); err != nil {
			return nil, err
		}
		secret = trimSecret(text)
	}
	// The library judges secrets where it uses them; here every one is judged.
	judge := &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}}
	if err := judge.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %s", source, strings.TrimPrefix(err.Error(), "JWT: key 0: "))
	}
	return secret, nil
}

// loadSecret is readSecret that makes the file if there is none. The secret is
// then new, and created is true.
func (c Config) loadSecret() (secret []byte, created bool, err error) {
	secret, err = c.readSecret()
	if !errors.Is(err, fs.ErrNotExist) {
		return secret, false, err
	}
	if err := writeSecretFile(c.SecretFile, newSecret()); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, err
	} else if err == nil {
		created = true
	}
	secret, err = c.readSecret() // what is on the disk counts
	return secret, created, err
}

// writeSecretFile makes a file that only its owner can read. It appears under
// its name with its whole content, so that of several processes that start at
// once one makes it and the others read it.
func writeSecretFile(name string, secret []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".usher.secret.*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(append(secret, '\n'))
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), name)
}

// newSecret returns 256 random bits as text.
func newSecret() []byte {
	var b [32]byte
	rand.Read(b[:]) // never fails: the process ends if the system has no randomness
	return hex.AppendEncode(nil, b[:])
}

// trimSecret takes away the line break that editors put at the end of a file.
func trimSecret(text []byte) []byte { return bytes.TrimRight(text, "\r\n") }

// checkPrivate refuses a file with a secret that others on the machine can read.
func checkPrivate(name string) error {
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 && runtime.GOOS != "windows" { // which has no such modes
		return fmt.Errorf("%s: others can read it (mode %04o): chmod 600 %[1]s", name, mode)
	}
	return nil
}
