package replay

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

const story = `{"name":"story","tags":[],"doc":"","steps":[
{"check":false,"request":{"method":"POST","path":"/register","json":{"email":"a.{{run}}@example.com"}},
 "response":{"status":201},"bind":[{"var":"id1","type":"uuid","json":"/id"}]},
{"label":"me","request":{"method":"GET","path":"/users/{{id1}}"},
 "response":{"status":200,"headers":{"content-type":"application/json"},"json":{"id":"{{id1}}"}}},
{"label":"invalid","request":{"method":"POST","path":"/invalid"},
 "response":{"status":422,"headers":{"content-type":"application/json"},"json":{"detail":[{"loc":["body"],"msg":"m"}]}}},
{"label":"no user","request":{"method":"GET","path":"/nobody"},"response":{"status":404,"text":""}}]}`

func storyOf(t *testing.T, doc string) *Scenario {
	t.Helper()
	s, err := parseScenario([]byte(doc))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// storyServer plays its part, with the given status for /register and words
// for /invalid, and writes down what it was asked.
func storyServer(t *testing.T, registered int, id, words string) (base string, asked *[]string) {
	asked = &[]string{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		*asked = append(*asked, r.URL.Path+string(body))
		w.Header().Set("Content-Type", "application/json")
		switch r.URL.Path {
		case "/register":
			w.WriteHeader(registered)
			fmt.Fprintf(w, `{"id":%q}`, id)
		case "/invalid":
			w.WriteHeader(422)
			fmt.Fprintf(w, `{"detail":[{"loc":["body"],"msg":%q}]}`, words)
		case "/nobody":
			w.Header()["Content-Type"] = nil
			w.WriteHeader(404)
		default:
			fmt.Fprintf(w, `{"id":%q}`, r.URL.Path[len("/users/"):])
		}
	}))
	t.Cleanup(srv.Close)
	return srv.URL, asked
}

func TestPlay(t *testing.T) {
	tests := []struct {
		name, id, words string
		registered      int
		differs         []string
		exact           bool
		asked           int
	}{
		{"all well", aUUID, "m", 201, []string{"", "", "", ""}, true, 4},
		{"tolerated words", aUUID, "n", 201, []string{"", "", "", ""}, false, 4},
		{"setup status", aUUID, "m", 200, []string{"setup status", "", "", ""}, true, 4},
		{"setup binds nothing", "x", "m", 201, []string{"bind", "not sent", "", ""}, true, 3},
		{"setup fails twice", "x", "m", 500, []string{"bind, setup status", "not sent", "", ""}, true, 3},
	}
	s := storyOf(t, story)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			base, asked := storyServer(t, tt.registered, tt.id, tt.words)
			results := s.Play(context.Background(), Target{Base: base + "/"})
			var differs []string
			for i, r := range results {
				differs = append(differs, whats(r.Differences))
				if r.Index != i || r.Checked != (i > 0) || r.Is422 != (i == 2) || r.Exact422 != (i == 2 && tt.exact) {
					t.Errorf("result %d: %+v", i, r)
				}
			}
			if !slices.Equal(differs, tt.differs) {
				t.Errorf("differs in %q, want %q", differs, tt.differs)
			}
			if len(*asked) != tt.asked {
				t.Errorf("asked %q", *asked)
			}
			if r := results[1]; r.Label != "me" || r.Method != "GET" || r.Path != "/users/{{id1}}" {
				t.Errorf("result 1: %+v", r)
			}
		})
	}
}

func TestEveryPlayIsFresh(t *testing.T) {
	s := storyOf(t, story)
	base, asked := storyServer(t, 201, aUUID, "m")
	for range 2 {
		s.Play(context.Background(), Target{Base: base})
	}
	if (*asked)[0] == (*asked)[4] {
		t.Errorf("asked %q twice", (*asked)[0])
	}
}

func TestPlayWithoutServer(t *testing.T) {
	s := storyOf(t, story)
	for _, base := range []string{"http://127.0.0.1:1", "", "://", "https://127.0.0.1:1"} {
		var differs []string
		for _, r := range s.Play(context.Background(), Target{Base: base}) {
			differs = append(differs, whats(r.Differences))
		}
		if !slices.Equal(differs, []string{"no answer", "not sent", "no answer", "no answer"}) {
			t.Errorf("%s: differs in %q", base, differs)
		}
	}
}

// A variable that is bound again, in vain, does not keep its old value.
func TestFailedBindingForgets(t *testing.T) {
	const again = `{"name":"again","tags":[],"doc":"","steps":[
{"check":false,"request":{"method":"POST","path":"/register"},"response":{"status":201},"bind":[{"var":"id1","type":"uuid","json":"/id"}]},
{"check":false,"request":{"method":"STEP","path":"PATH"},"response":{"status":200},"bind":[{"var":"id1","type":"uuid","json":"/no"}]},
{"label":"me","request":{"method":"GET","path":"/users/{{id1}}"},"response":{"status":200,"text":""}}]}`
	s := storyOf(t, again)
	base, _ := storyServer(t, 201, aUUID, "m")
	for _, path := range []string{"/register", "/{{nothing1}}"} {
		s.recording.Steps[1].Request = request{Method: "POST", Path: path}
		results := s.Play(context.Background(), Target{Base: base})
		if got := whats(results[2].Differences); got != "not sent" {
			t.Errorf("%s: differs in %q", path, got)
		}
	}
}
