package main

import (
	"net/http"
	"strings"

	"usher"
	"usher/oauth"
)

const stateSecret = "reference-state-secret-0123456789abcdef"

// oauthRoutes mounts the recorded application's routers of the provider `fake`.
func (a *app) oauthRoutes(mux, verified *http.ServeMux) error {
	fake := oauth.Provider{
		Name: "fake", ClientID: "client-id", ClientSecret: "client-secret", Scopes: []string{"profile", "email"},
		AuthURL: a.provider + "/authorize", TokenURL: a.provider + "/token", UserInfoURL: a.provider + "/userinfo",
		InsecureNoPKCE: true, // the recordings compare the whole URL
	}
	config := oauth.Config[user]{
		Providers: []oauth.Provider{fake}, Backend: "jwt", Accounts: a.users, OneTime: a.users,
		Secret:         []byte(stateSecret),
		EncryptionKeys: []oauth.Key{{ID: "parity", Secret: []byte("reference-oauth-key-0123456789ab")}},
		Path:           "/auth/oauth", AssociatePath: "/auth/associate",
		RedirectURLFunc: callbackOfRequest, CookieName: "fastapiusersoauthcsrf", InsecureHTTP: true,
	}
	byEmail := config
	fake.RedirectURL, fake.TrustEmail = "https://front.example.com/oauth-callback", true
	byEmail.Providers = []oauth.Provider{fake}
	byEmail.Backend, byEmail.AssociateByEmail, byEmail.InsecureHTTP = "cookie", true, false
	byEmail.Path, byEmail.AssociatePath, byEmail.AccountsPath = "/auth/oauth-email", "-", "-"
	requires := config
	requires.Path, requires.AccountsPath = "-", "-"
	for _, router := range []struct {
		auth   *usher.Auth[user]
		config oauth.Config[user]
		mux    *http.ServeMux
	}{{a.auth, config, mux}, {a.auth, byEmail, mux}, {a.verified, requires, verified}} {
		o, err := oauth.New(router.auth, router.config)
		if err != nil {
			return err
		}
		o.Mount(router.mux)
	}
	return nil
}

// callbackOfRequest is what Starlette's url_for makes of a request behind a proxy
// on the same machine.
func callbackOfRequest(r *http.Request) string {
	scheme := "http"
	if forwarded := r.Header.Get("X-Forwarded-Proto"); forwarded != "" {
		scheme = forwarded
	}
	return scheme + "://" + r.Host + strings.TrimSuffix(strings.TrimSuffix(r.URL.Path, "/authorize"), "/callback") + "/callback"
}
