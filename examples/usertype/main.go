// Usertype is a program whose users have fields of their own: one that can be
// null, one of a few values, times and JSON; some for the user to set, some for
// superusers, some for the program alone. Its users are numbered, and the first is a
// superuser, admin@example.com, if ADMIN_PASSWORD is his password.
package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net/http"
	"os"
	"time"

	"usher"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"
)

func main() {
	ctx := context.Background()
	site, err := newSite(ctx, "usertype.db")
	if err != nil {
		log.Fatal(err)
	}
	if password := os.Getenv("ADMIN_PASSWORD"); password != "" {
		if err := site.addAdmin(ctx, password); err != nil && !errors.Is(err, usher.ErrUserExists) {
			log.Fatal(err)
		}
	}
	log.Print("listening on http://localhost:8080")
	log.Fatal(http.ListenAndServe("localhost:8080", site))
}

type site struct {
	http.Handler
	db   *sqlstore.Store[User]
	auth *usher.Auth[User]
}

func newSite(ctx context.Context, database string) (*site, error) {
	db, err := sqlite.Open[User](ctx, database, sqlstore.IntegerIDs) // adds the columns
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	rand.Read(secret) // keep yours
	auth, err := usher.New(usher.Config[User]{
		Store: db,
		Backends: []usher.Backend{
			{Name: "jwt", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}}},
		},
		Hooks: usher.Hooks[User]{
			BeforeRegister: func(_ context.Context, user *User) error {
				user.Notes = "came by himself"
				return nil
			},
		},
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	mux := http.NewServeMux()
	auth.Mount(mux)
	s := &site{mux, db, auth}
	mux.Handle("POST /visits", auth.Require()(http.HandlerFunc(s.visit)))
	return s, nil
}

// visit counts a visit. The program may write what its clients may not.
func (s *site) visit(w http.ResponseWriter, r *http.Request) {
	user, err := s.auth.UpdateUser(r.Context(), s.auth.CurrentUser(r.Context()).ID, usher.Change[User]{
		Set: func(user *User) { user.Visits++ },
	})
	if err != nil {
		s.auth.Refuse(w, r, err)
		return
	}
	name := user.Email
	fmt.Fprintf(w, "Welcome, %s!\n", *cmp.Or(user.DisplayName, &name))
}

func (s *site) addAdmin(ctx context.Context, password string) error {
	return s.auth.CreateUser(ctx, &User{
		User:     usher.User{Email: "admin@example.com", IsActive: true, IsSuperuser: true, IsVerified: true},
		AgreedAt: time.Now(),
	}, password)
}
