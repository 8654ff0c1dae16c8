package ushertest

import (
	"fmt"
	"slices"
	"time"

	"usher"
)

// The part of TestUserStore about the conditions of a UserQuery.

func (s *userSuite[U]) search() {
	emails := []string{
		"zoe@example.com", "zoé@example.com", "zoë.ångström@example.com", "zoë.b@example.com", "zo@example.com", "zpe@example.com",
		"z_e@example.com", "z%@example.com", "*@example.com", "z'e@example.com", "a.zoe@example.com", "日本@example.com", "😀@example.com",
	}
	users := make([]*U, len(emails))
	for i, email := range emails {
		users[i] = s.user(email)
		base := s.base(users[i])
		base.IsActive, base.IsSuperuser, base.IsVerified = i%2 == 0, i%3 == 0, i%5 == 0
		wantError(s.T, "CreateUser "+email, s.store.CreateUser(s.ctx, users[i]), nil)
		time.Sleep(2 * time.Millisecond) // users are told apart by when they were created
	}
	// check lists in one go and in pages of two.
	check := func(what string, q usher.UserQuery, which func(i int, u *usher.User) bool) {
		s.Helper()
		want := []usher.ID{}
		for i, u := range users {
			if which(i, s.base(u)) {
				want = append(want, s.base(u).ID)
			}
		}
		slices.SortFunc(want, compareIDs)
		for _, limit := range []int{100, 2} {
			got := []usher.ID{}
			q.After, q.Limit = "", limit
			for range len(users) + 1 {
				page, err := s.store.ListUsers(s.ctx, q)
				if err != nil || len(page) > limit {
					s.Fatalf("ListUsers %s, at most %d: %d users and error %v", what, limit, len(page), err)
				}
				for _, u := range page {
					got = append(got, s.base(u).ID)
				}
				if len(page) < limit {
					break
				}
				q.After = got[len(got)-1]
			}
			if !slices.Equal(got, want) {
				s.Errorf("ListUsers %s, %d at a time: %q, want %q", what, limit, got, want)
			}
		}
	}
	check("of everybody", usher.UserQuery{}, func(int, *usher.User) bool { return true })
	for prefix, want := range map[string][]int{
		"z": {0, 1, 2, 3, 4, 5, 6, 7, 9}, "zo": {0, 1, 2, 3, 4}, "zoe": {0}, "zoé": {1}, "zoë": {2, 3}, "zoë.å": {2}, "zo@": {4},
		"zoe@example.com": {0}, "zoe@example.com.": nil, "zoe@example.comz": nil, "oe": nil, "example.com": nil, "zoa": nil, "zz": nil,
		"_": nil, "z_": {6}, "z_e": {6}, "%": nil, "z%": {7}, "%zoe": nil, "*": {8}, "z*": nil, "z?": nil, "z[": nil, "z'": {9}, "z' OR '1'='1": nil, `z\`: nil, `\`: nil,
		"日": {11}, "😀": {12}, "\U0010FFFF": nil,
	} {
		check(fmt.Sprintf("whose address begins with %q", prefix), usher.UserQuery{Email: prefix}, func(i int, _ *usher.User) bool { return slices.Contains(want, i) })
	}
	for _, want := range []bool{true, false} {
		check(fmt.Sprintf("active: %t", want), usher.UserQuery{IsActive: &want}, func(_ int, u *usher.User) bool { return u.IsActive == want })
		check(fmt.Sprintf("superuser: %t", want), usher.UserQuery{IsSuperuser: &want}, func(_ int, u *usher.User) bool { return u.IsSuperuser == want })
		check(fmt.Sprintf("verified: %t", want), usher.UserQuery{IsVerified: &want}, func(_ int, u *usher.User) bool { return u.IsVerified == want })
	}
	early, late := s.base(users[2]).CreatedAt.Add(time.Millisecond), s.base(users[8]).CreatedAt.Add(-time.Millisecond)
	check("created late", usher.UserQuery{CreatedAfter: early}, func(i int, _ *usher.User) bool { return i > 2 })
	check("created early", usher.UserQuery{CreatedBefore: late}, func(i int, _ *usher.User) bool { return i < 8 })
	check("created in between", usher.UserQuery{CreatedAfter: early.In(time.FixedZone("", -7200)), CreatedBefore: late}, func(i int, _ *usher.User) bool { return i > 2 && i < 8 })
	check("created never", usher.UserQuery{CreatedAfter: late, CreatedBefore: early}, func(int, *usher.User) bool { return false })
	yes, no := true, false
	check("of all conditions", usher.UserQuery{Email: "z", IsActive: &no, IsSuperuser: &yes, IsVerified: &no, CreatedAfter: early, CreatedBefore: late},
		func(i int, _ *usher.User) bool { return i == 3 })
	check("that exclude each other", usher.UserQuery{Email: "zoe", IsActive: &no}, func(int, *usher.User) bool { return false })
}
