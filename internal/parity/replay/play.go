package replay

import (
	"context"
	"math/rand/v2"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// Target is where a scenario is played.
type Target struct {
	Base     string        // base URL of the server under test, http only
	Provider string        // base URL of the provider stub as that server knows it
	Timeout  time.Duration // for each request; 0 means 60 seconds
}

func (t Target) timeout() time.Duration {
	if t.Timeout > 0 {
		return t.Timeout
	}
	return 60 * time.Second
}

// A StepResult is what became of one step.
type StepResult struct {
	Index   int    // from 0
	Label   string // empty for setup steps
	Method  string // as recorded
	Path    string // as recorded
	Checked bool   // false for setup steps, which only need their status and bindings

	Differences []Difference // none means that the step matched

	Is422    bool // a checked step that recorded a 422
	Exact422 bool // its whole body was equal, which is more than is required
}

// play is one pass through a scenario: what it has learned and made so far.
type play struct {
	target   Target
	scenario recording
	vars     map[string]string
	tokens   map[string]minted
	nesting  int
	now      func() time.Time
}

// Play sends every step in order and returns one result for each. A step that
// cannot be sent, for want of a variable or of a server, is a difference.
func (s *Scenario) Play(ctx context.Context, t Target) []StepResult {
	p := newPlay(s, t)
	var results []StepResult
	for i, st := range s.recording.Steps {
		r := p.step(ctx, st)
		r.Index = i
		results = append(results, r)
	}
	return results
}

func newPlay(s *Scenario, t Target) *play {
	t.Base = strings.TrimRight(t.Base, "/")
	t.Provider = strings.TrimRight(t.Provider, "/")
	vars := map[string]string{"run": newRun(), "base": t.Base, "provider": t.Provider}
	if u, err := url.Parse(t.Base); err == nil {
		vars["host"] = u.Host
	}
	return &play{target: t, scenario: s.recording, vars: vars, tokens: map[string]minted{}, now: time.Now}
}

// newRun makes the id that keeps two plays apart. It has no vowels, so as not
// to be a word.
func newRun() string {
	const consonants, digits = "bcdfghjkmnpqrstvwxz", "23456789"
	run := []byte("r")
	for range 5 {
		run = append(run, consonants[rand.IntN(len(consonants))])
	}
	for range 2 {
		run = append(run, digits[rand.IntN(len(digits))])
	}
	return string(run)
}

func (p *play) step(ctx context.Context, st step) StepResult {
	r := StepResult{Label: st.Label, Method: st.Request.Method, Path: st.Request.Path, Checked: st.checked()}
	r.Is422 = r.Checked && st.Response.Status == 422
	rq, err := p.outgoing(st.Request)
	if err != nil {
		p.unbind(st)
		r.Differences = []Difference{{"not sent", strconv.Itoa(st.Response.Status), err.Error()}}
		return r
	}
	a, err := send(ctx, p.target, rq)
	if err != nil {
		p.unbind(st)
		r.Differences = []Difference{{"no answer", strconv.Itoa(st.Response.Status), err.Error()}}
		return r
	}
	for _, b := range st.Bind {
		if err := p.bind(b, a); err != nil {
			r.Differences = append(r.Differences, Difference{"bind", b.Type, err.Error()})
		}
	}
	if !r.Checked {
		if !sameStatus(st.Response.Status, a.status) {
			r.Differences = append(r.Differences, statusDifference("setup status", st.Response.Status, a))
		}
		return r
	}
	ds, exact := p.compare(st.Response, a)
	r.Differences = append(r.Differences, ds...)
	r.Exact422 = r.Is422 && exact && a.status == 422
	for _, b := range st.Bind {
		if _, bound := p.vars[b.Var]; bound && b.Claims.present {
			r.Differences = append(r.Differences, p.compareToken(b)...)
		}
	}
	return r
}

// unbind drops what the step would have bound.
func (p *play) unbind(st step) {
	for _, b := range st.Bind {
		delete(p.vars, b.Var)
	}
}
