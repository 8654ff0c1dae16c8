//go:build linux

package faults_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/text/unicode/norm"
)

// spellings are four of one address.
func spellings(round int) []string {
	user := norm.NFC.String(fmt.Sprintf("zoë%d", round))
	wide := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'ａ'
		}
		return r
	}, user)
	return []string{user + "@example.com", strings.ToUpper(user + "@example.com"), norm.NFD.String(user) + "@example.com", wide + "@example.com"}
}

// oneAddress registers one address 64 times at once, in four spellings (F28).
func (w *world) oneAddress() row {
	for round := range w.bench.again {
		spellings := spellings(round)
		email := spellings[0]
		answers := w.atOnce(64, func(i int, in *instance) answer {
			return w.send(context.Background(), in, "POST", "/auth/register", object("email", spellings[i%4], "password", "correct horse battery"))
		})
		created, others := 0, map[string]int{}
		for _, a := range answers {
			if a.status == 201 {
				created++
			} else {
				others[fmt.Sprint(a.status, a.body)]++
			}
		}
		if created != 1 || len(others) != 1 || others[`400{"detail":"REGISTER_USER_ALREADY_EXISTS"}`] != 63 {
			w.judge.add("P3", "%s: %d registrations, and %v", email, created, others)
		}
		if n, err := w.db.count("SELECT count(*) FROM users WHERE email_key = '" + email + "'"); err != nil || n != 1 {
			w.judge.add("P3", "%s has %d rows: %v", email, n, err)
		}
	}
	for round := range w.bench.again { // now, so that a second mail had its time
		w.welcomed(spellings(round))
	}
	return row{struck: w.bench.again, accounts: w.bench.again}
}

// welcomed wants one mail to one of the spellings: that of who won, as usher keeps it.
func (w *world) welcomed(spellings []string) {
	kept := map[string]bool{}
	for _, s := range spellings {
		user, domain, _ := strings.Cut(norm.NFC.String(s), "@")
		kept[user+"@"+strings.ToLower(domain)] = true
	}
	n := 0
	_ = eventually(w.settle, func() error {
		n = 0
		for address := range kept {
			n += w.mails.count(address, "verify")
		}
		if n == 0 {
			return errors.New("no mail")
		}
		return nil
	})
	if n != 1 {
		w.judge.add("P3", "%s got %d mails", spellings[0], n)
	}
}

// atOnce sends n requests at once, to both instances in turn.
func (w *world) atOnce(n int, f func(i int, in *instance) answer) []answer {
	answers := make([]answer, n)
	start := make(chan struct{})
	var requests sync.WaitGroup
	for i := range n {
		requests.Go(func() {
			<-start
			answers[i] = f(i, w.instances[i/4%2])
		})
	}
	close(start)
	requests.Wait()
	return answers
}

// oneWins is P3: one success and, from the others, this refusal.
func (w *world) oneWins(what string, answers []answer, success int, refusals ...string) {
	won := 0
	for _, a := range answers {
		refused := false
		for _, r := range refusals {
			refused = refused || strings.Contains(a.body, r)
		}
		switch {
		case a.status == success:
			won++
		case a.status != 400 || !refused:
			w.judge.add("P3", "%s: %d %s %v", what, a.status, a.body, a.err)
		}
	}
	if won != 1 {
		w.judge.add("P3", "%s: %d of %d succeeded", what, won, len(answers))
	}
}

// oneTime uses every kind of one-time token 16 times at once (F29).
func (w *world) oneTime() row {
	const password = "correct horse battery"
	for round := range w.bench.again {
		email := fmt.Sprintf("once%d@example.com", round)
		if a := w.send(context.Background(), w.any(), "POST", "/auth/register", object("email", email, "password", password)); a.status != 201 {
			w.t.Fatalf("register: %d %s", a.status, a.body)
		}
		link := w.mails.await(email, "verify", 1, 10*time.Second)
		w.oneWins("verify", w.atOnce(16, func(_ int, in *instance) answer {
			return w.send(context.Background(), in, "POST", "/auth/verify", object("token", link))
		}), 200, "VERIFY_USER_ALREADY_VERIFIED", "VERIFY_USER_BAD_TOKEN")

		w.send(context.Background(), w.any(), "POST", "/auth/forgot-password", object("email", email))
		link = w.mails.await(email, "reset", 1, 10*time.Second)
		answers := w.atOnce(16, func(i int, in *instance) answer {
			return w.send(context.Background(), in, "POST", "/auth/reset-password", object("token", link, "password", fmt.Sprintf("%s %d", password, i)))
		})
		w.oneWins("reset", answers, 200, "RESET_PASSWORD_BAD_TOKEN")
		for i, a := range answers { // the winner's password is the password
			form := url.Values{"username": {email}, "password": {fmt.Sprintf("%s %d", password, i)}}
			login := w.send(context.Background(), w.instances[i%2], "POST", "/auth/jwt/login", form.Encode())
			if (login.status == 200) != (a.status == 200) {
				w.judge.add("P3", "reset %d got %d, and a login with its password %d", i, a.status, login.status)
			}
		}
		w.oneState(round)
	}
	return row{struck: 3 * w.bench.again, accounts: 2 * w.bench.again}
}

// oneState uses the state of one journey to a provider 16 times at once, each with
// a good code of its own: nothing but the state is used up.
func (w *world) oneState(round int) {
	w.provider.SetUser(providerUser(round))
	begun := w.send(context.Background(), w.any(), "GET", "/auth/sso/authorize", "")
	var body struct {
		URL string `json:"authorization_url"`
	}
	if err := json.Unmarshal([]byte(begun.body), &body); err != nil || begun.status != 200 {
		w.t.Fatalf("authorize: %d %s", begun.status, begun.body)
	}
	cookie, _, _ := strings.Cut(begun.header.Get("Set-Cookie"), ";")
	var back []string
	for range 16 {
		u, err := url.Parse(w.provider.Authorize(w.t, body.URL))
		w.must(err)
		back = append(back, u.RequestURI())
	}
	w.oneWins("state", w.atOnce(16, func(i int, in *instance) answer {
		return w.send(context.Background(), in, "GET", back[i], "", "Cookie", cookie)
	}), 204, "OAUTH")
}

// logoutAmid ends a session while 50 clients use it. Who asks after the end is
// acknowledged is refused, on both instances (F30).
func (w *world) logoutAmid() row {
	for round := range w.bench.again {
		a := newAccount(fmt.Sprintf("amid%d@example.com", round))
		w.act(a, w.any(), entry{Op: "register", New: "correct horse battery"})
		for _, backend := range []string{"cookie", "redis"} {
			made := w.act(a, w.any(), entry{Op: "login", Backend: backend, Password: "correct horse battery"})
			var over atomic.Bool // the end is acknowledged
			var good, late atomic.Int64
			stop := make(chan struct{})
			var clients sync.WaitGroup
			for i := range 50 {
				clients.Go(func() {
					for {
						select {
						case <-stop:
							return
						default:
						}
						after := over.Load()
						got := w.send(context.Background(), w.instances[i%2], "GET", "/users/me", "", authorization(backend, made.Token)...)
						switch {
						case got.status == 200 && after:
							late.Add(1)
							w.judge.add("P2", "a session (%s) that was ended is good", backend)
						case got.status == 200:
							good.Add(1)
						case after:
							late.Add(1)
						}
					}
				})
			}
			w.must(eventually(10*time.Second, func() error {
				if n := good.Load(); n < 100 {
					return fmt.Errorf("%d answers before the logout", n)
				}
				return nil
			}))
			if e := w.act(a, w.any(), entry{Op: "logout", Backend: backend, Token: made.Token}); e.Status != 204 {
				w.judge.unexpected(e)
			}
			over.Store(true)
			w.must(eventually(10*time.Second, func() error {
				if n := late.Load(); n < 100 {
					return fmt.Errorf("%d answers after the logout", n)
				}
				return nil
			}))
			close(stop)
			clients.Wait()
		}
	}
	return row{struck: 2 * w.bench.again, accounts: w.bench.again}
}
