//go:build linux

package faults_test

import (
	"fmt"
	"strings"
)

// accounts reads the ledger and tells the judge what is wrong with the answers in
// it.
func (w *world) accounts() []*account {
	entries, err := w.ledger.read()
	w.must(err)
	w.bench.did(entries)
	byEmail := map[string]*account{}
	var accounts []*account
	for _, e := range entries {
		a := byEmail[e.Account]
		if a == nil {
			a = newAccount(e.Account)
			byEmail[e.Account] = a
			accounts = append(accounts, a)
		}
		a.apply(e, w.judge)
	}
	return accounts
}

// audit asks both instances and the database whether the ledger is true. What the
// ledger does not know is found out the first time, and has to stay so.
func (w *world) audit(accounts []*account) {
	w.auditing = w.judge
	defer func() { w.auditing = nil }()
	together(accounts, func(a *account) {
		w.auditPasswords(a)
		if a.exists != yes {
			return
		}
		for _, t := range a.tokens {
			for _, in := range w.instances {
				w.act(a, in, entry{Op: "me", Backend: t.backend, Token: t.text})
			}
		}
	})
	w.auditRows(accounts)
}

// auditPasswords finds the one password that is good (P1, P10).
func (w *world) auditPasswords(a *account) {
	candidates := a.passwords
	for _, in := range w.instances {
		good := 0
		for _, password := range candidates {
			if e := w.act(a, in, entry{Op: "login", Backend: "jwt", Password: password}); e.Status == 200 {
				good++
				delete(a.tokens, e.Token)
			}
		}
		switch {
		case good == 1:
		case good == 0 && a.exists == no: // it was never made, so it can be
			if e := w.act(a, in, entry{Op: "register", New: candidates[0]}); e.Status != 201 {
				w.judge.violate("P10", e, "neither made nor free")
			}
			if e := w.act(a, in, entry{Op: "login", Backend: "jwt", Password: candidates[0]}); e.Status != 200 {
				w.judge.violate("P10", e, "registered and cannot sign in")
			}
		default:
			w.judge.add("P10", "%s on %s: %d of %d possible passwords are good", a.email, in.name, good, len(candidates))
		}
	}
}

// auditRows counts in the database (P3).
func (w *world) auditRows(accounts []*account) {
	db, err := w.db.open()
	w.must(err)
	defer db.Close()
	rows, err := db.Query("SELECT email, email_key FROM users")
	w.must(err)
	defer rows.Close()
	count := map[string]int{}
	for rows.Next() {
		var email, key string
		w.must(rows.Scan(&email, &key))
		count[key]++
	}
	w.must(rows.Err())
	for _, a := range accounts {
		if n := count[strings.ToLower(a.email)]; a.exists == yes && n != 1 {
			w.judge.add("P3", "%s has %d rows", a.email, n)
		}
		delete(count, strings.ToLower(a.email))
	}
	delete(count, fixture)
	if len(count) > 0 {
		w.judge.add("P3", "rows that nobody asked for: %v", fmt.Sprint(count))
	}
}
