package usher

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"usher/password"
)

// PasswordPolicy says which new passwords are good enough. There are no rules
// of composition: NIST SP 800-63B-4 §3.1.1.2 advises against them.
type PasswordPolicy struct {
	// MinLength is counted in code points; 0 means 8. NIST asks for 15 where the
	// password is all there is to sign in with.
	MinLength int
	// InsecureAllowCommon permits the 10 000 most common passwords, which are what
	// attackers try first.
	InsecureAllowCommon bool
	// MaxBytes bounds the work that a long password makes; 0 means 1024, which
	// is also the most.
	MaxBytes int
}

const (
	defaultMinPassword = 8
	maxPasswordBytes   = 1024
)

func (p PasswordPolicy) validate() error {
	if p.MinLength < 0 || p.MaxBytes < 0 || p.MaxBytes > maxPasswordBytes || p.max() < 64 || p.min() > p.max() {
		return fmt.Errorf("usher: PasswordPolicy: MinLength %d and MaxBytes %d do not go together, or MaxBytes is not within 64 and %d", p.MinLength, p.MaxBytes, maxPasswordBytes)
	}
	return nil
}

func (p PasswordPolicy) min() int {
	if p.MinLength == 0 {
		return defaultMinPassword
	}
	return p.MinLength
}

func (p PasswordPolicy) max() int {
	if p.MaxBytes == 0 {
		return maxPasswordBytes
	}
	return p.MaxBytes
}

// check judges a password for the user with this address. The texts are those
// of FastAPI Users' documentation.
func (p PasswordPolicy) check(secret, email string) error {
	switch {
	case utf8.RuneCountInString(secret) < p.min():
		return InvalidPassword(fmt.Sprintf("Password should be at least %d characters", p.min()))
	case len(secret) > p.max():
		return InvalidPassword(fmt.Sprintf("Password should be at most %d bytes", p.max()))
	case email != "" && strings.Contains(strings.ToLower(secret), strings.ToLower(email)):
		return InvalidPassword("Password should not contain e-mail")
	case !p.InsecureAllowCommon && password.IsCommon(secret):
		return InvalidPassword("Password is one of the most common ones")
	}
	return nil
}

type invalidPassword struct{ reason string }

func (e *invalidPassword) Error() string { return "usher: invalid password: " + e.reason }

// InvalidPassword is the error with which the hook ValidatePassword refuses a
// password. The client is told the reason.
func InvalidPassword(reason string) error { return &invalidPassword{reason} }

// checkPassword applies the policy and the hook. code is the flow's own:
// REGISTER_INVALID_PASSWORD, UPDATE_USER_INVALID_PASSWORD, ….
func (a *Auth[U]) checkPassword(ctx context.Context, user *U, secret, code string) error {
	err := a.config.PasswordPolicy.check(secret, a.fields.Base(user).Email)
	if err == nil && a.hasLeaked(ctx, secret) {
		err = InvalidPassword("Password is known from a data breach")
	}
	if hook := a.config.Hooks.ValidatePassword; err == nil && hook != nil {
		err = before("ValidatePassword", func() error { return hook(ctx, user, secret) })
	}
	var invalid *invalidPassword
	if errors.As(err, &invalid) {
		return &Error{Status: 400, Code: code, Reason: invalid.reason}
	}
	return err
}

// hasLeaked asks Config.Breached, and takes no answer in time for a no.
func (a *Auth[U]) hasLeaked(ctx context.Context, secret string) bool {
	if a.config.Breached == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	var leaked bool
	done := make(chan error, 1)
	go func() { // it may not care about ctx
		done <- before("Breached", func() (err error) { leaked, err = a.config.Breached.Breached(ctx, secret); return err })
	}()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		a.config.Logger.Warn("usher: breach check of a password", "error", err)
	}
	return err == nil && leaked
}
