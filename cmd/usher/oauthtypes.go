package main

import (
	"errors"
	"fmt"
	"strings"

	"usher/oauth"
)

// providerTypes are the providers that need nothing but a client.
var providerTypes = map[string]func(clientID, clientSecret string) oauth.Provider{
	"google": oauth.Google, "github": oauth.GitHub, "gitlab": oauth.GitLab, "discord": oauth.Discord, "facebook": oauth.Facebook,
	"linkedin": oauth.LinkedIn, "slack": oauth.Slack, "twitch": oauth.Twitch, "spotify": oauth.Spotify,
}

const allTypes = "oidc, oauth2, apple, discord, facebook, github, gitlab, google, keycloak, linkedin, microsoft, slack, spotify, twitch"

// ofType returns the provider that the type makes, and which keys the type has of
// its own; nil for a type that is none.
func (p ProviderConfig) ofType(secret string) (made oauth.Provider, own map[string]bool, err error) {
	keys := func(names string) {
		own = map[string]bool{}
		for _, name := range strings.Fields(names) {
			own[name] = true
		}
	}
	if known, ok := providerTypes[p.Type]; ok {
		return known(p.ClientID, secret), map[string]bool{}, nil
	}
	var faults []error
	need := func(key, value string) {
		if value == "" {
			faults = append(faults, fmt.Errorf("%s: is missing", key))
		}
	}
	switch p.Type {
	case "oidc":
		keys("issuer")
		made = oauth.OIDC("", p.Issuer, p.ClientID, secret)
		if p.Issuer == "" {
			need("issuer", "")
			made.Issuer = "https://example.com"
		}
	case "oauth2":
		keys("auth_url token_url user_info_url emails_url id_field email_field verified_field basic_auth")
		made = oauth.Provider{
			ClientID: p.ClientID, ClientSecret: secret, AuthURL: p.AuthURL, TokenURL: p.TokenURL, UserInfoURL: p.UserInfoURL,
			EmailsURL: p.EmailsURL, IDField: p.IDField, EmailField: p.EmailField, VerifiedField: p.VerifiedField, BasicAuth: p.BasicAuth,
		}
	case "microsoft":
		keys("tenant")
		made = oauth.Microsoft(p.Tenant, p.ClientID, secret)
		need("tenant", p.Tenant)
	case "keycloak":
		keys("base_url realm")
		made = oauth.Keycloak(p.BaseURL, p.Realm, p.ClientID, secret)
		need("base_url", p.BaseURL)
		need("realm", p.Realm)
	case "apple":
		keys("team_id key_id key_file")
		need("team_id", p.TeamID)
		need("key_id", p.KeyID)
		made, err = p.apple()
		faults = append(faults, err)
	default:
		return oauth.OIDC("", "https://example.com", p.ClientID, secret), nil, fmt.Errorf("type: %q is none of %s", p.Type, allTypes)
	}
	return made, own, errors.Join(faults...)
}

// typed tells which keys are given that only some types have.
func (p ProviderConfig) typed() map[string]bool {
	return map[string]bool{
		"issuer": p.Issuer != "", "auth_url": p.AuthURL != "", "token_url": p.TokenURL != "", "user_info_url": p.UserInfoURL != "",
		"emails_url": p.EmailsURL != "", "id_field": p.IDField != "", "email_field": p.EmailField != "",
		"verified_field": p.VerifiedField != "", "basic_auth": p.BasicAuth, "tenant": p.Tenant != "", "base_url": p.BaseURL != "",
		"realm": p.Realm != "", "team_id": p.TeamID != "", "key_id": p.KeyID != "", "key_file": p.KeyFile != "",
	}
}
