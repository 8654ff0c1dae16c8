package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
)

// statement is prepared once, and by database/sql once per connection. In a
// transaction, which may be of another *sql.DB, it goes by its text.
type statement struct {
	text     string
	prepared *sql.Stmt
}

type statements struct {
	ping                                         statement
	userByID, userByEmail                        statement
	createUser, deleteUser                       statement
	readSession, listSessions                    statement
	createSession, touchSession, destroySession  statement
	revokeSession, revokeSessions, sweepSessions statement
	useOnce, used, sweepUsedTokens               statement
	oauthAccount, oauthAccounts                  statement
	linkOAuthAccount, updateOAuthAccount         statement
	unlinkOAuthAccount                           statement
	addMessage, dueMessages, claimMessage        statement
	deleteMessage, delayMessage, listMessages    statement
	all                                          []*sql.Stmt
}

// sessionList packs a session into one column, for a packedSession: every column
// of a row costs, and this is read on each request. Columns that may be NULL are
// JSON, which is never empty.
func (y syntax) sessionList() string {
	columns := []string{`s.id`}
	for _, name := range []string{`s.created_at`, `s.last_seen_at`, `s.expires_at`, `s.auth_time`} {
		columns = append(columns, y.read(kindTime, name))
	}
	for _, name := range []string{`s.methods`, `s.scopes`, `s.data`} {
		columns = append(columns, `coalesce(`+y.read(kindJSON, name)+`, '')`)
	}
	return y.pack(append(columns, `s.ip`, `s.user_agent`)...)
}

// columnList is the names of a table's columns, in order.
func (t table) columnList() string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return strings.Join(names, `, `)
}

// readList is columnList for a SELECT.
func (y syntax) readList(t table) string {
	list := make([]string, len(t.columns))
	for i, c := range t.columns {
		if c.kind == kindUserID {
			c.kind = y.ids.kind
		}
		list[i] = c.name
		if c.kind == kindTime || c.kind == kindUUID || c.kind == kindJSON {
			list[i] = y.read(c.kind, c.name)
		}
	}
	return strings.Join(list, `, `)
}

// queries returns the text of every statement that is prepared, and where it is
// kept.
func (s *Store[U]) queries() (reads, writes map[*statement]string) {
	y, st := s.syntax, &s.statements
	user, session := s.plan.userList(y, "u"), y.sessionList()
	account, message := y.readList(oauthAccountsTable), y.readList(outboxTable)
	insert := func(t table, orNothing string) string {
		return `INSERT INTO ` + t.name + ` (` + t.columnList() + `) VALUES (` + strings.Repeat(`, ?`, len(t.columns))[2:] + `)` + orNothing
	}
	return map[*statement]string{
			&st.ping:          `SELECT EXISTS (SELECT 1 FROM users)`,
			&st.userByID:      `SELECT ` + user + ` FROM users u WHERE u.id = ?`,
			&st.userByEmail:   `SELECT ` + user + ` FROM users u WHERE u.email_key = ?`,
			&st.readSession:   `SELECT ` + session + `, ` + user + ` FROM sessions s JOIN users u ON u.id = s.user_id WHERE s.token_hash = ?`,
			&st.listSessions:  `SELECT ` + session + ` FROM sessions s WHERE s.user_id = ? ORDER BY s.created_at DESC, s.id DESC LIMIT ?`,
			&st.oauthAccount:  `SELECT ` + account + ` FROM oauth_accounts WHERE provider = ? AND account_id = ?`,
			&st.oauthAccounts: `SELECT ` + account + ` FROM oauth_accounts WHERE user_id = ? ORDER BY created_at, id LIMIT ?`,
			&st.used:          `SELECT EXISTS (SELECT 1 FROM used_tokens WHERE hash = ?)`,
			&st.listMessages:  `SELECT ` + message + ` FROM outbox ORDER BY id LIMIT ?`,
		}, map[*statement]string{
			&st.createUser:    s.plan.insert(y),
			&st.deleteUser:    `DELETE FROM users WHERE id = ?`,
			&st.createSession: insert(sessionsTable, ``),
			// The later of two uses at once counts. (MariaDB assigns from left to right.)
			&st.touchSession: `UPDATE sessions SET expires_at = CASE WHEN last_seen_at <= ? THEN ? ELSE expires_at END,
				last_seen_at = CASE WHEN last_seen_at <= ? THEN ? ELSE last_seen_at END WHERE token_hash = ?`,
			&st.destroySession:     `DELETE FROM sessions WHERE token_hash = ?`,
			&st.revokeSession:      `DELETE FROM sessions WHERE id = ? AND user_id = ?`,
			&st.revokeSessions:     `DELETE FROM sessions WHERE user_id = ? AND id <> ?`,
			&st.sweepSessions:      y.sweep(`sessions`, `token_hash`),
			&st.useOnce:            insert(usedTokensTable, y.orNothing(`hash`)),
			&st.sweepUsedTokens:    y.sweep(`used_tokens`, `hash`),
			&st.linkOAuthAccount:   insert(oauthAccountsTable, y.orNothing(`provider, account_id`)),
			&st.updateOAuthAccount: `UPDATE oauth_accounts SET email = ?, access_token = ?, refresh_token = ?, expires_at = ?, updated_at = ? WHERE id = ?`,
			&st.unlinkOAuthAccount: `DELETE FROM oauth_accounts WHERE id = ? AND user_id = ?`,
			&st.addMessage:         insert(outboxTable, ``),
			&st.dueMessages:        `SELECT ` + message + ` FROM outbox WHERE dead = FALSE AND due_at <= ? ORDER BY due_at, id LIMIT ?` + y.skipLocked,
			&st.claimMessage:       `UPDATE outbox SET attempts = attempts + 1, due_at = ? WHERE id = ?`,
			&st.deleteMessage:      `DELETE FROM outbox WHERE id = ?`,
			&st.delayMessage:       `UPDATE outbox SET due_at = ?, last_error = ?, dead = ? WHERE id = ?`,
		}
}

// insert is the statement that creates a user with its custom columns.
func (p *plan[U]) insert(y syntax) string {
	list := `id, email, email_key, hashed_password, is_active, is_superuser, is_verified, epoch, created_at, updated_at`
	values := strings.Repeat(`, ?`, len(baseColumns)+len(p.custom))[2:]
	for _, c := range p.custom {
		list += `, ` + y.quote(c.name)
	}
	return `INSERT INTO users (` + list + `) VALUES (` + values + `)` + y.orNothing(`email_key`)
}

func (s *Store[U]) prepare(ctx context.Context) error {
	reads, writes := s.queries()
	for _, part := range []struct {
		db      *sql.DB
		queries map[*statement]string
	}{{s.read, reads}, {s.write, writes}} {
		for where, query := range part.queries {
			text := s.syntax.rebind(query)
			prepared, err := part.db.PrepareContext(ctx, text)
			if err != nil {
				s.statements.close()
				return fmt.Errorf("sqlstore: prepare: %w", err)
			}
			*where = statement{text, prepared}
			s.statements.all = append(s.statements.all, prepared)
		}
	}
	return nil
}

// close has no error to tell: a connection that broke has no statements left.
func (st *statements) close() {
	for _, prepared := range st.all {
		_ = prepared.Close()
	}
}
