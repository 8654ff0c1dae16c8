package sqlstore

import (
	"context"
	"database/sql"

	"usher"
)

// ListUsers implements usher.UserStore. The error is usher.ErrNotFound if
// q.After is no id. Users are found quickly by how their address begins; the
// other conditions are held against one user after the other.
func (s *Store[U]) ListUsers(ctx context.Context, q usher.UserQuery) ([]*U, error) {
	after := s.syntax.ids.least
	if q.After != "" {
		var err error
		if after, err = s.syntax.ids.key(q.After); err != nil {
			return nil, err
		}
	}
	query, args := s.listQuery(q, after)
	var users []*U
	err := s.list(ctx, func(ctx context.Context) (*sql.Rows, error) {
		return s.within(ctx, s.read).QueryContext(ctx, query, args...)
	}, func(rows *sql.Rows) error {
		u := new(U)
		users = append(users, u)
		return rows.Scan(s.plan.targets(nil, u)...)
	})
	if err != nil {
		return nil, wrap("list users", err)
	}
	return users, nil
}

// afterAll is a character that comes after all others. No address has it.
const afterAll = "\U0010FFFF"

// listQuery writes the statement that answers q, with its values.
func (s *Store[U]) listQuery(q usher.UserQuery, after any) (query string, args []any) {
	query = `SELECT ` + s.plan.userList(s.syntax, "u") + ` FROM users u WHERE u.id > ?`
	args = []any{after}
	and := func(condition string, values ...any) {
		query, args = query+` AND `+condition, append(args, values...)
	}
	if q.Email != "" { // a range, for an index serves it, and nothing in it needs escaping
		and(`u.email_key >= ? AND u.email_key < ?`, foreign(q.Email), foreign(q.Email)+afterAll)
	}
	if q.IsActive != nil {
		and(`u.is_active = ?`, *q.IsActive)
	}
	if q.IsSuperuser != nil {
		and(`u.is_superuser = ?`, *q.IsSuperuser)
	}
	if q.IsVerified != nil {
		and(`u.is_verified = ?`, *q.IsVerified)
	}
	if !q.CreatedAfter.IsZero() {
		and(`u.created_at > ?`, s.syntax.time(q.CreatedAfter))
	}
	if !q.CreatedBefore.IsZero() {
		and(`u.created_at < ?`, s.syntax.time(q.CreatedBefore))
	}
	return s.syntax.rebind(query + ` ORDER BY u.id LIMIT ?`), append(args, max(q.Limit, 0))
}
