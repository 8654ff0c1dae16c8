package usher

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"reflect"
	"regexp"
	"time"

	"usher/password"
)

// Config is what an application decides. Only Store and Backends are needed.
type Config[U any] struct {
	Store UserStore[U]
	// Secret signs the links that are mailed: to verify an address and to reset
	// a password. It needs 32 bytes from a random source. Without it there are
	// no such links.
	Secret []byte
	// VerifySecret and ResetSecret are the secrets that FastAPI Users signed its
	// links with (verification_token_secret, reset_password_token_secret). With
	// them, links that it has mailed keep working, and usher signs with them too.
	VerifySecret, ResetSecret []byte
	// VerifyLifetime and ResetLifetime are how long the links live; 0 means an
	// hour.
	VerifyLifetime, ResetLifetime time.Duration
	// FastAPIUsersResetTokens makes reset links that FastAPI Users accepts too,
	// for a move that may have to be taken back. Each costs a password hash.
	FastAPIUsersResetTokens bool
	// Backends are tried in this order on each request.
	Backends []Backend
	// EnabledBackends names the backends that may authenticate a request; nil
	// means all of them, always. Logging in is possible through every backend.
	EnabledBackends func(*http.Request) []string

	// Passwords hashes and verifies passwords. It holds the gate that bounds
	// how much is hashed at once, so several Auths of one program share one.
	// Nil means password.New with its defaults.
	Passwords *password.Hasher
	// PasswordPolicy judges new passwords.
	PasswordPolicy PasswordPolicy
	// InsecureUpdateWithoutPassword lets a user change his password and e-mail
	// address without proving the current password, as FastAPI Users does: who
	// finds an open browser can then take the account.
	InsecureUpdateWithoutPassword bool

	// InsecureKeepSessions lets all sessions and JWTs live on when a password is
	// changed, also those of whoever knew the old one.
	InsecureKeepSessions bool

	// Registration says who may register; the zero value: everybody.
	Registration Registration
	// Breached looks a new password up among those that leaked (see
	// usher/password/breach). A password is refused only if it answers true within
	// two seconds: what cannot be known refuses nobody.
	Breached interface {
		Breached(ctx context.Context, password string) (bool, error)
	}

	// Outbox keeps the mails to users until a worker of usher/mail delivers them;
	// a store of usher/sqlstore is one. Without it usher sends no mail, and the
	// hooks AfterRequestVerify and AfterForgotPassword have to.
	Outbox Outbox
	// DeadMailLifetime is how long Sweep leaves mails in the Outbox that were given
	// up, for operators to see; 0 means 30 days.
	DeadMailLifetime time.Duration
	// MailNewSignIn tells users of every sign-in.
	MailNewSignIn bool
	// MailLanguage is the language that a user's mails are in, such as de or pt-BR, if
	// there are templates in it; nil or "" means that of the worker's configuration.
	MailLanguage func(user *U) string
	// InsecureUnconfirmedEmailChange lets a new address take effect at once, as in
	// FastAPI Users. Otherwise, with an Outbox, it does when a link that is mailed
	// to it was followed.
	InsecureUnconfirmedEmailChange bool

	// RequireVerified keeps users out, with a 403 or LOGIN_USER_NOT_VERIFIED,
	// until their e-mail address is verified.
	RequireVerified bool

	// TrustedOrigins may send state-changing requests with cookies from other
	// origins: "https://app.example.com", compared exactly.
	TrustedOrigins []string

	// SetFields sets the fields of U whose rights no tag can say, such as those of
	// a map whose members the program knows only when it runs. It gets what a
	// request has sent and returns what is wrong with it, which must not depend on
	// user; what may not be set it ignores. It is called again for a user that
	// somebody else has changed meanwhile, and must not change what user's fields
	// refer to. AfterUpdate does not name what it sets.
	SetFields func(user *U, sent Sent) []FieldError

	Hooks Hooks[U]

	// OnError answers a request that was refused, instead of the JSON that
	// FastAPI Users' clients know. WWW-Authenticate and Retry-After are set.
	OnError func(w http.ResponseWriter, r *http.Request, err *Error)
	// ClientIP tells where a request comes from; nil means the connection's
	// address. Behind a proxy read the header that this proxy sets, and no other.
	ClientIP func(*http.Request) string
	// MaxBodyBytes is the largest request body that is read; 0 means 64 KiB.
	MaxBodyBytes int64
	// BodyTimeout is how long a client may take to send a body; 0 means 10 s.
	BodyTimeout time.Duration
	// RequestTimeout is how long usher's own routes may take, with the hooks they
	// call: then their context ends, and what is not done is answered 503. 0 means
	// 10 s. How long it takes to know who a request is of, in Require and GET
	// /users/me, the stores bound: ours to 5 s for each look-up.
	RequestTimeout time.Duration
	// Logger gets every event and every failure, never a secret; nil means
	// slog.Default().
	Logger *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

func (c Config[U]) withDefaults() (Config[U], error) {
	if c.Passwords == nil {
		hasher, err := password.New(password.Config{})
		if err != nil {
			return c, err
		}
		c.Passwords = hasher
	}
	for purpose, secret := range map[string]*[]byte{audienceVerify: &c.VerifySecret, audienceReset: &c.ResetSecret} {
		if len(*secret) == 0 && len(c.Secret) > 0 {
			derived, err := hkdf.Key(sha256.New, c.Secret, nil, purpose, minSecret)
			if err != nil {
				return c, err
			}
			*secret = derived
		}
	}
	if c.VerifyLifetime == 0 {
		c.VerifyLifetime = time.Hour
	}
	if c.ResetLifetime == 0 {
		c.ResetLifetime = time.Hour
	}
	if c.DeadMailLifetime == 0 {
		c.DeadMailLifetime = 30 * 24 * time.Hour
	}
	if c.ClientIP == nil {
		c.ClientIP = remoteIP
	}
	if c.MaxBodyBytes == 0 {
		c.MaxBodyBytes = 64 << 10
	}
	if c.BodyTimeout == 0 {
		c.BodyTimeout = 10 * time.Second
	}
	if c.RequestTimeout == 0 {
		c.RequestTimeout = 10 * time.Second
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return c, nil
}

func (c Config[U]) now() time.Time {
	if c.Now != nil {
		return c.Now()
	}
	return time.Now()
}

var backendName = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]*$`)

// validate returns every fault, not only the first.
func (c Config[U]) validate() error {
	var faults []error
	if isNil(c.Store) {
		faults = append(faults, errors.New("usher: Store is nil"))
	}
	if len(c.Backends) == 0 {
		faults = append(faults, errors.New("usher: no Backends"))
	}
	seen := map[string]bool{}
	for i, b := range c.Backends {
		if !backendName.MatchString(b.Name) {
			faults = append(faults, fmt.Errorf("usher: backend %d: the name %q is not of the form %s", i, b.Name, backendName))
		}
		if seen[b.Name] {
			faults = append(faults, fmt.Errorf("usher: two backends are named %q", b.Name))
		}
		seen[b.Name] = true
		if isNil(b.Transport) {
			faults = append(faults, fmt.Errorf("usher: backend %q has no Transport", b.Name))
		} else if err := validate(b.Transport); err != nil {
			faults = append(faults, fmt.Errorf("usher: backend %q: %w", b.Name, err))
		}
		if isNil(b.Strategy) {
			faults = append(faults, fmt.Errorf("usher: backend %q has no Strategy", b.Name))
		} else if err := validate(b.Strategy); err != nil {
			faults = append(faults, fmt.Errorf("usher: backend %q: %w", b.Name, err))
		}
	}
	for name, secret := range map[string][]byte{"Secret": c.Secret, "VerifySecret": c.VerifySecret, "ResetSecret": c.ResetSecret} {
		if err := checkSecret(secret); len(secret) > 0 && err != nil {
			faults = append(faults, fmt.Errorf("usher: %s: %w", name, err))
		}
	}
	if c.Outbox != nil && len(c.Secret) == 0 && (len(c.VerifySecret) == 0 || len(c.ResetSecret) == 0) {
		faults = append(faults, errors.New("usher: an Outbox needs a Secret to sign the links"))
	}
	for _, domain := range c.Registration.Domains {
		if _, _, err := parseDomain(domain); err != nil {
			faults = append(faults, fmt.Errorf("usher: Registration.Domains: %q: %w", domain, err))
		}
	}
	if c.Registration.HideExistingAccounts && c.Outbox == nil {
		faults = append(faults, errors.New("usher: HideExistingAccounts needs an Outbox"))
	}
	if c.VerifyLifetime < 0 || c.ResetLifetime < 0 {
		faults = append(faults, errors.New("usher: VerifyLifetime or ResetLifetime is negative"))
	}
	if c.DeadMailLifetime < 0 {
		faults = append(faults, errors.New("usher: DeadMailLifetime is negative"))
	}
	if c.MaxBodyBytes < 0 {
		faults = append(faults, errors.New("usher: MaxBodyBytes is negative"))
	}
	if c.BodyTimeout < 0 {
		faults = append(faults, errors.New("usher: BodyTimeout is negative"))
	}
	if c.RequestTimeout < 0 {
		faults = append(faults, errors.New("usher: RequestTimeout is negative"))
	}
	if err := c.PasswordPolicy.validate(); err != nil {
		faults = append(faults, err)
	}
	origins := http.NewCrossOriginProtection()
	for _, origin := range c.TrustedOrigins {
		if err := origins.AddTrustedOrigin(origin); err != nil {
			faults = append(faults, fmt.Errorf("usher: trusted origin: %w", err))
		}
	}
	return errors.Join(faults...)
}

// isNil also knows the nil pointer in an interface: what a constructor returned
// whose error nobody looked at.
func isNil(part any) bool {
	v := reflect.ValueOf(part)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}

func remoteIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
