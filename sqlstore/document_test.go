package sqlstore_test

import (
	"fmt"
	"testing"

	"usher"
)

// Labelled has a field that is kept as JSON, and one that is not.
type Labelled struct {
	usher.User
	Labels map[string]string
	Note   string
}

// Of several changes of a document at once one wins, as it was made of what the
// others have changed; so it does against any other change of the user.
func TestOneUpdateOfADocumentWins(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		const callers = 16
		store, _ := openOn[Labelled](t, e)
		before := &Labelled{User: usher.User{Email: "a@example.com"}, Labels: map[string]string{"a": "0"}}
		if err := store.CreateUser(t.Context(), before); err != nil {
			t.Fatal(err)
		}
		add := func(to *Labelled, name string) *Labelled {
			after := *to
			after.Labels = map[string]string{name: "1"}
			for name, value := range to.Labels {
				after.Labels[name] = value
			}
			return &after
		}
		count := together(t, callers, func(i int) error {
			return store.UpdateUser(t.Context(), before, add(before, fmt.Sprint("b", i)))
		}, usher.ErrConflict)
		if count[nil] != 1 || count[usher.ErrConflict] != callers-1 {
			t.Errorf("%v, want one success and %d conflicts", count, callers-1)
		}

		now, err := store.UserByID(t.Context(), before.ID)
		if err != nil || len(now.Labels) != 2 {
			t.Fatalf("%v: %v", now, err)
		}
		noted := *now
		noted.Note = "changed meanwhile"
		if err := store.UpdateUser(t.Context(), now, &noted); err != nil {
			t.Fatal(err)
		}
		if err := store.UpdateUser(t.Context(), now, add(now, "c")); err != usher.ErrConflict {
			t.Errorf("against another change: %v", err)
		}
		// Every other field has no such guard, and each update is later than the last.
		renoted := *now
		renoted.Note = "and again"
		if err := store.UpdateUser(t.Context(), now, &renoted); err != nil {
			t.Error(err)
		}
		last := &renoted
		for i := range 50 {
			next := add(last, fmt.Sprint("d", i))
			if err := store.UpdateUser(t.Context(), last, next); err != nil || !next.UpdatedAt.After(last.UpdatedAt) {
				t.Fatalf("%d: %v after %v: %v", i, next.UpdatedAt, last.UpdatedAt, err)
			}
			last = next
		}
	})
}
