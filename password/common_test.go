package password_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"unicode/utf8"

	"usher/password"
)

// commonPasswords reads the list as it is published, line by line.
func commonPasswords(t testing.TB) []string {
	t.Helper()
	b, err := os.ReadFile("common/passwords.txt")
	if err != nil {
		t.Fatal(err)
	}
	list := strings.Split(strings.TrimSuffix(string(b), "\n"), "\n")
	if len(list) != 10_000 {
		t.Fatalf("%d passwords, want 10000", len(list))
	}
	return list
}

// A6: every password of the list is common, in any case.
func TestCommon(t *testing.T) {
	t.Parallel()
	long := 0
	for _, pw := range commonPasswords(t) {
		if utf8.RuneCountInString(pw) >= 8 {
			long++
		}
		for _, typed := range []string{pw, strings.ToUpper(pw), strings.ToLower(pw), capitalized(pw)} {
			if !password.IsCommon(typed) {
				t.Errorf("%q is not common", typed)
			}
		}
	}
	if long != 3337 {
		t.Errorf("%d passwords of 8 characters or more, want 3337", long)
	}
}

func capitalized(s string) string { return strings.ToUpper(s[:1]) + strings.ToLower(s[1:]) }

// What is near a common password is common only if it is listed itself.
func TestNearCommon(t *testing.T) {
	t.Parallel()
	listed := make(map[string]bool)
	for _, pw := range commonPasswords(t) {
		listed[strings.ToLower(pw)] = true
	}
	for pw := range listed {
		for _, typed := range []string{
			pw[1:], pw[:len(pw)-1], pw + "1", pw + "~", "!" + pw, pw + pw,
			pw + " ", " " + pw, pw + "\n", "\n" + pw, pw + "\x00", pw + "\r", pw + "\xff",
		} {
			if got := password.IsCommon(typed); got != listed[typed] {
				t.Errorf("IsCommon(%q) = %v", typed, got)
			}
		}
	}
}

func TestNotCommon(t *testing.T) {
	t.Parallel()
	for _, pw := range []string{
		"", " ", "\n", "\n\n", "\x00", "\xff", "~", "zzzzzzzzz",
		"correct horse battery staple", "Xk7#mQ9vLp2w",
		"123456\npassword", "password\n", // lines are not searched across
		"pa\u017f\u017fword", "\u212aitty", // ſ and the Kelvin sign fold to ASCII in Unicode only
		"\uff50assword", strings.Repeat("password", 128), strings.Repeat("a", 1<<20),
	} {
		if password.IsCommon(pw) {
			t.Errorf("%.80q is common", pw)
		}
	}
}

func TestIsCommonAllocates(t *testing.T) { // not parallel: it counts
	allocs := testing.AllocsPerRun(100, func() {
		password.IsCommon("PassWord")
		password.IsCommon("correct horse battery staple")
	})
	if allocs != 0 {
		t.Errorf("%v allocations, want none", allocs)
	}
}

func BenchmarkIsCommon(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		password.IsCommon("correct horse battery staple")
	}
}

func ExampleIsCommon() {
	fmt.Println(password.IsCommon("Password1"), password.IsCommon("correct horse battery staple"))
	// Output: true false
}
