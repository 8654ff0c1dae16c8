// Quickstart is a whole program with users: they register, sign in with a cookie
// or a bearer token, and are greeted by name.
package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	"net/http"
	"time"

	"usher"
	"usher/sqlstore/sqlite"
)

type User struct {
	usher.User
	FirstName string `json:"first_name" usher:"write"` // clients may set it
	Plan      string `json:"plan"`                     // clients may read it
}

func main() {
	site, err := newSite(context.Background(), "quickstart.db")
	if err != nil {
		log.Fatal(err)
	}
	log.Print("listening on http://localhost:8080")
	log.Fatal(http.ListenAndServe("localhost:8080", site))
}

func newSite(ctx context.Context, database string) (http.Handler, error) {
	db, err := sqlite.Open[User](ctx, database)
	if err != nil {
		return nil, err
	}
	secret := make([]byte, 32)
	rand.Read(secret) // keep yours: with another one, nobody's JWT is good any more
	auth, err := usher.New(usher.Config[User]{
		Store: db,
		Backends: []usher.Backend{
			{Name: "cookie", Transport: usher.Cookie{}, Strategy: db.Sessions(24 * time.Hour)},
			{Name: "jwt", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}}},
		},
	})
	if err != nil {
		return nil, err
	}
	go auth.Run(ctx)

	mux := http.NewServeMux()
	auth.Mount(mux) // /auth/cookie/login, /auth/jwt/login, /auth/register, /users/me, …
	mux.Handle("GET /hello", auth.Require()(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello, %s!\n", auth.CurrentUser(r.Context()).FirstName)
	})))
	return mux, nil
}
