package ushertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"usher"
)

// How hard the suites try to lose a race.
const (
	rounds  = 40 // of two or three calls that meet
	callers = 16 // of one call that only one may win
)

// together calls f n times at the same moment, in another order each time, and
// returns what each call said.
func together(n int, f func(i int) error) []error {
	errs := make([]error, n)
	var start, end sync.WaitGroup
	start.Add(1)
	for _, i := range rand.Perm(n) {
		end.Go(func() {
			start.Wait()
			errs[i] = f(i)
		})
	}
	start.Done()
	end.Wait()
	return errs
}

// oneWins checks that exactly one of the calls succeeded and that all others
// were told lost.
func oneWins(t *testing.T, what string, errs []error, lost error) {
	t.Helper()
	won := 0
	for _, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, lost):
			t.Errorf("%s by %d at once: error %v, want nil for one and %v for the others", what, len(errs), err, lost)
		}
	}
	if won != 1 {
		t.Errorf("%s by %d at once: %d succeeded, want exactly one", what, len(errs), won)
	}
}

// wantError checks that err is want (nil included).
func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// wantFailure checks the error of a call whose context had ended: the store
// could not know, so it may not give any of the answers of a store that knows.
func wantFailure(t *testing.T, what string, err error) {
	t.Helper()
	if err == nil {
		t.Errorf("%s with a cancelled context: no error", what)
	}
	for _, answer := range []error{usher.ErrNotFound, usher.ErrEmailTaken, usher.ErrConflict, usher.ErrInvalidToken, usher.ErrNotRevocable} {
		if errors.Is(err, answer) {
			t.Errorf("%s with a cancelled context: error %v, want one that says that nobody knows", what, err)
		}
	}
}

func cancelled(t *testing.T) context.Context {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// sameTime compares to the millisecond.
func sameTime(a, b time.Time) bool {
	return a.Sub(b).Abs() < time.Millisecond
}

// hostile are ids that mean something to a query language, a pattern or a
// parser, and nobody's id to a store.
func hostile() []string {
	return []string{
		"", " ", "*", "?", "%", "_", "[a-z0-9-]*", "{}", "-1", "null", "NaN", "0x1", "1e0",
		"' OR '1'='1", "1 OR 1=1", "1; DROP TABLE users; --", `" OR ""="`, "$1", "?1", ":id",
		"../../etc/passwd", "a\r\nDEL b", "\x00", "\xff\xfe", "é", "９９９", "99999999999999999999999",
		"00000000-0000-0000-0000-000000000000", "gggggggg-gggg-gggg-gggg-gggggggggggg",
		strings.Repeat("9", 1<<16), strings.Repeat("a", 1<<16),
	}
}

// anyUser stands in for a newUser that is nil.
func anyUser(*testing.T) usher.ID { return usher.NewID() }

// shorten writes a value for a message.
func shorten(v any) string {
	const most = 200
	switch v := v.(type) {
	case string:
		if len(v) > most { // before quoting it, which takes long for a megabyte
			return fmt.Sprintf("%q… (%d bytes)", v[:most], len(v))
		}
		return strconv.Quote(v)
	case usher.ID:
		return shorten(string(v))
	case time.Time:
		return v.Format(time.RFC3339Nano)
	}
	text := fmt.Sprintf("%#v", v)
	if len(text) > most {
		return fmt.Sprintf("%s… (%d bytes)", text[:most], len(text))
	}
	return text
}
