package replay

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

var placeholder = regexp.MustCompile(`\{\{([a-z][^{}]*)\}\}`)

// maxNesting ends an expansion that leads back to itself.
const maxNesting = 20

// expand replaces every placeholder of s. It fails when a variable has no
// value or the placeholder makes no sense.
func (p *play) expand(s string) (string, error) {
	if p.nesting++; p.nesting > maxNesting {
		return "", errors.New("a placeholder leads back to itself")
	}
	defer func() { p.nesting-- }()
	var failed error
	out := placeholder.ReplaceAllStringFunc(s, func(m string) string {
		v, err := p.evaluate(m[2 : len(m)-2])
		if err != nil && failed == nil {
			failed = fmt.Errorf("%s: %w", m, err)
		}
		return v
	})
	return out, failed
}

// fill expands every string of a JSON value, names included.
func (p *play) fill(v any) (any, error) {
	switch v := v.(type) {
	case string:
		return p.expand(v)
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			var err error
			if out[i], err = p.fill(x); err != nil {
				return nil, err
			}
		}
		return out, nil
	case object:
		out := make(object, len(v))
		for i, m := range v {
			var err error
			if out[i].name, err = p.expand(m.name); err != nil {
				return nil, err
			}
			if out[i].value, err = p.fill(m.value); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// evaluate works out NAME|FILTER|FILTER.
func (p *play) evaluate(expr string) (string, error) {
	parts := strings.Split(expr, "|")
	v, err := p.lookup(parts[0])
	for _, f := range parts[1:] {
		if err != nil {
			break
		}
		v, err = filter(v, f)
	}
	return v, err
}

func (p *play) lookup(name string) (string, error) {
	if v, ok := p.vars[name]; ok {
		return v, nil
	}
	if offset, ok := strings.CutPrefix(name, "now"); ok {
		return p.unixTime(offset)
	}
	kind, arg, _ := strings.Cut(name, ":")
	switch kind {
	case "rep":
		return repeat(arg)
	case "b64":
		text, ok := p.scenario.B64[arg]
		if !ok {
			return "", errors.New("no such text")
		}
		text, err := p.expand(text)
		return base64.RawURLEncoding.EncodeToString([]byte(text)), err
	case "jwt":
		name, part, _ := strings.Cut(arg, ".")
		t, err := p.mint(name)
		if err != nil {
			return "", err
		}
		switch part {
		case "":
			return t.header + "." + t.payload + "." + t.signature, nil
		case "h":
			return t.header, nil
		case "p":
			return t.payload, nil
		case "s":
			return t.signature, nil
		}
	}
	return "", errors.New("has no value")
}

// unixTime is the time in seconds plus offset, which is empty or has a sign.
func (p *play) unixTime(offset string) (string, error) {
	var n int64
	if offset != "" {
		var err error
		if n, err = strconv.ParseInt(offset, 10, 64); err != nil || offset[0] != '+' && offset[0] != '-' {
			return "", errors.New("has no value")
		}
	}
	return strconv.FormatInt(p.now().Unix()+n, 10), nil
}

// repeat works out C:N.
func repeat(arg string) (string, error) {
	_, size := utf8.DecodeRuneInString(arg)
	n, err := strconv.Atoi(strings.TrimPrefix(arg[size:], ":"))
	if err != nil || n < 0 || n > 64<<20 {
		return "", errors.New("wants a character and a sensible number")
	}
	return strings.Repeat(arg[:size], n), nil
}

const base64url = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// filter applies one filter with its arguments. Positions count characters.
func filter(v, f string) (string, error) {
	args := strings.Split(f, ":")
	f, args = args[0], args[1:]
	chars := []rune(v)
	switch {
	case f == "upper" && len(args) == 0:
		return mapASCII(v, true, false), nil
	case f == "swapcase" && len(args) == 0:
		return mapASCII(v, true, true), nil
	case f == "hex" && len(args) == 0:
		return strings.ReplaceAll(v, "-", ""), nil
	case f == "q" && len(args) == 0:
		// QueryEscape leaves the same characters alone, but writes a space as +.
		return strings.ReplaceAll(url.QueryEscape(v), "+", "%20"), nil
	case f == "wide" && len(args) == 0:
		var b strings.Builder
		for _, c := range chars {
			b.WriteRune(c)
			b.WriteByte(0)
		}
		return b.String(), nil
	case f == "slice" && len(args) == 2:
		a, err1 := position(args[0], 0, len(chars))
		b, err2 := position(args[1], len(chars), len(chars))
		return string(chars[a:max(a, b)]), errors.Join(err1, err2)
	case f == "pct" && len(args) == 1:
		i, err := strconv.Atoi(args[0])
		if err != nil || i < 0 || i >= len(chars) {
			return "", fmt.Errorf("has no character %s", args[0])
		}
		return fmt.Sprintf("%s%%%02x%s", string(chars[:i]), chars[i], string(chars[i+1:])), nil
	case f == "flip" && len(args) == 0 && len(chars) > 0:
		first := "A"
		if chars[0] == 'A' {
			first = "B"
		}
		return first + string(chars[1:]), nil
	case f == "noncanon" && len(args) == 0 && v != "":
		last := strings.IndexByte(base64url, v[len(v)-1])
		if last < 0 {
			return "", errors.New("does not end as base64url")
		}
		return v[:len(v)-1] + base64url[last^1:last^1+1], nil
	}
	return "", fmt.Errorf("filter %s cannot be applied", f)
}

// position reads an index into n characters; below zero it counts from the
// end, and one that is out of range is moved to the edge.
func position(s string, empty, n int) (int, error) {
	if s == "" {
		return empty, nil
	}
	i, err := strconv.Atoi(s)
	if i < 0 {
		i += n
	}
	return min(max(i, 0), n), err
}

// mapASCII changes the case of ASCII letters only.
func mapASCII(s string, upper, lower bool) string {
	return strings.Map(func(c rune) rune {
		switch {
		case upper && 'a' <= c && c <= 'z':
			return c - 'a' + 'A'
		case lower && 'A' <= c && c <= 'Z':
			return c - 'A' + 'a'
		}
		return c
	}, s)
}
