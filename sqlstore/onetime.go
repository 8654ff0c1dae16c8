package sqlstore

import (
	"context"
	"time"

	"usher"
)

// UseOnce implements usher.OneTimeStore.
func (s *Store[U]) UseOnce(ctx context.Context, token usher.TokenHash, expires time.Time) error {
	n, err := s.exec(ctx, "use token", &s.statements.useOnce, token[:], s.syntax.time(expires))
	if s.isDouble(n, err, "used_tokens", "hash") {
		return usher.ErrAlreadyUsed
	}
	return err
}

// SweepUsedTokens forgets up to limit used tokens that expired before now and
// returns how many it forgot.
func (s *Store[U]) SweepUsedTokens(ctx context.Context, now time.Time, limit int) (int, error) {
	return s.exec(ctx, "sweep used tokens", &s.statements.sweepUsedTokens, s.syntax.time(now), max(limit, 0))
}
