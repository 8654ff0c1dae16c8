package breach_test

import (
	"compress/gzip"
	"context"
	"crypto/fips140"
	"crypto/sha1"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"usher/password/breach"
)

// hashOf returns the name of a password in the lists: 40 hexadecimal digits.
func hashOf(password string) (hash string) {
	// So that the tests run with GODEBUG=fips140=only, as the package does.
	fips140.WithoutEnforcement(func() { hash = fmt.Sprintf("%X", sha1.Sum([]byte(password))) })
	return hash
}

const (
	typed = "correct horse battery staple" // what the tests ask for
	other = "00112233445566778899AABBCCDDEEFF001"
)

// serve starts a server of the range API.
func serve(t *testing.T, handler http.HandlerFunc) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// The request holds 5 digits of the hash and nothing else of it.
func TestRangeRequest(t *testing.T) {
	t.Parallel()
	hash := hashOf(typed)
	tests := []struct {
		name, path, agent   string
		wantPath, wantAgent string
	}{
		{"defaults", "/range", "", "/range/" + hash[:5], "usher"},
		{"slash at the end", "/range/", "shop 1.0", "/range/" + hash[:5], "shop 1.0"},
		{"root", "", "", "/" + hash[:5], "usher"},
		{"query kept", "/r?key=1", "", "/r/" + hash[:5] + "?key=1", "usher"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var requests atomic.Int64
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				body, err := io.ReadAll(r.Body)
				if err != nil || len(body) != 0 {
					t.Errorf("body %q, %v", body, err)
				}
				if r.Method != "GET" || r.RequestURI != tt.wantPath {
					t.Errorf("%s %s, want GET %s", r.Method, r.RequestURI, tt.wantPath)
				}
				want := http.Header{
					"Accept-Encoding": {"gzip"},
					"Add-Padding":     {"true"},
					"User-Agent":      {tt.wantAgent},
				}
				if !maps.EqualFunc(r.Header, want, slices.Equal) {
					t.Errorf("header %v, want %v", r.Header, want)
				}
			})
			checker := breach.Range{URL: server.URL + tt.path, UserAgent: tt.agent, Timeout: time.Minute, Client: server.Client()}
			if breached, err := checker.Breached(t.Context(), typed); breached || err != nil {
				t.Errorf("Breached = %v, %v", breached, err)
			}
			if n := requests.Load(); n != 1 {
				t.Errorf("%d requests, want 1", n)
			}
		})
	}
}

// What the answers mean. An error never tells any of the hash or of the URL.
func TestRangeAnswer(t *testing.T) {
	t.Parallel()
	hash := hashOf(typed)
	prefix, suffix := hash[:5], hash[5:]
	many := strings.Repeat(other+":1\r\n", 10<<20/39)
	tests := []struct {
		name, answer string
		want         bool
		wantErr      string // a part of it; empty: none
	}{
		{"found", other + ":3\r\n" + suffix + ":1\r\n", true, ""},
		{"found first, no end of line", suffix + ":86453", true, ""},
		{"found in lower case", strings.ToLower(suffix) + ":2\n", true, ""},
		{"not found", other + ":3\r\n" + other + ":1\r\n", false, ""},
		{"padding", other + ":3\r\n" + suffix + ":0\r\n", false, ""},
		{"padding and found", suffix + ":0\r\n" + suffix + ":7\r\n", true, ""},
		{"nothing", "", false, ""},
		{"whole hash", hash + ":1\r\n", false, "line 1 is not"},
		{"another's digits", suffix[:34] + ":1\r\n", false, "line 1 is not"},
		{"not hexadecimal", other + ":3\r\nG" + other[1:] + ":1", false, "line 2 is not"},
		{"no number", other + ":\r\n", false, "line 1 is not"},
		{"negative", suffix + ":-1\r\n", false, "line 1 is not"},
		{"large number", suffix + ":18446744073709551616\r\n", false, "line 1 is not"},
		{"HTML", "<!DOCTYPE html>\n<title>Sign in to the Wi-Fi</title>", false, "line 1 is not"},
		{"JSON", `{"error":"` + prefix + `"}`, false, "line 1 is not"},
		{"NULs", strings.Repeat("\x00", 100), false, "line 1 is not"},
		{"one long line", strings.Repeat("A", 10<<20), false, "too long"},
		{"10 MB", many, false, "longer than 1 MiB"},
		{"found before garbage", suffix + ":1\r\n<html>", true, ""},
		{"found in the first of 10 MB", suffix + ":1\r\n" + many, true, ""},
		{"found in the last of 10 MB", many + suffix + ":1\r\n", false, "longer than 1 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			plain := serve(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, tt.answer) // the client hangs up on long ones
			})
			zipped := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Encoding", "gzip")
				z := gzip.NewWriter(w)
				_, _ = io.WriteString(z, tt.answer)
				_ = z.Close()
			})
			for _, server := range []*httptest.Server{plain, zipped} {
				checker := breach.Range{URL: server.URL, Timeout: time.Minute, Client: server.Client()}
				breached, err := checker.Breached(t.Context(), typed)
				checkRange(t, breached, err, tt.want, tt.wantErr)
			}
		})
	}
}

func checkRange(t *testing.T, breached bool, err error, want bool, wantErr string) {
	t.Helper()
	if breached != want || (err == nil) != (wantErr == "") {
		t.Fatalf("Breached = %v, %v; want %v and error %q", breached, err, want, wantErr)
	}
	if err == nil {
		return
	}
	text := err.Error()
	if !strings.HasPrefix(text, "breach: ") || !strings.Contains(text, wantErr) {
		t.Errorf("error %q, want %q", text, wantErr)
	}
	for _, secret := range []string{typed, hashOf(typed)[:5], hashOf(typed)[5:10], "hunter2"} {
		if strings.Contains(strings.ToUpper(text), strings.ToUpper(secret)) {
			t.Errorf("error %q tells %q", text, secret)
		}
	}
}

// Answers other than 200 are errors, also those with the password in them.
func TestRangeStatus(t *testing.T) {
	t.Parallel()
	for _, status := range []int{201, 204, 206, 304, 400, 403, 404, 429, 500, 503} {
		t.Run(fmt.Sprint(status), func(t *testing.T) {
			t.Parallel()
			server := serve(t, func(w http.ResponseWriter, r *http.Request) {
				w.WriteHeader(status)
				_, _ = io.WriteString(w, hashOf(typed)[5:]+":1\r\n") // no body with some
			})
			checker := breach.Range{URL: server.URL, Timeout: time.Minute, Client: server.Client()}
			breached, err := checker.Breached(t.Context(), typed)
			checkRange(t, breached, err, false, fmt.Sprint("status ", status))
		})
	}
}

// Redirects are not followed: nobody else learns the digits.
func TestRangeRedirect(t *testing.T) {
	t.Parallel()
	elsewhere := serve(t, func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked for %s", r.URL)
	})
	for _, status := range []int{301, 302, 303, 307, 308} {
		var requests atomic.Int64
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			target := elsewhere.URL + r.URL.Path
			if r.URL.Path < "/same" {
				target = "/same"
			}
			w.Header().Set("Location", target)
			w.WriteHeader(status)
		})
		client := server.Client()
		client.CheckRedirect = func(*http.Request, []*http.Request) error { return nil }
		for _, path := range []string{"", "/same"} {
			checker := breach.Range{URL: server.URL + path, Timeout: time.Minute, Client: client}
			breached, err := checker.Breached(t.Context(), typed)
			checkRange(t, breached, err, false, fmt.Sprint("status ", status))
		}
		if n := requests.Load(); n != 2 {
			t.Errorf("status %d: %d requests, want 2", status, n)
		}
	}
}

// A server that hangs costs no more than the timeout.
func TestRangeHangs(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	tests := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"before the header", hang},
		{"in the answer", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintf(w, "%s:1\r\n", other)
			w.(http.Flusher).Flush()
			hang(w, r)
		}},
		{"drop by drop", func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				fmt.Fprintf(w, "%s:1\r\n", other)
				w.(http.Flusher).Flush()
				time.Sleep(5 * time.Millisecond)
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			server := serve(t, tt.handler)
			checker := breach.Range{URL: server.URL, Timeout: 50 * time.Millisecond, Client: server.Client()}
			start := time.Now()
			breached, err := checker.Breached(t.Context(), typed)
			checkRange(t, breached, err, false, "deadline exceeded")
			if !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("error %v, want DeadlineExceeded", err)
			}
			if d := time.Since(start); d > 5*time.Second {
				t.Errorf("took %v", d)
			}
		})
	}
	t.Run("default", func(t *testing.T) {
		t.Parallel()
		server := serve(t, hang)
		start := time.Now()
		breached, err := breach.Range{URL: server.URL, Client: server.Client()}.Breached(t.Context(), typed)
		checkRange(t, breached, err, false, "deadline exceeded")
		if d := time.Since(start); d < time.Second || d > 10*time.Second {
			t.Errorf("took %v, want 1s", d)
		}
	})
	t.Run("caller gives up", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		server := serve(t, func(w http.ResponseWriter, r *http.Request) {
			cancel()
			hang(w, r)
		})
		checker := breach.Range{URL: server.URL, Timeout: time.Minute, Client: server.Client()}
		breached, err := checker.Breached(ctx, typed)
		checkRange(t, breached, err, false, "canceled")
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want Canceled", err)
		}
	})
}

// The connection breaks, or there is none.
func TestRangeUnreachable(t *testing.T) {
	t.Parallel()
	closed := httptest.NewServer(http.NotFoundHandler())
	closed.Close()
	cut := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1000")
		fmt.Fprintf(w, "%s:1\r\n", other)
	})
	address := strings.TrimPrefix(closed.URL, "http://")
	tests := []struct{ name, url, wantErr string }{
		{"nobody there", closed.URL, "connect"},
		{"credentials", "http://key:hunter2@" + address, "connect"},
		{"cut", cut.URL, "unexpected EOF"},
		{"not HTTP", "ftp://key:hunter2@" + address, "unsupported protocol"},
		{"no scheme", "range.example", "unsupported protocol"},
		{"no URL", "http://key:hunter2@[::1", "']'"},
		{"NUL", "http://key:hunter2@a\x00b", "control character"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			breached, err := breach.Range{URL: tt.url, Timeout: time.Minute}.Breached(t.Context(), typed)
			checkRange(t, breached, err, false, tt.wantErr)
		})
	}
}

// One Range serves many at once; each gets its own answer.
func TestRangeConcurrent(t *testing.T) {
	t.Parallel()
	known := make(map[string]string) // prefix to line
	for i := range 10 {
		hash := hashOf(fmt.Sprint("known ", i))
		known[hash[:5]] += hash[5:] + ":1\r\n"
	}
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, known[strings.TrimPrefix(r.URL.Path, "/")]+other+":1\r\n")
	})
	checker := breach.Range{URL: server.URL, Timeout: time.Minute, Client: server.Client()}
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			breached, err := checker.Breached(t.Context(), fmt.Sprint("known ", i))
			if breached != (i < 10) || err != nil {
				t.Errorf("password %d: %v, %v", i, breached, err)
			}
		})
	}
	wg.Wait()
}
