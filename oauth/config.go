package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"time"

	"usher"
)

// Config is what an application decides. Providers, Backend, Accounts, OneTime,
// Secret and BaseURL are needed.
type Config[U any] struct {
	Providers []Provider
	// Backend names the backend that signs in. A program with several has one
	// OAuth for each, with another Path.
	Backend string
	// Accounts should be the Store of the Auth: then a user and the account that he
	// was created with, or claimed by, are stored in one transaction, and a reset of
	// the password can unlink what was linked before the address was proved.
	Accounts usher.OAuthAccountStore
	OneTime  usher.OneTimeStore // remembers used states
	// Secret signs the states, and PKCE verifiers and nonces are derived from it.
	// It needs 32 bytes from a random source.
	Secret []byte
	// EncryptionKeys seal the providers' tokens: the first seals, all open. None
	// means that the providers' tokens are not stored.
	EncryptionKeys []Key

	// BaseURL is where browsers reach the program, such as
	// "https://app.example.com". It is never taken from a request.
	BaseURL string
	// Path is where the routes to sign in are; empty means "/auth".
	// AssociatePath is where those to link are; empty means Path + "/associate".
	// AccountsPath is where users see what is linked; empty means
	// "/users/me/oauth-accounts". "-" leaves the routes out.
	Path, AssociatePath, AccountsPath string
	// RedirectURLFunc decides where the provider sends the browser, instead of
	// BaseURL and the path of the callback. It gets the request of authorize and
	// that of the callback, and must say the same to both. One that believes the
	// Host header lets strangers choose.
	RedirectURLFunc func(*http.Request) string
	// RedirectTargets are the URLs besides paths of this site to which a callback
	// may redirect, compared exactly: "https://front.example.com/welcome".
	RedirectTargets []string

	// AssociateByEmail links an account to the user who has the same address, if
	// the provider says that the address is verified. See the table in the
	// package's comment.
	AssociateByEmail bool
	// NewUser fills in a user who is about to be created, for instance with a name
	// from identity.Claims. What it sets of usher.User is not kept.
	NewUser func(ctx context.Context, user *U, identity Identity) error

	// CookieName is that of the cookie which binds a state to its browser; empty
	// means "__Host-usher-oauth". FastAPI Users calls it "fastapiusersoauthcsrf".
	CookieName string
	// StateLifetime is how long a user may take at the provider; 0 means an hour.
	StateLifetime time.Duration
	// HTTPClient speaks to the providers; nil means http.DefaultClient. Its
	// redirects are not used, and what it reads is limited.
	HTTPClient *http.Client
	// ProviderTimeout is how long the providers may take in one request; 0 means 10 s.
	ProviderTimeout time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	// InsecureHTTP is for development: the cookie is sent over plain HTTP too, and
	// BaseURL and the providers may be http URLs. (http on the local host always
	// may.)
	InsecureHTTP bool
}

const (
	defaultCookieName   = "__Host-usher-oauth"
	insecureCookieName  = "usher-oauth"
	defaultPath         = "/auth"
	defaultAccountsPath = "/users/me/oauth-accounts"
	noRoutes            = "-"
)

func (c Config[U]) withDefaults() Config[U] {
	if c.Path == "" {
		c.Path = defaultPath
	}
	if c.AssociatePath == "" {
		c.AssociatePath = strings.TrimSuffix(c.Path, noRoutes) + "/associate"
	}
	if c.AccountsPath == "" {
		c.AccountsPath = defaultAccountsPath
	}
	if c.CookieName == "" {
		c.CookieName = defaultCookieName
		if c.InsecureHTTP { // browsers refuse the prefix without Secure
			c.CookieName = insecureCookieName
		}
	}
	if c.StateLifetime == 0 {
		c.StateLifetime = time.Hour
	}
	if c.ProviderTimeout == 0 {
		c.ProviderTimeout = 10 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// validate returns every fault of a configuration with defaults, not only the first.
func (c Config[U]) validate(auth *usher.Auth[U]) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("oauth: "+format, args...)) }
	if auth == nil {
		fault("the Auth is nil")
	} else if _, known := auth.Backend(c.Backend); !known && c.Path != noRoutes {
		fault("no backend is named %q", c.Backend)
	}
	if c.Accounts == nil {
		fault("Accounts is nil")
	}
	if c.OneTime == nil {
		fault("OneTime is nil")
	}
	if err := usher.CheckSecret(c.Secret); err != nil {
		fault("Secret: %w", err)
	}
	if err := checkKeys(c.EncryptionKeys); err != nil {
		fault("EncryptionKeys: %w", err)
	}
	for name, p := range map[string]string{"Path": c.Path, "AssociatePath": c.AssociatePath, "AccountsPath": c.AccountsPath} {
		if p != noRoutes && !isRoutePath(p) {
			fault("%s %q is not a path like /auth", name, p)
		}
	}
	if c.Path == c.AssociatePath && c.Path != noRoutes {
		fault("Path and AssociatePath are both %q", c.Path)
	}
	if c.BaseURL != "" {
		if u, err := checkURL(c.BaseURL, c.InsecureHTTP); err != nil {
			fault("BaseURL: %w", err)
		} else if u.RawQuery != "" || strings.HasSuffix(u.Path, "/") {
			fault("BaseURL %q has a query or a slash at its end", c.BaseURL)
		}
	}
	for _, target := range c.RedirectTargets {
		if _, err := checkURL(target, c.InsecureHTTP); err != nil {
			fault("RedirectTargets: %w", err)
		}
	}
	if c.StateLifetime < 0 || c.ProviderTimeout < 0 {
		fault("StateLifetime or ProviderTimeout is negative")
	}
	if err := c.csrfCookie("x").Valid(); err != nil {
		fault("CookieName %q: %w", c.CookieName, err)
	}
	if lower := strings.ToLower(c.CookieName); c.InsecureHTTP && (strings.HasPrefix(lower, "__host-") || strings.HasPrefix(lower, "__secure-")) {
		fault("CookieName %q needs Secure, which InsecureHTTP leaves out", c.CookieName)
	}
	return errors.Join(append(faults, c.validateProviders()...)...)
}

func (c Config[U]) validateProviders() (faults []error) {
	if len(c.Providers) == 0 {
		faults = append(faults, errors.New("oauth: no Providers"))
	}
	seen := map[string]bool{}
	for _, p := range c.Providers {
		if seen[p.Name] {
			faults = append(faults, fmt.Errorf("oauth: two providers are named %q", p.Name))
		}
		seen[p.Name] = true
		for _, err := range p.faults(c.InsecureHTTP) {
			faults = append(faults, fmt.Errorf("oauth: provider %q: %w", p.Name, err))
		}
		if c.BaseURL == "" && c.RedirectURLFunc == nil && p.RedirectURL == "" {
			faults = append(faults, fmt.Errorf("oauth: provider %q: without BaseURL it needs a RedirectURL", p.Name))
		}
	}
	return faults
}

var routePath = regexp.MustCompile(`^(/[A-Za-z0-9._~-]+)+$`)

func isRoutePath(p string) bool { return routePath.MatchString(p) && path.Clean(p) == p }

// checkURL reads an absolute URL without user or fragment. It is https, or http on
// the local host, or anywhere if insecure.
func checkURL(text string, insecure bool) (*url.URL, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || u.User != nil || strings.Contains(text, "#"):
		return nil, fmt.Errorf("%q is not an absolute https URL without user and fragment", text)
	case u.Scheme == "http" && !insecure && !isLocal(u.Hostname()):
		return nil, fmt.Errorf("%q is not https; InsecureHTTP allows it", text)
	}
	return u, nil
}

func isLocal(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

func (c Config[U]) csrfCookie(value string) *http.Cookie {
	return &http.Cookie{
		Name: c.CookieName, Value: value, Path: "/", MaxAge: max(int(c.StateLifetime/time.Second), 1),
		HttpOnly: true, Secure: !c.InsecureHTTP, SameSite: http.SameSiteLaxMode,
	}
}
