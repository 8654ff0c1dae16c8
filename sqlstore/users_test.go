package sqlstore_test

import (
	"fmt"
	"slices"
	"testing"

	"usher"
	"usher/sqlstore"
)

func TestOneUpdateWins(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		const callers = 16
		store, _ := openOn[Member](t, e)
		for what, edit := range map[string]func(m *Member, i int){
			"password":  func(m *Member, i int) { m.HashedPassword = fmt.Sprint("new", i) },
			"e-mail":    func(m *Member, i int) { m.Email = fmt.Sprintf("new%d@example.com", i) },
			"spelling":  func(m *Member, _ int) { m.Email = "Spelling@example.com" },
			"verified":  func(m *Member, _ int) { m.IsVerified = true },
			"inactive":  func(m *Member, _ int) { m.IsActive = false },
			"superuser": func(m *Member, _ int) { m.IsSuperuser = true },
			"epoch":     func(m *Member, _ int) { m.Epoch++ },
		} {
			before := newMember(t, store, what+"@example.com")
			count := together(t, callers, func(i int) error {
				after := *before
				edit(&after, i)
				return store.UpdateUser(t.Context(), before, &after)
			}, usher.ErrConflict)
			if count[nil] != 1 || count[usher.ErrConflict] != callers-1 {
				t.Errorf("%s: %v, want one success and %d conflicts", what, count, callers-1)
			}
		}
	})
}

func TestOneCreateWins(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		spellings := []string{"zoë@example.com", "ZOË@Example.COM", "zoe\u0308@example.com", "ｚｏë@example.com"}
		count := together(t, 64, func(i int) error {
			return store.CreateUser(t.Context(), &Member{User: usher.User{Email: spellings[i%4]}})
		}, usher.ErrEmailTaken)
		if count[nil] != 1 || count[usher.ErrEmailTaken] != 63 {
			t.Errorf("%v, want one success and 63 refusals", count)
		}
		if n := one[int](t, db, `SELECT count(*) FROM users`); n != 1 {
			t.Errorf("%d rows, want 1", n)
		}
	})
}

// A user that was refused is as it was, so that the caller can try again.
func TestCreateUserRefused(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		taken := newMember(t, store, "a@example.com")
		run(t, db, per{
			sqlstore.SQLite:     `CREATE UNIQUE INDEX email_key_plan ON users (plan) WHERE plan <> ''`,
			sqlstore.PostgreSQL: `CREATE UNIQUE INDEX email_key_plan ON users (plan) WHERE plan <> ''`,
			sqlstore.MySQL:      `CREATE UNIQUE INDEX email_key_plan ON users (plan(20))`,
		}[e.dialect])
		gold := &Member{User: usher.User{Email: "gold@example.com"}, Plan: "gold"}
		if err := store.CreateUser(t.Context(), gold); err != nil {
			t.Fatal(err)
		}
		for what, test := range map[string]struct {
			member Member
			taken  bool
		}{
			"address taken":      {Member{User: usher.User{Email: "A@EXAMPLE.com"}}, true},
			"no address":         {Member{}, false},
			"id taken":           {Member{User: usher.User{ID: taken.ID, Email: "b@example.com"}}, false},
			"id is none":         {Member{User: usher.User{ID: "7", Email: "b@example.com"}}, false},
			"custom unique plan": {Member{User: usher.User{Email: "b@example.com"}, Plan: "gold"}, false},
		} {
			given := test.member
			err := store.CreateUser(t.Context(), &given)
			if err == nil || test.taken != (err == usher.ErrEmailTaken) {
				t.Errorf("%s: %v; is it ErrEmailTaken? want %t", what, err, test.taken)
			}
			if given != test.member {
				t.Errorf("%s: the user became %+v", what, given)
			}
		}
	})
}

func TestUpdateWritesOnlyWhatDiffers(t *testing.T) {
	t.Parallel()
	store, path := open[Member](t)
	before := newMember(t, store, "a@example.com")
	db := openRaw(t, path)
	run(t, db, `CREATE TABLE writes (columns TEXT)`)
	for _, column := range []string{"email", "hashed_password", "is_active", "first_name", "plan"} {
		run(t, db, `CREATE TRIGGER on_`+column+` AFTER UPDATE OF `+column+` ON users BEGIN INSERT INTO writes VALUES ('`+column+`'); END`)
	}
	after := *before
	after.Plan = "gold"
	if err := store.UpdateUser(t.Context(), before, &after); err != nil {
		t.Fatal(err)
	}
	if got := one[string](t, db, `SELECT group_concat(columns) FROM writes`); got != "plan" {
		t.Errorf("wrote %q, want only the plan", got)
	}
	if !after.UpdatedAt.After(before.UpdatedAt) || !after.CreatedAt.Equal(before.CreatedAt) {
		t.Errorf("created %v, updated %v; before: updated %v", after.CreatedAt, after.UpdatedAt, before.UpdatedAt)
	}
	// Nothing differs: nothing is written.
	same := after
	if err := store.UpdateUser(t.Context(), &after, &same); err != nil || !same.UpdatedAt.Equal(after.UpdatedAt) {
		t.Errorf("no difference: %v, updated %v", err, same.UpdatedAt)
	}
	if got := one[int](t, db, `SELECT count(*) FROM writes`); got != 1 {
		t.Errorf("%d writes, want 1", got)
	}
}

func TestListUsersMalformedCursor(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, _ := openOn[Member](t, e)
		newMember(t, store, "a@example.com")
		for _, after := range []usher.ID{"x", "' OR 1=1 --", "42"} {
			if users, err := store.ListUsers(t.Context(), usher.UserQuery{After: after, Limit: 10}); err != usher.ErrNotFound || len(users) > 0 {
				t.Errorf("after %q: %d users, %v", after, len(users), err)
			}
		}
		for _, limit := range []int{0, -1} {
			if users, err := store.ListUsers(t.Context(), usher.UserQuery{Limit: limit}); err != nil || len(users) > 0 {
				t.Errorf("limit %d: %d users, %v", limit, len(users), err)
			}
		}
	})
}

func TestDeleteUserEndsSessions(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		store, db := openOn[Member](t, e)
		m := newMember(t, store, "a@example.com")
		newSession(t, store, m.ID, "token", m.CreatedAt.AddDate(1, 0, 0))
		if err := store.DeleteUser(t.Context(), m.ID); err != nil {
			t.Fatal(err)
		}
		if n := one[int](t, db, `SELECT count(*) FROM sessions`); n != 0 {
			t.Errorf("%d sessions are left", n)
		}
		err := store.CreateSession(t.Context(), usher.HashToken("other"), usher.Session{ID: "s", UserID: m.ID})
		if err != usher.ErrNotFound {
			t.Errorf("a session of a user who is gone: %v, want %v", err, usher.ErrNotFound)
		}
		if !slices.Equal(must(store.ListUsers(t.Context(), usher.UserQuery{Limit: 9})), nil) {
			t.Error("the user is listed")
		}
	})
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
