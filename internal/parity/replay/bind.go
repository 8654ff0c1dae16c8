package replay

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

// typePattern returns what a bound value of this type must look like, or "".
func typePattern(name string) string {
	switch name {
	case "uuid":
		return `\A[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\z`
	case "token":
		return `\A[A-Za-z0-9_-]{43}\z`
	case "jwt":
		return `\A[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\z`
	case "hash":
		return `\A\$argon2id\$v=19\$m=65536,t=3,p=4\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}\z`
	}
	return ""
}

// bind gives a variable its value from the answer. On failure the variable has
// none, so that no later step is compared with a stale one.
func (p *play) bind(b binding, a *answer) error {
	delete(p.vars, b.Var)
	v, err := p.source(b, a)
	if err != nil {
		return fmt.Errorf("no %s for %s: %w", b.Type, b.Var, err)
	}
	s, _ := v.(string)
	if ok, err := regexp.MatchString(typePattern(b.Type), s); !ok || err != nil {
		return fmt.Errorf("no %s for %s: got %s", b.Type, b.Var, compact(v))
	}
	p.vars[b.Var] = s
	return nil
}

func (p *play) source(b binding, a *answer) (any, error) {
	switch {
	case b.Cookie != "":
		var value any
		for _, c := range a.header["Set-Cookie"] {
			name, rest, _ := strings.Cut(c, "=")
			if name == b.Cookie {
				value, _, _ = strings.Cut(rest, ";")
			}
		}
		return value, nil
	case b.Claim != "":
		_, payload, err := segments(p.vars[b.Of])
		if err != nil {
			return nil, err
		}
		claims, _ := payload.(object)
		v, _ := claims.get(b.Claim)
		return v, nil
	}
	if !a.isJSON {
		return nil, errors.New("the body is not JSON")
	}
	v := follow(a.json, *b.JSON)
	if s, ok := v.(string); ok && b.Query != "" {
		u, err := url.Parse(s)
		if err != nil {
			return nil, err
		}
		return u.Query().Get(b.Query), nil
	}
	return v, nil
}

// follow looks up a JSON pointer; what is not there is nil.
func follow(v any, pointer string) any {
	if pointer == "" {
		return v
	}
	unescape := strings.NewReplacer("~1", "/", "~0", "~")
	for _, part := range strings.Split(pointer, "/")[1:] {
		switch at := v.(type) {
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i < 0 || i >= len(at) {
				return nil
			}
			v = at[i]
		case object:
			v, _ = at.get(unescape.Replace(part))
		default:
			return nil
		}
	}
	return v
}

// segments decodes header and payload of a token.
func segments(token string) (header, payload any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, errors.New("not three segments")
	}
	var values [2]any
	for i := range values {
		data, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, err
		}
		if values[i], err = parseJSON(data); err != nil {
			return nil, nil, err
		}
	}
	return values[0], values[1], nil
}

// compareToken holds a bound token against what the recording expects of it.
func (p *play) compareToken(b binding) []Difference {
	token := p.vars[b.Var]
	header, claims, err := segments(token)
	if err != nil {
		return []Difference{{b.Var + " decodes", "JSON", err.Error()}}
	}
	var ds []Difference
	check := func(what string, want, got any, extra ...string) {
		want, err := p.fill(want)
		if err != nil {
			ds = append(ds, Difference{what, "", err.Error()})
			return
		}
		got = without(got, want, extra)
		if !equal(want, got, p.now()) {
			ds = append(ds, Difference{what, compact(want), compact(got)})
		}
	}
	check(b.Var+" header", b.Header.value, header, "kid")
	check(b.Var+" claims", b.Claims.value, claims, "iss", "iat", "jti", "sid", "auth_time", "amr")
	secret, _ := secretNamed(b.Secret)
	parts := strings.Split(token, ".")
	if sign(hashNamed("HS256"), secret, parts[0], parts[1]) != parts[2] {
		ds = append(ds, Difference{b.Var + " signature", "HS256 with the " + b.Secret + " secret", "another"})
	}
	return ds
}

// without leaves out the extra members that may be added to a token, unless
// they were recorded.
func without(got, want any, extra []string) any {
	o, ok := got.(object)
	if !ok {
		return got
	}
	recorded, _ := want.(object)
	kept := object{}
	for _, m := range o {
		_, wanted := recorded.get(m.name)
		allowed := false
		for _, e := range extra {
			allowed = allowed || m.name == e
		}
		if wanted || !allowed {
			kept = append(kept, m)
		}
	}
	return kept
}
