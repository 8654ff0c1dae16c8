package fastapiusers_test

import (
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"usher"
	"usher/fastapiusers"
	"usher/sqlstore"
)

// Users whose addresses are one to usher: who is verified stays, else who is
// active, else the first; the others are named, with who has the address.
func TestCollisions(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, uuidTypes[kind]), newTarget(t, kind)
			add := func(n int, email string, active, verified bool) {
				s.addUser(string(idOf(n)), email, oldHash, active, false, verified)
			}
			add(1, "Ann@example.com", true, false)
			add(2, "ann@example.com", true, true) // verified
			add(3, "ANN@example.com", false, true)
			add(4, "bob@example.com", false, false)
			add(5, "Bob@example.com", true, false) // active
			add(6, "cyd@example.com", true, true)  // the first
			add(7, "CYD@example.com", true, true)
			add(8, "stra\u00dfe@example.com", true, true)
			add(9, "STRASSE@example.com", true, true)
			add(10, "dan@example.com", true, true) // a user of usher has this address
			add(11, "eve@b\u00fccher.example", true, true)
			there := User{User: usher.User{Email: "DAN@example.com", IsActive: true}}
			if err := x.db.CreateUser(t.Context(), &there); err != nil {
				t.Fatal(err)
			}
			for n := range 12 { // everybody has a token
				s.exec(`INSERT INTO accesstoken (token, user_id, created_at) VALUES (?, ?, ?)`, tokenOf(n), string(idOf(n)), "2026-11-23 09:00:00")
			}
			wantTokens := map[int]bool{2: true, 5: true, 6: true, 8: true, 11: true}
			reasons := map[string]string{}
			for _, n := range []int{1, 3, 4, 7, 10} {
				reasons[string(idOf(n))] = fastapiusers.ReasonEmail
			}
			// Whether ß is ss is for usher.EmailKey to say.
			a, _ := usher.EmailKey("stra\u00dfe@example.com")
			if b, _ := usher.EmailKey("STRASSE@example.com"); a == b {
				reasons[string(idOf(9))] = fastapiusers.ReasonEmail
			} else {
				wantTokens[9] = true
			}
			for _, dry := range []bool{true, false} {
				report := x.mustRun(s, fastapiusers.Options{DryRun: dry})
				if want := (fastapiusers.Counts{Read: 11, New: len(wantTokens), Collided: len(reasons)}); report.Users != want || !reflect.DeepEqual(x.reasons(), reasons) {
					t.Errorf("dry: %v, %+v %v", dry, report.Users, x.problems)
				}
			}
			for _, p := range x.problems {
				if p.ID == string(idOf(1)) && (p.Email != "Ann@example.com" || p.Table != "user" || !strings.Contains(p.Detail, string(idOf(2)))) {
					t.Errorf("%+v", p)
				}
			}
			for n := range 12 {
				_, err := x.db.UserByID(t.Context(), idOf(n))
				if carried := err == nil; carried != wantTokens[n] || err != nil && !errors.Is(err, usher.ErrNotFound) {
					t.Errorf("user %d: %v", n, err)
				}
				// A token of who is left out must not sign in whoever has the address.
				if x.holds(x.db, tokenOf(n)) != wantTokens[n] {
					t.Errorf("token %d", n)
				}
			}

			// Who was carried stays, whoever comes later or is verified later.
			s.exec(`UPDATE "user" SET is_verified = ? WHERE id = ?`, true, string(idOf(4)))
			s.exec(`UPDATE "user" SET is_active = ? WHERE id = ?`, true, string(idOf(4)))
			add(12, "aNN@example.com", true, true)
			reasons[string(idOf(12))] = fastapiusers.ReasonEmail
			report := x.mustRun(s, fastapiusers.Options{})
			if report.Users.New != 0 || report.Users.Collided != len(reasons) || !reflect.DeepEqual(x.reasons(), reasons) {
				t.Errorf("%+v %v", report.Users, x.reasons())
			}
			// When the reason is gone, so is the problem.
			s.exec(`UPDATE "user" SET email = 'robert@example.com' WHERE id = ?`, string(idOf(4)))
			if report := x.mustRun(s, fastapiusers.Options{}); report.Users.New != 1 || x.user(idOf(4)).Email != "robert@example.com" {
				t.Errorf("%+v", report.Users)
			}
		})
	}
}

// What usher refuses in a row keeps out this row and no other one.
func TestRefusedRows(t *testing.T) {
	t.Parallel()
	s, x := newDatabase(t, "sqlite"), newTarget(t, "sqlite")
	for _, statement := range []string{ // SQLite keeps anything anywhere
		`CREATE TABLE "user" (id, email, hashed_password, is_active, is_superuser, is_verified, first_name)`,
		`CREATE TABLE oauth_account (id, user_id, oauth_name, access_token, expires_at, refresh_token, account_id, account_email)`,
		`CREATE TABLE accesstoken (token, user_id, created_at)`,
	} {
		s.exec(statement)
	}
	spelt := "0000EACE-0000-4000-8000-00000000EACE"
	for _, row := range []struct {
		id, email any
		more      []any
		reason    string
	}{
		{id: string(idOf(1)), email: "ann@example.com"},
		{id: string(idOf(2)), email: "nobody", reason: "refused"},
		{id: string(idOf(3)), email: nil, reason: "refused"},
		{id: string(idOf(4)), email: " spaces@example.com ", reason: "refused"},
		{id: string(idOf(5)), email: "flag@example.com", more: []any{oldHash, "canary"}, reason: "refused"},
		{id: string(idOf(6)), email: "name@example.com", more: []any{oldHash, true, false, false, []byte{0xff}}, reason: "refused"},
		{id: string(idOf(7)), email: "hash@example.com", more: []any{4.5}, reason: "refused"},
		{id: string(idOf(8)), email: "null@example.com", more: []any{nil, nil, nil, nil}},
		{id: spelt, email: "upper@example.com"},
		{id: strings.ToLower(spelt), email: "lower@example.com", reason: "id_taken"},
		{id: "seven", email: "seven@example.com", reason: "refused"},
		{id: nil, email: "noid@example.com", reason: "refused"},
	} {
		s.addUser(row.id, row.email, row.more...)
	}
	for _, row := range [][]any{
		{string(idOf(1)), "fake", "a", nil, nil, "1", "ann@example.com"}, // good
		{string(idOf(1)), "fake", "a", nil, nil, "1", "ann@example.com"}, // twice
		{string(idOf(8)), "fake", "a", nil, nil, "1", "bob@example.com"}, // of another user
		{string(idOf(1)), "", "a", nil, nil, "2", "ann@example.com"},     // no provider
		{string(idOf(1)), "fake", "a", nil, nil, nil, "ann@example.com"}, // no id
		{string(idOf(1)), "fake", "a", "canary", nil, "3", "ann@example.com"},
		{string(idOf(99)), "fake", "a", nil, nil, "4", "ann@example.com"}, // of nobody
	} {
		s.exec(`INSERT INTO oauth_account VALUES ((SELECT count(*) FROM oauth_account), ?, ?, ?, ?, ?, ?, ?)`, row...)
	}
	for _, row := range [][]any{
		{tokenOf(1), string(idOf(1)), "2026-11-23 09:00:00"},
		{"canary-token", string(idOf(1)), "2026-11-23 09:00:00"},
		{tokenOf(2), string(idOf(1)), "canary-time"},
		{tokenOf(3), nil, "2026-11-23 09:00:00"},
		{tokenOf(4), string(idOf(99)), "2026-11-23 09:00:00"},
	} {
		s.exec(`INSERT INTO accesstoken VALUES (?, ?, ?)`, row...)
	}
	for _, dry := range []bool{true, false} {
		report := x.mustRun(s, fastapiusers.Options{DryRun: dry})
		if want := (fastapiusers.Counts{Read: 12, New: 3, Collided: 1, Refused: 8}); report.Users != want {
			t.Errorf("users: %+v", report.Users)
		}
		if want := (fastapiusers.Counts{Read: 7, New: 1, Collided: 2, Refused: 3, Orphaned: 1}); report.Accounts != want {
			t.Errorf("accounts: %+v", report.Accounts)
		}
		if want := (fastapiusers.Counts{Read: 5, New: 1, Refused: 3, Orphaned: 1}); report.Tokens != want {
			t.Errorf("tokens: %+v", report.Tokens)
		}
		for _, p := range x.problems {
			if strings.Contains(p.Detail, "canary") || strings.Contains(p.Detail, tokenOf(2)) {
				t.Errorf("quoted: %+v", p)
			}
			if p.Email == "seven@example.com" && p.Detail != `the id is not a UUID: "seven"` {
				t.Errorf("the row cannot be found: %+v", p)
			}
		}
		if dry && len(x.problems) != 18 {
			t.Errorf("%d problems: %+v", len(x.problems), x.problems)
		}
	}
	if u := x.user(usher.ID(strings.ToLower(spelt))); u.Email != "upper@example.com" {
		t.Errorf("%+v", u)
	}
	// The second run must not put one user into the other's place.
	x.mustRun(s, fastapiusers.Options{})
	if u := x.user(usher.ID(strings.ToLower(spelt))); u.Email != "upper@example.com" {
		t.Errorf("%+v", u)
	}
}

// Integer ids come over as they are, and new users of usher get others.
func TestIntegerIDs(t *testing.T) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			s, x := newSource(t, kind, "INTEGER"), newTarget(t, kind, sqlstore.IntegerIDs)
			for _, n := range []int{7, 3, 2147483647} {
				s.addUser(n, "u"+string(rune('a'+n%26))+"@example.com")
				s.exec(`INSERT INTO accesstoken (token, user_id, created_at) VALUES (?, ?, ?)`, tokenOf(n), n, "2026-11-23 09:00:00")
				s.exec(`INSERT INTO oauth_account (id, user_id, oauth_name, access_token, account_id, account_email) VALUES (?, ?, 'fake', 'a', ?, 'a@example.com')`, n, n, strconv.Itoa(n))
			}
			report := x.mustRun(s, fastapiusers.Options{})
			if report.Users.New != 3 || report.Tokens.New != 3 || report.Accounts.New != 3 {
				t.Errorf("%+v", report)
			}
			for _, id := range []usher.ID{"3", "7", "2147483647"} {
				x.user(id)
			}
			fresh := User{User: usher.User{Email: "new@example.com", IsActive: true}}
			if err := x.db.CreateUser(t.Context(), &fresh); err != nil || fresh.ID != "2147483648" {
				t.Errorf("%q, %v", fresh.ID, err)
			}
			if again := x.mustRun(s, fastapiusers.Options{}); again.Users.Same != 3 || again.Tokens.Same != 3 || again.Accounts.Same != 3 {
				t.Errorf("%+v", again)
			}

			// One kind does not become the other.
			for _, c := range []struct {
				s    *source
				x    *target
				want string
			}{{s, newTarget(t, kind), "integer_ids: true"}, {artefacts(t, kind), x, "have UUIDs"}} {
				if _, err := c.x.run(t.Context(), c.s, fastapiusers.Options{}); err == nil || !strings.Contains(err.Error(), c.want) {
					t.Errorf("%v, want %s", err, c.want)
				}
			}
		})
	}
}
