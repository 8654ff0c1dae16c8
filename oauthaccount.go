package usher

import (
	"context"
	"time"
)

// OAuthAccount is an account at a provider with which a user can sign in.
type OAuthAccount struct {
	ID        string
	UserID    ID
	Provider  string // by its name in the configuration
	AccountID string // the provider's own, stable id (OpenID Connect: sub)
	Email     string // as the provider gave it
	// AccessToken and RefreshToken are the provider's, sealed with a key that the
	// store does not have; nil if there are none.
	AccessToken, RefreshToken []byte
	ExpiresAt                 time.Time // of the access token; zero: unknown
	CreatedAt, UpdatedAt      time.Time
}

// OAuthAccountStore keeps the links between users and accounts at providers.
type OAuthAccountStore interface {
	// OAuthAccount returns the account of this id at this provider. The error is
	// ErrNotFound.
	OAuthAccount(ctx context.Context, provider, accountID string) (OAuthAccount, error)
	// OAuthAccounts returns a user's accounts, oldest first.
	OAuthAccounts(ctx context.Context, user ID) ([]OAuthAccount, error)
	// LinkOAuthAccount stores a new account and sets its ID, CreatedAt and
	// UpdatedAt. The error is ErrOAuthAccountTaken when the provider's account
	// is linked already, to whomever, and ErrNotFound when the user is gone.
	LinkOAuthAccount(ctx context.Context, account *OAuthAccount) error
	// UpdateOAuthAccount writes Email, the tokens and ExpiresAt. The error is
	// ErrNotFound.
	UpdateOAuthAccount(ctx context.Context, account OAuthAccount) error
	// UnlinkOAuthAccount deletes one account of the user. The error is ErrNotFound.
	UnlinkOAuthAccount(ctx context.Context, user ID, id string) error
}
