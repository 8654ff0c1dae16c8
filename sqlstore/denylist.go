package sqlstore

import (
	"context"
	"errors"
	"time"

	"usher"
)

// Deny implements usher.DenyList, in the table of used tokens. Of several calls
// for one session the first says until when.
func (s *Store[U]) Deny(ctx context.Context, session string, until time.Time) error {
	if err := s.UseOnce(ctx, deniedHash(session), until); !errors.Is(err, usher.ErrAlreadyUsed) {
		return err
	}
	return nil
}

// Denied implements usher.DenyList.
func (s *Store[U]) Denied(ctx context.Context, session string) (denied bool, err error) {
	ctx, leave, err := s.lookup(ctx)
	if err != nil {
		return false, wrap("read deny-list", err)
	}
	defer leave()
	hash := deniedHash(session)
	err = s.readRow(ctx, &s.statements.used, []any{hash[:]}, &denied)
	return denied, wrap("read deny-list", err)
}

// deniedHash is what the table knows a session by: of no token do we keep that hash.
func deniedHash(session string) usher.TokenHash { return usher.HashToken("session:" + session) }
