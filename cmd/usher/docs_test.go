package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestGuides does what the guides say. The convention:
//
//   - A block of the language sh is typed into a terminal, after the blocks before
//     it, and succeeds. `usher serve` (or `go run ./cmd/usher serve`) runs until it
//     comes again.
//   - A block of the language json or text right below is the output, with … for
//     what is different each time. White space between the tokens of JSON does not
//     count. If it begins with the member detail, curl may be refused.
//   - Blocks of other languages are not looked at.
func TestGuides(t *testing.T) {
	t.Parallel()
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err == nil {
			continue
		}
		if os.Getenv("USHER_TEST_REQUIRE") == "1" {
			t.Fatalf("%s is not installed, and USHER_TEST_REQUIRE=1 lets no test skip for want of it", program)
		}
		t.Skipf("%s is not installed; `make test` installs it", program)
	}
	for _, guide := range []struct {
		name   string
		blocks int    // at least
		old    string // the database of another program that is there: app.db
	}{{"README.md", 2, ""}, {"docs/accounts.md", 40, ""}, {"docs/oauth.md", 15, ""}, {"docs/moving-from-fastapi-users.md", 5, originalDatabase(t)}} {
		t.Run(guide.name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile("../../" + guide.name)
			if err != nil {
				t.Fatal(err)
			}
			blocks, err := guideBlocks(string(text))
			if err != nil || len(blocks) < guide.blocks {
				t.Fatalf("%d blocks, %v", len(blocks), err)
			}
			runGuide(t, blocks, guide.old)
		})
	}
}

// guideBlock is a block that is typed.
type guideBlock struct {
	line     int
	commands string
	kind     string // of the output: json, text, or empty for any
	output   string
}

var fencedBlock = regexp.MustCompile("(?ms)^```(\\w*)[^\n]*\n(.*?)^```$")

// guideBlocks fails for an output that is not right below its block.
func guideBlocks(text string) (blocks []guideBlock, err error) {
	end := -1 // of a block that may have its output below
	for _, at := range fencedBlock.FindAllStringSubmatchIndex(text, -1) {
		kind, content, line := text[at[2]:at[3]], text[at[4]:at[5]], 1+strings.Count(text[:at[0]], "\n")
		switch kind {
		case "sh":
			blocks, end = append(blocks, guideBlock{line: line, commands: content}), at[1]
		case "json", "text":
			if end < 0 || strings.TrimSpace(text[end:at[0]]) != "" {
				return nil, fmt.Errorf("line %d: %s that is no output", line, kind)
			}
			blocks[len(blocks)-1].kind, blocks[len(blocks)-1].output, end = kind, content, -1
		}
	}
	return blocks, nil
}

// runGuide types the blocks into one shell, in a folder of its own.
func runGuide(t *testing.T, blocks []guideBlock, old string) {
	dir, server, provider := t.TempDir(), freePort(t), freePort(t)
	here := strings.NewReplacer(":8000", ":"+server, ":9000", ":"+provider)
	prelude, err := filepath.Abs("testdata/guide.bash")
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "provider")
	if old != "" {
		content, err := os.ReadFile(old)
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, "app.db", string(content))
	}
	var script strings.Builder
	fmt.Fprintf(&script, "source '%s'\n", prelude)
	for i, b := range blocks {
		refused := ""
		if strings.HasPrefix(b.output, `{"detail"`) {
			refused = "1"
		}
		fmt.Fprintf(&script, "exec >%d.out\nrefused=%s\n%s", i, refused, here.Replace(b.commands))
		if strings.Contains(b.commands, "testdata/provider") {
			if output, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "./testdata/provider").CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, output)
			}
		}
	}
	write(t, dir, "guide", script.String())

	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	shell := exec.CommandContext(ctx, "bash", "guide")
	shell.Dir = dir
	shell.Env = append(shell.Environ(), "HOME="+dir, "no_proxy=127.0.0.1", "USHER_ADDR=127.0.0.1:"+server,
		"PROVIDER="+program, "PROVIDER_ADDR=127.0.0.1:"+provider)
	shell.Cancel = func() error { return shell.Process.Signal(syscall.SIGTERM) } // it ends its servers
	shell.WaitDelay = 10 * time.Second
	var stderr strings.Builder
	shell.Stderr = &stderr
	failed := shell.Run()

	for i, b := range blocks {
		output, err := os.ReadFile(filepath.Join(dir, strconv.Itoa(i)+".out"))
		if err != nil { // it did not come so far
			if !t.Failed() {
				t.Errorf("%v\n%s", failed, stderr.String())
			}
			return
		}
		_, err = os.Stat(filepath.Join(dir, strconv.Itoa(i+1)+".out"))
		if last := err != nil; last && failed != nil {
			t.Errorf("line %d: %v\n%s%s%s", b.line, failed, b.commands, output, stderr.String())
		} else if b.kind != "" && !b.allows(here.Replace(b.output), string(output)) {
			t.Errorf("line %d:\n%sgot\n%s\nwant\n%s", b.line, b.commands, output, here.Replace(b.output))
		}
	}
}

// jsonParts are the strings of a text, and what is between them.
var jsonParts = regexp.MustCompile(`"(?:[^"\\]|\\.)*"|[^"]+`)

// allows tells whether output is what the guide shows.
func (b guideBlock) allows(shown, output string) bool {
	if b.kind == "text" {
		return regexp.MustCompile(`^\s*` + orAnything(strings.TrimSpace(shown), `(?s:.*)`) + `\s*$`).MatchString(output)
	}
	pattern := ""
	for _, part := range jsonParts.FindAllString(compact(shown), -1) {
		if strings.HasPrefix(part, `"`) {
			pattern += orAnything(part, `[^"]*`)
		} else {
			pattern += orAnything(part, `.*`)
		}
	}
	return regexp.MustCompile("^" + pattern + "$").MatchString(compact(output))
}

// orAnything is a pattern for text, with another one for each ….
func orAnything(text, anything string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(text), "…", anything)
}

// compact leaves out the white space between the tokens of JSON.
func compact(text string) string {
	return jsonParts.ReplaceAllStringFunc(text, func(part string) string {
		if strings.HasPrefix(part, `"`) {
			return part
		}
		return strings.Join(strings.Fields(part), "")
	})
}

func TestGuideOutput(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind, shown, output string
		want                bool
	}{
		{"json", `{"id": "…", "name": "a b"}`, `{"id":"1\u0026","name":"a b"}`, true},
		{"json", `{"id": "…", "name": "a b"}`, `{"id":"1","name":"ab"}`, false},
		{"json", `{"id": "…"}`, `{"id":"1","name":"ab"}`, false},
		{"json", `{"id": "…"}`, `{"id":1}`, false},
		{"json", `{"id": "…" …}`, `{"id":"1","more":{}}`, true},
		{"json", `{"at": …, "on": true}`, `{"at":1795446897,"on":true}`, true},
		{"json", `{"at": …, "on": true}`, `{"at":1795446897,"on":false}`, false},
		{"json", `null`, ``, false},
		{"text", "Subject: a.b\n\n…\nend\n", "Subject: a.b\n\nc\nd\n\nend\n", true},
		{"text", "Subject: a.b\n…", "Subject: a-b\n", false},
		{"text", "a", "a\nb", false},
	} {
		if got := (guideBlock{kind: c.kind}).allows(c.shown, c.output); got != c.want {
			t.Errorf("%s: %s allows %s: %v", c.kind, c.shown, c.output, got)
		}
	}
}

func TestGuideBlocks(t *testing.T) {
	t.Parallel()
	const sh, json, other = "```sh\na\n```\n", "```json\n1\n```\n", "```\nb\n```\n"
	for text, want := range map[string]string{
		other + sh + json + other + sh: "[{4 a\n json 1\n} {13 a\n  }] <nil>",
		sh + "\n" + json:               "[{1 a\n json 1\n}] <nil>",
		sh + json + json:               "[] line 7: json that is no output",
		sh + "and" + "\n" + json:       "[] line 5: json that is no output",
		json:                           "[] line 1: json that is no output",
	} {
		blocks, err := guideBlocks(text)
		if got := fmt.Sprint(blocks, err); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

// freePort returns a port below those that systems hand out for connections.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(20000 + rand.IntN(10000))
		if ln, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			_ = ln.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}
