package ushertest_test

import (
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// A suite that cannot fail proves nothing. So each suite is also run on
// implementations with one defect each, in a process of its own, and every
// defect must make the named part fail.

// defect is a broken implementation under a suite.
type defect struct {
	name  string
	part  string // of the suite, which must notice
	suite func(t *testing.T)
}

// runBroken is set in the process that runs the broken implementations.
const runBroken = "USHERTEST_RUN_BROKEN"

// mustFail runs the suites of the defects, and checks that each failed.
func mustFail(t *testing.T, defects []defect) {
	if os.Getenv(runBroken) != "" {
		for _, d := range defects {
			t.Run(d.name, func(t *testing.T) {
				t.Parallel() // they mostly wait
				d.suite(t)
			})
		}
		return
	}
	t.Parallel()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.parallel=64", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), runBroken+"=1")
	output, _ := cmd.CombinedOutput() // of course it fails
	failed := failedTests(string(output))
	for _, d := range defects {
		name := strings.ReplaceAll(t.Name()+"/"+d.name+"/"+d.part, " ", "_")
		if !slices.Contains(failed, name) {
			t.Errorf("the suite did not notice: %s; it failed in %q", name, within(failed, strings.ReplaceAll(t.Name()+"/"+d.name+"/", " ", "_")))
		}
	}
	if t.Failed() {
		t.Logf("%s", output)
	}
}

var failLine = regexp.MustCompile(`(?m)^ *--- FAIL: (\S+)`)

func failedTests(output string) (names []string) {
	for _, match := range failLine.FindAllStringSubmatch(output, -1) {
		names = append(names, match[1])
	}
	return names
}

func within(names []string, prefix string) (rest []string) {
	for _, name := range names {
		if part, ok := strings.CutPrefix(name, prefix); ok {
			rest = append(rest, part)
		}
	}
	return rest
}
