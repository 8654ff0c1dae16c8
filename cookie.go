package usher

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Cookie is the transport of a cookie. The zero value is the safe one: a
// __Host- name, Secure, HttpOnly, SameSite=Lax, Path=/, and it expires with its
// token. Browsers accept Secure cookies from http://localhost and
// http://127.0.0.1 too.
type Cookie struct {
	Name     string        // "" means __Host-usher
	MaxAge   time.Duration // 0 means as long as the token; negative: until the browser closes
	Path     string        // "" means /
	Domain   string        // "" means this host only
	SameSite http.SameSite // 0 means Lax

	// InsecureHTTP leaves out Secure, so that the cookie also travels over plain
	// HTTP where everybody on the way can read it. For development only.
	InsecureHTTP bool
	// InsecureScriptAccess leaves out HttpOnly, so that any script on the page
	// can read the token.
	InsecureScriptAccess bool
}

// maxCookieSize is what every browser keeps (RFC 6265 §6.1).
const maxCookieSize = 4096

// Validate reports attributes that browsers refuse together. New calls it.
func (c Cookie) Validate() error {
	var faults []error
	name := c.name()
	if err := (&http.Cookie{Name: name, Value: "x", Path: c.path(), Domain: c.Domain}).Valid(); err != nil {
		faults = append(faults, fmt.Errorf("Cookie %q: %w", name, err))
	}
	// Browsers know the prefixes in any case.
	lower := strings.ToLower(name)
	if strings.HasPrefix(lower, "__host-") && (c.InsecureHTTP || c.Domain != "" || c.path() != "/") {
		faults = append(faults, fmt.Errorf("Cookie %q: a __Host- name needs Secure, Path=/ and no Domain (RFC 6265bis §4.1.3.2)", name))
	}
	if strings.HasPrefix(lower, "__secure-") && c.InsecureHTTP {
		faults = append(faults, fmt.Errorf("Cookie %q: a __Secure- name needs Secure (RFC 6265bis §4.1.3.1)", name))
	}
	if c.SameSite == http.SameSiteNoneMode && c.InsecureHTTP {
		faults = append(faults, fmt.Errorf("Cookie %q: SameSite=None needs Secure", name))
	}
	if c.SameSite < 0 || c.SameSite > http.SameSiteNoneMode {
		faults = append(faults, fmt.Errorf("Cookie %q: there is no SameSite mode %d", name, c.SameSite))
	}
	return errors.Join(faults...)
}

// Token returns the cookie's value. Where the name occurs more than once the
// last one counts, as in FastAPI Users.
func (c Cookie) Token(r *http.Request) (string, bool) {
	cookies := r.CookiesNamed(c.name())
	if len(cookies) == 0 {
		return "", false
	}
	token := strings.TrimSpace(cookies[len(cookies)-1].Value)
	return token, token != ""
}

// WriteLogin sets the cookie and answers 204.
func (c Cookie) WriteLogin(w http.ResponseWriter, _ *http.Request, token string, a Authentication) error {
	cookie := c.cookie(token)
	switch { // never 0, which for http.Cookie is no Max-Age at all
	case c.MaxAge > 0:
		cookie.MaxAge = max(int(c.MaxAge/time.Second), 1)
	case c.MaxAge == 0 && !a.ExpiresAt.IsZero():
		cookie.MaxAge = max(int(a.ExpiresAt.Sub(a.IssuedAt).Round(time.Second)/time.Second), 1)
	}
	if err := cookie.Valid(); err != nil { // http.SetCookie would leave out what it does not like
		return fmt.Errorf("usher: cookie %s: %w", cookie.Name, err)
	}
	if len(cookie.Name)+len(cookie.Value) > maxCookieSize {
		return fmt.Errorf("usher: cookie %s: the token makes it %d bytes long, browsers keep %d", cookie.Name, len(cookie.Name)+len(cookie.Value), maxCookieSize)
	}
	http.SetCookie(w, cookie)
	writeNoContent(w)
	return nil
}

// WriteLogout makes the browser forget the cookie and answers 204.
func (c Cookie) WriteLogout(w http.ResponseWriter, _ *http.Request) error {
	cookie := c.cookie("")
	cookie.MaxAge = -1
	http.SetCookie(w, cookie)
	writeNoContent(w)
	return nil
}

// Ambient is true: browsers send cookies by themselves, also with requests that
// another site caused.
func (Cookie) Ambient() bool { return true }

func (c Cookie) cookie(value string) *http.Cookie {
	sameSite := c.SameSite
	if sameSite == 0 || sameSite == http.SameSiteDefaultMode { // which would leave it to the browser
		sameSite = http.SameSiteLaxMode
	}
	return &http.Cookie{
		Name: c.name(), Value: value, Path: c.path(), Domain: c.Domain,
		Secure: !c.InsecureHTTP, HttpOnly: !c.InsecureScriptAccess, SameSite: sameSite,
	}
}

func (c Cookie) name() string {
	if c.Name == "" {
		return "__Host-usher"
	}
	return c.Name
}

func (c Cookie) path() string {
	if c.Path == "" {
		return "/"
	}
	return c.Path
}
