package replay

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// rawServer answers every connection with the same bytes, after it has read
// what there is to read for the time being, and closes it.
func rawServer(t *testing.T, answer string) (base string, received chan string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	received = make(chan string, 1)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			first := make([]byte, 1)
			_, _ = c.Read(first)
			_ = c.SetReadDeadline(time.Now().Add(50 * time.Millisecond))
			rest, _ := io.ReadAll(c)
			received <- string(first) + string(rest)
			_, _ = c.Write([]byte(answer))
			c.Close()
		}
	}()
	return "http://" + l.Addr().String(), received
}

const ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"

func TestBytesOnTheWire(t *testing.T) {
	base, received := rawServer(t, ok)
	host := strings.TrimPrefix(base, "http://")
	tests := []struct{ name, request, want string }{
		{"nothing added", `{"method":"GET","path":"/a/../b//%zz?x={{run}}&y"}`,
			"GET /a/../b//%zz?x=rbcdfg23&y HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"absolute target, odd method", `{"method":"get","path":"http://x/y"}`,
			"get http://x/y HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"headers as given", `{"method":"GET","path":"/","headers":[["x-b","1"],["X-A","é\t{{id1}}"],["x-b","2"],["Empty",""]]}`,
			"GET / HTTP/1.1\r\nHost: HOST\r\nx-b: 1\r\nX-A: \xe9\t0a1b-2c3D\r\nx-b: 2\r\nEmpty: \r\n\r\n"},
		{"json", `{"method":"POST","path":"/","headers":[["Content-Type","x"]],"json":{"b":"{{run}}é","a":1.0}}`,
			"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Type: x\r\nContent-Length: 26\r\n\r\n" + `{"b":"rbcdfg23é","a":1.0}`},
		{"json null", `{"method":"DELETE","path":"/","json":null}`,
			"DELETE / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 4\r\n\r\nnull"},
		{"body is UTF-8", `{"method":"GET","path":"/","body":"é\\ud800{{rep:[:3}}"}`,
			"GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 11\r\n\r\né\\ud800[[["},
		{"latin1 is bytes", `{"method":"PATCH","path":"/","latin1":"ÿ\u0000{{tok1|wide}}"}`,
			"PATCH / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 14\r\n\r\n\xff\x00A\x00b\x00C\x00_\x00-\x00z\x00"},
		{"empty body", `{"method":"GET","path":"/","body":""}`,
			"GET / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		{"POST without a body", `{"method":"POST","path":"/"}`,
			"POST / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		{"PUT without a body", `{"method":"PUT","path":"/"}`,
			"PUT / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		{"PATCH without a body", `{"method":"PATCH","path":"/"}`,
			"PATCH / HTTP/1.1\r\nHost: HOST\r\nContent-Length: 0\r\n\r\n"},
		{"post is not POST", `{"method":"post","path":"/"}`,
			"post / HTTP/1.1\r\nHost: HOST\r\n\r\n"},
		{"DELETE without a body", `{"method":"DELETE","path":"/"}`,
			"DELETE / HTTP/1.1\r\nHost: HOST\r\n\r\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := testPlay()
			var rq request
			if err := json.Unmarshal([]byte(tt.request), &rq); err != nil {
				t.Fatal(err)
			}
			out, err := p.outgoing(rq)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := send(context.Background(), Target{Base: base}, out); err != nil {
				t.Fatal(err)
			}
			if got, want := <-received, strings.ReplaceAll(tt.want, "HOST", host); got != want {
				t.Errorf("got  %q\nwant %q", got, want)
			}
		})
	}
}

func TestRequestsThatCannotBeSent(t *testing.T) {
	p := testPlay()
	p.vars["bad"] = "\xff"
	for _, s := range []string{
		`{"method":"GET","path":"/{{id2}}"}`,
		`{"method":"GET","path":"/","headers":[["A","{{id2}}"]]}`,
		`{"method":"GET","path":"/","headers":[["A","€"]]}`,
		`{"method":"GET","path":"/","json":["{{id2}}"]}`,
		`{"method":"GET","path":"/","body":"{{id2}}"}`,
		`{"method":"GET","path":"/","body":"{{bad}}"}`,
		`{"method":"GET","path":"/","latin1":"{{id2}}"}`,
		`{"method":"GET","path":"/","latin1":"€"}`,
	} {
		var rq request
		if err := json.Unmarshal([]byte(s), &rq); err != nil {
			t.Fatal(err)
		}
		if _, err := p.outgoing(rq); err == nil {
			t.Errorf("%s can be sent", s)
		}
	}
}

func TestReceive(t *testing.T) {
	tests := []struct {
		name, method, raw, body string
		status                  int
	}{
		{"length", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd", "ab", 200},
		{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n", "abc", 200},
		{"until the end", "GET", "HTTP/1.1 404 Not Found\r\n\r\nabc", "abc", 404},
		{"HEAD", "HEAD", "HTTP/1.1 405 No\r\nContent-Length: 31\r\n\r\n", "", 405},
		{"head is not HEAD", "head", "HTTP/1.1 405 No\r\nContent-Length: 2\r\n\r\nab", "ab", 405},
		{"no content", "GET", "HTTP/1.1 204 No Content\r\n\r\n", "", 204},
		{"past interim answers", "POST", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 201 C\r\nContent-Length: 1\r\n\r\nx", "x", 201},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a, err := receive(bufio.NewReader(strings.NewReader(tt.raw)), tt.method)
			if err != nil {
				t.Fatal(err)
			}
			if a.status != tt.status || string(a.body) != tt.body {
				t.Errorf("got %d %q", a.status, a.body)
			}
		})
	}
	for _, raw := range []string{"", "garbage\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab", "HTTP/1.1 100 Continue\r\n\r\n"} {
		if a, err := receive(bufio.NewReader(strings.NewReader(raw)), "GET"); err == nil {
			t.Errorf("%q is an answer: %+v", raw, a)
		}
	}
}

func TestHeaderBytesBecomeCharacters(t *testing.T) {
	a, err := receive(bufio.NewReader(strings.NewReader("HTTP/1.1 200 OK\r\nlocation: /\xe9\r\nA: 1\r\na: 2\r\nContent-Length: 0\r\n\r\n")), "GET")
	if err != nil {
		t.Fatal(err)
	}
	if got, there := a.joined("Location"); got != "/é" || !there {
		t.Errorf("location %q", got)
	}
	if got, _ := a.joined("A"); got != "1, 2" {
		t.Errorf("A: %q", got)
	}
	if _, there := a.joined("Allow"); there {
		t.Error("there is an Allow header")
	}
}

// A server may refuse a large body before it has read it.
func TestEarlyAnswer(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	}))
	defer srv.Close()
	a, err := send(context.Background(), Target{Base: srv.URL}, outgoing{method: "POST", path: "/", body: make([]byte, 200_000), hasLength: true})
	if err != nil || a.status != 413 {
		t.Errorf("got %+v, %v", a, err)
	}
}

func TestNoAnswer(t *testing.T) {
	release := make(chan struct{})
	hang := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer hang.Close()
	defer close(release)
	gone, _ := rawServer(t, "")
	rq := outgoing{method: "GET", path: "/"}
	for _, tt := range []struct {
		base, says string
	}{
		{hang.URL, "deadline"},
		{gone, "EOF"},
		{"http://127.0.0.1:1", "refused"},
		{"https://127.0.0.1:1", "not http"},
		{"127.0.0.1:1", ""},
		{"", "not http"},
	} {
		_, err := send(context.Background(), Target{Base: tt.base, Timeout: 200 * time.Millisecond}, rq)
		if err == nil || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", tt.base, err)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := send(ctx, Target{Base: hang.URL}, rq); err == nil {
		t.Error("an answer in spite of the cancelled context")
	}
}
