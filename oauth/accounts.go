package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"usher"
)

// accountView is what a user may see of a linked account: no tokens. The names are
// FastAPI Users'.
type accountView struct {
	ID           string    `json:"id"`
	Provider     string    `json:"oauth_name"`
	AccountID    string    `json:"account_id"`
	AccountEmail string    `json:"account_email"`
	ExpiresAt    *int64    `json:"expires_at"` // of the provider's token, in Unix seconds
	CreatedAt    time.Time `json:"created_at"`
}

func (o *OAuth[U]) views(ctx context.Context, user usher.ID) ([]accountView, error) {
	accounts, err := o.config.Accounts.OAuthAccounts(ctx, user)
	if err != nil {
		return nil, unavailable(fmt.Errorf("accounts of %s: %w", user, err))
	}
	views := make([]accountView, len(accounts))
	for i, a := range accounts {
		views[i] = accountView{ID: a.ID, Provider: a.Provider, AccountID: a.AccountID, AccountEmail: a.Email, CreatedAt: a.CreatedAt}
		if !a.ExpiresAt.IsZero() {
			seconds := a.ExpiresAt.Unix()
			views[i].ExpiresAt = &seconds
		}
	}
	return views, nil
}

func (o *OAuth[U]) listAccounts(w http.ResponseWriter, r *http.Request) error {
	user, _, err := o.auth.Authenticate(r)
	if err != nil {
		return err
	}
	views, err := o.views(r.Context(), o.auth.Base(user).ID)
	if err != nil {
		return err
	}
	return writeJSON(w, views)
}

func (o *OAuth[U]) unlinkAccount(w http.ResponseWriter, r *http.Request) error {
	var err error
	for range attempts { // two at once: the second has to look again
		var user *U
		if user, _, err = o.auth.Authenticate(r); err != nil {
			return err
		}
		err = o.unlink(r.Context(), user, r.PathValue("id"))
		if errors.Is(err, usher.ErrConflict) {
			continue
		}
		o.emit(r, usher.Event{Kind: EventUnlink, UserID: o.auth.Base(user).ID, Err: err})
		break
	}
	if err != nil {
		return err
	}
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unlink keeps the last way in, also when two unlink at once: only one of them
// finds the user as it was.
func (o *OAuth[U]) unlink(ctx context.Context, user *U, account string) error {
	base := o.auth.Base(user)
	_, err := o.auth.ChangeSignIn(ctx, user, func(ctx context.Context) error {
		accounts, err := o.config.Accounts.OAuthAccounts(ctx, base.ID)
		if err != nil {
			return err
		}
		if base.HashedPassword == "" && len(accounts) == 1 && accounts[0].ID == account {
			return ErrLastWayIn
		}
		if err := o.config.Accounts.UnlinkOAuthAccount(ctx, base.ID, account); err != nil {
			return err
		}
		return o.auth.NotifyOfAccount(ctx, user, usher.MailAccountUnlinked, providerOf(accounts, account))
	})
	return err
}

func providerOf(accounts []usher.OAuthAccount, id string) string {
	i := slices.IndexFunc(accounts, func(a usher.OAuthAccount) bool { return a.ID == id })
	if i < 0 {
		return ""
	}
	return accounts[i].Provider
}
