// Package oauth signs users in with their accounts at providers, by OAuth 2.0
// (RFC 6749 with PKCE, RFC 7636) and OpenID Connect.
//
//	accounts, err := oauth.New(auth, oauth.Config[User]{
//		Providers: []oauth.Provider{
//			oauth.Google(googleID, googleSecret),
//			oauth.GitHub(gitHubID, gitHubSecret),
//			oauth.OIDC("sso", "https://sso.example.com", ssoID, ssoSecret),
//		},
//		Backend:  "cookie",
//		Accounts: db,
//		OneTime:  db,
//		Secret:   secret,
//		BaseURL:  "https://app.example.com",
//	})
//	…
//	accounts.Mount(mux)
//
// A provider is data: a [Provider] with its endpoints and the names of its fields.
//
// # Routes
//
//	GET    /auth/{provider}/authorize             where to send the browser
//	GET    /auth/{provider}/callback              where the provider sends it back
//	GET    /auth/associate/{provider}/authorize   the same, to link an account to
//	GET    /auth/associate/{provider}/callback    the user who is signed in
//	GET    /users/me/oauth-accounts               the linked accounts
//	DELETE /users/me/oauth-accounts/{id}          unlinks one, but not the last way in
//
// BaseURL and the path of a callback are what has to be registered with the
// provider.
//
// A front end asks authorize, sends the browser to the authorization_url of the
// answer, and the callback answers like a login of the backend: with a token or a
// cookie. The provider may also send the browser to a page of the front end
// (Provider.RedirectURL), which then calls the callback with the query that it got.
//
// A site without scripts has a link to authorize?redirect_to=TARGET. Then authorize
// redirects to the provider, and the callback to TARGET: with the session's cookie
// set, or with the code of what went wrong in the query parameter error. TARGET is a
// path of the site or one of Config.RedirectTargets. This needs a backend with
// cookies: a token in a URL would end up in logs.
//
// Where registration is closed, authorize?invitation=TOKEN takes an invitation
// (usher's NewInvitation) along; the provider does not see it.
//
// The providers' own tokens are stored only if there are EncryptionKeys, sealed,
// and never shown; [OAuth.Token] returns them to the program.
//
// # Who becomes whom
//
// An account at a provider is known by the provider and the provider's own id for
// it (OpenID Connect: sub), never by its address. What a callback does:
//
//	account  signed  address          provider says  our user      AssociateByEmail  outcome
//	linked?  in?     here             verified?      is
//	yes      no      -                -              active        -      he signs in
//	yes      no      -                -              inactive      -      LOGIN_BAD_CREDENTIALS
//	no       no      none or invalid  -              -             -      OAUTH_NOT_AVAILABLE_EMAIL
//	no       no      free             any            -             -      new user, verified if the provider says so,
//	                                                                      if usher's Registration lets him
//	no       no      taken            any            any           off    OAUTH_USER_ALREADY_EXISTS
//	no       no      taken            no             any           on     OAUTH_USER_ALREADY_EXISTS
//	no       no      taken            yes            inactive      on     LOGIN_BAD_CREDENTIALS
//	no       no      taken            yes            verified      on     linked, he signs in
//	no       no      taken            yes            not verified  on     claimed: his password, sessions and
//	                                                                      other links end, then as above
//	no       yes     any              any            active        -      linked to who is signed in
//	to him   yes     any              any            active        -      nothing new
//	to other yes     any              any            active        -      OAUTH_ACCOUNT_ALREADY_LINKED
//
// An account that nobody verified may have been made by somebody else in wait for
// the owner of the address (pre-hijacking); that is why it is emptied before it is
// handed over. For the same reason a reset of the password unlinks all accounts if
// nobody had verified the address before.
//
// Users are mailed when an account is linked to them or unlinked.
//
// Sign-ins have the method (amr) "oauth".
//
// # State
//
// The state is a JWT with FastAPI Users' claims, bound to the browser by a cookie
// and to provider and route. It is used up by the callback that succeeds. The PKCE
// verifier and the OpenID Connect nonce are derived from it and the secret; no
// client ever sees the verifier.
package oauth
