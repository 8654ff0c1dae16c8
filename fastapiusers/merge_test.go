package fastapiusers_test

import (
	"fmt"
	"reflect"
	"testing"

	"usher"
	"usher/fastapiusers"
)

const oldHash, newHash, usherHash = "$2b$04$old", "$2b$04$new", "$2b$04$usher"

// look is what of a user can change at either end.
type look struct {
	email, hash                 string
	active, superuser, verified bool
	first                       string // "-" for NULL
}

func lookOf(u *User) look {
	first := "-"
	if u.FirstName != nil {
		first = *u.FirstName
	}
	return look{u.Email, u.HashedPassword, u.IsActive, u.IsSuperuser, u.IsVerified, first}
}

// What the source has changed since the last run comes over, unless usher has
// changed the same thing: then usher's stays, and somebody is told.
func TestMerge(t *testing.T) {
	t.Parallel()
	was := look{"", oldHash, true, false, false, "First"}
	text := func(s string) *string { return &s }
	for i, c := range []struct {
		name   string
		source string      // assignments in the source
		here   func(*User) // change in usher
		want   func(*look) // of what was
		counts fastapiusers.Counts
		reason string
	}{
		{name: "nothing", counts: fastapiusers.Counts{Same: 1}},
		{name: "the address", source: `email = 'new{n}@example.com', is_verified = {true}`,
			want: func(l *look) { l.email, l.verified = "new{n}@example.com", true }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "the password", source: `hashed_password = '` + newHash + `'`,
			want: func(l *look) { l.hash = newHash }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "activity", source: `is_active = {false}`,
			want: func(l *look) { l.active = false }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "rights", source: `is_superuser = {true}`,
			want: func(l *look) { l.superuser = true }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "an own column", source: `first_name = 'Second'`,
			want: func(l *look) { l.first = "Second" }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "an own column to NULL", source: `first_name = NULL`,
			want: func(l *look) { l.first = "-" }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "only usher", here: func(u *User) { u.FirstName = text("Usher's") },
			want: func(l *look) { l.first = "Usher's" }, counts: fastapiusers.Counts{Same: 1}},
		{name: "each another thing", source: `is_superuser = {true}`, here: func(u *User) { u.FirstName = text("Usher's") },
			want: func(l *look) { l.first, l.superuser = "Usher's", true }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "both the same way", source: `first_name = 'Second'`, here: func(u *User) { u.FirstName = text("Second") },
			want: func(l *look) { l.first = "Second" }, counts: fastapiusers.Counts{Changed: 1}},
		{name: "both, differently", source: `first_name = 'Second', is_superuser = {true}`, here: func(u *User) { u.FirstName = text("Usher's") },
			want: func(l *look) { l.first, l.superuser = "Usher's", true }, counts: fastapiusers.Counts{ChangedHere: 1}, reason: "changed_in_usher"},
		// Else the new address would pass for verified because the old one was.
		{name: "verified here, another address there", source: `email = 'new{n}@example.com'`, here: func(u *User) { u.IsVerified = true },
			want: func(l *look) { l.verified = true }, counts: fastapiusers.Counts{ChangedHere: 1}, reason: "changed_in_usher"},
		// Who has a new password in usher is no longer FastAPI Users' to change.
		{name: "usher's password", source: `email = 'new{n}@example.com', is_superuser = {true}`, here: func(u *User) { u.HashedPassword = usherHash; u.Epoch++ },
			want: func(l *look) { l.hash = usherHash }, counts: fastapiusers.Counts{ChangedHere: 1}, reason: "changed_in_usher"},
		{name: "an address that somebody has", source: `email = 'Taken{n}@example.com'`,
			counts: fastapiusers.Counts{Collided: 1}, reason: "email_collision"},
	} {
		for _, kind := range kinds {
			t.Run(c.name+", "+kind, func(t *testing.T) {
				t.Parallel()
				s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
				id := idOf(i + 1)
				s.addUser(string(id), "ann@example.com", oldHash, true, false, false, "First")
				s.addUser(string(idOf(1000)), "bob@example.com") // who never changes
				x.mustRun(s, fastapiusers.Options{})
				taken := User{User: usher.User{Email: fmt.Sprintf("taken%d@example.com", i), IsActive: true}}
				if err := x.db.CreateUser(t.Context(), &taken); err != nil {
					t.Fatal(err)
				}
				fill := replacer("{n}", fmt.Sprint(i), "{true}", s.boolean(true), "{false}", s.boolean(false))
				if c.source != "" {
					s.exec(`UPDATE "user" SET `+fill(c.source)+` WHERE id = ?`, string(id))
				}
				if c.here != nil {
					x.change(id, c.here)
				}
				want := was
				want.email = "ann@example.com"
				if c.want != nil {
					c.want(&want)
				}
				want.email = fill(want.email)
				counts := c.counts
				counts.Read, counts.Same = 2, counts.Same+1
				reasons := map[string]string{}
				if c.reason != "" {
					reasons[string(id)] = c.reason
				}
				before := lookOf(x.user(id))
				for _, dry := range []bool{true, false} {
					report := x.mustRun(s, fastapiusers.Options{DryRun: dry})
					if report.Users != counts || !reflect.DeepEqual(x.reasons(), reasons) {
						t.Errorf("dry: %v, got %+v %v, want %+v %v", dry, report.Users, x.reasons(), counts, reasons)
					}
					if got := lookOf(x.user(id)); dry && got != before {
						t.Errorf("the dry run made %+v", got)
					}
				}
				if got := lookOf(x.user(id)); got != want {
					t.Errorf("got %+v, want %+v", got, want)
				}
				// What is done is not done again; a conflict is told again.
				report := x.mustRun(s, fastapiusers.Options{})
				if counts.Changed > 0 {
					counts.Changed, counts.Same = 0, 2
				}
				if report.Users != counts || !reflect.DeepEqual(x.reasons(), reasons) || lookOf(x.user(id)) != want {
					t.Errorf("again: %+v %v %+v", report.Users, x.reasons(), lookOf(x.user(id)))
				}
			})
		}
	}
}

// Who is deleted at one end: usher brings nobody back, and deletes nobody.
func TestDeletedUsers(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, 4)
			x.mustRun(s, fastapiusers.Options{})
			here, changedToo, there := idOf(1), idOf(2), idOf(3)
			for _, id := range []usher.ID{here, changedToo} {
				if err := x.db.DeleteUser(t.Context(), id); err != nil {
					t.Fatal(err)
				}
			}
			s.exec(`UPDATE "user" SET first_name = 'Second' WHERE id = ?`, string(changedToo))
			for _, table := range []string{"accesstoken", "oauth_account"} {
				s.exec(`DELETE FROM `+table+` WHERE user_id = ?`, string(there))
			}
			s.exec(`DELETE FROM "user" WHERE id = ?`, string(there))
			for range 2 {
				report := x.mustRun(s, fastapiusers.Options{})
				if want := (fastapiusers.Counts{Read: 3, Same: 2, DeletedHere: 1, Gone: 1}); report.Users != want {
					t.Errorf("%+v", report.Users)
				}
				if got := x.reasons(); len(got) != 1 || got[string(there)] != fastapiusers.ReasonGone {
					t.Errorf("%v", got)
				}
				for _, id := range []usher.ID{here, changedToo} {
					if u, err := x.db.UserByID(t.Context(), id); err == nil {
						t.Errorf("%+v is back", u)
					}
				}
				if u := x.user(there); !u.IsActive || x.holds(x.db, tokenOf(3)) {
					t.Errorf("%+v, and his token, which is gone from the source, is good", u)
				}
			}
		})
	}
}

// Who is deactivated in the source is signed out.
func TestDeactivatedUser(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, 2)
			x.mustRun(s, fastapiusers.Options{})
			epoch := x.user(idOf(1)).Epoch
			s.exec(`UPDATE "user" SET is_active = ? WHERE id = ?`, false, string(idOf(1)))
			x.mustRun(s, fastapiusers.Options{})
			if u := x.user(idOf(1)); u.IsActive || u.Epoch>>32 == epoch>>32 || x.holds(x.db, tokenOf(1)) || !x.holds(x.db, tokenOf(0)) {
				t.Errorf("%+v", u)
			}
		})
	}
}

// Accounts and tokens change too.
func TestLaterAccountsAndTokens(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			fill(s, 12) // users 0, 2, 4 … have accounts of their numbers
			x.mustRun(s, fastapiusers.Options{})
			account := func(n int) usher.OAuthAccount {
				a, err := x.db.OAuthAccount(t.Context(), "google", fmt.Sprint(n))
				if err != nil {
					t.Fatal(err)
				}
				return a
			}
			// Account 0 changes in the source, 2 at both ends, 4 is unlinked here and
			// changes there, 6 is only unlinked, 8's user has a new password in usher.
			for _, n := range []int{0, 2, 4, 8} {
				s.exec(`UPDATE oauth_account SET account_email = ? WHERE account_id = ?`, fmt.Sprintf("new%d@example.com", n), fmt.Sprint(n))
			}
			changed := account(2)
			changed.Email = "usher@example.com"
			if err := x.db.UpdateOAuthAccount(t.Context(), changed); err != nil {
				t.Fatal(err)
			}
			for _, n := range []int{4, 6} {
				if err := x.db.UnlinkOAuthAccount(t.Context(), idOf(n), account(n).ID); err != nil {
					t.Fatal(err)
				}
			}
			x.change(idOf(8), func(u *User) { u.HashedPassword = usherHash; u.Epoch++ })
			s.exec(`INSERT INTO oauth_account (id, user_id, oauth_name, access_token, account_id, account_email) VALUES (?, ?, 'github', 'a', '1', 'a@example.com')`, string(idOf(500)), string(idOf(1)))
			s.exec(`INSERT INTO oauth_account (id, user_id, oauth_name, access_token, account_id, account_email) VALUES (?, ?, 'github', 'a', '8', 'a@example.com')`, string(idOf(508)), string(idOf(8)))
			// Token 1 is signed out in the source, 3 in usher; 8's user has changed.
			s.exec(`DELETE FROM accesstoken WHERE token = ?`, tokenOf(1))
			if err := x.db.DestroySession(t.Context(), usher.HashToken(tokenOf(3))); err != nil {
				t.Fatal(err)
			}
			for n, user := range map[int]int{101: 1, 108: 8} {
				s.exec(`INSERT INTO accesstoken (token, user_id, created_at) VALUES (?, ?, ?)`, tokenOf(n), string(idOf(user)), "2026-11-23 09:00:00")
			}

			wantAccounts := fastapiusers.Counts{Read: 8, New: 1, Changed: 1, Same: 2, ChangedHere: 3, DeletedHere: 1}
			wantTokens := fastapiusers.Counts{Read: 13, New: 1, Same: 11, ChangedHere: 1, Ended: 1}
			for _, dry := range []bool{true, false} {
				report := x.mustRun(s, fastapiusers.Options{DryRun: dry})
				if report.Accounts != wantAccounts || report.Tokens != wantTokens {
					t.Errorf("dry: %v:\n%+v\n%+v", dry, report.Accounts, report.Tokens)
				}
				if x.holds(x.db, tokenOf(1)) != dry || x.holds(x.db, tokenOf(101)) == dry {
					t.Errorf("dry: %v, and tokens are otherwise", dry)
				}
			}
			if account(0).Email != "new0@example.com" || account(2).Email != "usher@example.com" || account(8).Email != "User.8@example.com" {
				t.Errorf("%+v %+v %+v", account(0), account(2), account(8))
			}
			for _, n := range []string{"4", "6"} {
				if a, err := x.db.OAuthAccount(t.Context(), "google", n); err == nil {
					t.Errorf("%+v is linked again", a)
				}
			}
			if x.holds(x.db, tokenOf(3)) || x.holds(x.db, tokenOf(108)) {
				t.Error("who signed out in usher is signed in again, or a user whose password changed")
			}
		})
	}
}
