package main

import (
	"strings"
	"testing"
)

// On a terminal an import shows a bar, and takes it away.
func TestImportBar(t *testing.T) {
	t.Parallel()
	var w strings.Builder
	b := progressBar{w: &w, terminal: true}
	b.show("user", 0, 4)
	b.show("user", 1, 4) // too soon to be seen
	b.show("user", 4, 4)
	b.show("accesstoken", 0, 0)
	b.end()
	const back = "\r\x1b[K"
	want := back + "user          [" + strings.Repeat(" ", 30) + "] 0 of 4" +
		back + "user          [" + strings.Repeat("=", 30) + "] 4 of 4" +
		back + "accesstoken   [" + strings.Repeat("=", 30) + "] 0 of 0" + back
	if got := w.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

// Elsewhere it writes lines, and not too many.
func TestImportLines(t *testing.T) {
	t.Parallel()
	var w strings.Builder
	b := progressBar{w: &w}
	for done := range int64(1001) {
		b.show("user", done, 1000)
	}
	for done := range int64(50) { // as many as there are until now
		b.show("redis", done, done)
	}
	b.show("accesstoken", 0, 0)
	b.end()
	want := ""
	for _, done := range []string{"100", "200", "300", "400", "500", "600", "700", "800", "900", "1000"} {
		want += "user: " + done + " of 1000\n"
	}
	want += "redis: 49 of 49\naccesstoken: 0 of 0\n"
	if got := w.String(); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}
