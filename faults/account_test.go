//go:build linux

package faults_test

import "slices"

// account is what the ledger says must be true of one. One request at a time
// changes an account, so that there is never a doubt about their order.
type account struct {
	email, id string
	exists    certainty
	verified  certainty
	passwords []string // one of them is the password
	tokens    map[string]*token
	links     map[string]bool // of mails, that were used
	tried     map[string]bool // of mails, whose use was not answered
	forgot    int             // mails that were asked for
	changed   bool            // had a new password, which ends the links before
	// pending is a new password that may or may not have been set, with what it
	// ended if it was.
	pending string
	ends    []*token
	// closed accounts had a change without an answer. Nobody touches them until
	// the fault is over: it may still be on its way.
	closed bool
}

type token struct {
	text, backend string
	alive         certainty
	seen          bool // everywhere since it ended
}

type certainty int

const (
	no certainty = iota
	maybe
	yes
)

func newAccount(email string) *account {
	return &account{email: email, tokens: map[string]*token{}, links: map[string]bool{}, tried: map[string]bool{}}
}

// alive returns a token of a backend that must be good, or nil.
func (a *account) alive(good func(*token) bool) *token {
	for _, t := range a.tokens {
		if t.alive == yes && good(t) {
			return t
		}
	}
	return nil
}

func isSession(t *token) bool { return t.backend != "jwt" }

// apply learns from an answer, and tells the judge what is wrong with it. An
// answer of 503 acknowledges nothing: like none at all it may have come too late.
func (a *account) apply(e entry, j *judge) {
	silent := e.Status == 0 || e.Status == 503
	switch e.Op {
	case "register":
		a.register(e, silent, j)
	case "login":
		a.login(e, silent, j)
	case "me", "sessions":
		a.seen(e, silent, j)
	case "verify":
		a.verify(e, silent, j)
	case "change", "reset":
		a.newPassword(e, silent, j)
	case "logout":
		switch t := a.tokens[e.Token]; {
		case silent:
			t.alive, a.closed = min(t.alive, maybe), true
		case e.Status == 401:
			a.refused(t, e, j)
		case e.Status != 204:
			j.unexpected(e)
		case t.backend != "jwt": // which lives until it expires
			t.alive = no
		}
	case "revoke":
		switch t := a.tokens[e.Target]; {
		case silent:
			t.alive, a.closed = min(t.alive, maybe), true
		case e.Status == 401:
			a.refused(a.tokens[e.Token], e, j)
		case e.Status == 404:
			a.refused(t, e, j)
		case e.Status != 204:
			j.unexpected(e)
		default:
			t.alive = no
		}
	case "forgot":
		if silent {
			a.closed = true
		} else if e.Status != 202 {
			j.unexpected(e)
		}
	}
}

func (a *account) register(e entry, silent bool, j *judge) {
	switch {
	case silent && a.exists == no:
		a.exists, a.passwords, a.closed = maybe, []string{e.New}, true
	case silent:
	case e.Status == 201:
		if a.exists == yes {
			j.violate("P3", e, "registered twice")
		}
		a.exists, a.id, a.passwords = yes, e.ID, []string{e.New}
	case e.Status == 400:
		if a.exists == no {
			j.violate("P10", e, "taken, though nobody has it")
		}
		a.exists = yes
	default:
		j.unexpected(e)
	}
}

func (a *account) login(e entry, silent bool, j *judge) {
	candidate := slices.Contains(a.passwords, e.Password)
	switch {
	case silent:
	case e.Status == 200 || e.Status == 204:
		if !candidate {
			j.violate("P5", e, "signed in with a password that is not his")
		}
		if a.pending == e.Password && a.pending != "" {
			for _, t := range a.ends {
				t.alive = no // they must never be good again
			}
		}
		a.pending, a.exists, a.passwords = "", yes, []string{e.Password}
		a.tokens[e.Token] = &token{text: e.Token, backend: e.Backend, alive: yes}
	case e.Status != 400:
		j.unexpected(e)
	case !candidate:
	case len(a.passwords) > 1:
		a.passwords = slices.DeleteFunc(slices.Clone(a.passwords), func(p string) bool { return p == e.Password })
	case a.exists == maybe:
		a.exists = no
	default:
		j.violate("P1", e, "the account or its password is gone")
	}
}

// seen is an answer to a request that changes nothing.
func (a *account) seen(e entry, silent bool, j *judge) {
	t := a.tokens[e.Token]
	switch {
	case silent:
	case e.Status == 401:
		a.refused(t, e, j)
	case e.Status != 200:
		j.unexpected(e)
	default:
		if t.alive == no {
			j.undone(t, e)
		}
		t.alive = max(t.alive, yes)
		if e.Op != "me" {
			return
		}
		if a.id == "" {
			a.id = e.ID // the answer that had it was lost
		}
		if e.ID != a.id || e.Email != a.email {
			j.violate("P4", e, "an answer about somebody else, want "+a.id)
		}
		if a.verified == yes && !e.Verified {
			j.violate("P1", e, "not verified any more")
		}
	}
}

// refused is a 401 for a token, or that its session is not there.
func (a *account) refused(t *token, e entry, j *judge) {
	if t.alive == yes {
		j.lost(t, e)
	}
	t.alive = no
}

func (a *account) verify(e entry, silent bool, j *judge) {
	switch {
	case silent:
		a.verified, a.closed = max(a.verified, maybe), true
	case e.Status == 200:
		if a.links[e.Link] {
			j.violate("P3", e, "verified twice with one token")
		}
		a.verified, a.links[e.Link] = yes, true
	case e.Status != 400:
		j.unexpected(e)
	case a.verified == no:
		j.violate("P1", e, "a good link is refused")
	}
}

// newPassword is a change, which the session survives that asked for it, or a
// reset, which none survives.
func (a *account) newPassword(e entry, silent bool, j *judge) {
	var others []*token
	for _, t := range a.tokens {
		if e.Op == "reset" || t.text != e.Token || t.backend == "jwt" {
			others = append(others, t)
		}
	}
	switch {
	case silent:
		a.closed, a.pending, a.ends = true, e.New, others
		a.tried[e.Link] = e.Op == "reset" // it may be used up
		a.passwords = append(slices.Clone(a.passwords), e.New)
		for _, t := range others {
			t.alive = min(t.alive, maybe)
		}
	case e.Status == 200:
		if e.Op == "reset" && a.links[e.Link] {
			j.violate("P3", e, "reset twice with one token")
		}
		a.links[e.Link], a.passwords, a.changed = true, []string{e.New}, true
		for _, t := range others {
			t.alive = no
		}
	case e.Status == 401 && e.Op == "change":
		a.refused(a.tokens[e.Token], e, j)
	case e.Status != 400:
		j.unexpected(e)
	case e.Op == "change" || !a.links[e.Link] && !a.tried[e.Link]:
		j.violate("P1", e, "a good proof is refused")
	}
}
