package password

import (
	"cmp"
	_ "embed"
	"strings"
)

// common is searched as it is, so it costs no memory beyond the program's own.
// common/README.md tells its origin and its order.
//
//go:embed common/passwords.txt
var common string

// IsCommon reports whether the password is one of the 10 000 most common ones,
// in any mix of ASCII upper and lower case. A password that merely contains a
// common one is not common.
func IsCommon(password string) bool {
	for rest := common; rest != ""; {
		// The line that holds the middle of what is left.
		start := strings.LastIndexByte(rest[:len(rest)/2], '\n') + 1
		line, after, _ := strings.Cut(rest[start:], "\n")
		switch order := compareFold(password, line); {
		case order == 0:
			return true
		case order < 0:
			rest = rest[:start]
		default:
			rest = after
		}
	}
	return false
}

// compareFold compares a and b with their ASCII letters in upper case, which is
// the order of "sort -f". Unlike strings.ToUpper it allocates nothing.
func compareFold(a, b string) int {
	for i := range min(len(a), len(b)) {
		if order := cmp.Compare(upper(a[i]), upper(b[i])); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(a), len(b))
}

func upper(c byte) byte {
	if 'a' <= c && c <= 'z' {
		return c - 'a' + 'A'
	}
	return c
}
