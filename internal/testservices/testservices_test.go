package testservices_test

import (
	"fmt"
	"runtime"
	"testing"

	"usher/internal/testservices"
)

func TestRedis(t *testing.T) {
	for _, c := range []struct{ name, url, require, want string }{
		{"given", "redis://127.0.0.1:1", "", "redis://127.0.0.1:1"},
		{"given and required", "redis://127.0.0.1:1", "1", "redis://127.0.0.1:1"},
		{"missing", "", "", "skip: redis: USHER_TEST_REDIS is not set; `make test` starts one"},
		{"missing and required", "", "1", "fail: redis: USHER_TEST_REDIS is not set, and USHER_TEST_REQUIRE=1 lets no test skip for want of it"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("USHER_TEST_REDIS", c.url)
			t.Setenv("USHER_TEST_REQUIRE", c.require)
			if got := outcome(testservices.Redis); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestPrefixIsUnique(t *testing.T) {
	if a, b := testservices.Prefix(t), testservices.Prefix(t); a == b {
		t.Errorf("twice %q", a)
	}
}

// outcome returns what a test that calls f gets, or how f ended that test.
func outcome(f func(testing.TB) string) string {
	t := &recorder{}
	var got string
	done := make(chan struct{})
	go func() {
		defer close(done)
		got = f(t)
	}()
	<-done
	return t.ended + got
}

type recorder struct {
	testing.TB
	ended string
}

func (r *recorder) Helper()                        {}
func (r *recorder) Fatalf(format string, a ...any) { r.end("fail: "+format, a) }
func (r *recorder) Skipf(format string, a ...any)  { r.end("skip: "+format, a) }

func (r *recorder) end(format string, a []any) {
	r.ended = fmt.Sprintf(format, a...)
	runtime.Goexit()
}
