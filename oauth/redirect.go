package oauth

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// allowsRedirect tells whether a callback may redirect to target: one of the
// targets of the configuration, or a path of this site.
func allowsRedirect(target string, targets []string) bool {
	return slices.Contains(targets, target) || isSitePath(target)
}

// isSitePath tells whether every browser takes target for a path of the same site.
// Browsers take \ for /, leave out tabs and line breaks, and read //host as a host;
// servers on the way may decode what is percent-encoded.
func isSitePath(target string) bool {
	u, err := url.Parse(target)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.Fragment != "" {
		return false
	}
	for _, s := range []string{target, u.Path} {
		if !strings.HasPrefix(s, "/") || strings.HasPrefix(s, "//") || strings.Contains(s, `\`) {
			return false
		}
		if strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			return false
		}
	}
	return true
}

// redirect sends the browser on with a GET, whatever it came with (RFC 9700 §4.12).
func redirect(w http.ResponseWriter, target string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the URL that is left may hold a code
	h.Set("Location", target)
	w.WriteHeader(http.StatusSeeOther)
}

// withError returns target with the code of a failure in its query.
func withError(target, code string) string {
	u, err := url.Parse(target)
	if err != nil { // it was parsed before
		return target
	}
	q := u.Query()
	q.Set("error", code)
	u.RawQuery = q.Encode()
	return u.String()
}

// cookies is a ResponseWriter of which nothing goes out but the cookies that are
// set: a transport answers a login into it when the browser is to be redirected.
type cookies struct{ header http.Header }

func (c cookies) Header() http.Header         { return c.header }
func (c cookies) WriteHeader(int)             {}
func (c cookies) Write(b []byte) (int, error) { return len(b), nil }
