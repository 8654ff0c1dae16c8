package replay

import (
	"strings"
	"testing"
)

func TestReport(t *testing.T) {
	d, err := deviationsFrom(t, `[{"scenario":"story","step":"excused","reason":"r"},{"scenario":"x","step":7,"reason":"r"}]`)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("é", 700)
	results := []StepResult{
		{},
		differing(1, ""),
		{Index: 2, Label: "good", Checked: true, Is422: true, Exact422: true},
		differing(3, "excused"),
		{Index: 4, Label: "wrong", Method: "GET", Path: "/" + strings.Repeat("p", 150), Checked: true, Is422: true,
			Differences: []Difference{{"body", long, "a\nb"}, {"status", "200", "\xff"}}},
	}
	results[1].Method, results[1].Path = "POST", "/a"
	var out strings.Builder
	var total Totals
	story := &Scenario{Name: "story"}
	total.Add(Report(&out, story, results, d))
	total.Add(Report(&out, &Scenario{Name: "short"}, results[2:3], nil))
	Summary(&out, total, d)
	want := `--- story #1 [setup] POST /a
    status
      want 200
      got  400
--- story #4 [wrong] GET /` + strings.Repeat("p", 119) + `...
    body
      want ` + long[:1200] + `...
      got  a
           b
    status
      want 200
      got  ` + "\uFFFD" + `
FAIL story: 1 matched, 1 allowed, 1 differed, 1 setup failed
ok   short: 1 matched, 0 allowed, 0 differed, 0 setup failed
unused deviation: x 7
422 bodies: 2 of 3 exactly equal
2 scenarios: 2 matched, 1 allowed, 1 differed, 1 setup steps failed
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if want := (Totals{Scenarios: 2, Matched: 2, Allowed: 1, Differed: 1, SetupFailed: 1, N422: 3, Exact422: 2}); total != want || total.OK() {
		t.Errorf("got %+v, OK %v", total, total.OK())
	}
	if !(Totals{Scenarios: 1, Matched: 1, Allowed: 1}).OK() || (Totals{SetupFailed: 1}).OK() {
		t.Error("OK is wrong")
	}
}
