package replay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
)

// An impostor gives the recorded answers, with values of its own for what a
// step binds. It reads the play's mind for the rest, the run and the tokens.
type impostor struct {
	play   *play             // what the replayer knows
	values map[string]string // what the impostor has made up
	made   int

	status int
	header http.Header
	body   string
}

func (im *impostor) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header()["Content-Type"] = nil // or net/http would guess one
	maps.Copy(w.Header(), im.header)
	w.WriteHeader(im.status)
	_, _ = w.Write([]byte(im.body))
}

// invent makes up a value of a type other than jwt.
func (im *impostor) invent(typ string) string {
	im.made++
	switch typ {
	case "uuid":
		return fmt.Sprintf("00000000-0000-4000-8000-%012d", im.made)
	case "token":
		return fmt.Sprintf("%043d", im.made)
	}
	return fmt.Sprintf("$argon2id$v=19$m=65536,t=3,p=4$%022d$%043d", im.made, im.made)
}

// prepare readies the answer to a step.
func (im *impostor) prepare(t *testing.T, st step) {
	t.Helper()
	// The claims of a token that is bound now may be bound by name later on.
	for _, b := range st.Bind {
		for _, later := range im.play.scenario.Steps {
			for _, c := range later.Bind {
				if (c.Of == b.Var || c.Var == b.Var) && c.Type != "jwt" && im.values[c.Var] == "" {
					im.values[c.Var] = im.invent(c.Type)
				}
			}
		}
	}
	knows := *im.play
	knows.vars = maps.Clone(im.play.vars)
	maps.Copy(knows.vars, im.values)
	fill := func(v any) any {
		v, err := knows.fill(v)
		if err != nil {
			t.Fatal(err)
		}
		return atTime(v, knows.now())
	}
	for _, b := range st.Bind {
		if b.Type == "jwt" {
			secret, header, claims := b.Secret, b.Header.value, b.Claims.value
			if !b.Claims.present {
				secret, header, claims = "auth", object{}, im.claimsOf(b.Var)
			}
			im.values[b.Var] = jwtOf(compact(fill(header)), compact(fill(claims)), secret)
			knows.vars[b.Var] = im.values[b.Var]
		}
	}
	rs := st.Response
	im.status, im.header, im.body = rs.Status, http.Header{}, ""
	if rs.Status == 500 {
		im.status = 400
	}
	for name, v := range map[string]*string{"Content-Type": rs.Headers.ContentType, "Location": rs.Headers.Location, "Allow": rs.Headers.Allow} {
		if v != nil {
			im.header[name] = []string{fill(*v).(string)}
		}
	}
	for _, c := range rs.Headers.SetCookie {
		im.header["Set-Cookie"] = append(im.header["Set-Cookie"], fill(c).(string))
	}
	switch {
	case rs.JSON.present:
		im.body = compact(fill(rs.JSON.value))
	case rs.Text != nil:
		im.body = fill(*rs.Text).(string)
	default:
		im.answerSetup(st)
	}
}

func (im *impostor) claimsOf(token string) object {
	claims := object{{"jti", im.invent("token")}}
	for _, st := range im.play.scenario.Steps {
		for _, b := range st.Bind {
			if b.Of == token {
				claims = append(claims, member{b.Claim, im.values[b.Var]})
			}
		}
	}
	return claims
}

// answerSetup makes an answer that holds no more than what the step binds.
func (im *impostor) answerSetup(st step) {
	var body any
	for _, b := range st.Bind {
		value := im.values[b.Var]
		switch {
		case b.Cookie != "":
			im.header.Add("Set-Cookie", b.Cookie+"="+value+"; Path=/")
		case b.JSON != nil:
			if b.Query != "" {
				value = "http://x/?a=b&" + b.Query + "=" + value
			}
			body = placed(body, strings.Split(*b.JSON, "/")[1:], value)
		}
	}
	im.body = compact(body)
}

// placed puts a value where a JSON pointer leads.
func placed(v any, path []string, value string) any {
	if len(path) == 0 {
		return value
	}
	if path[0] == "0" {
		list, _ := v.([]any)
		if list == nil {
			list = []any{nil}
		}
		list[0] = placed(list[0], path[1:], value)
		return list
	}
	o, _ := v.(object)
	old, _ := o.get(path[0])
	o = slices.DeleteFunc(o, func(m member) bool { return m.name == path[0] })
	return append(o, member{path[0], placed(old, path[1:], value)})
}

// A fault spoils a prepared answer and names the one difference to expect, or
// "" when it leaves the answer acceptable.
type fault func(im *impostor, st step) string

func faults() []fault {
	header := func(name, value string) fault {
		return func(im *impostor, st step) string {
			im.header[name] = append(im.header[name], value)
			if st.Response.Status == 500 || name == "Www-Authenticate" && im.status == 401 {
				return ""
			}
			return strings.ToLower(name)
		}
	}
	return []fault{
		func(im *impostor, st step) string {
			im.status = 418
			if st.Response.Status == 500 {
				im.status = 500
			}
			return "status"
		},
		spoilBody,
		header("Content-Type", "text/x-odd"),
		header("Location", "/elsewhere"),
		header("Www-Authenticate", "Bearer"),
		header("Allow", "MERGE"),
		header("Set-Cookie", "extra=1"),
	}
}

// spoilBody changes a body, but not what the step binds from it.
func spoilBody(im *impostor, st step) string {
	if st.Request.Method == "HEAD" || im.status == 204 {
		return ""
	}
	v, err := parseJSON([]byte(im.body))
	o, isObject := v.(object)
	if err != nil || !isObject {
		im.body = "[" + im.body
	} else {
		im.body = compact(append(o, member{"extra", json.Number("1")}))
	}
	switch {
	case st.Response.Status == 500:
		return ""
	case st.Response.Status == 422:
		// Tolerated so far: more than the places must not differ.
		im.body = strings.Replace(im.body, `"loc":[`, `"loc":["extra",`, 1)
		return "locs"
	case len(st.Bind) > 0 && !isObject:
		return "bind, body"
	}
	return "body"
}

// playImpostor plays a scenario against an impostor and returns the results
// together with what was spoilt.
func playImpostor(t *testing.T, s *Scenario, spoil func(i int, im *impostor, st step) string) (results []StepResult, expected []string) {
	im := &impostor{values: map[string]string{}}
	srv := httptest.NewServer(im)
	defer srv.Close()
	im.play = newPlay(s, Target{Base: srv.URL, Provider: "http://provider.example"})
	for i, st := range s.recording.Steps {
		im.prepare(t, st)
		expected = append(expected, spoil(i, im, st))
		results = append(results, im.play.step(context.Background(), st))
	}
	return results, expected
}

// Every recording can be met, and every kind of fault in it is noticed.
func TestRecordingsAgainstImpostor(t *testing.T) {
	all, err := Load(recordings)
	if err != nil {
		t.Fatal(err)
	}
	nothing := func(int, *impostor, step) string { return "" }
	kinds := faults()
	noticed := map[string]int{}
	for n, s := range all {
		t.Run(s.Name, func(t *testing.T) {
			results, _ := playImpostor(t, s, nothing)
			for i, r := range results {
				if len(r.Differences) > 0 || r.Is422 && !r.Exact422 {
					t.Errorf("true answer to step %d: %q", i, r.Differences)
				}
			}
			results, expected := playImpostor(t, s, func(i int, im *impostor, st step) string {
				if !st.checked() {
					return ""
				}
				return kinds[(i+n)%len(kinds)](im, st)
			})
			for i, r := range results {
				if got := whats(r.Differences); got != expected[i] {
					t.Errorf("spoilt answer to step %d: differs in %q, want %q", i, got, expected[i])
				}
				noticed[expected[i]]++
			}
		})
	}
	for _, what := range []string{"status", "body", "locs", "content-type", "location", "www-authenticate", "allow", "set-cookie"} {
		if noticed[what] < 10 {
			t.Errorf("%s spoilt %d times only", what, noticed[what])
		}
	}
}
