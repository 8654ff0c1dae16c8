// Package replay plays recorded requests against a server and compares its
// answers with the recorded ones.
//
// The recordings are what the original answered; their format is described in
// the README of the testdata directory beside this package. Everything the
// format leaves open is an allowed improvement; everything else is a
// [Difference].
package replay

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Scenario is one recording: requests and the answers to them, complete in
// itself. It may be played any number of times, also by several goroutines.
type Scenario struct {
	Name string
	Tags []string
	Doc  string

	recording recording
}

// Load reads every *.json file of dir and returns the scenarios sorted by
// name. A file that does not follow the format is an error: a recording that
// is half understood would compare less than it seems to.
func Load(dir string) ([]*Scenario, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("replay: no recordings in %s", dir)
	}
	var all []*Scenario
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		s, err := parseScenario(data)
		if err != nil {
			return nil, fmt.Errorf("replay: %s: %w", filepath.Base(f), err)
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b *Scenario) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func parseScenario(data []byte) (*Scenario, error) {
	// encoding/json replaces what is not text without a word; parseJSON refuses it.
	if _, err := parseJSON(data); err != nil {
		return nil, err
	}
	var r recording
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&r); err != nil {
		return nil, err
	}
	if r.Name == "" || len(r.Steps) == 0 {
		return nil, errors.New("no name or no steps")
	}
	for name, c := range r.JWTs {
		if err := c.validate(); err != nil {
			return nil, fmt.Errorf("token %s: %w", name, err)
		}
	}
	for i, st := range r.Steps {
		if err := st.validate(); err != nil {
			return nil, fmt.Errorf("step %d: %w", i, err)
		}
	}
	return &Scenario{Name: r.Name, Tags: r.Tags, Doc: r.Doc, recording: r}, nil
}

// The types below are a file as it is written.

type recording struct {
	Name  string             `json:"name"`
	Tags  []string           `json:"tags"`
	Doc   string             `json:"doc"`
	JWTs  map[string]crafted `json:"jwts"`
	B64   map[string]string  `json:"b64"`
	Steps []step             `json:"steps"`
}

type step struct {
	Label    string    `json:"label"`
	Check    *bool     `json:"check"`
	Request  request   `json:"request"`
	Response response  `json:"response"`
	Bind     []binding `json:"bind"`
}

type request struct {
	Method  string      `json:"method"`
	Path    string      `json:"path"`
	Headers [][2]string `json:"headers"`
	JSON    jsonMember  `json:"json"`
	Body    *string     `json:"body"`
	Latin1  *string     `json:"latin1"`
}

type response struct {
	Status   int        `json:"status"`
	Headers  headers    `json:"headers"`
	JSON     jsonMember `json:"json"`
	JSONText *string    `json:"json_text"`
	Text     *string    `json:"text"`
}

// headers are all that a recording holds of an answer's headers.
type headers struct {
	ContentType     *string  `json:"content-type"`
	Location        *string  `json:"location"`
	WWWAuthenticate *string  `json:"www-authenticate"`
	Allow           *string  `json:"allow"`
	SetCookie       []string `json:"set-cookie"`
}

type binding struct {
	Var    string  `json:"var"`
	Type   string  `json:"type"`
	JSON   *string `json:"json"`
	Query  string  `json:"query"`
	Cookie string  `json:"cookie"`
	Claim  string  `json:"claim"`
	Of     string  `json:"of"`

	// What a token of type jwt must hold, on checked steps.
	Secret string     `json:"secret"`
	Header jsonMember `json:"header"`
	Claims jsonMember `json:"claims"`
}

func (st step) checked() bool { return st.Check == nil || *st.Check }

func (st step) validate() error {
	rq, rs := st.Request, st.Response
	if rq.Method == "" || rq.Path == "" || rs.Status == 0 {
		return errors.New("method, path or status is missing")
	}
	if count(rq.JSON.present, rq.Body != nil, rq.Latin1 != nil) > 1 {
		return errors.New("more than one request body")
	}
	if n := count(rs.JSON.present, rs.JSONText != nil, rs.Text != nil); n > 1 || n == 0 && st.checked() {
		return errors.New("a checked answer has exactly one body")
	}
	for _, b := range st.Bind {
		if err := b.validate(); err != nil {
			return fmt.Errorf("binding %s: %w", b.Var, err)
		}
	}
	return nil
}

func (b binding) validate() error {
	if b.Var == "" || typePattern(b.Type) == "" {
		return errors.New("no name or no known type")
	}
	if count(b.JSON != nil, b.Cookie != "", b.Claim != "" && b.Of != "") != 1 {
		return errors.New("not exactly one source")
	}
	if b.Secret == "" && !b.Header.present && !b.Claims.present {
		return nil
	}
	if _, ok := secretNamed(b.Secret); !ok || b.Type != "jwt" || !b.Header.present || !b.Claims.present {
		return errors.New("a token to check needs a secret, a header and claims")
	}
	return nil
}

// count tells how many of the conditions hold.
func count(conditions ...bool) (n int) {
	for _, c := range conditions {
		if c {
			n++
		}
	}
	return n
}
