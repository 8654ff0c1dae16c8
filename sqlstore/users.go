package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"usher"
)

// UserByID implements usher.UserStore.
func (s *Store[U]) UserByID(ctx context.Context, id usher.ID) (*U, error) {
	key, err := s.syntax.ids.key(id)
	if err != nil {
		return nil, err
	}
	return s.oneUser(ctx, "read user by id", &s.statements.userByID, key)
}

// UserByEmail implements usher.UserStore.
func (s *Store[U]) UserByEmail(ctx context.Context, emailKey string) (*U, error) {
	if foreign(emailKey) != emailKey {
		return nil, usher.ErrNotFound
	}
	return s.oneUser(ctx, "read user by e-mail address", &s.statements.userByEmail, emailKey)
}

func (s *Store[U]) oneUser(ctx context.Context, doing string, st *statement, key any) (*U, error) {
	ctx, leave, err := s.lookup(ctx)
	if err != nil {
		return nil, wrap(doing, err)
	}
	defer leave()
	u := new(U)
	switch err := s.readRow(ctx, st, []any{key}, s.plan.targets(nil, u)...); {
	case errors.Is(err, sql.ErrNoRows):
		return nil, usher.ErrNotFound
	case err != nil:
		return nil, wrap(doing, err)
	}
	return u, nil
}

// CreateUser implements usher.UserStore. The error wraps usher.EmailKey's for an
// address that is none.
func (s *Store[U]) CreateUser(ctx context.Context, u *U) error {
	const doing = "create user"
	b := s.plan.base(u)
	id, now := s.syntax.ids.next(), time.Now().UTC().Truncate(time.Microsecond)
	if b.ID != "" {
		var err error
		if id, err = s.syntax.ids.canonical(b.ID); err != nil {
			return wrap(doing, errors.New("the id is not a "+s.syntax.ids.what))
		}
	}
	emailKey, err := usher.EmailKey(b.Email)
	if err != nil {
		return wrap(doing, err)
	}
	custom, err := s.plan.values(u)
	for i := 0; err == nil && i < len(custom); i++ {
		err = s.plan.custom[i].check(custom[i], s.syntax)
	}
	if err != nil {
		return wrap(doing, err)
	}
	ctx, cancel := s.limit(ctx)
	defer cancel()
	if s.syntax.ids.kind == kindInt {
		if id, err = s.numberOf(ctx, id); err != nil {
			return wrap(doing, err)
		}
	}
	var key any // NULL: the database finds a number
	if id != "" {
		key = s.syntax.ids.sent(id)
	}
	args := append([]any{key, b.Email, emailKey, b.HashedPassword, b.IsActive, b.IsSuperuser, b.IsVerified, b.Epoch,
		s.syntax.time(now), s.syntax.time(now)}, custom...)
	result, err := s.execute(ctx, &s.statements.createUser, args...)
	var created int64
	if err == nil {
		created, err = result.RowsAffected()
	}
	if s.isDouble(int(created), err, "users", "email_key") {
		return usher.ErrEmailTaken
	}
	if err == nil && id == "" {
		var number int64
		number, err = result.LastInsertId()
		id = usher.ID(strconv.FormatInt(number, 10))
	}
	if err != nil {
		return s.wrapWrite(doing, err)
	}
	b.ID, b.CreatedAt, b.UpdatedAt = id, now, now
	return nil
}

// numberOf finds the number of a new user before he is created, where the
// database has to be asked, and tells it of a number that he brings.
func (s *Store[U]) numberOf(ctx context.Context, id usher.ID) (usher.ID, error) {
	query, args := s.syntax.nextID, []any(nil)
	if id != "" {
		query, args = s.syntax.keepID, []any{s.syntax.ids.sent(id)}
	}
	if query == "" {
		return id, nil
	}
	var number int64
	err := s.retry(ctx, func() error {
		return s.within(ctx, s.write).QueryRowContext(ctx, s.syntax.rebind(query), args...).Scan(&number)
	})
	if id == "" {
		id = usher.ID(strconv.FormatInt(number, 10))
	}
	return id, err
}

// isDouble tells whether an INSERT failed because what it inserts is there.
func (s *Store[U]) isDouble(inserted int, err error, table, column string) bool {
	if err != nil {
		return s.syntax.double(err, table, column)
	}
	return inserted == 0
}

// UpdateUser implements usher.UserStore. A field that is kept as JSON is written
// only if nothing of the user has changed since before was read: two changes of
// different members at once would undo each other.
func (s *Store[U]) UpdateUser(ctx context.Context, before, after *U) error {
	const doing = "update user"
	b := s.plan.base(before)
	key, err := s.syntax.ids.key(b.ID)
	if err != nil {
		return err
	}
	set, args, document, err := s.changes(before, after)
	if err != nil {
		return wrap(doing, err)
	}
	if len(set) == 0 {
		return s.verify(ctx, b)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	if document && !now.After(b.UpdatedAt) { // by which the next one sees this one
		now = b.UpdatedAt.Add(time.Microsecond)
	}
	query := `UPDATE users SET updated_at = ?, ` + strings.Join(set, `, `) +
		` WHERE id = ? AND email = ? AND hashed_password = ? AND is_active = ? AND is_superuser = ? AND is_verified = ? AND epoch = ?`
	args = append(append([]any{s.syntax.time(now)}, args...), key, b.Email, b.HashedPassword, b.IsActive, b.IsSuperuser, b.IsVerified, b.Epoch)
	if document {
		query += ` AND updated_at = ?`
		args = append(args, s.syntax.time(b.UpdatedAt))
	}

	ctx, cancel := s.limit(ctx)
	defer cancel()
	result, err := s.execute(ctx, &statement{text: s.syntax.rebind(query)}, args...)
	if err != nil {
		if s.syntax.double(err, "users", "email_key") {
			return usher.ErrEmailTaken
		}
		return s.wrapWrite(doing, err)
	}
	switch n, err := result.RowsAffected(); {
	case err != nil:
		return wrap(doing, err)
	case n == 0:
		if err := s.verify(ctx, b); err != nil {
			return err
		}
		return usher.ErrConflict // and changed back
	}
	s.plan.base(after).UpdatedAt = now
	return nil
}

// wrapWrite is wrap for what the application's own fields are written with. That one
// of them does not fit is the fault of who sent it; which, not every database says.
func (s *Store[U]) wrapWrite(doing string, err error) error {
	if len(s.plan.custom) == 0 || !s.syntax.misfit(err) {
		return wrap(doing, err)
	}
	const msg = "Value error, a value cannot be stored"
	refusal := &usher.ValidationError{Fields: []usher.FieldError{{Type: "value_error", Loc: []any{"body"}, Msg: msg}}}
	return wrap(doing, fmt.Errorf("%w: %w", refusal, err))
}

// verify tells why an update of before writes nothing: the error is ErrNotFound
// when the user is gone, ErrConflict when what guards it is not as before.
func (s *Store[U]) verify(ctx context.Context, before *usher.User) error {
	u, err := s.UserByID(ctx, before.ID)
	if err != nil {
		return err
	}
	b := s.plan.base(u)
	if b.Email != before.Email || b.HashedPassword != before.HashedPassword ||
		b.IsActive != before.IsActive || b.IsSuperuser != before.IsSuperuser || b.IsVerified != before.IsVerified || b.Epoch != before.Epoch {
		return usher.ErrConflict
	}
	return nil
}

// changes returns the assignments that make after of before, with their values, and
// whether one is of a column of JSON.
func (s *Store[U]) changes(before, after *U) (set []string, args []any, document bool, err error) {
	assign := func(name string, value any) {
		set, args = append(set, name+` = ?`), append(args, value)
	}
	a, b := s.plan.base(after), s.plan.base(before)
	if a.ID != b.ID {
		return nil, nil, false, errors.New("before and after are different users")
	}
	if a.Email != b.Email {
		emailKey, err := usher.EmailKey(a.Email)
		if err != nil {
			return nil, nil, false, err
		}
		assign(`email`, a.Email)
		assign(`email_key`, emailKey)
	}
	if a.HashedPassword != b.HashedPassword {
		assign(`hashed_password`, a.HashedPassword)
	}
	if a.IsActive != b.IsActive {
		assign(`is_active`, a.IsActive)
	}
	if a.IsSuperuser != b.IsSuperuser {
		assign(`is_superuser`, a.IsSuperuser)
	}
	if a.IsVerified != b.IsVerified {
		assign(`is_verified`, a.IsVerified)
	}
	if a.Epoch != b.Epoch {
		assign(`epoch`, a.Epoch)
	}
	old, err := s.plan.values(before)
	if err != nil {
		return nil, nil, false, err
	}
	values, err := s.plan.values(after)
	if err != nil {
		return nil, nil, false, err
	}
	for i, c := range s.plan.custom {
		if !reflect.DeepEqual(values[i], old[i]) {
			if err := c.check(values[i], s.syntax); err != nil {
				return nil, nil, false, err
			}
			assign(s.syntax.quote(c.name), values[i])
			document = document || c.kind == kindJSON
		}
	}
	return set, args, document, nil
}

// DeleteUser implements usher.UserStore.
func (s *Store[U]) DeleteUser(ctx context.Context, id usher.ID) error {
	key, err := s.syntax.ids.key(id)
	if err != nil {
		return err
	}
	return s.execOne(ctx, "delete user", &s.statements.deleteUser, key)
}
