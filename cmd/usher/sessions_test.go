package main

import (
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
)

// The commands work beside a server that runs.
func TestSessionsCommands(t *testing.T) {
	t.Parallel()
	c := testConfig(t)
	b := boot(t, c)
	b.register("ada@example.com")
	usher := func(args ...string) string {
		t.Helper()
		output, err := exec.Command("usher", append(args, "--database", c.Database)...).CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %v: %s", args, err, output)
		}
		return string(output)
	}
	// What a client says of itself does nothing to a terminal.
	login := b.want(204, "POST", "/auth/cookie/login", loginForm("ada@example.com"), "User-Agent", "odd\u202e agent")
	first := login.Cookies()[0].Name + "=" + login.Cookies()[0].Value
	second := b.cookie("ada@example.com")

	if got := usher("sessions", "list", "ada@example.com"); strings.Count(got, "\n") != 3 ||
		!strings.Contains(got, `127.0.0.1  odd agent`) || strings.Contains(got, strings.SplitN(second, "=", 2)[1]) {
		t.Error(got)
	}
	lines := strings.Split(strings.TrimSpace(usher("sessions", "list", "ada@example.com", "--json")), "\n")
	var newest struct{ ID string }
	if err := json.Unmarshal([]byte(lines[0]), &newest); err != nil || len(lines) != 2 {
		t.Fatalf("%v: %v", lines, err)
	}
	usher("sessions", "revoke", "ada@example.com", newest.ID)
	b.want(401, "GET", "/users/me", "", "Cookie", second)
	b.want(200, "GET", "/users/me", "", "Cookie", first)
	if got := usher("sessions", "revoke", "ada@example.com", "--all"); got != "ended sessions: 1\n" {
		t.Error(got)
	}
	b.want(401, "GET", "/users/me", "", "Cookie", first)

	// So do those that change a user.
	third := b.cookie("ada@example.com")
	usher("user", "deactivate", "ada@example.com")
	b.want(401, "GET", "/users/me", "", "Cookie", third)
	b.want(400, "POST", "/auth/cookie/login", loginForm("ada@example.com"))
	usher("user", "activate", "ada@example.com")
	b.want(401, "GET", "/users/me", "", "Cookie", third)
	b.cookie("ada@example.com")
}
