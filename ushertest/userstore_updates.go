package ushertest

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"usher"
)

// The parts of TestUserStore about addresses, updates and calls that meet.

func upper(id usher.ID) usher.ID { return usher.ID(strings.ToUpper(string(id))) }
func plain(id usher.ID) usher.ID { return usher.ID(strings.ReplaceAll(string(id), "-", "")) }

// compareIDs compares UUIDs as text and integers as numbers.
func compareIDs(a, b usher.ID) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

// oneAddress is one e-mail address in four spellings: as is, in capitals, with
// combining marks (NFD), in full-width letters.
var oneAddress = [...]string{
	"zoe.ångström@example.com",
	"ZOE.ÅNGSTRÖM@EXAMPLE.COM",
	"zoe.a\u030angstro\u0308m@example.com",
	"ｚｏｅ.ångström@ｅｘａｍｐｌｅ.com",
}

func (s *userSuite[U]) email() {
	u := s.create(oneAddress[1])
	for _, spelling := range oneAddress {
		if s.key(spelling) != s.key(oneAddress[0]) {
			s.Fatalf("EmailKey takes %q for another address", spelling)
		}
		wantError(s.T, "CreateUser "+spelling, s.store.CreateUser(s.ctx, s.user(spelling)), usher.ErrEmailTaken)
	}
	s.counts("after the same address in four spellings", 1)
	found, err := s.store.UserByEmail(s.ctx, s.key(oneAddress[2]))
	wantError(s.T, "UserByEmail", err, nil)
	s.same("UserByEmail", found, u) // with the address as it was typed

	// Addresses that look alike to a database's collation, but are not one.
	for _, email := range []string{"zoe.angstrom@example.com", "zoe.ångstrom@example.com", "zoé.ångström@example.com", "zoe.ångström@example.co", "zoe-ångström@example.com"} {
		v := s.create(email)
		found, err := s.store.UserByEmail(s.ctx, s.key(email))
		wantError(s.T, "UserByEmail "+email, err, nil)
		s.same("UserByEmail "+email, found, v)
	}
}

func (s *userSuite[U]) update() {
	u := s.create("a@example.com")
	other := s.create("other@example.com")
	id := s.base(u).ID
	change := func(what string, edit func(after *U)) {
		s.Helper()
		before := s.read(id)
		given, after := edited(before), edited(before)
		edit(after)
		wantError(s.T, what+": UpdateUser", s.store.UpdateUser(s.ctx, before, after), nil)
		s.same(what+": before, which is not to change", before, given)
		s.same(what, s.read(id), after)
		if s.base(after).UpdatedAt.Before(s.base(before).UpdatedAt) {
			s.Errorf("%s: UpdatedAt went back from %s to %s", what, s.base(before).UpdatedAt, s.base(after).UpdatedAt)
		}
		s.same(what+": another user", s.read(s.base(other).ID), other)
	}
	change("nothing", func(*U) {})
	change("password", func(u *U) { s.base(u).HashedPassword = "$argon2id$new" })
	change("no password", func(u *U) { s.base(u).HashedPassword = "" })
	change("verified", func(u *U) { s.base(u).IsVerified = true })
	change("superuser", func(u *U) { s.base(u).IsSuperuser = true })
	change("inactive", func(u *U) { s.base(u).IsActive = false })
	change("epoch", func(u *U) { s.base(u).Epoch++ })
	change("everything", func(u *U) {
		b := s.base(u)
		b.Email, b.HashedPassword, b.IsActive, b.IsSuperuser, b.IsVerified, b.Epoch = "b@example.com", "$2b$12$old", true, false, false, 3
	})
	for i, edit := range s.edits {
		before := s.read(id)
		change(fmt.Sprintf("edit %d", i), edit)
		after := s.read(id)
		s.base(after).UpdatedAt = s.base(before).UpdatedAt
		if len(s.differences(after, before)) == 0 {
			s.Errorf("edits[%d] changes no field that is stored", i)
		}
		change(fmt.Sprintf("edit %d again", i), edit)
	}
}

// updateOfOneField: of two who read the same user and change different fields,
// neither undoes the other's change.
func (s *userSuite[U]) updateOfOneField() {
	if len(s.edits) < 2 {
		s.Skip("needs two edits")
	}
	inTurn := s.create("turn@example.com")
	for range 2 { // the second time it changes nothing, and says so
		for _, edit := range s.edits {
			after := edited(inTurn)
			edit(after)
			wantError(s.T, "UpdateUser", s.store.UpdateUser(s.ctx, inTurn, after), nil)
		}
	}
	check := func(what string, u *U) {
		s.Helper()
		want := edited(u)
		for _, edit := range s.edits {
			edit(want)
		}
		got := s.read(s.base(u).ID)
		s.base(want).UpdatedAt = s.base(got).UpdatedAt
		s.same(what, got, want)
	}
	check("different fields in turn", inTurn)
	for i := range rounds / 2 {
		u := s.create(fmt.Sprintf("at-once-%d@example.com", i))
		for _, err := range together(len(s.edits), func(i int) error {
			after := edited(u)
			s.edits[i](after)
			return s.store.UpdateUser(s.ctx, u, after)
		}) {
			wantError(s.T, "UpdateUser of different fields at once", err, nil)
		}
		check("different fields at once", u)
	}
}

func (s *userSuite[U]) updateEmail() {
	u := s.create("a@example.com")
	other := s.create(oneAddress[0])
	for _, spelling := range oneAddress {
		after := edited(u)
		s.base(after).Email, s.base(after).IsVerified = spelling, true
		wantError(s.T, "UpdateUser to an address that is taken", s.store.UpdateUser(s.ctx, u, after), usher.ErrEmailTaken)
		s.same("after a refused update", s.read(s.base(u).ID), u)
	}
	for _, spelling := range oneAddress { // his own
		after := edited(other)
		s.base(after).Email = spelling
		wantError(s.T, "UpdateUser to another spelling", s.store.UpdateUser(s.ctx, other, after), nil)
		other = after
		s.same("after another spelling", s.read(s.base(other).ID), other)
	}
	after := edited(u)
	s.base(after).Email = "B@example.com"
	wantError(s.T, "UpdateUser to a new address", s.store.UpdateUser(s.ctx, u, after), nil)
	found, err := s.store.UserByEmail(s.ctx, s.key("b@example.com"))
	wantError(s.T, "UserByEmail of the new address", err, nil)
	s.same("UserByEmail of the new address", found, after)
	_, err = s.store.UserByEmail(s.ctx, s.key("a@example.com"))
	wantError(s.T, "UserByEmail of the old address", err, usher.ErrNotFound)
	s.create("a@example.com") // is free again
}

// guardedEdits change one field each that UpdateUser must find as it was.
func (s *userSuite[U]) guardedEdits() map[string]func(*U) {
	return map[string]func(*U){
		"email":            func(u *U) { s.base(u).Email = "other-" + s.base(u).Email },
		"email's spelling": func(u *U) { s.base(u).Email = strings.ToUpper(s.base(u).Email) },
		"password":         func(u *U) { s.base(u).HashedPassword += "x" },
		"is_active":        func(u *U) { s.base(u).IsActive = !s.base(u).IsActive },
		"is_superuser":     func(u *U) { s.base(u).IsSuperuser = !s.base(u).IsSuperuser },
		"is_verified":      func(u *U) { s.base(u).IsVerified = !s.base(u).IsVerified },
		"epoch":            func(u *U) { s.base(u).Epoch++ }, // else it could go back, and old links be good again
	}
}

func (s *userSuite[U]) conflict() {
	number := 0
	for meanwhile, first := range s.guardedEdits() {
		attempts := s.guardedEdits()
		for i, edit := range s.edits {
			attempts[fmt.Sprintf("field of edit %d", i)] = edit
		}
		for what, second := range attempts {
			number++
			stale := s.create(fmt.Sprintf("user%d@example.com", number))
			changed, after := edited(stale), edited(stale)
			first(changed)
			wantError(s.T, "UpdateUser of "+meanwhile, s.store.UpdateUser(s.ctx, stale, changed), nil)
			second(after)
			wantError(s.T, fmt.Sprintf("UpdateUser of %s, when somebody has changed %s", what, meanwhile), s.store.UpdateUser(s.ctx, stale, after), usher.ErrConflict)
			s.same("after a conflict", s.read(s.base(stale).ID), changed)
		}
	}
}

func (s *userSuite[U]) cancelled() {
	u := s.create("a@example.com")
	id, ctx := s.base(u).ID, cancelled(s.T)
	wantFailure(s.T, "CreateUser", s.store.CreateUser(ctx, s.user("b@example.com")))
	wantFailure(s.T, "CreateUser with an address that is taken", s.store.CreateUser(ctx, s.user("a@example.com")))
	_, err := s.store.UserByID(ctx, id)
	wantFailure(s.T, "UserByID", err)
	_, err = s.store.UserByID(ctx, s.ownID(id))
	wantFailure(s.T, "UserByID of nobody", err)
	_, err = s.store.UserByEmail(ctx, s.key("nobody@example.com"))
	wantFailure(s.T, "UserByEmail of nobody", err)
	after := edited(u)
	s.base(after).HashedPassword = "new"
	wantFailure(s.T, "UpdateUser", s.store.UpdateUser(ctx, u, after))
	wantFailure(s.T, "DeleteUser", s.store.DeleteUser(ctx, id))
	_, err = s.store.ListUsers(ctx, usher.UserQuery{Limit: 10})
	wantFailure(s.T, "ListUsers", err)
	s.counts("after all that", 1)
	s.same("after all that", s.read(id), u)
}

func (s *userSuite[U]) oneCreateWins() {
	for range 4 {
		oneWins(s.T, "CreateUser", together(64, func(i int) error {
			return s.store.CreateUser(s.ctx, s.user(oneAddress[i%len(oneAddress)]))
		}), usher.ErrEmailTaken)
		s.counts("after 64 registrations of one address", 1)
		for _, u := range s.all() {
			wantError(s.T, "DeleteUser", s.store.DeleteUser(s.ctx, s.base(u).ID), nil)
		}
	}
}

func (s *userSuite[U]) oneUpdateWins() {
	u := s.create("a@example.com")
	for range rounds / 4 {
		errs := together(callers, func(i int) error {
			after := edited(u)
			s.base(after).HashedPassword = fmt.Sprintf("%s-%d", s.base(u).HashedPassword, i)
			return s.store.UpdateUser(s.ctx, u, after)
		})
		oneWins(s.T, "UpdateUser of the password", errs, usher.ErrConflict)
		got := s.read(s.base(u).ID)
		for i, err := range errs {
			if want := fmt.Sprintf("%s-%d", s.base(u).HashedPassword, i); err == nil && s.base(got).HashedPassword != want {
				s.Errorf("UpdateUser of the password: the winner wrote %q, the store has %q", want, s.base(got).HashedPassword)
			}
		}
		u = got
	}
}

func (s *userSuite[U]) oneEmailChangeWins() {
	for round := range rounds / 10 {
		users := make([]*U, callers)
		for i := range users {
			users[i] = s.create(fmt.Sprintf("user%d-%d@example.com", round, i))
		}
		oneWins(s.T, "UpdateUser to one address", together(callers, func(i int) error {
			after := edited(users[i])
			s.base(after).Email = oneAddress[i%len(oneAddress)]
			return s.store.UpdateUser(s.ctx, users[i], after)
		}), usher.ErrEmailTaken)
		winner, err := s.store.UserByEmail(s.ctx, s.key(oneAddress[0]))
		if err != nil {
			s.Fatalf("UserByEmail of the address: %v", err)
		}
		wantError(s.T, "DeleteUser", s.store.DeleteUser(s.ctx, s.base(winner).ID), nil)
	}
}

func (s *userSuite[U]) oneDeleteWins() {
	for range rounds / 4 {
		id := s.base(s.create("a@example.com")).ID
		oneWins(s.T, "DeleteUser", together(callers, func(int) error { return s.store.DeleteUser(s.ctx, id) }), usher.ErrNotFound)
	}
	s.counts("after DeleteUser", 0)
}

// updateRacesDelete: an update in flight does not bring a user back.
func (s *userSuite[U]) updateRacesDelete() {
	for range rounds {
		u := s.create("a@example.com")
		for _, err := range together(3, func(i int) error {
			if i == 0 {
				return s.store.DeleteUser(s.ctx, s.base(u).ID)
			}
			after := edited(u)
			if i == 1 {
				s.base(after).IsVerified = true
			} else {
				s.base(after).HashedPassword = "new"
			}
			err := s.store.UpdateUser(s.ctx, u, after)
			if errors.Is(err, usher.ErrNotFound) || errors.Is(err, usher.ErrConflict) {
				return nil
			}
			return err
		}) {
			wantError(s.T, "UpdateUser at once with DeleteUser", err, nil)
		}
		_, err := s.store.UserByID(s.ctx, s.base(u).ID)
		wantError(s.T, "UserByID after UpdateUser at once with DeleteUser", err, usher.ErrNotFound)
	}
	s.counts("after DeleteUser", 0)
}
