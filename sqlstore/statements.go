package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
)

// statements are prepared once, and by database/sql once per connection.
type statements struct {
	ping                                         *sql.Stmt
	userByID, userByEmail, listUsers             *sql.Stmt
	createUser, deleteUser                       *sql.Stmt
	readSession, listSessions                    *sql.Stmt
	createSession, touchSession, destroySession  *sql.Stmt
	revokeSession, revokeSessions, sweepSessions *sql.Stmt
	all                                          []*sql.Stmt
}

const sessionList = `s.id, s.created_at, s.last_seen_at, s.expires_at, s.auth_time, s.methods, s.scopes, s.ip, s.user_agent, s.data`

// queries returns the text of every statement that is prepared, and where it is
// kept.
func (s *Store[U]) queries() (reads, writes map[**sql.Stmt]string) {
	y, st := s.syntax, &s.statements
	user := s.plan.userList(y, "u")
	return map[**sql.Stmt]string{
			&st.ping:         `SELECT EXISTS (SELECT 1 FROM users)`,
			&st.userByID:     `SELECT ` + user + ` FROM users u WHERE u.id = ?`,
			&st.userByEmail:  `SELECT ` + user + ` FROM users u WHERE u.email_key = ?`,
			&st.listUsers:    `SELECT ` + user + ` FROM users u WHERE u.id > ? ORDER BY u.id LIMIT ?`,
			&st.readSession:  `SELECT ` + sessionList + `, ` + user + ` FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = ?`,
			&st.listSessions: `SELECT ` + sessionList + ` FROM sessions s WHERE s.user_id = ? ORDER BY s.created_at DESC, s.id DESC LIMIT ?`,
		}, map[**sql.Stmt]string{
			&st.createUser: s.plan.insert(y),
			&st.deleteUser: `DELETE FROM users WHERE id = ?`,
			&st.createSession: `INSERT INTO sessions (token_hash, id, user_id, created_at, last_seen_at, expires_at, auth_time, methods, scopes, ip, user_agent, data)
				VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			// The later of two uses at once counts. (MariaDB assigns from left to right.)
			&st.touchSession: `UPDATE sessions SET expires_at = CASE WHEN last_seen_at <= ? THEN ? ELSE expires_at END,
				last_seen_at = CASE WHEN last_seen_at <= ? THEN ? ELSE last_seen_at END WHERE token_hash = ?`,
			&st.destroySession: `DELETE FROM sessions WHERE token_hash = ?`,
			&st.revokeSession:  `DELETE FROM sessions WHERE id = ? AND user_id = ?`,
			&st.revokeSessions: `DELETE FROM sessions WHERE user_id = ? AND id <> ?`,
			// MariaDB wants the subquery with the LIMIT in another one.
			&st.sweepSessions: `DELETE FROM sessions WHERE token_hash IN (SELECT token_hash FROM
				(SELECT token_hash FROM sessions WHERE expires_at < ? ORDER BY expires_at LIMIT ?) batch)`,
		}
}

// insert is the statement that creates a user with its custom columns.
func (p *plan[U]) insert(y syntax) string {
	list := `id, email, email_key, hashed_password, is_active, is_superuser, is_verified, created_at, updated_at`
	values := strings.Repeat(`, ?`, len(baseColumns)+len(p.custom))[2:]
	for _, c := range p.custom {
		list += `, ` + y.quote(c.name)
	}
	return `INSERT INTO users (` + list + `) VALUES (` + values + `)`
}

func (s *Store[U]) prepare(ctx context.Context) error {
	reads, writes := s.queries()
	for _, part := range []struct {
		db      *sql.DB
		queries map[**sql.Stmt]string
	}{{s.read, reads}, {s.write, writes}} {
		for where, query := range part.queries {
			statement, err := part.db.PrepareContext(ctx, s.syntax.rebind(query))
			if err != nil {
				return errors.Join(fmt.Errorf("sqlstore: prepare: %w", err), s.statements.close())
			}
			*where = statement
			s.statements.all = append(s.statements.all, statement)
		}
	}
	return nil
}

func (st *statements) close() (err error) {
	for _, statement := range st.all {
		err = errors.Join(err, statement.Close())
	}
	return err
}
