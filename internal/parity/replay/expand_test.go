package replay

import (
	"regexp"
	"testing"
	"time"
)

// testPlay is a play at a fixed time with a few variables.
func testPlay() *play {
	p := newPlay(&Scenario{}, Target{Base: "http://127.0.0.1:9000/", Provider: "http://p.example:1/"})
	p.now = func() time.Time { return time.Unix(1_800_000_000, 900_000_000) }
	p.scenario.B64 = map[string]string{"b1": `{"id":"{{id1}}?>"}`, "loop": "{{b64:loop}}"}
	p.vars["run"] = "rbcdfg23"
	p.vars["id1"] = "0a1b-2c3D"
	p.vars["tok1"] = "AbC_-z"
	p.vars["empty"] = ""
	p.vars["odd"] = "aé/ +~.%b"
	return p
}

func TestExpand(t *testing.T) {
	p := testPlay()
	for in, want := range map[string]string{
		"plain":                  "plain",
		"{{run}}":                "rbcdfg23",
		"{{{id1}}}":              "{0a1b-2c3D}",
		"{{run}}{{run}}":         "rbcdfg23rbcdfg23",
		"{{ run}}{{Run}}{{}}":    "{{ run}}{{Run}}{{}}",
		"{{base}} {{host}}":      "http://127.0.0.1:9000 127.0.0.1:9000",
		"{{provider}}/x":         "http://p.example:1/x",
		"{{b64:b1}}":             "eyJpZCI6IjBhMWItMmMzRD8-In0",
		"{{now}}":                "1800000000",
		"{{now+3600}}":           "1800003600",
		"{{now-60}}":             "1799999940",
		"{{rep:a:3}}{{rep:[:2}}": "aaa[[",
		"{{rep:é:2}}{{rep:x:0}}": "éé",
		"{{rep:::2}}":            "::",
		"{{id1|upper}}":          "0A1B-2C3D",
		"{{odd|upper}}":          "Aé/ +~.%B",
		"{{tok1|swapcase}}":      "aBc_-Z",
		"{{id1|hex}}":            "0a1b2c3D",
		"{{id1|hex|slice:0:4}}":  "0a1b",
		"{{id1|hex|slice:4:}}":   "2c3D",
		"{{tok1|slice:0:-1}}":    "AbC_-",
		"{{tok1|slice:-2:}}":     "-z",
		"{{tok1|slice:4:2}}":     "",
		"{{tok1|slice:-99:99}}":  "AbC_-z",
		"{{odd|slice:1:2}}":      "é",
		"{{odd|q}}":              "a%C3%A9%2F%20%2B~.%25b",
		"{{base|q}}":             "http%3A%2F%2F127.0.0.1%3A9000",
		"{{tok1|wide}}":          "A\x00b\x00C\x00_\x00-\x00z\x00",
		"{{tok1|pct:1}}":         "A%62C_-z",
		"{{tok1|pct:5}}":         "AbC_-%7a",
		"{{odd|pct:1}}":          "a%e9/ +~.%b",
		"{{tok1|flip}}":          "BbC_-z",
		"{{id1|flip}}":           "Aa1b-2c3D",
		"{{tok1|noncanon}}":      "AbC_-y",
		"{{id1|noncanon}}":       "0a1b-2c3C",
		"{{id1|hex|upper|flip}}": "AA1B2C3D",
	} {
		got, err := p.expand(in)
		if err != nil || got != want {
			t.Errorf("%s: got %q, %v; want %q", in, got, err, want)
		}
	}
}

func TestExpandDoesNotExpandTwice(t *testing.T) {
	p := testPlay()
	p.vars["id1"] = "{{run}}"
	if got, err := p.expand("{{id1}}"); got != "{{run}}" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestExpandFails(t *testing.T) {
	p := testPlay()
	for _, in := range []string{
		"a {{id2}}", "{{id1}}{{id2}}", "{{id2|upper}}", "{{nowhere}}", "{{now3}}", "{{now+x}}", "{{now+}}",
		"{{b64:nope}}", "{{b64:loop}}", "{{jwt:nope}}", "{{jwt}}", "{{rep}}", "{{rep:a}}", "{{rep:a:-1}}",
		"{{rep:a:x}}", "{{rep:a:99999999999}}", "{{id1|nope}}", "{{id1|upper:1}}", "{{id1|slice:1}}",
		"{{id1|slice:x:2}}", "{{id1|slice:0:1:2}}", "{{id1|pct}}", "{{id1|pct:9}}", "{{id1|pct:-1}}",
		"{{empty|flip}}", "{{empty|noncanon}}", "{{odd|noncanon|noncanon|slice:0:3|noncanon}}", "{{id1|}}",
	} {
		if got, err := p.expand(in); err == nil {
			t.Errorf("%s: got %.40q and no error", in, got)
		}
	}
	if got, err := p.expand("{{run}}"); got != "rbcdfg23" || err != nil {
		t.Errorf("afterwards: got %q, %v", got, err)
	}
}

func TestFill(t *testing.T) {
	p := testPlay()
	in := mustParse(t, `{"{{run}}":["{{id1}}",1.0,null,{"$now":5}],"q":"\"{{tok1}}"}`)
	got, err := p.fill(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"rbcdfg23":["0a1b-2c3D",1.0,null,{"$now":5}],"q":"\"AbC_-z"}`; compact(got) != want {
		t.Errorf("got %s, want %s", compact(got), want)
	}
	for _, bad := range []string{`["{{id2}}"]`, `{"{{id2}}":1}`, `{"a":{"b":"{{id2}}"}}`} {
		if _, err := p.fill(mustParse(t, bad)); err == nil {
			t.Errorf("%s is filled", bad)
		}
	}
}

func TestRunIsFresh(t *testing.T) {
	seen := map[string]bool{}
	pattern := regexp.MustCompile(`\A[a-z][a-z0-9]{7}\z`)
	for range 100 {
		run := newRun()
		if !pattern.MatchString(run) {
			t.Fatalf("run %q", run)
		}
		seen[run] = true
	}
	if len(seen) < 99 {
		t.Errorf("%d different ids of 100", len(seen))
	}
}
