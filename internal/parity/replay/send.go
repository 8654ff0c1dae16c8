package replay

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// outgoing is a request with everything filled in. net/http is no use for
// sending it: it cleans the target, sorts the headers and adds its own.
type outgoing struct {
	method, path string
	headers      [][2]string
	body         []byte
	hasLength    bool
}

// answer is what the server said. Header values are text, one character for
// each byte.
type answer struct {
	status int
	header http.Header
	body   []byte

	json   any
	isJSON bool
}

// joined returns all values of a header as one text, and whether there is one.
func (a *answer) joined(name string) (string, bool) {
	v := a.header[name]
	return strings.Join(v, ", "), len(v) > 0
}

// outgoing fills in a recorded request.
func (p *play) outgoing(rq request) (outgoing, error) {
	out := outgoing{method: rq.Method}
	var err error
	if out.path, err = p.expand(rq.Path); err != nil {
		return out, err
	}
	for _, h := range rq.Headers {
		v, err := p.expand(h[1])
		if err != nil {
			return out, err
		}
		raw, err := latin1(v)
		if err != nil {
			return out, err
		}
		out.headers = append(out.headers, [2]string{h[0], string(raw)})
	}
	if out.body, err = p.body(rq); err != nil {
		return out, err
	}
	switch rq.Method {
	case "POST", "PUT", "PATCH":
		out.hasLength = true
	default:
		out.hasLength = out.body != nil
	}
	return out, nil
}

// body returns nil when the request has none.
func (p *play) body(rq request) ([]byte, error) {
	switch {
	case rq.JSON.present:
		v, err := p.fill(rq.JSON.value)
		return appendJSON([]byte{}, v), err
	case rq.Body != nil:
		s, err := p.expand(*rq.Body)
		if err == nil && !utf8.ValidString(s) {
			err = errors.New("the body is not UTF-8")
		}
		return []byte(s), err
	case rq.Latin1 != nil:
		s, err := p.expand(*rq.Latin1)
		if err != nil {
			return nil, err
		}
		return latin1(s)
	}
	return nil, nil
}

// bytes writes the request as it goes over the wire.
func (rq outgoing) bytes(host string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", rq.method, rq.path, host)
	for _, h := range rq.headers {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	if rq.hasLength {
		fmt.Fprintf(&b, "Content-Length: %d\r\n", len(rq.body))
	}
	b.WriteString("\r\n")
	b.Write(rq.body)
	return b.Bytes()
}

// send uses a connection of its own, which it closes afterwards.
func send(ctx context.Context, t Target, rq outgoing) (*answer, error) {
	base, err := url.Parse(t.Base)
	if err != nil {
		return nil, err
	}
	if base.Scheme != "http" {
		return nil, fmt.Errorf("base URL %q is not http", t.Base)
	}
	address := base.Host
	if base.Port() == "" {
		address = net.JoinHostPort(base.Hostname(), "80")
	}
	ctx, cancel := context.WithTimeout(ctx, t.timeout())
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	// A server may answer and close before it has read everything, so a failed
	// write only matters when no answer follows.
	_, writeErr := conn.Write(rq.bytes(base.Host))
	a, err := receive(bufio.NewReader(conn), rq.method)
	if err != nil {
		return nil, errors.Join(context.Cause(ctx), writeErr, err)
	}
	return a, nil
}

// receive reads one answer to a request of this method, past interim ones.
func receive(r *bufio.Reader, method string) (*answer, error) {
	for {
		res, err := http.ReadResponse(r, &http.Request{Method: method})
		if err != nil {
			return nil, err
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, err
		}
		if res.StatusCode < 200 && res.StatusCode != http.StatusSwitchingProtocols {
			continue
		}
		a := &answer{status: res.StatusCode, header: http.Header{}, body: body}
		for name, values := range res.Header {
			for _, v := range values {
				a.header[name] = append(a.header[name], fromLatin1(v))
			}
		}
		v, err := parseJSON(body)
		a.json, a.isJSON = v, err == nil
		return a, nil
	}
}
