package mail

import (
	"context"
	"errors"
)

// Mail is one mail to one address.
type Mail struct {
	From    string // an address, with a name or without: Example <no-reply@example.com>
	To      string // a bare address
	Subject string
	Text    string
	HTML    string // the same as the text, or empty
	// ID is the message's, the same however often it is sent. It becomes the
	// Message-ID, by which mailboxes know copies.
	ID string
}

// Mailer sends mails. It is safe for concurrent use.
type Mailer interface {
	// Send returns when somebody else has taken the responsibility for m, or with
	// an error. It gives up when ctx ends. ErrRejected says that another attempt
	// is in vain. The error may hold what a server said: whoever shows it takes
	// the secrets of m out, as Worker does.
	Send(ctx context.Context, m Mail) error
}

// ErrRejected is the error of a Mailer for a mail that nobody will ever take,
// because there is no such address.
var ErrRejected = errors.New("mail: no such address")
