package replay

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const recordings = "../testdata/recordings"

func TestLoadRecordings(t *testing.T) {
	all, err := Load(recordings)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.IsSortedFunc(all, func(a, b *Scenario) int { return strings.Compare(a.Name, b.Name) }) {
		t.Error("not sorted by name")
	}
	steps, checked, jwts := 0, 0, 0
	for _, s := range all {
		steps += len(s.recording.Steps)
		jwts += len(s.recording.JWTs)
		for _, st := range s.recording.Steps {
			if st.checked() {
				checked++
			}
		}
	}
	if len(all) != 48 || steps != 1483 || checked != 1209 || jwts != 167 {
		t.Errorf("%d scenarios, %d steps, %d of them checked, %d tokens", len(all), steps, checked, jwts)
	}
}

func TestParseScenario(t *testing.T) {
	const form = `{"name":"n","tags":["a"],"doc":"d","jwts":{"j":JWT},"steps":[{"request":REQUEST,"response":RESPONSE,"bind":[BIND]}]}`
	const jwt, rq, rs, bind = `{"header":{},"claims":{}}`, `{"method":"GET","path":"/"}`, `{"status":200,"json":null}`, `{"var":"v","type":"uuid","json":"/id"}`
	parse := func(old, with string) error {
		doc := strings.Replace(form, old, with, 1)
		doc = strings.NewReplacer("JWT", jwt, "REQUEST", rq, "RESPONSE", rs, "BIND", bind).Replace(doc)
		_, err := parseScenario([]byte(doc))
		return err
	}
	for _, tt := range [][2]string{
		{"", ""},
		{"BIND", ""},
		{"JWT", `{"header_raw":"","payload_raw":"","sign":"HS384","key":""}`},
		{"JWT", `{"header_raw":"","claims":null,"signature":"x"}`},
		{"REQUEST", `{"method":"GET","path":"/","headers":[["a","b"]],"json":null}`},
		{"RESPONSE", `{"status":200,"headers":{"www-authenticate":"x"},"json_text":"1"}`},
		{`"response":RESPONSE`, `"check":false,"response":{"status":200}`},
		{"BIND", `{"var":"v","type":"jwt","claim":"c","of":"w","secret":"auth","header":{},"claims":{}}`},
	} {
		if err := parse(tt[0], tt[1]); err != nil {
			t.Errorf("%s: %v", tt[1], err)
		}
	}
	for _, tt := range [][2]string{
		{`"doc"`, `"dok"`},
		{`"name":"n"`, `"name":""`},
		{`{"request":REQUEST,"response":RESPONSE,"bind":[BIND]}`, ``},
		{`"n"`, `"\ud800"`},
		{"JWT", `{}`},
		{"JWT", `{"header":{},"header_raw":"","claims":{}}`},
		{"JWT", `{"header":{},"claims":{},"payload_raw":""}`},
		{"JWT", `{"header":{},"claims":{},"sign":"RS256","secret":"auth"}`},
		{"JWT", `{"header":{},"claims":{},"sign":"HS256","secret":"none"}`},
		{"JWT", `{"header":{},"claims":{},"sign":"HS256"}`},
		{"REQUEST", `{"path":"/"}`},
		{"REQUEST", `{"method":"GET"}`},
		{"REQUEST", `{"method":"GET","path":"/","cookies":[]}`},
		{"REQUEST", `{"method":"GET","path":"/","json":null,"body":""}`},
		{"REQUEST", `{"method":"GET","path":"/","latin1":"","body":""}`},
		{"RESPONSE", `{"json":null}`},
		{"RESPONSE", `{"status":200}`},
		{"RESPONSE", `{"status":200,"json":1,"text":""}`},
		{"RESPONSE", `{"status":200,"json":1,"headers":{"vary":"x"}}`},
		{"BIND", `{"type":"uuid","json":"/id"}`},
		{"BIND", `{"var":"v","type":"guid","json":"/id"}`},
		{"BIND", `{"var":"v","type":"uuid"}`},
		{"BIND", `{"var":"v","type":"uuid","claim":"c"}`},
		{"BIND", `{"var":"v","type":"uuid","json":"/id","cookie":"c"}`},
		{"BIND", `{"var":"v","type":"jwt","json":"/id","secret":"auth"}`},
		{"BIND", `{"var":"v","type":"jwt","json":"/id","secret":"none","header":{},"claims":{}}`},
		{"BIND", `{"var":"v","type":"jwt","json":"/id","header":{},"claims":{}}`},
		{"BIND", `{"var":"v","type":"uuid","json":"/id","secret":"auth","header":{},"claims":{}}`},
	} {
		if err := parse(tt[0], tt[1]); err == nil {
			t.Errorf("%s is accepted", tt[1])
		}
	}
}

func TestLoadFails(t *testing.T) {
	if _, err := Load(t.TempDir()); err == nil {
		t.Error("an empty directory is loaded")
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "odd.json"), []byte(`{"name":`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(dir); err == nil || !strings.Contains(err.Error(), "odd.json") {
		t.Errorf("got %v", err)
	}
}
