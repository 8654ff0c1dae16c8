package oauth

import "testing"

// TestS_D16_RedirectTargets: D16, row 63.
func TestS_D16_RedirectTargets(t *testing.T) {
	t.Parallel()
	targets := []string{"https://front.example.com/welcome", "https://front.example.com/b?c=d"}
	for target, want := range map[string]bool{
		"https://front.example.com/welcome":     true,
		"https://front.example.com/b?c=d":       true,
		"/":                                     true,
		"/app":                                  true,
		"/app?next=1":                           true,
		"/app/%C3%A9":                           true,
		"":                                      false,
		"app":                                   false,
		"//evil.example":                        false,
		`/\evil.example`:                        false,
		`\/evil.example`:                        false,
		"///evil.example":                       false,
		"/%09/evil.example":                     false,
		"/\t/evil.example":                      false,
		"/\n/evil.example":                      false,
		"/%0d%0aSet-Cookie:x":                   false,
		"/%2f/evil.example":                     false,
		"/%2fevil.example":                      false,
		"/%5cevil.example":                      false,
		"https:evil.example":                    false,
		"https:/evil.example":                   false,
		"https://evil.example":                  false,
		"https://front.example.com@evil.com/":   false,
		"https://front.example.com.evil.com/":   false,
		"https://front.example.com/":            false,
		"https://front.example.com/welcome/":    false,
		"https://front.example.com/welcome?x=1": false,
		"http://front.example.com/welcome":      false,
		"HTTPS://FRONT.EXAMPLE.COM/welcome":     false,
		"javascript:alert(1)":                   false,
		"data:text/html,x":                      false,
		" /app":                                 false,
		"/app#fragment":                         false,
		"/%zz":                                  false,
		"?error=x":                              false,
	} {
		if got := allowsRedirect(target, targets); got != want {
			t.Errorf("%q: %v, want %v", target, got, want)
		}
	}
}
