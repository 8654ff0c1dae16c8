package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"usher"
)

// OAuthAccount implements usher.OAuthAccountStore.
func (s *Store[U]) OAuthAccount(ctx context.Context, provider, accountID string) (usher.OAuthAccount, error) {
	const doing = "read account at a provider"
	if foreign(accountID) != accountID {
		return usher.OAuthAccount{}, usher.ErrNotFound
	}
	ctx, leave, err := s.lookup(ctx)
	if err != nil {
		return usher.OAuthAccount{}, wrap(doing, err)
	}
	defer leave()
	var a usher.OAuthAccount
	switch err := s.readRow(ctx, &s.statements.oauthAccount, []any{provider, accountID}, oauthAccountTargets(&a)...); {
	case errors.Is(err, sql.ErrNoRows):
		return usher.OAuthAccount{}, usher.ErrNotFound
	case err != nil:
		return usher.OAuthAccount{}, wrap(doing, err)
	}
	return a, nil
}

// oauthAccountTargets is where a row with the columns of oauthAccountList goes.
func oauthAccountTargets(a *usher.OAuthAccount) []any {
	return []any{&a.ID, (*string)(&a.UserID), &a.Provider, &a.AccountID, &a.Email, &a.AccessToken, &a.RefreshToken,
		(*optionalTime)(&a.ExpiresAt), (*timeValue)(&a.CreatedAt), (*timeValue)(&a.UpdatedAt)}
}

// OAuthAccounts implements usher.OAuthAccountStore. It returns the oldest 1000.
func (s *Store[U]) OAuthAccounts(ctx context.Context, user usher.ID) ([]usher.OAuthAccount, error) {
	key, err := s.syntax.ids.key(user)
	if err != nil {
		return nil, nil // nobody has no accounts
	}
	var accounts []usher.OAuthAccount
	err = s.list(ctx, s.rows(&s.statements.oauthAccounts, key, maxListed), func(rows *sql.Rows) error {
		var a usher.OAuthAccount
		err := rows.Scan(oauthAccountTargets(&a)...)
		accounts = append(accounts, a)
		return err
	})
	if err != nil {
		return nil, wrap("list accounts at providers", err)
	}
	return accounts, nil
}

// LinkOAuthAccount implements usher.OAuthAccountStore. The error is
// usher.ErrNotFound when the user is gone.
func (s *Store[U]) LinkOAuthAccount(ctx context.Context, account *usher.OAuthAccount) error {
	user, err := s.syntax.ids.key(account.UserID)
	if err != nil {
		return err
	}
	if foreign(account.AccountID) != account.AccountID { // replaced, it could be another one's
		return errors.New("sqlstore: the provider's id of the account is not text")
	}
	id, now := string(usher.NewID()), time.Now().UTC().Truncate(time.Microsecond)
	t := s.syntax.time
	n, err := s.exec(ctx, "link account at a provider", &s.statements.linkOAuthAccount, id, user, account.Provider, account.AccountID,
		foreign(account.Email), sealed(account.AccessToken), sealed(account.RefreshToken), s.syntax.optionalTime(account.ExpiresAt), t(now), t(now))
	switch {
	case s.isDouble(n, err, "oauth_accounts", "account_id"):
		return usher.ErrOAuthAccountTaken
	case err == nil:
		account.ID, account.CreatedAt, account.UpdatedAt = id, now, now
		return nil
	case s.syntax.userMissing(err):
		return usher.ErrNotFound
	}
	return err
}

// UpdateOAuthAccount implements usher.OAuthAccountStore.
func (s *Store[U]) UpdateOAuthAccount(ctx context.Context, account usher.OAuthAccount) error {
	return s.execOne(ctx, "update account at a provider", &s.statements.updateOAuthAccount, foreign(account.Email),
		sealed(account.AccessToken), sealed(account.RefreshToken), s.syntax.optionalTime(account.ExpiresAt), s.syntax.time(time.Now()), foreign(account.ID))
}

// UnlinkOAuthAccount implements usher.OAuthAccountStore.
func (s *Store[U]) UnlinkOAuthAccount(ctx context.Context, user usher.ID, id string) error {
	key, err := s.syntax.ids.key(user)
	if err != nil {
		return err
	}
	return s.execOne(ctx, "unlink account at a provider", &s.statements.unlinkOAuthAccount, foreign(id), key)
}

// sealed is what a sealed token is kept as: NULL if there is none.
func sealed(token []byte) any {
	if len(token) == 0 {
		return nil
	}
	return token
}
