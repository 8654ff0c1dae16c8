// Package usher gives a Go program its users and their sign-in.
//
// A [Transport] says how a token travels: a bearer header, a cookie. A
// [Strategy] says how a token is made, read and destroyed: a JWT, a session in a
// database or in Redis. A [Backend] pairs the two. An application plugs in
// several; on each request they are tried in order and the first that yields a
// user decides. If none does, the answer is 401.
//
//	type User struct {
//		usher.User
//		FirstName string `json:"first_name" usher:"write"`
//	}
//
//	db, err := sqlite.Open[User](ctx, "app.db")
//	auth, err := usher.New(usher.Config[User]{
//		Store: db,
//		Backends: []usher.Backend{
//			{Name: "cookie", Transport: usher.Cookie{}, Strategy: db.Sessions(24 * time.Hour)},
//			{Name: "jwt", Transport: usher.Bearer{}, Strategy: &usher.JWT{Keys: []usher.Key{usher.SecretKey("", secret)}}},
//		},
//	})
//	auth.Mount(mux)
//	mux.Handle("GET /hello", auth.Require(usher.Verified)(hello))
//
// # Layers
//
// [Auth.Mount] adds the routes. Each of them only translates between HTTP and a
// function that a program can call itself: [Auth.Register], [Auth.Login],
// [Auth.UpdateUser], [Auth.ListSessions]. [Auth.Require] is middleware around the
// primitive [Auth.Authenticate].
//
// # Extending
//
// A transport, a strategy, a [UserStore] or a [SessionStore] of your own is one
// file that imports this package and changes nothing else. Package
// usher/ushertest has a conformance suite for each.
//
// # Promises
//
// No secret is stored in clear or logged. An outage is a 503, never a 401 and
// never access. Whatever can happen only once has one winner. Options that
// weaken a default begin with Insecure.
package usher
