package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"
)

// Who had a password before has the same one here, and a thousand hashes are
// imported as they are, without hashing.
func TestImportHashes(t *testing.T) {
	t.Parallel()
	hash, err := bcrypt.GenerateFromPassword([]byte(goodPassword), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("\ufeffemail,hashed_password\r\n")
	for i := range 1000 {
		fmt.Fprintf(&b, "u%d@example.com,%s\r\n", i, hash)
	}
	dir := t.TempDir()
	write(t, dir, "users.csv", b.String())
	c := testConfig(t)
	begin := time.Now()
	output, err := exec.Command("usher", "user", "import", "--csv", filepath.Join(dir, "users.csv"), "--database", c.Database).CombinedOutput()
	if err != nil || string(output) != "created: 1000, skipped: 0, failed: 0\n" {
		t.Fatalf("%v: %s", err, output)
	}
	if took := time.Since(begin); took > 30*time.Second {
		t.Errorf("took %v", took)
	} else {
		t.Logf("took %v", took)
	}
	server := boot(t, c)
	server.cookie("u0@example.com")
	server.cookie("u999@example.com")
	server.want(400, "POST", "/auth/cookie/login", "username=u1@example.com&password=another")
}
