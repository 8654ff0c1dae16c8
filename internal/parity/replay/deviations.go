package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strconv"
)

// A Deviation excuses differences of some steps, for a reason.
type Deviation struct {
	Scenario string          `json:"scenario"` // pattern of the whole name
	Step     json.RawMessage `json:"step"`     // pattern found in the label, or a step number; absent means every step
	Reason   string          `json:"reason"`
}

// Deviations is a list of them that remembers which were needed. It is not
// safe for concurrent use.
type Deviations struct{ list []*excuse }

// excuse is a deviation made ready to match.
type excuse struct {
	Deviation
	scenario *regexp.Regexp
	label    *regexp.Regexp // nil when only the step number counts
	number   int
	used     bool
}

// LoadDeviations reads a JSON list of deviations. Each must give its reason.
func LoadDeviations(path string) (*Deviations, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []Deviation
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&list); err != nil {
		return nil, fmt.Errorf("replay: %s: %w", path, err)
	}
	all := &Deviations{}
	for i, x := range list {
		e, err := newExcuse(x)
		if err != nil {
			return nil, fmt.Errorf("replay: %s: entry %d: %w", path, i, err)
		}
		all.list = append(all.list, e)
	}
	return all, nil
}

func newExcuse(x Deviation) (*excuse, error) {
	if x.Scenario == "" || x.Reason == "" {
		return nil, errors.New("scenario or reason is missing")
	}
	e := &excuse{Deviation: x}
	var err error
	if e.scenario, err = regexp.Compile(`\A(?:` + x.Scenario + `)\z`); err != nil {
		return nil, err
	}
	if n, err := strconv.Atoi(string(x.Step)); err == nil {
		e.number = n
		return e, nil
	}
	pattern := ""
	if len(x.Step) > 0 {
		if err := json.Unmarshal(x.Step, &pattern); err != nil {
			return nil, err
		}
	}
	e.label, err = regexp.Compile(pattern)
	return e, err
}

func (e *excuse) matches(scenario string, r StepResult) bool {
	if !e.scenario.MatchString(scenario) {
		return false
	}
	if e.label == nil {
		return e.number == r.Index
	}
	return e.label.MatchString(r.Label)
}

// Match returns the reason of the first entry that excuses this result, and
// notes that the entry was needed. A result that matched needs no excuse. A
// nil list excuses nothing.
func (d *Deviations) Match(scenario string, r StepResult) (reason string, ok bool) {
	if d == nil || len(r.Differences) == 0 {
		return "", false
	}
	for _, e := range d.list {
		if e.matches(scenario, r) {
			e.used = true
			return e.Reason, true
		}
	}
	return "", false
}

// Unused returns the entries that have excused nothing.
func (d *Deviations) Unused() []Deviation {
	if d == nil {
		return nil
	}
	var unused []Deviation
	for _, e := range d.list {
		if !e.used {
			unused = append(unused, e.Deviation)
		}
	}
	return unused
}
