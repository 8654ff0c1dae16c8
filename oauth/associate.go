package oauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"usher"
)

// Events of this package. Its sign-ins end in usher.EventLogin.
const (
	EventLink   usher.EventKind = "oauth_link"
	EventUnlink usher.EventKind = "oauth_unlink"
)

// associate links the proved account to the user who is signed in now and was so
// when the flow began.
func (o *OAuth[U]) associate(r *http.Request, t route, s state, stateErr error, user *U) error {
	ctx, userID := r.Context(), o.auth.Base(user).ID
	if stateErr == nil && s.Subject != string(userID) {
		return ErrBadRequest
	}
	id, token, err := o.prove(r, t, s, stateErr)
	if err != nil {
		return err
	}
	used := false
	for range attempts {
		account, err := o.config.Accounts.OAuthAccount(ctx, id.Provider, id.AccountID)
		if err != nil && !errors.Is(err, usher.ErrNotFound) {
			return unavailable(fmt.Errorf("%s: %w", id.Provider, err))
		}
		what, refusal := decide(situation{signedIn: true, linked: err == nil, sameUser: account.UserID == userID})
		if refusal != nil {
			return refusal
		}
		if !used {
			if err := o.useUp(ctx, s); err != nil {
				return err
			}
			used = true
		}
		if what == keep {
			err = o.update(ctx, account, id, token)
		} else {
			// Only if the user is still as he was when the request came: a claim of
			// his account or a new password may have put him out meanwhile.
			_, err = o.auth.ChangeSignIn(ctx, user, func(ctx context.Context) error {
				return o.linkTo(ctx, user, id, token)
			})
		}
		if !errors.Is(err, usher.ErrOAuthAccountTaken) && !errors.Is(err, usher.ErrNotFound) {
			return err
		}
	}
	return unavailable(fmt.Errorf("%s: %w", id.Provider, usher.ErrConflict))
}

// writeAssociated answers with the user and all accounts, as FastAPI Users does
// for a user type that shows them, but without the providers' tokens.
func (o *OAuth[U]) writeAssociated(w http.ResponseWriter, r *http.Request, s state, user *U) error {
	if s.RedirectTo != "" {
		redirect(w, s.RedirectTo)
		return nil
	}
	views, err := o.views(r.Context(), o.auth.Base(user).ID)
	if err != nil {
		return err
	}
	raw, err := json.Marshal(user)
	if err != nil {
		return err
	}
	var members map[string]any
	if err := json.Unmarshal(raw, &members); err != nil {
		return err
	}
	members["oauth_accounts"] = views
	return writeJSON(w, members)
}
