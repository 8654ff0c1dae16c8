package ushertest_test

import (
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
)

// A suite that cannot fail proves nothing. So each suite is also run on
// implementations with one defect each, in processes of their own, and every
// defect must make the named part fail.

// defect is a broken implementation under a suite.
type defect struct {
	name  string
	part  string // of the suite, which must notice
	suite func(t *testing.T)
}

// runBroken is set in the processes that run the broken implementations.
const runBroken = "USHERTEST_RUN_BROKEN"

// mustFail checks that the suite of each defect fails in the named part.
func mustFail(t *testing.T, defects []defect) {
	for _, d := range defects {
		t.Run(d.name, func(t *testing.T) {
			if os.Getenv(runBroken) != "" {
				d.suite(t)
				return
			}
			t.Parallel()
			// A subtest has its name with underscores for spaces.
			path := strings.Split(t.Name()+"/"+strings.ReplaceAll(d.part, " ", "_"), "/")
			for i, name := range path {
				path[i] = "^" + regexp.QuoteMeta(name) + "$"
			}
			cmd := exec.Command(os.Args[0], "-test.run="+strings.Join(path, "/"), "-test.v", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), runBroken+"=1")
			output, err := cmd.CombinedOutput()
			failed := regexp.MustCompile(`(?m)^ *--- FAIL: ` + regexp.QuoteMeta(t.Name()) + `/`)
			if err == nil || !failed.Match(output) {
				t.Errorf("the suite's part %q did not notice: %s", d.part, output)
			}
		})
	}
}
