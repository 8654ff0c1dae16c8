package oauth

import (
	"net/url"
	"strings"
)

// OIDC is any provider that speaks OpenID Connect and publishes a discovery
// document (Keycloak, Okta, Auth0, Authentik, a company's own). The issuer is
// spelled as the document spells it, with or without a slash at its end.
func OIDC(name, issuer, clientID, clientSecret string) Provider {
	return Provider{
		Name: name, Issuer: issuer, ClientID: clientID, ClientSecret: clientSecret,
		Scopes: []string{"openid", "email", "profile"},
	}
}

// Google: addresses are verified. For refresh tokens set Params to access_type=offline
// and prompt=consent.
func Google(clientID, clientSecret string) Provider {
	return OIDC("google", "https://accounts.google.com", clientID, clientSecret)
}

// GitHub: the primary address counts, verified if GitHub says so.
func GitHub(clientID, clientSecret string) Provider {
	return Provider{
		Name: "github", ClientID: clientID, ClientSecret: clientSecret,
		Scopes:      []string{"read:user", "user:email"},
		AuthURL:     "https://github.com/login/oauth/authorize",
		TokenURL:    "https://github.com/login/oauth/access_token",
		UserInfoURL: "https://api.github.com/user",
		EmailsURL:   "https://api.github.com/user/emails",
	}
}

// GitLab is gitlab.com. A server of your own is OIDC("gitlab", its URL, …).
func GitLab(clientID, clientSecret string) Provider {
	return OIDC("gitlab", "https://gitlab.com", clientID, clientSecret)
}

// Microsoft: tenant is "common" (or empty), "organizations", "consumers", or the id
// or domain of one. Addresses are not verified: whoever manages a tenant writes into it what
// they like. For one tenant that is yours, TrustEmail may be set. Personal accounts
// have their address in userPrincipalName only.
func Microsoft(tenant, clientID, clientSecret string) Provider {
	login := "https://login.microsoftonline.com/" + url.PathEscape(or(tenant, "common")) + "/oauth2/v2.0"
	return Provider{
		Name: "microsoft", ClientID: clientID, ClientSecret: clientSecret,
		Scopes:      []string{"User.Read"},
		AuthURL:     login + "/authorize",
		TokenURL:    login + "/token",
		UserInfoURL: "https://graph.microsoft.com/v1.0/me",
		EmailField:  "mail userPrincipalName",
	}
}

// Discord: an address is verified if Discord says so.
func Discord(clientID, clientSecret string) Provider {
	return Provider{
		Name: "discord", ClientID: clientID, ClientSecret: clientSecret,
		Scopes:        []string{"identify", "email"},
		AuthURL:       "https://discord.com/oauth2/authorize",
		TokenURL:      "https://discord.com/api/oauth2/token",
		UserInfoURL:   "https://discord.com/api/users/@me",
		VerifiedField: "verified",
	}
}

// Facebook says nothing about whether addresses are verified. Its dialog drops the
// challenge of PKCE, and its token endpoint then refuses the verifier.
func Facebook(clientID, clientSecret string) Provider {
	return Provider{
		Name: "facebook", ClientID: clientID, ClientSecret: clientSecret,
		Scopes:      []string{"public_profile", "email"},
		AuthURL:     "https://www.facebook.com/dialog/oauth",
		TokenURL:    "https://graph.facebook.com/oauth/access_token",
		UserInfoURL: "https://graph.facebook.com/me?fields=id,email",

		InsecureNoPKCE: true,
	}
}

// LinkedIn's ID tokens lack the nonce and its token endpoint refuses PKCE, so the
// identity comes from the user info.
func LinkedIn(clientID, clientSecret string) Provider {
	return Provider{
		Name: "linkedin", ClientID: clientID, ClientSecret: clientSecret,
		Scopes:         []string{"openid", "profile", "email"},
		AuthURL:        "https://www.linkedin.com/oauth/v2/authorization",
		TokenURL:       "https://www.linkedin.com/oauth/v2/accessToken",
		UserInfoURL:    "https://api.linkedin.com/v2/userinfo",
		IDField:        "sub",
		VerifiedField:  "email_verified",
		InsecureNoPKCE: true,
	}
}

// Slack: an address is verified if Slack says so. It takes PKCE only from clients
// without a secret; the nonce binds the code to the browser all the same.
func Slack(clientID, clientSecret string) Provider {
	p := OIDC("slack", "https://slack.com", clientID, clientSecret)
	p.InsecureNoPKCE = true
	return p
}

// Twitch puts the address into the ID token only if it is asked to.
func Twitch(clientID, clientSecret string) Provider {
	p := OIDC("twitch", "https://id.twitch.tv/oauth2", clientID, clientSecret)
	p.Scopes = []string{"openid", "user:read:email"}
	p.Params = map[string]string{"claims": `{"id_token":{"email":null,"email_verified":null}}`}
	return p
}

// Spotify does not verify addresses.
func Spotify(clientID, clientSecret string) Provider {
	return Provider{
		Name: "spotify", ClientID: clientID, ClientSecret: clientSecret,
		Scopes:      []string{"user-read-email"},
		AuthURL:     "https://accounts.spotify.com/authorize",
		TokenURL:    "https://accounts.spotify.com/api/token",
		UserInfoURL: "https://api.spotify.com/v1/me",
		BasicAuth:   true,
	}
}

// Keycloak is one realm of a server at baseURL.
func Keycloak(baseURL, realm, clientID, clientSecret string) Provider {
	return OIDC("keycloak", strings.TrimSuffix(baseURL, "/")+"/realms/"+url.PathEscape(realm), clientID, clientSecret)
}
