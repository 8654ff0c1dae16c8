package usher_test

import (
	"context"
	"log/slog"
	"reflect"
	"testing"
	"time"

	"usher"
	"usher/sqlstore/sqlite"
)

// What an application changes in place, in Set or in BeforeUpdate, is stored, and the
// user as he was is left as he was.
func TestChangesInPlace(t *testing.T) {
	t.Parallel()
	type shop struct{ Tags []string }
	type user struct {
		usher.User
		Prefs   map[string]any
		Scores  [2][]int
		Nick    *string
		Seen    *time.Time
		Shop    *shop
		Any     any
		None    map[string]int
		Session any `db:"-"`
	}
	store, err := sqlite.Open[user](t.Context(), sqlite.Memory)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	var before user
	auth, err := usher.New(usher.Config[user]{
		Store: store, Logger: slog.New(slog.DiscardHandler),
		Backends: []usher.Backend{{Name: "bearer", Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: store}}},
		Hooks: usher.Hooks[user]{BeforeUpdate: func(_ context.Context, old, changed *user) error {
			changed.Shop.Tags[0] = "by the hook"
			before = *old
			return nil
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	made := func() *user {
		when := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		return &user{
			User:  usher.User{Email: "ann@example.com", IsActive: true},
			Prefs: map[string]any{"a": []any{"x"}, "nothing": nil}, Scores: [2][]int{{1}, nil}, Nick: new("Ann"), Seen: &when, Shop: &shop{[]string{"y"}}, Any: map[string]any{"b": "z"},
		}
	}
	u := made()
	if err := auth.CreateUserWithoutPassword(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	in := func(u *user) {
		u.Prefs["a"].([]any)[0] = "changed"
		u.Scores[0][0] = 2
		*u.Nick = "Annie"
		*u.Seen = u.Seen.Add(time.Hour)
		u.Any.(map[string]any)["b"] = "changed"
	}
	if _, err := auth.UpdateUser(t.Context(), u.ID, usher.Change[user]{Set: in}); err != nil {
		t.Fatal(err)
	}
	stored, err := store.UserByID(t.Context(), u.ID)
	if err != nil {
		t.Fatal(err)
	}
	was, is := made(), made()
	in(is)
	is.Shop.Tags[0] = "by the hook"
	was.User, is.User = before.User, stored.User
	if !reflect.DeepEqual(stored, is) {
		t.Errorf("stored %+v, want %+v", stored, is)
	}
	if !reflect.DeepEqual(&before, was) {
		t.Errorf("before was %+v, want %+v", before, was)
	}
}
