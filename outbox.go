package usher

import (
	"context"
	"time"
)

// MessageKind says which mail a message is.
type MessageKind string

// The mails that flows send.
const (
	MailVerify            MessageKind = "verify"
	MailReset             MessageKind = "reset"
	MailAlreadyRegistered MessageKind = "already_registered"
	MailPasswordChanged   MessageKind = "password_changed"
	MailEmailChanged      MessageKind = "email_changed" // to the old address
	MailConfirmEmail      MessageKind = "confirm_email" // to the new one
	MailNewSignIn         MessageKind = "new_sign_in"
	// An account at a provider ("provider" in Data) signs in from now on, or does
	// not any more.
	MailAccountLinked   MessageKind = "account_linked"
	MailAccountUnlinked MessageKind = "account_unlinked"
	// MailNone is for nobody. It is stored where an unknown address would show
	// by less work, and then forgotten.
	MailNone MessageKind = "none"
)

// Message is a mail that waits in the outbox. It holds no secret: tokens are
// made when it is delivered, by Auth.NewToken.
type Message struct {
	ID        string
	Kind      MessageKind
	UserID    ID
	Email     string // the stored address that it goes to
	CreatedAt time.Time
	DueAt     time.Time         // not to be delivered before
	Attempts  int               // so far
	LastError string            // of the last attempt
	Dead      bool              // given up
	Data      map[string]string // what the text says ("ip", "user_agent", "time", "provider", …) and what the link is for ("state")
}

// Outbox keeps messages from the moment the change that caused them is committed
// until they are delivered. A message is delivered at least once. Auth.Sweep deletes
// the dead ones when they are old.
type Outbox interface {
	// AddMessage stores a message, in the transaction of ctx if there is one, and
	// sets its ID.
	AddMessage(ctx context.Context, m *Message) error
	// ClaimMessages returns up to limit messages that are due and not dead, longest
	// due first, counts an attempt for each (it is in Attempts), and hides them from other callers until
	// now + lease: whoever dies meanwhile leaves them to the next.
	ClaimMessages(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]Message, error)
	// DeleteMessage forgets a message that was delivered. One that is gone is no
	// error, here and in DelayMessage.
	DeleteMessage(ctx context.Context, id string) error
	// DelayMessage keeps a message that could not be delivered for a later time;
	// dead ones are kept but never claimed again.
	DelayMessage(ctx context.Context, id string, due time.Time, cause string, dead bool) error
	// ListMessages returns up to limit messages, oldest first, for operators.
	ListMessages(ctx context.Context, limit int) ([]Message, error)
}
