//go:build linux

package faults_test

import (
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// newAuditor returns a world without anything in it: what the judge thinks of
// false entries and of false answers is seen there.
func newAuditor(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	l, err := newLedger(filepath.Join(dir, "ledger.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return &world{
		t: t, dir: dir, ledger: l, judge: &judge{}, bench: &bench{again: 1, done: map[string]int{}}, mails: newMails(dir),
		http: &http.Client{Timeout: 10 * time.Second}, limit: limit, settle: 50 * time.Millisecond,
	}
}

// promises returns those that were broken, each once.
func (j *judge) promises() string {
	var broken []string
	for _, v := range j.violations {
		promise, _, _ := strings.Cut(v, ":")
		broken = append(broken, promise)
	}
	slices.Sort(broken)
	return strings.Join(slices.Compact(broken), " ")
}

// TestAuditorReads plants violations in a ledger.
func TestAuditorReads(t *testing.T) {
	registered := entry{Op: "register", New: "one", Status: 201, ID: "1"}
	verified := entry{Op: "verify", Link: "v", Status: 200}
	cookie := entry{Op: "login", Backend: "cookie", Password: "one", Token: "c", Status: 204}
	redis := entry{Op: "login", Backend: "redis", Password: "one", Token: "r", Status: 200}
	jwt := entry{Op: "login", Backend: "jwt", Password: "one", Token: "j", Status: 200}
	me := func(token string, status int) entry {
		return entry{Op: "me", Token: token, Status: status, ID: "1", Email: "a@example.com"}
	}
	login := func(password string, status int) entry {
		return entry{Op: "login", Backend: "jwt", Password: password, Token: "new", Status: status}
	}
	change := func(status int) entry {
		return entry{Op: "change", Token: "c", Password: "one", New: "two", Status: status}
	}
	reset := func(status int) entry { return entry{Op: "reset", Link: "p", New: "two", Status: status} }
	logout := func(status int) entry { return entry{Op: "logout", Token: "c", Status: status} }
	revoke := func(status int) entry { return entry{Op: "revoke", Token: "c", Target: "r", Status: status} }

	for _, c := range []struct {
		name    string
		entries []entry
		want    string
	}{
		{"all is well", []entry{registered, verified, cookie, redis, jwt, change(200), me("c", 200).asVerified(), me("r", 401), me("j", 401), login("two", 200), login("one", 400), logout(204), me("c", 401)}, ""},
		{"outages", []entry{registered, cookie, login("one", 503), me("c", 503), change(503), login("two", 400), login("one", 200), me("c", 200), logout(0), me("c", 200)}, ""},
		{"registered without an answer, and taken", []entry{{Op: "register", New: "one"}, {Op: "register", New: "one", Status: 400}}, ""},
		{"registered without an answer, in vain", []entry{{Op: "register", New: "one"}, login("one", 400), registered}, ""},
		{"changed without an answer", []entry{registered, cookie, redis, change(0), login("two", 200), me("r", 401), me("c", 200)}, ""},

		{"an account is gone", []entry{registered, login("one", 400)}, "P1"},
		{"a new password is gone", []entry{registered, cookie, change(200), login("two", 400)}, "P1"},
		{"a sign-in is gone", []entry{registered, cookie, me("c", 401)}, "P1"},
		{"a sign-in is gone from the list", []entry{registered, cookie, redis, revoke(404)}, "P1"},
		{"a verification is gone", []entry{registered, verified, cookie, me("c", 200)}, "P1"},
		{"a link is refused", []entry{registered, {Op: "verify", Link: "v", Status: 400}}, "P1"},
		{"a reset is refused", []entry{registered, reset(400)}, "P1"},
		{"good after the logout", []entry{registered, cookie, logout(204), me("c", 200)}, "P2"},
		{"good after it was refused", []entry{registered, cookie, logout(0), me("c", 401), me("c", 200)}, "P2"},
		{"good after it was revoked", []entry{registered, cookie, redis, revoke(204), me("r", 200)}, "P2"},
		{"good after a change", []entry{registered, cookie, redis, change(200), me("r", 200)}, "P2"},
		{"a JWT is good after a change", []entry{registered, cookie, jwt, change(200), me("j", 200)}, "P2"},
		{"good after a reset", []entry{registered, cookie, reset(200), me("c", 200)}, "P2"},
		{"good after a change without an answer", []entry{registered, cookie, redis, change(0), login("two", 200), me("r", 200)}, "P2"},
		{"registered twice", []entry{registered, registered}, "P3"},
		{"verified twice", []entry{registered, verified, verified}, "P3"},
		{"reset twice", []entry{registered, reset(200), reset(200)}, "P3"},
		{"another's id", []entry{registered, cookie, {Op: "me", Token: "c", Status: 200, ID: "2", Email: "a@example.com"}}, "P4"},
		{"another's address", []entry{registered, cookie, {Op: "me", Token: "c", Status: 200, ID: "1", Email: "b@example.com"}}, "P4"},
		{"in with any password", []entry{registered, login("guess", 200)}, "P5"},
		{"in with the old password", []entry{registered, cookie, change(200), login("one", 200)}, "P5"},
		{"both passwords after no answer", []entry{registered, cookie, change(0), login("two", 200), login("one", 200)}, "P5"},
		{"500", []entry{registered, login("one", 500)}, "P6"},
		{"500 for a change", []entry{registered, cookie, change(500)}, "P6"},
		{"500 for a look", []entry{registered, cookie, me("c", 500)}, "P6"},
		{"taken by nobody", []entry{{Op: "register", New: "one", Status: 400}}, "P10"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newAuditor(t)
			w.plant(c.entries)
			w.accounts()
			if got := w.judge.promises(); got != c.want {
				t.Errorf("broken: %q, want %q: %q", got, c.want, w.judge.violations)
			}
		})
	}
}

func (e entry) asVerified() entry {
	e.Verified = true
	return e
}

// plant writes entries as the load does: a request without an answer has the status 0.
func (w *world) plant(entries []entry) {
	w.t.Helper()
	for i, e := range entries {
		e.N, e.Account, e.Instance = int64(i), "a@example.com", "A"
		w.must(w.ledger.append(e))
		e.Ack = true
		w.must(w.ledger.append(e))
	}
}

// TestWeakerStores: what a Redis may lose or undo is counted, and nothing else.
func TestWeakerStores(t *testing.T) {
	registered := entry{Op: "register", New: "one", Status: 201, ID: "1"}
	for _, c := range []struct {
		backend       string
		keeps         keeping
		lost, undone  int
		lostP, afterP string
	}{
		{"redis", 0, 0, 0, "P1", "P2"},
		{"redis", mayLose, 1, 0, "", "P2"},
		{"redis", mayUndo, 1, 1, "", ""},
		{"cookie", mayUndo, 0, 0, "P1", "P2"},
	} {
		login := entry{Op: "login", Backend: c.backend, Password: "one", Token: "t", Status: 200}
		me := entry{Op: "me", Token: "t", ID: "1", Email: "a@example.com"}
		refused, good := me, me
		refused.Status, good.Status = 401, 200
		lost, undone := newAuditor(t), newAuditor(t)
		lost.judge.redis, undone.judge.redis = c.keeps, c.keeps
		lost.plant([]entry{registered, login, refused})
		undone.plant([]entry{registered, login, {Op: "logout", Token: "t", Status: 204}, good})
		lost.accounts()
		undone.accounts()
		if lost.judge.lostTotal != c.lost || undone.judge.undoTotal != c.undone || lost.judge.promises() != c.lostP || undone.judge.promises() != c.afterP {
			t.Errorf("%+v: lost %d %q, undone %d %q", c, lost.judge.lostTotal, lost.judge.violations, undone.judge.undoTotal, undone.judge.violations)
		}
	}
}
