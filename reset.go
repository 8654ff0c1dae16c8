package usher

import (
	"context"
	"errors"
	"strings"
)

// ForgotPassword makes a token that lets whoever reads the mail set a new
// password, if an active user has this address, and does the same work if not.
// The error is a *ValidationError for an address that is none, or a 503.
func (a *Auth[U]) ForgotPassword(ctx context.Context, address string) error {
	user, token, err := a.prepareMail(ctx, address, MailReset, a.resetToken, func(u *User) bool { return u.IsActive })
	e := Event{Kind: EventForgotPassword, Err: err}
	if user != nil {
		e.UserID = a.fields.Base(user).ID
		if hook := a.config.Hooks.AfterForgotPassword; hook != nil {
			a.after(ctx, "AfterForgotPassword", func(ctx context.Context) { hook(ctx, user, token) })
		}
	}
	a.emit(ctx, e)
	return err
}

// resetToken makes a token with FastAPI Users' claims. Its fingerprint of the
// password is an HMAC, or, for FastAPI Users to accept it, a hash of the hash.
func (a *Auth[U]) resetToken(ctx context.Context, u *User) (string, error) {
	secret := a.config.ResetSecret
	claims := jwtClaims{Subject: string(u.ID), Fingerprint: stateOf(secret, u)}
	if a.config.FastAPIUsersResetTokens {
		var err error
		if claims.Fingerprint, err = a.config.Passwords.Hash(ctx, u.HashedPassword); err != nil {
			return "", err
		}
	}
	return signOneTime(secret, audienceReset, a.config.ResetLifetime, a.config.now(), claims)
}

// ResetPassword sets a new password and ends the user's sessions. If nobody had
// proved the address before, whoever made the account may be somebody else, so the
// accounts at providers that Store keeps for it are unlinked. The error is
// ErrBadResetToken, or an *Error RESET_PASSWORD_INVALID_PASSWORD, after which
// the token is still good. Of several calls with one token exactly one succeeds.
func (a *Auth[U]) ResetPassword(ctx context.Context, token, password string) (user *U, err error) {
	defer func() {
		e := Event{Kind: EventResetPassword, Err: err}
		if user != nil {
			e.UserID = a.fields.Base(user).ID
		}
		a.emit(ctx, e)
	}()
	claims, err := a.parseOneTime(token, a.config.ResetSecret, audienceReset)
	if err != nil {
		return nil, badToken(ErrBadResetToken, err)
	}
	var hash string
	for range 5 { // a sign-in may bring the hash up to date between our read and our write
		old, err := a.config.Store.UserByID(ctx, ID(claims.Subject))
		if errors.Is(err, ErrNotFound) {
			return nil, ErrBadResetToken
		}
		if err != nil {
			return nil, unavailable(err)
		}
		base := a.fields.Base(old)
		good, err := a.goodFingerprint(ctx, claims.Fingerprint, base)
		if err != nil {
			return nil, unavailable(err)
		}
		if !good || !base.IsActive { // also if somebody else has used it meanwhile
			return nil, ErrBadResetToken
		}
		if hash == "" {
			if err := a.checkPassword(ctx, old, password, "RESET_PASSWORD_INVALID_PASSWORD"); err != nil {
				return nil, err
			}
			if hash, err = a.config.Passwords.Hash(ctx, password); err != nil {
				return nil, unavailable(err)
			}
		}
		changed := *old
		a.fields.Base(&changed).HashedPassword = hash
		if a.config.InsecureKeepSessions {
			endLinks(a.fields.Base(&changed))
		} else {
			endSignIns(a.fields.Base(&changed))
		}
		change := Change[U]{Password: &password}
		if accounts, ok := a.config.Store.(OAuthAccountStore); ok && !base.IsVerified {
			change.with = func(ctx context.Context) error { return a.UnlinkOAuthAccounts(ctx, accounts, old) }
		}
		err = a.commit(ctx, old, &changed, change)
		if errors.Is(err, ErrConflict) || errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, answer(err)
		}
		if hook := a.config.Hooks.AfterResetPassword; hook != nil {
			a.after(ctx, "AfterResetPassword", func(ctx context.Context) { hook(ctx, &changed) })
		}
		return &changed, nil
	}
	return nil, unavailable(ErrConflict)
}

// goodFingerprint accepts usher's fingerprints and FastAPI Users'.
func (a *Auth[U]) goodFingerprint(ctx context.Context, fingerprint string, u *User) (bool, error) {
	if strings.HasPrefix(fingerprint, statePrefix) {
		_, same := inState(jwtClaims{ID: fingerprint}, a.config.ResetSecret, u)
		return same, nil
	}
	if !strings.HasPrefix(fingerprint, "$argon2") {
		return false, nil
	}
	result, err := a.config.Passwords.Verify(ctx, fingerprint, u.HashedPassword)
	return result.OK, err
}
