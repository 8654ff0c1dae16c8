package usher_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"usher"
)

// page is a page of GET /users.
type page struct {
	Items []User
	Next  *usher.ID
}

// list reads one page, which has to have two members and no secret.
func (s *site) list(t testing.TB, header string, query url.Values) (p page) {
	t.Helper()
	a := s.send(t, "GET", "/users?"+query.Encode(), nil, header).want(t, 200).wantSecureHeaders(t)
	var members map[string]any
	a.json(t, &members)
	if _, hasNext := members["next"]; len(members) != 2 || !hasNext || members["items"] == nil || strings.Contains(a.body, "argon2") || strings.Contains(a.body, "hash") {
		t.Errorf("page %s", a.body)
	}
	a.json(t, &p)
	return p
}

// listAll reads all pages.
func (s *site) listAll(t testing.TB, header string, query url.Values) (emails []string) {
	t.Helper()
	for {
		p := s.list(t, header, query)
		for _, u := range p.Items {
			emails = append(emails, u.Email)
		}
		if p.Next == nil {
			return emails
		}
		if len(p.Items) == 0 || *p.Next != p.Items[len(p.Items)-1].ID {
			t.Fatalf("the next page after %v begins at %s", p.Items, *p.Next)
		}
		query.Set("after", string(*p.Next))
	}
}

func TestListUsers(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		s := newSiteOn(t, on)
		s.add(t, "root@example.com", asSuperuser)
		header := s.signedIn(t, "jwt", "root@example.com")
		for i := range 6 {
			s.add(t, fmt.Sprintf("user%d@example.com", i), func(u *User) { u.IsActive, u.IsVerified = i%2 == 0, i%3 == 0 })
		}
		zoe := s.add(t, "Zoë.100%_Q@bücher.example")
		all := []string{"root@example.com", "user0@example.com", "user1@example.com", "user2@example.com", "user3@example.com", "user4@example.com", "user5@example.com", zoe.Email}
		at := zoe.CreatedAt.UTC().Format(time.RFC3339Nano)
		for query, want := range map[string][]string{
			"":        all,
			"email=":  all,
			"limit=1": all, "limit=2": all, "limit=7": all, "limit=8": all, "limit=100": all,
			"email=user": all[1:7], "email=USER1": all[2:3], "email=ｕｓｅｒ1@": all[2:3], "email=ser": nil, "email=user1@example.com.": nil,
			"email=zoë": all[7:], "email=ZOE\u0308": all[7:], "email=zoë.100%25_": all[7:], "email=zoe": nil, "email=zoë.100__": nil,
			"email=ZOË.100%25_Q@BÜ": all[7:], "email=zoë.100%25_q@xn--bcher-kva.example": all[7:], "email=zoë.100%25_q@bücher.example%20": all[7:], "email=zoë.100%25_q@bucher": nil, "email=%25": nil, "email=_": nil,
			"email=%27 OR 1=1 --":                         nil,
			"is_active=false":                             {"user1@example.com", "user3@example.com", "user5@example.com"},
			"is_active=1&is_superuser=true":               all[:1],
			"is_verified=true&is_superuser=0&email=user":  {"user0@example.com", "user3@example.com"},
			"is_verified=true&is_active=false&email=user": {"user3@example.com"},
			"created_after=" + at:                         nil, "created_before=2000-01-01T00:00:00Z": nil,
			"created_before=2999-01-01T00:00:00%2B09:00": all, "created_after=2000-01-01T00:00:00Z": all,
			"created_before=" + at + "&is_superuser=true": all[:1],
			"unknown=1": all,
		} {
			values, err := url.ParseQuery(query)
			if err != nil {
				t.Fatal(err)
			}
			if got := s.listAll(t, header, values); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", query, got, want)
			}
		}
		// A page that is just full is the last.
		if p := s.list(t, header, url.Values{"limit": {"8"}}); len(p.Items) != 8 || p.Next != nil {
			t.Errorf("%d users, next %v", len(p.Items), p.Next)
		}
		for query, places := range map[string][]string{
			"limit=0": {"query.limit"}, "limit=101": {"query.limit"}, "limit=-1": {"query.limit"}, "limit=x": {"query.limit"}, "limit=": {"query.limit"},
			"limit=99999999999999999999": {"query.limit"}, "is_active=maybe": {"query.is_active"}, "is_superuser=": {"query.is_superuser"},
			"is_verified=2": {"query.is_verified"}, "created_after=yesterday": {"query.created_after"}, "created_before=1": {"query.created_before"}, "created_after=9999-12-31T23:59:59-23:59": {"query.created_after"},
		} {
			s.send(t, "GET", "/users?"+query, nil, header).wantInvalid(t, places...)
		}
		// A cursor is an id: of somebody who is gone it is as good, of nobody it is none.
		s.send(t, "DELETE", "/users/"+string(zoe.ID), nil, header).want(t, 204)
		if p := s.list(t, header, url.Values{"after": {string(zoe.ID)}}); len(p.Items) != 0 || p.Next != nil {
			t.Errorf("after somebody deleted: %+v", p)
		}
		for _, after := range []string{"x", "1", "' OR 1=1 --", strings.Repeat("a", 4000)} {
			a := s.send(t, "GET", "/users?"+url.Values{"after": {after}}.Encode(), nil, header)
			if a.status >= 500 || a.status == 200 && strings.Contains(a.body, "@") {
				t.Errorf("after %.20q: %d %s", after, a.status, a.body)
			}
		}
		// Only superusers see the list, and nobody else learns why.
		s.send(t, "GET", "/users", nil).wantDetail(t, 401, "Unauthorized")
		s.send(t, "GET", "/users?limit=x", nil).wantDetail(t, 401, "Unauthorized")
		s.send(t, "GET", "/users?limit=x", nil, s.signedIn(t, "jwt", "user0@example.com")).wantDetail(t, 403, "Forbidden")
		for _, method := range []string{"POST", "PATCH", "DELETE", "PUT"} {
			s.send(t, method, "/users", nil, header).wantDetail(t, 405, "Method Not Allowed")
		}
	})
}

// Whoever reads page after page, while others register, are deleted and are changed,
// sees everybody who was there all the time once, in the same order.
func TestListUsersWhileTheyChange(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		s := newSiteOn(t, on)
		root := s.add(t, "root@example.com", asSuperuser)
		header := s.signedIn(t, "jwt", "root@example.com")
		var fleeting []*User
		steady := []usher.ID{root.ID}
		for i := range 30 {
			steady = append(steady, s.add(t, fmt.Sprintf("steady%d@example.com", i)).ID)
			fleeting = append(fleeting, s.add(t, fmt.Sprintf("fleeting%d@example.com", i)))
		}
		var added, deleted, changed atomic.Int32
		var stopped atomic.Bool
		atOnce(4, func(i int) {
			switch i {
			case 0:
				defer stopped.Store(true)
				for read := 0; read < 5 || added.Load()*deleted.Load()*changed.Load() == 0 && read < 1000; read++ {
					var seen []usher.ID
					for query := (url.Values{"limit": {"7"}}); ; {
						p := s.list(t, header, query)
						for _, u := range p.Items {
							seen = append(seen, u.ID)
						}
						if p.Next == nil {
							break
						}
						query.Set("after", string(*p.Next))
					}
					if got := slices.DeleteFunc(slices.Clone(seen), func(id usher.ID) bool { return !slices.Contains(steady, id) }); !slices.Equal(got, steady) {
						t.Errorf("saw %q of the steady", got)
					}
					slices.Sort(seen)
					if len(slices.Compact(slices.Clone(seen))) != len(seen) {
						t.Errorf("saw somebody twice: %q", seen)
					}
				}
			case 1:
				for ; added.Load() < 200 && !stopped.Load(); added.Add(1) {
					u := person(t, fmt.Sprintf("new%d@example.com", added.Load()))
					if err := s.db.CreateUser(t.Context(), &u); err != nil {
						t.Error(err)
						return
					}
				}
			case 2:
				for _, u := range fleeting {
					if err := s.auth.DeleteUser(t.Context(), u.ID); err != nil {
						t.Error(err)
					}
					deleted.Add(1)
				}
			case 3: // all that a list could be ordered by
				for ; changed.Load() < 200 && !stopped.Load(); changed.Add(1) {
					n := int(changed.Load())
					email := fmt.Sprintf("%c%d@example.com", 'a'+n%26, n)
					if _, err := s.auth.UpdateUser(t.Context(), steady[1+n%30], usher.Change[User]{
						Email: &email, IsVerified: new(n%2 == 0), Set: func(u *User) { u.Plan, u.Score = email, -n },
					}); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
		t.Logf("%d came, %d went and %d were changed meanwhile", added.Load(), deleted.Load(), changed.Load())
		if added.Load() == 0 || deleted.Load() == 0 || changed.Load() == 0 {
			t.Error("not all of that happened")
		}
	})
}
