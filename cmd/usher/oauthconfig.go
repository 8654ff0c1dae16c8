package main

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"usher"
	"usher/oauth"
)

// OAuthConfig says with which providers' accounts users can sign in.
type OAuthConfig struct {
	BaseURL          string           `yaml:"base_url"`
	Backend          string           `yaml:"backend"` // default: the first
	AssociateByEmail bool             `yaml:"associate_by_email"`
	RedirectURLs     []string         `yaml:"redirect_urls"`
	EncryptionKeys   []KeyConfig      `yaml:"encryption_keys"` // default: derived from the server's secret
	InsecureHTTP     bool             `yaml:"insecure_http"`
	Providers        []ProviderConfig `yaml:"providers"`
}

// ProviderConfig is a provider. Which keys there are besides the first ones
// depends on the type.
type ProviderConfig struct {
	Type             string            `yaml:"type"`
	Name             string            `yaml:"name"` // default: the type
	ClientID         string            `yaml:"client_id"`
	ClientSecretFile string            `yaml:"client_secret_file"` // or USHER_OAUTH_<NAME>_SECRET
	Scopes           []string          `yaml:"scopes"`
	Params           map[string]string `yaml:"params"`
	RedirectURL      string            `yaml:"redirect_url"`
	TrustEmail       bool              `yaml:"trust_email"`

	Issuer string `yaml:"issuer"` // oidc

	AuthURL        string `yaml:"auth_url"` // oauth2
	TokenURL       string `yaml:"token_url"`
	UserInfoURL    string `yaml:"user_info_url"`
	EmailsURL      string `yaml:"emails_url"`
	IDField        string `yaml:"id_field"`
	EmailField     string `yaml:"email_field"`
	VerifiedField  string `yaml:"verified_field"`
	BasicAuth      bool   `yaml:"basic_auth"`
	InsecureNoPKCE bool   `yaml:"insecure_no_pkce"`

	Tenant  string `yaml:"tenant"`   // microsoft
	BaseURL string `yaml:"base_url"` // keycloak
	Realm   string `yaml:"realm"`    // keycloak
	TeamID  string `yaml:"team_id"`  // apple
	KeyID   string `yaml:"key_id"`   // apple
	KeyFile string `yaml:"key_file"` // apple

	// ClientSecret is that of the environment.
	ClientSecret string `yaml:"-"`
}

// name is in the routes and in the environment.
func (p ProviderConfig) name() string {
	if p.Name == "" {
		return p.Type
	}
	return p.Name
}

// variable is where the environment may have the client secret.
func (p ProviderConfig) variable() string {
	return "USHER_OAUTH_" + strings.ToUpper(strings.ReplaceAll(p.name(), "-", "_")) + "_SECRET"
}

// oauthConfig returns the configuration of the package, and the faults of ours.
func (c Config) oauthConfig(secret []byte) (oauth.Config[User], []error) {
	var faults []error
	config := oauth.Config[User]{
		Backend: c.OAuth.Backend, BaseURL: c.OAuth.BaseURL, AssociateByEmail: c.OAuth.AssociateByEmail,
		RedirectTargets: c.OAuth.RedirectURLs, InsecureHTTP: c.OAuth.InsecureHTTP,
		Secret: derive(secret, "usher oauth state"), EncryptionKeys: []oauth.Key{{ID: "secret", Secret: derive(secret, "usher oauth tokens")}},
	}
	if len(c.OAuth.EncryptionKeys) > 0 {
		config.EncryptionKeys = nil
	}
	for i, k := range c.OAuth.EncryptionKeys {
		key, err := k.readAES()
		if err != nil {
			faults = append(faults, fmt.Errorf("oauth.encryption_keys[%d]: %w", i, err))
			key = derive(secret, fmt.Sprint("stand-in ", i)) // for the package to judge the rest
		}
		config.EncryptionKeys = append(config.EncryptionKeys, oauth.Key{ID: k.ID, Secret: key})
	}
	for i, p := range c.OAuth.Providers {
		provider, err := p.provider()
		if err != nil {
			for _, line := range strings.Split(err.Error(), "\n") {
				faults = append(faults, fmt.Errorf("oauth.providers[%d]: %s", i, line))
			}
		}
		config.Providers = append(config.Providers, provider)
	}
	return config, faults
}

// derive makes a key for one purpose of the server's secret.
func derive(secret []byte, purpose string) []byte {
	key, err := hkdf.Key(sha256.New, secret, nil, purpose, 32)
	if err != nil { // only where FIPS 140 forbids a secret that is shorter than any we take
		panic(err)
	}
	return key
}

// readAES reads 32 bytes in hexadecimal.
func (k KeyConfig) readAES() ([]byte, error) {
	if k.File == "" {
		return nil, errors.New("file is missing")
	}
	text, err := readPrivate(k.File)
	if err != nil {
		return nil, err
	}
	key, err := hex.DecodeString(string(text))
	if err != nil || len(key) != 32 {
		return nil, fmt.Errorf("%s: a key has 32 bytes, in hexadecimal: make one with `openssl rand -hex 32`", k.File)
	}
	return key, nil
}

// provider fills in what the type knows. A part with a fault is replaced by
// another, so that the package can judge the rest.
func (p ProviderConfig) provider() (oauth.Provider, error) {
	var faults []error
	secret := p.ClientSecret
	if secret == "" && p.ClientSecretFile != "" {
		text, err := readPrivate(p.ClientSecretFile)
		if err != nil {
			faults = append(faults, fmt.Errorf("client_secret_file: %w", err))
		}
		secret = string(text)
	}
	if secret == "" && p.Type != "apple" {
		if len(faults) == 0 {
			faults = append(faults, fmt.Errorf("client_secret_file: is missing, and so is %s", p.variable()))
		}
		secret = "stand-in"
	}
	made, own, err := p.ofType(secret)
	if err != nil {
		faults = append(faults, err)
	}
	given := p.typed()
	for _, key := range slices.Sorted(maps.Keys(given)) {
		if given[key] && !own[key] && own != nil {
			faults = append(faults, fmt.Errorf("%s: is not for the type %s", key, p.Type))
		}
	}
	made.Name = p.name()
	if len(p.Scopes) > 0 {
		made.Scopes = p.Scopes
	}
	if len(p.Params) > 0 {
		made.Params = p.Params
	}
	made.RedirectURL, made.TrustEmail = p.RedirectURL, p.TrustEmail
	made.InsecureNoPKCE = made.InsecureNoPKCE || p.InsecureNoPKCE
	return made, errors.Join(faults...)
}

// apple reads the key file that Apple gives out.
func (p ProviderConfig) apple() (oauth.Provider, error) {
	text, err := readPrivate(p.KeyFile)
	if err != nil {
		return oauth.OIDC("", "https://appleid.apple.com", p.ClientID, "stand-in"), fmt.Errorf("key_file: %w", err)
	}
	key, err := oauth.ParseAppleKey(text)
	if err != nil {
		return oauth.OIDC("", "https://appleid.apple.com", p.ClientID, "stand-in"), fmt.Errorf("key_file: %s: %w", p.KeyFile, err)
	}
	return oauth.Apple(p.ClientID, p.TeamID, p.KeyID, key), nil
}

// readSecrets takes the client secrets that the environment has.
func (o *OAuthConfig) readSecrets() {
	for i := range o.Providers {
		o.Providers[i].ClientSecret = os.Getenv(o.Providers[i].variable())
	}
}

// oauthWords are the names of the package in the words of the configuration.
var oauthWords = strings.NewReplacer(
	"oauth: ", "oauth: ", "BaseURL", "base_url", "RedirectTargets", "redirect_urls", "EncryptionKeys", "encryption_keys",
	"AssociateByEmail", "associate_by_email", "InsecureHTTP", "insecure_http", "ClientID", "client_id", "UserInfoURL", "user_info_url",
	"EmailsURL", "emails_url", "TokenURL", "token_url", "AuthURL", "auth_url", "RedirectURL", "redirect_url", "Issuer", "issuer",
)

// checkOAuth names every fault.
func (c Config) checkOAuth(secret []byte, s stores) error {
	if len(c.OAuth.Providers) == 0 {
		if c.OAuth.BaseURL != "" {
			return errors.New("oauth.providers: there are none")
		}
		return nil
	}
	config, faults := c.oauthConfig(secret)
	if !slices.ContainsFunc(c.Backends, func(b BackendConfig) bool { return b.Name == c.OAuth.Backend }) {
		faults = append(faults, fmt.Errorf("oauth.backend: no backend is named %q", c.OAuth.Backend))
	}
	config.Accounts, config.OneTime = struct{ usher.OAuthAccountStore }{}, struct{ usher.OneTimeStore }{}
	// The backends may have faults of their own: the rest is judged with another.
	config.Backend = "any"
	auth, err := usher.New(usher.Config[User]{Store: s.users, Backends: []usher.Backend{
		{Name: config.Backend, Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: s.database}},
	}})
	if err == nil {
		_, err = oauth.New(auth, config)
	}
	return errors.Join(append(faults, inWordsOf(oauthWords, err))...)
}
