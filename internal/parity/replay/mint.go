package replay

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash"
	"math"
	"strconv"
	"strings"
	"time"
)

// crafted says how to mint a token, right or wrong.
type crafted struct {
	Header     jsonMember `json:"header"`
	HeaderRaw  *string    `json:"header_raw"`
	Claims     jsonMember `json:"claims"`
	PayloadRaw *string    `json:"payload_raw"`
	Sign       string     `json:"sign"`
	Secret     string     `json:"secret"`
	Key        *string    `json:"key"`
	Signature  *string    `json:"signature"`
}

func (c crafted) validate() error {
	if count(c.Header.present, c.HeaderRaw != nil) != 1 || count(c.Claims.present, c.PayloadRaw != nil) != 1 {
		return errors.New("not exactly one header and one payload")
	}
	if c.Sign == "" || c.Signature != nil {
		return nil
	}
	if hashNamed(c.Sign) == nil {
		return errors.New("unknown signature " + c.Sign)
	}
	if _, ok := secretNamed(c.Secret); !ok && c.Key == nil {
		return errors.New("neither a key nor a known secret")
	}
	return nil
}

// minted is a token in its three base64url segments.
type minted struct{ header, payload, signature string }

// mint returns the token of this name. It is made at its first use and then
// kept, so that a play can hand in the same token twice.
func (p *play) mint(name string) (minted, error) {
	if t, ok := p.tokens[name]; ok {
		return t, nil
	}
	c, ok := p.scenario.JWTs[name]
	if !ok {
		return minted{}, errors.New("no such token")
	}
	now := p.now()
	header, err := p.segment(c.Header, c.HeaderRaw, now)
	if err != nil {
		return minted{}, err
	}
	payload, err := p.segment(c.Claims, c.PayloadRaw, now)
	if err != nil {
		return minted{}, err
	}
	t := minted{header: header, payload: payload}
	switch {
	case c.Signature != nil:
		t.signature, err = p.expand(*c.Signature)
	case c.Sign != "":
		key, _ := secretNamed(c.Secret)
		if c.Key != nil {
			key, err = p.expand(*c.Key)
		}
		t.signature = sign(hashNamed(c.Sign), key, header, payload)
	}
	if err != nil {
		return minted{}, err
	}
	p.tokens[name] = t
	return t, nil
}

// segment encodes a header or payload, given as JSON or as raw bytes.
func (p *play) segment(m jsonMember, raw *string, now time.Time) (string, error) {
	var data []byte
	if raw != nil {
		text, err := p.expand(*raw)
		if err != nil {
			return "", err
		}
		if data, err = latin1(text); err != nil {
			return "", err
		}
	} else {
		v, err := p.fill(m.value)
		if err != nil {
			return "", err
		}
		data = appendJSON(nil, atTime(v, now))
	}
	return base64.RawURLEncoding.EncodeToString(data), nil
}

// atTime replaces every {"$now": N} by the exact number.
func atTime(v any, now time.Time) any {
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = atTime(x, now)
		}
		return out
	case object:
		if offset, ok := relativeTime(v); ok {
			return plus(now.Unix(), offset)
		}
		out := make(object, len(v))
		for i, m := range v {
			out[i] = member{m.name, atTime(m.value, now)}
		}
		return out
	}
	return v
}

// plus adds offset to an integer; the sum has a fraction when offset has one,
// be it .0.
func plus(n int64, offset json.Number) json.Number {
	if i, err := offset.Int64(); err == nil {
		return json.Number(strconv.FormatInt(n+i, 10))
	}
	f, _ := offset.Float64()
	f += float64(n)
	if f == math.Trunc(f) {
		return json.Number(strconv.FormatFloat(f, 'f', 1, 64))
	}
	return json.Number(strconv.FormatFloat(f, 'f', -1, 64))
}

func sign(h func() hash.Hash, key, header, payload string) string {
	mac := hmac.New(h, []byte(key))
	mac.Write([]byte(header + "." + payload))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

func hashNamed(alg string) func() hash.Hash {
	switch alg {
	case "HS256":
		return sha256.New
	case "HS384":
		return sha512.New384
	case "HS512":
		return sha512.New
	}
	return nil
}

// secretNamed returns one of the secrets that the server under test is
// configured with.
func secretNamed(name string) (string, bool) {
	switch name {
	case "auth":
		name = "jwt"
	case "verify", "reset", "state":
	default:
		return "", false
	}
	return "reference-" + name + "-secret-0123456789abcdef", true
}

// latin1 turns every character into one byte.
func latin1(s string) ([]byte, error) {
	b := make([]byte, 0, len(s))
	for _, c := range s {
		if c > 0xff {
			return nil, errors.New("a character above U+00FF is not one byte")
		}
		b = append(b, byte(c))
	}
	return b, nil
}

// fromLatin1 turns every byte into one character.
func fromLatin1(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteRune(rune(s[i]))
	}
	return b.String()
}
