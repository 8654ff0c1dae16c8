package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"time"

	"golang.org/x/oauth2"
)

// Provider describes a provider of accounts. With an Issuer it speaks OpenID
// Connect: the endpoints are discovered and the identity comes from the ID token.
// Else it speaks OAuth 2.0 only and the identity is what UserInfoURL answers.
//
// The functions of this package that return providers fill in what is known;
// fields may be changed before New.
type Provider struct {
	// Name is in the routes and in the store: a name that has accounts must stay.
	Name         string
	ClientID     string
	ClientSecret string
	// MakeSecret makes the client secret for each request, in place of
	// ClientSecret, for providers that want it signed (Apple).
	MakeSecret func(now time.Time) (string, error)
	// Scopes are asked for unless a request of authorize names others. With an
	// Issuer, "openid" is always among them.
	Scopes []string

	Issuer string // of OpenID Connect, exactly as the provider spells it

	AuthURL, TokenURL, UserInfoURL string // without an Issuer
	// IDField, EmailField and VerifiedField are the members of the user info that
	// hold the account's stable id, the address, and whether the provider has
	// verified it; empty means "id", "email", and: it never has. EmailField may be
	// several names with spaces between them: the first that has an address counts.
	IDField, EmailField, VerifiedField string
	// EmailsURL, if not empty, answers with a list of {email, primary, verified}
	// of which the primary one counts, in place of EmailField (GitHub).
	EmailsURL string

	// BasicAuth sends the client secret in the Authorization header and not in the
	// form. With an Issuer it is discovered.
	BasicAuth bool
	// Params are added to the URL to which the browser is sent.
	Params map[string]string
	// FormPost: the provider sends the browser back with a POST (Apple).
	FormPost bool
	// RedirectURL is where the provider sends the browser, in place of BaseURL and
	// the path of the callback: a page of the front end that passes its query on.
	RedirectURL string

	// TrustEmail takes every address that the provider gives as verified. Set it
	// only for a provider whose addresses you manage.
	TrustEmail bool
	// InsecureNoPKCE leaves PKCE out, for providers that refuse its parameters.
	InsecureNoPKCE bool
}

// Identity is an account at a provider as the provider describes it.
type Identity struct {
	Provider      string
	AccountID     string // never changes, and belongs to nobody else
	Email         string // empty: none, or none that is valid
	EmailVerified bool
	// Claims are those of the ID token or the user info. The provider vouches for
	// them as far as it does; for everything but the id that may be not at all.
	Claims json.RawMessage
}

var providerName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// ownParams are those of the authorization URL that usher sets.
var ownParams = []string{
	"response_type", "client_id", "redirect_uri", "state", "scope",
	"code_challenge", "code_challenge_method", "nonce", "response_mode",
}

func (p Provider) faults(insecure bool) (faults []error) {
	if !providerName.MatchString(p.Name) {
		faults = append(faults, fmt.Errorf("the name is not of the form %s", providerName))
	}
	if p.ClientID == "" {
		faults = append(faults, errors.New("ClientID is empty"))
	}
	if (p.ClientSecret == "") == (p.MakeSecret == nil) {
		faults = append(faults, errors.New("it needs either ClientSecret or MakeSecret"))
	}
	urls := map[string]string{"AuthURL": p.AuthURL, "TokenURL": p.TokenURL, "UserInfoURL": p.UserInfoURL}
	if p.Issuer != "" {
		for name, u := range urls {
			if u != "" {
				faults = append(faults, fmt.Errorf("%s is discovered from the Issuer", name))
			}
		}
		urls = map[string]string{"Issuer": p.Issuer}
	}
	if p.EmailsURL != "" {
		urls["EmailsURL"] = p.EmailsURL
	}
	if p.RedirectURL != "" {
		urls["RedirectURL"] = p.RedirectURL
	}
	for name, u := range urls {
		if _, err := checkURL(u, insecure); err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		}
	}
	for name := range p.Params {
		if slices.Contains(ownParams, name) {
			faults = append(faults, fmt.Errorf("the parameter %s is not yours to set", name))
		}
	}
	return faults
}

// provider is a Provider at work.
type provider struct {
	Provider
	client    *http.Client
	now       func() time.Time
	discovery *discovery // nil without an Issuer
}

// endpoints are where a provider is spoken to.
type endpoints struct {
	auth, token string
	basicAuth   bool
	issuer      *issuer // nil for plain OAuth 2.0
}

func (p *provider) endpoints(ctx context.Context) (endpoints, error) {
	if p.discovery == nil {
		return endpoints{auth: p.AuthURL, token: p.TokenURL, basicAuth: p.BasicAuth}, nil
	}
	iss, err := p.discovery.get(ctx)
	if err != nil {
		return endpoints{}, err
	}
	return endpoints{auth: iss.AuthURL, token: iss.TokenURL, basicAuth: iss.basicAuth, issuer: iss}, nil
}

func (p *provider) scopes(wanted []string) []string {
	scopes := p.Scopes
	if len(wanted) > 0 {
		scopes = wanted
	}
	if p.Issuer != "" && !slices.Contains(scopes, "openid") {
		scopes = append([]string{"openid"}, slices.DeleteFunc(slices.Clone(scopes), func(s string) bool { return s == "" })...)
	}
	return scopes
}

// oauth2Config is what the oauth2 package needs to speak to the token endpoint.
func (p *provider) oauth2Config(e endpoints, redirectURL string) (*oauth2.Config, error) {
	secret := p.ClientSecret
	if p.MakeSecret != nil {
		var err error
		if secret, err = p.MakeSecret(p.now()); err != nil {
			return nil, fmt.Errorf("client secret: %w", err)
		}
	}
	style := oauth2.AuthStyleInParams
	if e.basicAuth {
		style = oauth2.AuthStyleInHeader
	}
	return &oauth2.Config{
		ClientID: p.ClientID, ClientSecret: secret, RedirectURL: redirectURL,
		Endpoint: oauth2.Endpoint{TokenURL: e.token, AuthStyle: style},
	}, nil
}
