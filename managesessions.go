package usher

import (
	"context"
	"errors"
	"slices"
)

// ListSessions returns the user's live sessions in all backends, newest first.
func (a *Auth[U]) ListSessions(ctx context.Context, user ID) ([]Session, error) {
	all := []Session{}
	seen := map[string]bool{} // backends may share a store
	for _, m := range a.managers {
		sessions, err := m.ListSessions(ctx, user)
		if err != nil {
			return nil, unavailable(err)
		}
		for _, s := range sessions {
			if !seen[s.ID] {
				seen[s.ID] = true
				all = append(all, s)
			}
		}
	}
	slices.SortFunc(all, func(x, y Session) int { return y.CreatedAt.Compare(x.CreatedAt) })
	return all, nil
}

// RevokeSession ends one session of the user. The error is ErrNotFound when he
// has no such session.
func (a *Auth[U]) RevokeSession(ctx context.Context, user ID, session string) (err error) {
	defer func() {
		a.emit(ctx, Event{Kind: EventSessionRevoke, UserID: user, SessionID: session, Err: err})
	}()
	var outage error
	for _, m := range a.managers {
		err := m.RevokeSession(ctx, user, session)
		if err == nil {
			return nil
		}
		if !errors.Is(err, ErrNotFound) {
			outage = errors.Join(outage, err)
		}
	}
	if outage != nil {
		return unavailable(outage)
	}
	return ErrNotFound
}

// RevokeSessions ends all the user's sessions but keep (empty: all) and returns
// how many it ended. JWTs are no sessions: they live on.
func (a *Auth[U]) RevokeSessions(ctx context.Context, user ID, keep string) (total int, err error) {
	for _, m := range a.managers {
		n, outage := m.RevokeSessions(ctx, user, keep)
		total += n
		err = errors.Join(err, outage)
	}
	if err != nil {
		err = unavailable(err)
	}
	if total > 0 || err != nil {
		a.emit(ctx, Event{Kind: EventSessionRevoke, UserID: user, Err: err})
	}
	return total, err
}
