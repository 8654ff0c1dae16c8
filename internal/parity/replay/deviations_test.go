package replay

import (
	"os"
	"path/filepath"
	"testing"
)

func deviationsFrom(t *testing.T, doc string) (*Deviations, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "deviations.json")
	if err := os.WriteFile(path, []byte(doc), 0o600); err != nil {
		t.Fatal(err)
	}
	return LoadDeviations(path)
}

func differing(index int, label string) StepResult {
	return StepResult{Index: index, Label: label, Checked: label != "", Differences: []Difference{{"status", "200", "400"}}}
}

func TestDeviations(t *testing.T) {
	d, err := deviationsFrom(t, `[
{"scenario":"me\\.get|me\\.patch","step":"no token$","reason":"label"},
{"scenario":"me.*","step":3,"reason":"number"},
{"scenario":"users","reason":"all"},
{"scenario":"users","step":0,"reason":"comes too late"},
{"scenario":"log","step":"^x","reason":"never"}]`)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		scenario string
		result   StepResult
		reason   string
	}{
		{"me.get", differing(1, "with no token"), "label"},
		{"me.get", differing(1, "no token here"), ""},
		{"me.get", StepResult{Label: "no token"}, ""},
		{"me.get-a", differing(1, "no token"), ""},
		{"a me.get", differing(1, "no token"), ""},
		{"me.get-a", differing(3, "anything"), "number"},
		{"me.get-a", differing(33, "3"), ""},
		{"users", differing(0, "x"), "all"},
		{"users", differing(0, ""), "all"},
		{"logout", differing(0, "x"), ""},
	}
	for _, tt := range tests {
		reason, ok := d.Match(tt.scenario, tt.result)
		if reason != tt.reason || ok != (tt.reason != "") {
			t.Errorf("%s %+v: got %q, %v", tt.scenario, tt.result, reason, ok)
		}
	}
	unused := d.Unused()
	if len(unused) != 2 || unused[0].Reason != "comes too late" || unused[1].Reason != "never" {
		t.Errorf("unused: %v", unused)
	}
}

// What has matched does not use up an entry.
func TestMatchedNeedsNoExcuse(t *testing.T) {
	d, err := deviationsFrom(t, `[{"scenario":".*","reason":"r"}]`)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := d.Match("a", StepResult{}); ok || len(d.Unused()) != 1 {
		t.Error("used for nothing")
	}
}

func TestNoDeviations(t *testing.T) {
	var d *Deviations
	if _, ok := d.Match("a", differing(0, "x")); ok || d.Unused() != nil {
		t.Error("a nil list excuses")
	}
}

func TestLoadDeviationsFails(t *testing.T) {
	for _, doc := range []string{
		``, `{}`, `[{"scenario":"a"}]`, `[{"reason":"a"}]`, `[{"scenario":"(","reason":"r"}]`,
		`[{"scenario":"a","step":"(","reason":"r"}]`, `[{"scenario":"a","step":1.5,"reason":"r"}]`,
		`[{"scenario":"a","step":[],"reason":"r"}]`, `[{"scenario":"a","steps":1,"reason":"r"}]`,
	} {
		if _, err := deviationsFrom(t, doc); err == nil {
			t.Errorf("%s is accepted", doc)
		}
	}
	if _, err := LoadDeviations(filepath.Join(t.TempDir(), "none.json")); err == nil {
		t.Error("a missing file is loaded")
	}
}
