package replay

import (
	"slices"
	"strconv"
	"strings"
)

// A Difference is one thing in which an answer is not the recorded one.
type Difference struct{ What, Want, Got string }

const absent = "(absent)"

// compare holds a live answer against the recorded one, as far as that is
// compared: everything but bindings and tokens. exact tells whether the bodies
// are equal even where less is required.
func (p *play) compare(want response, a *answer) (ds []Difference, exact bool) {
	if !sameStatus(want.Status, a.status) {
		ds = append(ds, statusDifference("status", want.Status, a))
	}
	if want.Status == 500 {
		// The original failed, so there is nothing else to be equal to.
		return ds, false
	}
	ds = append(ds, p.compareHeaders(want, a)...)
	body := p.compareBody(want, a)
	exact = len(body) == 0
	if want.Status == 422 && a.status == 422 && !exact {
		body = p.tolerate(want, a, body)
	}
	return append(ds, body...), exact
}

// sameStatus takes any refusal for a recorded 500, but never a 500.
func sameStatus(want, got int) bool {
	if want == 500 {
		return got >= 400 && got < 500
	}
	return want == got
}

func statusDifference(what string, want int, a *answer) Difference {
	d := Difference{what, strconv.Itoa(want), strconv.Itoa(a.status) + " " + string(a.body)}
	if want == 500 {
		d.Want = "a 4xx"
	}
	return d
}

func (p *play) compareHeaders(want response, a *answer) (ds []Difference) {
	h := want.Headers
	for _, x := range []struct {
		name string
		want *string
	}{
		{"Content-Type", h.ContentType},
		{"Location", h.Location},
		{"Www-Authenticate", h.WWWAuthenticate},
	} {
		got, there := a.joined(x.name)
		if x.want == nil {
			// Every 401 should have carried a challenge.
			if there && (x.name != "Www-Authenticate" || a.status != 401) {
				ds = append(ds, Difference{strings.ToLower(x.name), absent, got})
			}
			continue
		}
		if !there {
			got = absent
		}
		ds = append(ds, p.compareText(strings.ToLower(x.name), *x.want, got)...)
	}
	allow := ""
	if h.Allow != nil {
		allow = *h.Allow
	}
	if got, _ := a.joined("Allow"); !slices.Equal(methods(allow), methods(got)) {
		ds = append(ds, Difference{"allow", allow, got})
	}
	return append(ds, p.compareCookies(h.SetCookie, a.header["Set-Cookie"])...)
}

// methods is a list of methods as a sorted set.
func methods(list string) []string {
	words := strings.FieldsFunc(strings.ToUpper(list), func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
	slices.Sort(words)
	return slices.Compact(words)
}

func (p *play) compareCookies(want, got []string) []Difference {
	const what = "set-cookie"
	filled := make([]string, len(want))
	for i, c := range want {
		var err error
		if filled[i], err = p.expand(c); err != nil {
			return []Difference{{what, c, err.Error()}}
		}
	}
	if slices.EqualFunc(filled, got, sameCookie) {
		return nil
	}
	return []Difference{{what, listed(filled), listed(got)}}
}

func sameCookie(a, b string) bool {
	pairA, attributesA := cookieParts(a)
	pairB, attributesB := cookieParts(b)
	return pairA == pairB && slices.Equal(attributesA, attributesB)
}

// cookieParts returns name and value, and the attributes as a sorted set.
func cookieParts(c string) (pair string, attributes []string) {
	parts := strings.Split(c, ";")
	name, value, _ := strings.Cut(strings.TrimSpace(parts[0]), "=")
	if value == `""` {
		value = "" // both spellings clear a cookie
	}
	for _, x := range parts[1:] {
		name, value, _ := strings.Cut(strings.TrimSpace(x), "=")
		name = strings.ToLower(name)
		if name == "samesite" {
			value = strings.ToLower(value)
		}
		attributes = append(attributes, name+"="+value)
	}
	slices.Sort(attributes)
	return name + "=" + value, slices.Compact(attributes)
}

func listed(items []string) string {
	if len(items) == 0 {
		return absent
	}
	return strings.Join(items, "\n")
}

func (p *play) compareBody(want response, a *answer) []Difference {
	if want.Text != nil {
		return p.compareText("body", *want.Text, string(a.body))
	}
	w, err := p.wantedJSON(want)
	if err != nil {
		return []Difference{{"body", "", err.Error()}}
	}
	if !a.isJSON {
		return []Difference{{"body", compact(w), "not JSON: " + string(a.body)}}
	}
	if equal(w, a.json, p.now()) {
		return nil
	}
	return []Difference{{"body", compact(w), compact(a.json)}}
}

func (p *play) compareText(what, want, got string) []Difference {
	want, err := p.expand(want)
	if err != nil {
		return []Difference{{what, want, err.Error()}}
	}
	if want == got {
		return nil
	}
	return []Difference{{what, want, got}}
}

func (p *play) wantedJSON(want response) (any, error) {
	if want.JSONText == nil {
		return p.fill(want.JSON.value)
	}
	text, err := p.expand(*want.JSONText)
	if err != nil {
		return nil, err
	}
	return parseJSON([]byte(text))
}

// tolerate looks at a 422 whose body is not exactly the recorded one: it is
// enough that the same places are complained about.
func (p *play) tolerate(want response, a *answer, body []Difference) []Difference {
	w, err := p.wantedJSON(want)
	if err != nil {
		return body
	}
	wl, ok := locs(w)
	if !ok || !a.isJSON {
		return body
	}
	gl, ok := locs(a.json)
	if ok && slices.Equal(wl, gl) {
		return nil
	}
	got := compact(a.json)
	if ok {
		got = listed(gl)
	}
	return []Difference{{"locs", listed(wl), got}}
}

// locs returns the set of loc values of a validation error, sorted.
func locs(body any) ([]string, bool) {
	o, _ := body.(object)
	detail, _ := o.get("detail")
	list, ok := detail.([]any)
	if !ok {
		return nil, false
	}
	var found []string
	for _, e := range list {
		e, _ := e.(object)
		loc, ok := e.get("loc")
		if !ok {
			return nil, false
		}
		found = append(found, compact(loc))
	}
	slices.Sort(found)
	return slices.Compact(found), true
}
