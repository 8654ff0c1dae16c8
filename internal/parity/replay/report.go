package replay

import (
	"fmt"
	"io"
	"strings"
)

// Totals counts results. Every checked step is matched, allowed or differed;
// a setup step that failed is allowed or counted as such.
type Totals struct {
	Scenarios, Matched, Allowed, Differed, SetupFailed int

	N422, Exact422 int // recorded 422s, and those answered with an equal body
}

// Add adds the counts of u.
func (t *Totals) Add(u Totals) {
	t.Scenarios += u.Scenarios
	t.Matched += u.Matched
	t.Allowed += u.Allowed
	t.Differed += u.Differed
	t.SetupFailed += u.SetupFailed
	t.N422 += u.N422
	t.Exact422 += u.Exact422
}

// OK tells whether nothing is left unexplained.
func (t Totals) OK() bool { return t.Differed == 0 && t.SetupFailed == 0 }

// Report prints the unexplained differences of one played scenario and a line
// that sums it up, and returns its counts. The deviations may be nil.
func Report(w io.Writer, s *Scenario, results []StepResult, d *Deviations) Totals {
	t := Totals{Scenarios: 1}
	for _, r := range results {
		if r.Is422 {
			t.N422++
		}
		if r.Exact422 {
			t.Exact422++
		}
		if len(r.Differences) == 0 {
			if r.Checked {
				t.Matched++
			}
			continue
		}
		if _, ok := d.Match(s.Name, r); ok {
			t.Allowed++
			continue
		}
		if r.Checked {
			t.Differed++
		} else {
			t.SetupFailed++
		}
		printStep(w, s.Name, r)
	}
	verdict := "ok  "
	if !t.OK() {
		verdict = "FAIL"
	}
	fmt.Fprintf(w, "%s %s: %d matched, %d allowed, %d differed, %d setup failed\n",
		verdict, s.Name, t.Matched, t.Allowed, t.Differed, t.SetupFailed)
	return t
}

// Summary prints the deviations that nobody needed and the closing lines.
func Summary(w io.Writer, t Totals, d *Deviations) {
	for _, x := range d.Unused() {
		fmt.Fprintf(w, "unused deviation: %s %s\n", x.Scenario, x.Step)
	}
	fmt.Fprintf(w, "422 bodies: %d of %d exactly equal\n", t.Exact422, t.N422)
	fmt.Fprintf(w, "%d scenarios: %d matched, %d allowed, %d differed, %d setup steps failed\n",
		t.Scenarios, t.Matched, t.Allowed, t.Differed, t.SetupFailed)
}

func printStep(w io.Writer, scenario string, r StepResult) {
	label := r.Label
	if !r.Checked {
		label = "setup"
	}
	fmt.Fprintf(w, "--- %s #%d [%s] %s %s\n", scenario, r.Index, label, r.Method, shorten(r.Path, 120))
	for _, d := range r.Differences {
		fmt.Fprintf(w, "    %s\n      want %s\n      got  %s\n", d.What, shown(d.Want), shown(d.Got))
	}
}

// shown makes a value fit for a report: short, and its lines aligned.
func shown(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	return strings.ReplaceAll(shorten(s, 600), "\n", "\n           ")
}

func shorten(s string, n int) string {
	chars := []rune(s)
	if len(chars) <= n {
		return s
	}
	return string(chars[:n]) + "..."
}
