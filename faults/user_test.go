//go:build linux

package faults_test

import (
	"context"
	crand "crypto/rand"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// load runs virtual users until stop is closed.
func (w *world) load(stop chan struct{}) {
	var users sync.WaitGroup
	defer users.Wait()
	for i := range w.bench.users {
		users.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
				}
				w.life(newAccount(fmt.Sprintf("u%d-%d@example.com", i, n)))
			}
		})
	}
	users.Go(func() { w.probe(stop) })
}

// life is what happens to one account. It ends with the first change that nobody
// answered.
func (w *world) life(a *account) {
	if w.act(a, w.any(), entry{Op: "register", New: crand.Text()}); a.exists != yes {
		time.Sleep(50 * time.Millisecond) // a fault is no reason to fill the disk
		return
	}
	steps := []func(*account){w.lookAround, w.verify, w.change, w.reset, w.logout, w.revoke, w.revoke, w.logout}
	rand.Shuffle(len(steps), func(i, j int) { steps[i], steps[j] = steps[j], steps[i] })
	for _, step := range steps[:3+rand.IntN(len(steps)-2)] {
		for range 2 {
			w.login(a)
		}
		if step(a); a.closed {
			return
		}
		w.lookAround(a)
	}
}

// login signs in through any backend, once.
func (w *world) login(a *account) {
	backend := w.backends[rand.IntN(len(w.backends))]
	made := w.act(a, w.any(), entry{Op: "login", Backend: backend, Password: a.passwords[0]})
	if made.Token != "" && made.Status < 300 { // made by one, good on both at once
		for _, in := range w.instances {
			w.act(a, in, entry{Op: "me", Backend: backend, Token: made.Token})
		}
	}
}

// lookAround looks at the account with every token, on any instance.
func (w *world) lookAround(a *account) {
	for _, t := range a.tokens {
		w.act(a, w.any(), entry{Op: "me", Backend: t.backend, Token: t.text})
	}
}

// ended looks whether what was just ended is so everywhere.
func (w *world) ended(a *account) {
	for _, t := range a.tokens {
		if t.alive != no || t.seen {
			continue
		}
		t.seen = true
		for _, in := range w.instances {
			w.act(a, in, entry{Op: "me", Backend: t.backend, Token: t.text})
		}
	}
}

func (w *world) logout(a *account) {
	if t := a.alive(isSession); t != nil {
		w.act(a, w.any(), entry{Op: "logout", Backend: t.backend, Token: t.text})
		w.ended(a)
	}
}

// revoke ends a session of the list by means of another.
func (w *world) revoke(a *account) {
	target := a.alive(isSession)
	if target == nil {
		return
	}
	by := a.alive(func(t *token) bool { return t != target })
	if by == nil {
		return
	}
	listed := w.act(a, w.any(), entry{Op: "sessions", Backend: target.backend, Token: target.text})
	if listed.Session != "" && by.alive == yes {
		w.act(a, w.any(), entry{Op: "revoke", Backend: by.backend, Token: by.text, Target: target.text, Session: listed.Session})
		w.ended(a)
	}
}

func (w *world) change(a *account) {
	if t := a.alive(func(*token) bool { return true }); t != nil {
		w.act(a, w.any(), entry{Op: "change", Backend: t.backend, Token: t.text, Password: a.passwords[0], New: crand.Text()})
		w.ended(a)
	}
}

// mailPatience is how long a virtual user waits for a mail. It may come late: the
// process that began to send it may be dead.
const mailPatience = 2 * time.Second

func (w *world) verify(a *account) {
	link := w.mails.await(a.email, "verify", 1, mailPatience)
	if link == "" || a.verified != no || a.changed {
		return
	}
	for _, in := range w.shuffled() { // the second time in vain
		w.act(a, in, entry{Op: "verify", Link: link})
	}
}

func (w *world) reset(a *account) {
	if w.act(a, w.any(), entry{Op: "forgot"}); a.closed {
		return
	}
	a.forgot++
	link := w.mails.await(a.email, "reset", a.forgot, mailPatience)
	if link == "" {
		a.closed = true // it would come in the way of the next
		return
	}
	for _, in := range w.shuffled() { // the second time in vain
		w.act(a, in, entry{Op: "reset", Link: link, New: crand.Text()})
	}
	w.ended(a)
}

// probe asks for what nobody may get, and compares a known address with an unknown.
func (w *world) probe(stop chan struct{}) {
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		case <-time.After(30 * time.Millisecond):
		}
		in := w.any()
		w.pair("login", func(email string) answer {
			form := url.Values{"username": {email}, "password": {"not the password"}}
			return w.send(context.Background(), in, "POST", "/auth/jwt/login", form.Encode())
		})
		if n%5 == 0 {
			w.pair("forgot", func(email string) answer {
				return w.send(context.Background(), in, "POST", "/auth/forgot-password", object("email", email))
			})
		}
		backend := w.backends[n%len(w.backends)]
		a := w.send(context.Background(), in, "GET", "/users/me", "", authorization(backend, "nobody-ever-made-this-token-1234567890-abcde")...)
		if a.status > 0 && a.status < 300 {
			w.judge.add("P5", "a made-up token (%s) got %d", backend, a.status)
		}
	}
}

// pair asks for both addresses at once. An outage may begin between the two, but
// not more often before the one than before the other.
func (w *world) pair(what string, ask func(email string) answer) {
	var known, unknown answer
	var both sync.WaitGroup
	both.Go(func() { known = ask(fixture) })
	both.Go(func() { unknown = ask("nobody@example.com") })
	both.Wait()
	for _, a := range []answer{known, unknown} {
		if a.status >= 200 && a.status < 300 && what == "login" {
			w.judge.add("P5", "a wrong password got %d", a.status)
		}
	}
	w.compare(what, known, unknown)
}

// compare wants the same answer for both (P9).
func (w *world) compare(what string, known, unknown answer) {
	switch {
	case known.status == 0 || unknown.status == 0:
	case known.status == unknown.status:
		if known.body != unknown.body || shape(known.header) != shape(unknown.header) {
			w.judge.add("P9", "%s: known %d %s %s, unknown %s %s", what, known.status, known.body, shape(known.header), unknown.body, shape(unknown.header))
		}
	case known.status == http.StatusServiceUnavailable:
		w.onlyKnown.Add(1)
	case unknown.status == http.StatusServiceUnavailable:
		w.onlyUnknown.Add(1)
	default:
		w.judge.add("P9", "%s: known %d, unknown %d", what, known.status, unknown.status)
	}
}

// even judges whom the outages met: four sigmas are no chance.
func (w *world) even() {
	if x, y := float64(w.onlyKnown.Load()), float64(w.onlyUnknown.Load()); (x-y)*(x-y) > 16*(x+y) {
		w.judge.add("P9", "503 only for the known address %v times, only for the unknown %v times", x, y)
	}
}

// shape is what a header says besides the time.
func shape(h http.Header) string {
	h = h.Clone()
	h.Del("Date")
	return fmt.Sprint(h)
}
