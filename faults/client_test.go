//go:build linux

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// answer is a response with its body, or what went wrong.
type answer struct {
	status int // 0: there was none
	header http.Header
	body   string
	took   time.Duration
	err    error
}

// slack is how much longer than usher's own limits an answer may take (P6).
const slack = time.Second

// send sends a request and judges the way it was answered. The body is JSON if it
// begins with a brace, else a form.
func (w *world) send(ctx context.Context, in *instance, method, path, body string, headers ...string) answer {
	r, err := http.NewRequestWithContext(ctx, method, in.url+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	switch {
	case strings.HasPrefix(body, "{"):
		r.Header.Set("Content-Type", "application/json")
	case body != "":
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	tolerant := w.faulty.Load()
	start := time.Now()
	a := w.exchange(r)
	a.took = time.Since(start)
	w.judgeAnswer(in, r, a, start, tolerant || w.faulty.Load())
	return a
}

func (w *world) exchange(r *http.Request) answer {
	response, err := w.http.Do(r)
	if err != nil {
		return answer{err: err}
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{err: err}
	}
	return answer{status: response.StatusCode, header: response.Header, body: string(text)}
}

// judgeAnswer applies P6.
func (w *world) judgeAnswer(in *instance, r *http.Request, a answer, start time.Time, tolerant bool) {
	w.requests.Add(1)
	what := r.Method + " " + r.URL.Path + " on " + in.name
	switch {
	case a.status == 0:
		w.unanswered.Add(1)
		if r.Context().Err() == nil && !in.wasDown(start, start.Add(a.took)) {
			w.judge.add("P6", "%s: no answer after %v: %v", what, a.took, a.err)
		}
	case a.status == http.StatusServiceUnavailable:
		w.unavailable.Add(1)
		if seconds, err := strconv.Atoi(a.header.Get("Retry-After")); err != nil || seconds < 1 || seconds > 60 {
			w.judge.add("P6", "%s: 503 with Retry-After %q", what, a.header.Get("Retry-After"))
		}
		if !tolerant {
			w.judge.add("P6", "%s: 503 without a fault: %s", what, a.body)
		}
	case a.status >= 500:
		w.judge.add("P6", "%s: %d %s", what, a.status, a.body)
	default:
		w.answered.Add(1)
	}
	w.slowest.Store(max(w.slowest.Load(), int64(a.took)))
	if a.took > w.limit+slack {
		w.judge.add("P6", "%s: answered %d after %v", what, a.status, a.took)
	}
}

// act sends the request of an entry, with both its lines in the ledger. What the
// answer is worth the auditor decides; the account only learns from it.
func (w *world) act(a *account, in *instance, e entry) entry {
	e.N, e.At, e.Account, e.Instance = w.ledger.n.Add(1), time.Now(), a.email, in.name
	w.must(w.ledger.append(e))
	ctx, cancel := w.patience()
	defer cancel()
	method, path, body, headers := e.request()
	got := w.send(ctx, in, method, path, body, headers...)
	e.Ack, e.At, e.Status, e.Took = true, time.Now(), got.status, got.took
	e.learn(got)
	w.must(w.ledger.append(e))
	a.apply(e, w.auditing)
	return e
}

// patience is how long the client waits: for good, unless it is one of those
// that go away (F17).
func (w *world) patience() (context.Context, context.CancelFunc) {
	if share := w.aborts.Load(); share > 0 && rand.Int64N(100) < share {
		return context.WithTimeout(context.Background(), rand.N(20*time.Millisecond))
	}
	return context.WithTimeout(context.Background(), 45*time.Second)
}

// request is the request of an entry.
func (e *entry) request() (method, path, body string, headers []string) {
	if e.Token != "" {
		headers = authorization(e.Backend, e.Token)
	}
	switch e.Op {
	case "register":
		return "POST", "/auth/register", object("email", e.Account, "password", e.New), nil
	case "login":
		form := url.Values{"username": {e.Account}, "password": {e.Password}}
		return "POST", "/auth/" + e.Backend + "/login", form.Encode(), nil
	case "me":
		return "GET", "/users/me", "", headers
	case "sessions":
		return "GET", "/users/me/sessions", "", headers
	case "verify":
		return "POST", "/auth/verify", object("token", e.Link), nil
	case "change":
		return "PATCH", "/users/me", object("password", e.New, "current_password", e.Password), headers
	case "forgot":
		return "POST", "/auth/forgot-password", object("email", e.Account), nil
	case "reset":
		return "POST", "/auth/reset-password", object("token", e.Link, "password", e.New), nil
	case "logout":
		return "POST", "/auth/" + e.Backend + "/logout", "", headers
	case "revoke":
		return "DELETE", "/users/me/sessions/" + e.Session, "", headers
	}
	return "GET", "/no/such/operation", "", nil
}

func authorization(backend, token string) []string {
	if backend == "cookie" {
		return []string{"Cookie", cookieName + "=" + token}
	}
	return []string{"Authorization", "Bearer " + token}
}

const cookieName = "__Host-usher"

func object(members ...string) string {
	o := map[string]string{}
	for i := 0; i+1 < len(members); i += 2 {
		o[members[i]] = members[i+1]
	}
	text, _ := json.Marshal(o)
	return string(text)
}

// learn keeps of an answer what matters.
func (e *entry) learn(a answer) {
	switch {
	case a.err != nil:
		e.Detail = a.err.Error()
		if errors.Is(a.err, context.DeadlineExceeded) {
			e.Detail = "the client went away"
		}
	case a.status >= 400:
		e.Detail = a.body
	case e.Op == "login":
		var body struct {
			Token string `json:"access_token"`
		}
		_ = json.Unmarshal([]byte(a.body), &body)
		e.Token = body.Token
		for _, cookie := range (&http.Response{Header: a.header}).Cookies() {
			if cookie.Name == cookieName {
				e.Token = cookie.Value
			}
		}
	case e.Op == "sessions":
		var sessions []struct {
			ID      string
			Current bool
		}
		_ = json.Unmarshal([]byte(a.body), &sessions)
		for _, s := range sessions {
			if s.Current {
				e.Session = s.ID
			}
		}
	case e.Op == "me" || e.Op == "register":
		var user struct {
			ID, Email string
			Verified  bool `json:"is_verified"`
		}
		_ = json.Unmarshal([]byte(a.body), &user)
		e.ID, e.Email, e.Verified = user.ID, user.Email, user.Verified
	}
}
