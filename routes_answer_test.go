package usher_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// answer is what the site said, with the body read.
type answer struct {
	status int
	header http.Header
	body   string
}

// want checks the status.
func (a answer) want(t testing.TB, status int) answer {
	t.Helper()
	if a.status != status {
		t.Errorf("status %d %s, want %d", a.status, a.body, status)
	}
	return a
}

// wantDetail checks the status and the code in the body.
func (a answer) wantDetail(t testing.TB, status int, code string) answer {
	t.Helper()
	a.want(t, status)
	if want := `{"detail":"` + code + `"}`; a.body != want {
		t.Errorf("body %s, want %s", a.body, want)
	}
	return a
}

// wantReason checks for a 400 with a code and a reason.
func (a answer) wantReason(t testing.TB, code, reason string) answer {
	t.Helper()
	a.want(t, 400)
	var got struct {
		Detail struct{ Code, Reason string }
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil || got.Detail.Code != code || got.Detail.Reason != reason {
		t.Errorf("body %s, want the code %s and the reason %q", a.body, code, reason)
	}
	return a
}

// wantInvalid checks for a 422 that names exactly these places, as
// "body.email".
func (a answer) wantInvalid(t testing.TB, places ...string) answer {
	t.Helper()
	a.want(t, 422)
	if got := a.places(t); !slices.Equal(got, places) {
		t.Errorf("422 names %q, want %q: %s", got, places, a.body)
	}
	return a
}

// places returns the places that a 422 names.
func (a answer) places(t testing.TB) (places []string) {
	t.Helper()
	var got struct {
		Detail []struct {
			Type, Msg string
			Loc       []any
		}
	}
	if err := json.Unmarshal([]byte(a.body), &got); err != nil {
		t.Errorf("body %.200s: %v", a.body, err)
	}
	for _, d := range got.Detail {
		var place []string
		for _, l := range d.Loc {
			text, _ := json.Marshal(l)
			place = append(place, strings.Trim(string(text), `"`))
		}
		places = append(places, strings.Join(place, "."))
		if d.Type == "" || d.Msg == "" {
			t.Errorf("422 without type or msg: %s", a.body)
		}
	}
	return places
}

// wantSecureHeaders checks for the headers of every answer (C15, D14).
func (a answer) wantSecureHeaders(t testing.TB) answer {
	t.Helper()
	for name, want := range map[string]string{
		"Cache-Control":           "no-store",
		"X-Content-Type-Options":  "nosniff",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
	} {
		if got := a.header.Values(name); len(got) != 1 || got[0] != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	return a
}

// json decodes the body into v.
func (a answer) json(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("body %.200s: %v", a.body, err)
	}
}

// cookie returns the value of the cookie that the answer sets.
func (a answer) cookie(name string) string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == name {
			return c.Value
		}
	}
	return ""
}

// everything is all of the answer, for tests that look for what must not be in
// it.
func (a answer) everything() string {
	var b strings.Builder
	a.header.Write(&b)
	return b.String() + "\r\n" + a.body
}

// token is the token in the answer to a login.
func (a answer) token(backend string) string {
	if isCookie(backend) {
		return a.cookie(cookieName(backend))
	}
	var body struct {
		Token string `json:"access_token"`
	}
	if json.Unmarshal([]byte(a.body), &body) != nil {
		return ""
	}
	return body.Token
}

// wantUnavailable checks for a 503 with a Retry-After of 1 to 60 seconds that
// changes nothing at the client (P6, F8).
func (a answer) wantUnavailable(t testing.TB) answer {
	t.Helper()
	a.wantDetail(t, 503, "Service Unavailable").wantSecureHeaders(t)
	if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
		t.Errorf("Retry-After %q, want 1 to 60", a.header.Get("Retry-After"))
	}
	if c := a.header.Values("Set-Cookie"); c != nil {
		t.Errorf("a 503 sets the cookie %q", c)
	}
	return a
}

// withoutDate is everything that two answers have to share.
func withoutDate(a answer) string {
	h := maps.Clone(a.header)
	h.Del("Date")
	var b strings.Builder
	fmt.Fprintln(&b, a.status)
	for _, name := range slices.Sorted(maps.Keys(h)) {
		fmt.Fprintf(&b, "%s: %q\n", name, h[name])
	}
	return b.String() + a.body
}
