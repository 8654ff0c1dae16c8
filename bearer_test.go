package usher_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"usher"
	"usher/ushertest"
)

func TestBearerContract(t *testing.T) {
	t.Parallel()
	ushertest.TestTransport(t, usher.Bearer{}, nil)
}

// F1, RFC 6750 §2.1: one header, one scheme, one token of the alphabet.
func TestS_F1_BearerHeader(t *testing.T) {
	t.Parallel()
	const token = "Abc-._~+/123=="
	for _, test := range []struct {
		name    string
		headers []string
		want    string
	}{
		{"plain", []string{"Bearer " + token}, token},
		{"lower case", []string{"bearer " + token}, token},
		{"upper case", []string{"BEARER " + token}, token},
		{"mixed case", []string{"bEaReR " + token}, token},
		{"two spaces", []string{"Bearer  " + token}, token}, // RFC 9110 §11.4: 1*SP
		{"space behind", []string{"Bearer " + token + " "}, token},
		{"one letter", []string{"Bearer x"}, "x"},

		{"no header", nil, ""},
		{"empty header", []string{""}, ""},
		{"spaces", []string{"   "}, ""},
		{"scheme alone", []string{"Bearer"}, ""},
		{"scheme and space", []string{"Bearer "}, ""},
		{"scheme and spaces", []string{"Bearer    "}, ""},
		{"token alone", []string{token}, ""},
		{"space in front", []string{" Bearer " + token}, ""},
		{"no space", []string{"Bearer" + token}, ""},
		{"tab", []string{"Bearer\t" + token}, ""},
		{"space and tab", []string{"Bearer \t" + token}, ""},
		{"tab behind", []string{"Bearer " + token + "\t"}, ""},
		{"no-break space", []string{"Bearer\u00a0" + token}, ""},
		{"colon", []string{"Bearer: " + token}, ""},
		{"equals sign", []string{"Bearer=" + token}, ""},
		{"Basic", []string{"Basic " + token}, ""},
		{"JWT", []string{"JWT " + token}, ""},
		{"longer scheme", []string{"Bearers " + token}, ""},
		{"small capital R in the scheme", []string{"Bea\u0280er " + token}, ""},
		{"quoted", []string{`Bearer "` + token + `"`}, ""},
		{"single quotes", []string{"Bearer '" + token + "'"}, ""},
		{"parameter", []string{`Bearer token="` + token + `"`}, ""},
		{"two tokens", []string{"Bearer " + token + " " + token}, ""},
		{"comma list", []string{"Bearer " + token + ", Bearer " + token}, ""},
		{"comma", []string{"Bearer " + token + ","}, ""},
		{"two headers", []string{"Bearer " + token, "Bearer x"}, ""},
		{"two equal headers", []string{"Bearer " + token, "Bearer " + token}, ""},
		{"Basic and Bearer", []string{"Basic eA==", "Bearer " + token}, ""},
		{"empty and Bearer", []string{"", "Bearer " + token}, ""},
		{"only padding", []string{"Bearer =="}, ""},
		{"padding inside", []string{"Bearer a=b"}, ""},
		{"NUL", []string{"Bearer a\x00b"}, ""},
		{"line break", []string{"Bearer a\r\nb"}, ""},
		{"percent escape", []string{"Bearer a%00"}, ""},
		{"Latin-1", []string{"Bearer \xe9"}, ""},
		{"UTF-8", []string{"Bearer é"}, ""},
		{"full-width letters", []string{"Bearer ａｂｃ"}, ""},
		{"JSON", []string{`Bearer {"a":1}`}, ""},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Authorization"] = test.headers
		got, ok := usher.Bearer{}.Token(r)
		if got != test.want || ok != (test.want != "") {
			t.Errorf("%s: Token of %q = %q, %v, want %q", test.name, test.headers, got, ok, test.want)
		}
	}
}

// F2: a token in the query or in a form (RFC 6750 §2.2, §2.3) is none.
func TestS_F2_BearerElsewhere(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest("POST", "/?access_token=x", strings.NewReader("access_token=x"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Proxy-Authorization", "Bearer x")
	r.Header.Set("X-Authorization", "Bearer x")
	if token, ok := (usher.Bearer{}).Token(r); ok {
		t.Errorf("Token = %q, want none", token)
	}
	r.Header.Set("Authorization", "Bearer y") // the positive control
	if token, ok := (usher.Bearer{}).Token(r); !ok || token != "y" {
		t.Errorf("Token = %q, %v, want y", token, ok)
	}
}

// F6, RFC 6749 §5.1.
func TestS_F6_BearerAnswers(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	if err := (usher.Bearer{}).WriteLogin(w, httptest.NewRequest("POST", "/", nil), "tok", usher.Authentication{}); err != nil {
		t.Fatal(err)
	}
	if got, want := w.Body.String(), `{"access_token":"tok","token_type":"bearer"}`; w.Code != http.StatusOK || got != want {
		t.Errorf("login: %d %s, want 200 %s", w.Code, got, want)
	}
	for name, want := range map[string]string{"Content-Type": "application/json", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Set-Cookie": ""} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("login: %s is %q, want %q", name, got, want)
		}
	}
	w = httptest.NewRecorder()
	if err := (usher.Bearer{}).WriteLogout(w, httptest.NewRequest("POST", "/", nil)); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusNoContent || w.Body.Len() > 0 {
		t.Errorf("logout: %d %q, want 204 without a body", w.Code, w.Body)
	}
}

func FuzzBearer(f *testing.F) {
	for _, header := range []string{"Bearer abc", "bearer  a.b-c_d~e+f/g==", "Bearer", "Bearer =", "Bearer \"a\"", "Bearer a b", "Bearer\ta", "Basic Og==", "Bearer \xff", "Bearer a\x00"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := &http.Request{Header: http.Header{"Authorization": {header}}}
		token, ok := usher.Bearer{}.Token(r)
		if ok != (token != "") {
			t.Errorf("Token of %q = %q, %v", header, token, ok)
		}
		if strings.ContainsFunc(token, func(c rune) bool {
			return c > unicode.MaxASCII || unicode.IsControl(c) || unicode.IsSpace(c) || strings.ContainsRune(`",;'\%(){}[]<>@?:`, c)
		}) {
			t.Errorf("Token of %q = %q, which is no token68", header, token)
		}
		if ok && !strings.Contains(header, token) {
			t.Errorf("Token of %q = %q, which was not sent", header, token)
		}
	})
}
