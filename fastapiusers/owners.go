package fastapiusers

import (
	"context"
	"errors"

	"usher"
)

// owner says what the user of an account or a token is in usher.
type owner int

const (
	ownerActive   owner = iota
	ownerInactive       // he is not active
	ownerUnknown        // he was not carried, or is deleted
	ownerChanged        // usher has changed how he signs in
)

// isNew tells whether this run has created the user.
func (im *importer[U]) isNew(id usher.ID) bool { return im.created.has(im.hash(string(id))) }

// ownerOf looks at the user of an account or a token. ledger is what is written of
// him.
func (im *importer[U]) ownerOf(ctx context.Context, id usher.ID, ledger string) (owner, error) {
	if im.isNew(id) {
		if im.inactive.has(im.hash(string(id))) {
			return ownerInactive, nil
		}
		return ownerActive, nil
	}
	u, err := im.to.Store.UserByID(ctx, id)
	switch {
	case errors.Is(err, usher.ErrNotFound):
		return ownerUnknown, nil
	case err != nil:
		return 0, err
	}
	base := im.base(u)
	switch {
	case signInChanged(base, ledger):
		return ownerChanged, nil
	case !base.IsActive:
		return ownerInactive, nil
	}
	return ownerActive, nil
}

// ledgerOfUsers reads what is written of those users whom this run has not created.
func (im *importer[U]) ledgerOfUsers(ctx context.Context, ids []usher.ID) (map[string]string, error) {
	var items []string
	for _, id := range ids {
		if id != "" && !im.isNew(id) {
			items = append(items, string(id))
		}
	}
	return im.to.Ledger.read(ctx, ledgerUser, items)
}
