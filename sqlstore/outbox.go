package sqlstore

import (
	"context"
	"database/sql"
	"time"

	"usher"
)

// maxClaimed is how many messages are claimed at once at most.
const maxClaimed = 1000

// AddMessage implements usher.Outbox. The user need not exist.
func (s *Store[U]) AddMessage(ctx context.Context, m *usher.Message) error {
	const doing = "add message"
	data, err := jsonText(m.Data)
	if err != nil {
		return wrap(doing, err)
	}
	id, user := string(usher.NewID()), sql.NullString{String: string(m.UserID), Valid: m.UserID != ""}
	_, err = s.exec(ctx, doing, &s.statements.addMessage, id, string(m.Kind), user, foreign(m.Email), data,
		s.syntax.time(m.CreatedAt), s.syntax.time(m.DueAt), m.Attempts, foreign(m.LastError), m.Dead)
	if err == nil {
		m.ID = id
	}
	return err
}

// ClaimMessages implements usher.Outbox: the messages that have been due for
// longest, up to 1000, with this attempt counted and due when the lease ends.
func (s *Store[U]) ClaimMessages(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]usher.Message, error) {
	const doing = "claim messages"
	due := now.Add(lease).UTC().Truncate(time.Microsecond)
	var claimed []usher.Message
	// In a transaction, because not every database returns what it updates.
	err := s.InTx(ctx, func(ctx context.Context) (err error) {
		claimed, err = s.messages(ctx, doing, &s.statements.dueMessages, s.syntax.time(now), min(max(limit, 0), maxClaimed))
		if err != nil {
			return err
		}
		for i := range claimed {
			if _, err := s.exec(ctx, doing, &s.statements.claimMessage, s.syntax.time(due), claimed[i].ID); err != nil {
				return err
			}
			claimed[i].Attempts++
			claimed[i].DueAt = due
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return claimed, nil
}

// DeleteMessage implements usher.Outbox. It is no error if the message is gone.
func (s *Store[U]) DeleteMessage(ctx context.Context, id string) error {
	_, err := s.exec(ctx, "delete message", &s.statements.deleteMessage, foreign(id))
	return err
}

// DelayMessage implements usher.Outbox. It is no error if the message is gone.
func (s *Store[U]) DelayMessage(ctx context.Context, id string, due time.Time, cause string, dead bool) error {
	_, err := s.exec(ctx, "delay message", &s.statements.delayMessage, s.syntax.time(due), foreign(cause), dead, foreign(id))
	return err
}

// ListMessages implements usher.Outbox.
func (s *Store[U]) ListMessages(ctx context.Context, limit int) ([]usher.Message, error) {
	return s.messages(ctx, "list messages", &s.statements.listMessages, max(limit, 0))
}

// messages reads rows with the columns of messageList.
func (s *Store[U]) messages(ctx context.Context, doing string, st *statement, args ...any) (messages []usher.Message, err error) {
	err = s.list(ctx, s.rows(st, args...), func(rows *sql.Rows) error {
		var m usher.Message
		var user sql.NullString
		err := rows.Scan(&m.ID, (*string)(&m.Kind), &user, &m.Email, (*stringMap)(&m.Data),
			(*timeValue)(&m.CreatedAt), (*timeValue)(&m.DueAt), &m.Attempts, &m.LastError, &m.Dead)
		m.UserID = usher.ID(user.String)
		messages = append(messages, m)
		return err
	})
	if err != nil {
		return nil, wrap(doing, err)
	}
	return messages, nil
}
