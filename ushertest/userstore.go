package ushertest

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"testing"
	"time"

	"usher"
)

// TestUserStore proves that a UserStore keeps its contract.
//
// newStore is called for each part of the suite and returns an empty store.
// edits, which may be left out, each change another one of the application's
// own fields; with two of them the suite also proves that updates of different
// fields do not undo each other.
//
//	ushertest.TestUserStore(t, newStore,
//		func(u *User) { u.FirstName = "Zoë" },
//		func(u *User) { u.Plan = "gold" })
func TestUserStore[U any, P usher.UserOf[U]](t *testing.T, newStore func(t *testing.T) usher.UserStore[U], edits ...func(u *U)) {
	fields, err := usher.FieldsOf[U, P]()
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []struct {
		name string
		test func(*userSuite[U])
	}{
		{"create and read", (*userSuite[U]).createAndRead},
		{"returns copies", (*userSuite[U]).copies},
		{"id", (*userSuite[U]).id},
		{"not found", (*userSuite[U]).notFound},
		{"hostile ids", (*userSuite[U]).hostileIDs},
		{"email", (*userSuite[U]).email},
		{"update", (*userSuite[U]).update},
		{"update of one field", (*userSuite[U]).updateOfOneField},
		{"update email", (*userSuite[U]).updateEmail},
		{"conflict", (*userSuite[U]).conflict},
		{"delete", (*userSuite[U]).delete},
		{"list", (*userSuite[U]).list},
		{"search", (*userSuite[U]).search},
		{"cancelled context", (*userSuite[U]).cancelled},
		{"one create wins", (*userSuite[U]).oneCreateWins},
		{"one update wins", (*userSuite[U]).oneUpdateWins},
		{"one email change wins", (*userSuite[U]).oneEmailChangeWins},
		{"one delete wins", (*userSuite[U]).oneDeleteWins},
		{"update races delete", (*userSuite[U]).updateRacesDelete},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(&userSuite[U]{T: t, ctx: t.Context(), store: newStore(t), fields: fields, edits: edits})
		})
	}
}

type userSuite[U any] struct {
	*testing.T
	ctx    context.Context
	store  usher.UserStore[U]
	fields *usher.Fields[U]
	edits  []func(*U)
}

// user returns a user who is not stored yet.
func (s *userSuite[U]) user(email string) *U {
	u := new(U)
	base := s.base(u)
	base.Email, base.HashedPassword, base.IsActive = email, "$argon2id$v=19$m=8,t=1,p=1$c2FsdA$"+email, true
	return u
}

func (s *userSuite[U]) base(u *U) *usher.User { return s.fields.Base(u) }

// create stores a new user.
func (s *userSuite[U]) create(email string) *U {
	s.Helper()
	u := s.user(email)
	if err := s.store.CreateUser(s.ctx, u); err != nil {
		s.Fatalf("CreateUser %q: %v", email, err)
	}
	return u
}

// read returns the user who must be there.
func (s *userSuite[U]) read(id usher.ID) *U {
	s.Helper()
	u, err := s.store.UserByID(s.ctx, id)
	if err != nil || u == nil {
		s.Fatalf("UserByID %s: %v and error %v, want the user", shorten(id), u, err)
	}
	return u
}

// all returns everybody.
func (s *userSuite[U]) all() []*U {
	s.Helper()
	users, err := s.store.ListUsers(s.ctx, usher.UserQuery{Limit: 1000})
	if err != nil {
		s.Fatalf("ListUsers: %v", err)
	}
	return users
}

func (s *userSuite[U]) counts(what string, want int) {
	s.Helper()
	if n := len(s.all()); n != want {
		s.Errorf("%s: %d users in the store, want %d", what, n, want)
	}
}

// edited returns a copy of u to change and to give to UpdateUser as after.
func edited[U any](u *U) *U {
	after := *u
	return &after
}

// key is EmailKey of an address that the suite knows to be good.
func (s *userSuite[U]) key(email string) string {
	s.Helper()
	key, err := usher.EmailKey(email)
	if err != nil {
		s.Fatalf("EmailKey %q: %v", email, err)
	}
	return key
}

// same checks that a user came back as it went in.
func (s *userSuite[U]) same(what string, got, want *U) {
	s.Helper()
	for _, difference := range s.differences(got, want) {
		s.Errorf("%s: %s", what, difference)
	}
}

// differences compares all that a store keeps.
func (s *userSuite[U]) differences(got, want *U) (found []string) {
	if got == nil {
		return []string{"no user"}
	}
	compare := func(name string, got, want any) {
		if !sameValue(got, want) {
			found = append(found, fmt.Sprintf("%s is %s, want %s", name, shorten(got), shorten(want)))
		}
	}
	g, w := reflect.ValueOf(*s.base(got)), reflect.ValueOf(*s.base(want))
	for i := range g.NumField() {
		compare(g.Type().Field(i).Name, g.Field(i).Interface(), w.Field(i).Interface())
	}
	g, w = reflect.ValueOf(got).Elem(), reflect.ValueOf(want).Elem()
	for _, field := range s.fields.Custom() {
		if field.Column != "" {
			compare(field.Name, g.FieldByIndex(field.Index).Interface(), w.FieldByIndex(field.Index).Interface())
		}
	}
	return found
}

func sameValue(a, b any) bool {
	if x, ok := a.(time.Time); ok {
		return sameTime(x, b.(time.Time))
	}
	return reflect.DeepEqual(a, b)
}

func (s *userSuite[U]) createAndRead() {
	u := s.user("Zoë.Ångström@Example.COM")
	base := s.base(u)
	base.IsSuperuser, base.IsVerified, base.Epoch = true, true, 1<<40
	for _, edit := range s.edits {
		edit(u)
	}
	given := *base
	wantError(s.T, "CreateUser", s.store.CreateUser(s.ctx, u), nil)
	if base.ID == "" {
		s.Error("CreateUser set no ID")
	}
	if base.CreatedAt.IsZero() || base.UpdatedAt.IsZero() {
		s.Errorf("CreateUser set CreatedAt to %v and UpdatedAt to %v", base.CreatedAt, base.UpdatedAt)
	}
	given.ID, given.CreatedAt, given.UpdatedAt = base.ID, base.CreatedAt, base.UpdatedAt
	if *base != given {
		s.Errorf("CreateUser changed the user to %+v", *base)
	}
	s.same("UserByID", s.read(base.ID), u)
	byEmail, err := s.store.UserByEmail(s.ctx, s.key(base.Email))
	wantError(s.T, "UserByEmail", err, nil)
	s.same("UserByEmail", byEmail, u)
	if list := s.all(); len(list) == 1 {
		s.same("ListUsers", list[0], u)
	} else {
		s.Errorf("ListUsers: %d users, want 1", len(list))
	}

	// A user with nothing but an address, as an OAuth sign-in makes one.
	v := new(U)
	s.base(v).Email = "only@example.com"
	wantError(s.T, "CreateUser without password", s.store.CreateUser(s.ctx, v), nil)
	s.same("a user without password", s.read(s.base(v).ID), v)
	s.same("another user", s.read(base.ID), u)
}

// copies: what goes in and what comes out belongs to the caller.
func (s *userSuite[U]) copies() {
	u := s.create("a@example.com")
	want := edited(u)
	id := s.base(u).ID
	vandalise := func(u *U) {
		s.base(u).Email, s.base(u).IsSuperuser, s.base(u).HashedPassword = "vandal@example.com", true, "vandal"
		for _, edit := range s.edits {
			edit(u)
		}
	}
	vandalise(u)
	s.same("after the caller changed what it gave", s.read(id), want)
	vandalise(s.read(id))
	s.same("after a reader changed what it got", s.read(id), want)
	byEmail, err := s.store.UserByEmail(s.ctx, s.key("a@example.com"))
	if err != nil {
		s.Fatalf("UserByEmail: %v", err)
	}
	vandalise(byEmail)
	for _, listed := range s.all() {
		vandalise(listed)
	}
	s.same("after a reader changed the list it got", s.read(id), want)
}

// ownID returns an id of the store's kind that nobody has.
func (s *userSuite[U]) ownID(like usher.ID) usher.ID {
	if _, err := usher.ParseUUID(string(like)); err == nil {
		return usher.NewID()
	}
	return like + "000"
}

func (s *userSuite[U]) id() {
	first := s.create("first@example.com")
	u := s.user("own@example.com")
	id := s.ownID(s.base(first).ID)
	s.base(u).ID = id
	wantError(s.T, "CreateUser with an id of its own", s.store.CreateUser(s.ctx, u), nil)
	if got := s.base(u).ID; got != id {
		s.Errorf("CreateUser changed the id %s to %s", id, got)
	}
	s.same("UserByID", s.read(id), u)

	double := s.user("double@example.com")
	s.base(double).ID = id
	if err := s.store.CreateUser(s.ctx, double); err == nil || errors.Is(err, usher.ErrEmailTaken) {
		s.Errorf("CreateUser with the id of another user: error %v, want one that is not about the address", err)
	}
	s.same("the user who had the id", s.read(id), u)
	_, err := s.store.UserByEmail(s.ctx, s.key("double@example.com"))
	wantError(s.T, "UserByEmail of the user who was refused", err, usher.ErrNotFound)

	seen := map[usher.ID]bool{}
	for _, u := range s.all() {
		seen[s.base(u).ID] = true
	}
	if len(seen) != 2 {
		s.Errorf("ListUsers: %d different ids, want 2", len(seen))
	}
	for _, spelling := range spellings(id) {
		s.same("UserByID "+string(spelling), s.read(spelling), u)
	}
	spelled := spellings(id)
	wantError(s.T, "DeleteUser in another spelling", s.store.DeleteUser(s.ctx, spelled[len(spelled)-1]), nil)
	_, err = s.store.UserByID(s.ctx, id)
	wantError(s.T, "UserByID of a deleted user", err, usher.ErrNotFound)
}

// spellings are other ways to write an id, last of all itself. Integers have
// none.
func spellings(id usher.ID) []usher.ID {
	if _, err := usher.ParseUUID(string(id)); err != nil {
		return []usher.ID{id}
	}
	return []usher.ID{upper(id), plain(id), "{" + id + "}", "urn:uuid:" + id, upper(plain(id)), id}
}

func (s *userSuite[U]) notFound() {
	u := s.create("a@example.com")
	gone := s.create("gone@example.com")
	never := s.user("never@example.com")
	s.base(never).ID = s.ownID(s.base(u).ID)
	wantError(s.T, "DeleteUser", s.store.DeleteUser(s.ctx, s.base(gone).ID), nil)
	for what, nobody := range map[string]*U{"a user who was deleted": gone, "a user who never was": never} {
		id := s.base(nobody).ID
		got, err := s.store.UserByID(s.ctx, id)
		wantError(s.T, what+": UserByID", err, usher.ErrNotFound)
		if got != nil {
			s.Errorf("%s: UserByID: a user beside the error", what)
		}
		_, err = s.store.UserByEmail(s.ctx, s.key(s.base(nobody).Email))
		wantError(s.T, what+": UserByEmail", err, usher.ErrNotFound)
		wantError(s.T, what+": UpdateUser without a difference", s.store.UpdateUser(s.ctx, nobody, edited(nobody)), usher.ErrNotFound)
		after := edited(nobody)
		s.base(after).HashedPassword = "new"
		wantError(s.T, what+": UpdateUser", s.store.UpdateUser(s.ctx, nobody, after), usher.ErrNotFound)
		wantError(s.T, what+": DeleteUser", s.store.DeleteUser(s.ctx, id), usher.ErrNotFound)
	}
	s.counts("after all that", 1)
	s.same("the other user", s.read(s.base(u).ID), u)
}

func (s *userSuite[U]) hostileIDs() {
	u := s.create("a@example.com")
	id := s.base(u).ID
	for _, text := range append(hostile(), string(id)+"*", string(id)+"' --", string(id)+"\x00", string(id)+" ", string(id)+"\n", string(id)+"%") {
		what := shorten(text)
		_, err := s.store.UserByID(s.ctx, usher.ID(text))
		wantError(s.T, "UserByID "+what, err, usher.ErrNotFound)
		wantError(s.T, "DeleteUser "+what, s.store.DeleteUser(s.ctx, usher.ID(text)), usher.ErrNotFound)
		if _, err := s.store.UserByEmail(s.ctx, text); err == nil {
			s.Errorf("UserByEmail %s: no error", what)
		}
		nobody := edited(u)
		s.base(nobody).ID = usher.ID(text)
		after := edited(nobody)
		s.base(after).IsSuperuser = true
		wantError(s.T, "UpdateUser "+what, s.store.UpdateUser(s.ctx, nobody, after), usher.ErrNotFound)
		_, _ = s.store.ListUsers(s.ctx, usher.UserQuery{After: usher.ID(text), Limit: 10}) // may answer what it likes
	}
	for _, pattern := range []string{"%@%", "_@example.com", "a@example.co_", "*@example.com", "a@example.com' --", "A@EXAMPLE.COM"} {
		_, err := s.store.UserByEmail(s.ctx, pattern)
		wantError(s.T, "UserByEmail "+pattern, err, usher.ErrNotFound)
	}
	s.counts("after all that", 1)
	s.same("the only user", s.read(id), u)
}

func (s *userSuite[U]) delete() {
	var users []*U
	for _, email := range []string{"a@example.com", "b@example.com", "c@example.com"} {
		users = append(users, s.create(email))
	}
	id := s.base(users[1]).ID
	wantError(s.T, "DeleteUser", s.store.DeleteUser(s.ctx, id), nil)
	_, err := s.store.UserByID(s.ctx, id)
	wantError(s.T, "UserByID of a deleted user", err, usher.ErrNotFound)
	s.counts("after one of three was deleted", 2)
	s.same("another user", s.read(s.base(users[0]).ID), users[0])
	s.same("another user", s.read(s.base(users[2]).ID), users[2])

	again := s.create("b@example.com") // the address is free again
	if s.base(again).ID == id {
		s.Error("a new user got the id of a deleted one: old tokens name him now")
	}
}

func (s *userSuite[U]) list() {
	page := func(after usher.ID, limit int) []usher.ID {
		s.Helper()
		users, err := s.store.ListUsers(s.ctx, usher.UserQuery{After: after, Limit: limit})
		if err != nil || len(users) > limit {
			s.Fatalf("ListUsers after %q, at most %d: %d users and error %v", after, limit, len(users), err)
		}
		ids := []usher.ID{}
		for _, u := range users {
			ids = append(ids, s.base(u).ID)
		}
		return ids
	}
	equal := func(what string, got, want []usher.ID) {
		s.Helper()
		if !slices.Equal(got, want) {
			s.Errorf("ListUsers %s: %q, want %q", what, got, want)
		}
	}
	equal("of an empty store", page("", 10), []usher.ID{})
	var want []usher.ID
	for i := range 11 { // enough for a decimal id with another digit
		want = append(want, s.base(s.create(string(rune('z'-i))+"@example.com")).ID)
	}
	slices.SortFunc(want, compareIDs)
	equal("all", page("", 100), want)
	equal("exactly as many as there are", page("", 11), want)
	equal("the first page", page("", 4), want[:4])
	equal("the second page", page(want[3], 4), want[4:8])
	equal("the last page", page(want[7], 4), want[8:])
	equal("after the last", page(want[10], 4), []usher.ID{})
	equal("of one", page(want[0], 1), want[1:2])
	wantError(s.T, "DeleteUser", s.store.DeleteUser(s.ctx, want[3]), nil)
	equal("after a user who was deleted", page(want[3], 4), want[4:8])
	equal("around a user who was deleted", page(want[2], 2), want[4:6])
}
