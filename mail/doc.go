// Package mail delivers the mails that wait in an [usher.Outbox].
//
//	smtp, err := mail.NewSMTP(mail.SMTPConfig{Host: "smtp.example.com", User: "app", Password: password})
//	...
//	worker, err := mail.NewWorker(mail.Config{
//		Outbox: db, Tokens: auth, Mailer: smtp,
//		From: "Example <no-reply@example.com>", Product: "Example",
//		URLs: mail.URLs{
//			Verify: "https://app.example.com/verify#token={token}",
//			Reset:  "https://app.example.com/reset#token={token}",
//			Email:  "https://app.example.com/email#token={token}",
//		},
//	})
//	...
//	worker.Run(ctx)
//
// A message is delivered at least once: it leaves the outbox after the mail
// server took it, so a crash between the two sends it again, with the same
// Message-ID. Any number of workers may share an outbox.
//
// The outbox holds no secrets. The token of a link is made when its mail is
// delivered, and is in that mail only: never in a log, nor in the error that the
// outbox keeps.
package mail
