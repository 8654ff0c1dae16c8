package main

import (
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"usher/internal/parity/providerstub"
	"usher/internal/parity/replay"
	"usher/internal/testservices"
)

// TestRecordings plays what was recorded of FastAPI Users against usher. Every
// difference that deviations.json does not name fails, and so does a deviation
// that excuses nothing.
func TestRecordings(t *testing.T) {
	base, provider := startParity(t)
	scenarios, err := replay.Load("testdata/recordings")
	if err != nil {
		t.Fatal(err)
	}
	deviations, err := replay.LoadDeviations("deviations.json")
	if err != nil {
		t.Fatal(err)
	}
	results := make([][]replay.StepResult, len(scenarios))
	var wg sync.WaitGroup
	turns := make(chan struct{}, 8) // scenarios are independent of each other
	for i, s := range scenarios {
		wg.Go(func() {
			turns <- struct{}{}
			defer func() { <-turns }()
			results[i] = s.Play(t.Context(), replay.Target{Base: base, Provider: provider})
		})
	}
	wg.Wait()

	var total replay.Totals
	var report strings.Builder
	for i, s := range scenarios {
		total.Add(replay.Report(&report, s, results[i], deviations))
	}
	replay.Summary(&report, total, deviations)
	t.Log("\n" + report.String())
	if !total.OK() || total.Matched == 0 {
		t.Fail()
	}
	for _, unused := range deviations.Unused() {
		t.Errorf("the deviation %s %s excuses nothing", unused.Scenario, unused.Step)
	}
}

// TestDeviationsAreDocumented holds the list against docs/compatibility.md, which
// explains each reason once.
func TestDeviationsAreDocumented(t *testing.T) {
	t.Parallel()
	list, err := replay.LoadDeviations("deviations.json")
	if err != nil {
		t.Fatal(err)
	}
	doc, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range list.Unused() { // nothing was matched yet: all of them
		if !strings.Contains(string(doc), "`"+d.Reason+"`") {
			t.Errorf("docs/compatibility.md does not explain %q", d.Reason)
		}
	}
}

// TestPoliciesAreTested: every policy and every defect in docs/compatibility.md names
// tests, and there are such tests.
func TestPoliciesAreTested(t *testing.T) {
	t.Parallel()
	doc, err := os.ReadFile("../../docs/compatibility.md")
	if err != nil {
		t.Fatal(err)
	}
	var tests strings.Builder
	err = filepath.WalkDir("../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		tests.Write(source)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	_, policies, _ := strings.Cut(string(doc), "## Policies")
	rows := 0
	for line := range strings.Lines(policies) {
		if !strings.HasPrefix(line, "| ") || strings.HasPrefix(line, "| policy") || strings.HasPrefix(line, "| defect") || strings.HasPrefix(line, "| ---") {
			continue
		}
		rows++
		names := regexp.MustCompile(`Test\w+`).FindAllString(line, -1)
		if len(names) == 0 {
			t.Errorf("no test: %s", line)
		}
		for _, name := range names {
			if !strings.Contains(tests.String(), "func "+name+"(t *testing.T)") {
				t.Errorf("there is no %s: %s", name, line)
			}
		}
	}
	if rows < 60 {
		t.Errorf("only %d rows were read", rows)
	}
}

// startParity runs the program on free ports and returns its base URL and the
// provider's.
func startParity(t *testing.T) (base, provider string) {
	t.Helper()
	stub := httptest.NewServer(providerstub.Handler())
	t.Cleanup(stub.Close)
	app, err := newApp(t.Context(), settings{
		database: filepath.Join(t.TempDir(), "parity.db"),
		redis:    testservices.Redis(t),
		provider: stub.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(app.close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler, err := app.handler()
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() { _ = server.Close() })
	return "http://" + listener.Addr().String(), stub.URL
}
