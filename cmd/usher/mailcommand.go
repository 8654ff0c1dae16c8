package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"usher"
	"usher/mail"
)

type mailCommand struct {
	Preview mailPreviewCommand `cmd:"" help:"Print a mail as users get it, made of sample data."`
	Read    mailReadCommand    `cmd:"" help:"Print the newest mail to an address, of the mailer folder: for development."`
	List    mailListCommand    `cmd:"" help:"List the mails that wait in the outbox, and those that were given up."`
	Deliver mailDeliverCommand `cmd:"" help:"Deliver the mails that are due, as serve does all the time."`
}

type mailPreviewCommand struct {
	Kind     string `arg:"" help:"verify, reset, already_registered, password_changed, email_changed, confirm_email, new_sign_in, account_linked or account_unlinked."`
	Language string `help:"Language of the mail (default: that of the configuration)."`
	HTML     bool   `name:"html" help:"Print the HTML instead of the text."`
}

// Run needs the configuration only: it touches no store.
func (m mailPreviewCommand) Run(settings Settings) error {
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	if !slices.Contains(mail.Kinds(), usher.MessageKind(m.Kind)) {
		return fmt.Errorf("no mail is of the kind %q: %v", m.Kind, mail.Kinds())
	}
	preview, err := config.mailConfig().Preview(usher.MessageKind(m.Kind), m.Language)
	if err != nil {
		return inWordsOf(mailWords, err)
	}
	if m.HTML {
		fmt.Print(preview.HTML)
		return nil
	}
	fmt.Printf("From: %s\nTo: %s\nSubject: %s\n\n%s", preview.From, preview.To, preview.Subject, preview.Text)
	return nil
}

type mailListCommand struct {
	Limit int  `default:"1000" help:"How many at most."`
	JSON  bool `help:"Print a JSON object for each mail, each on a line."`
}

// listedMail is a message in JSON.
type listedMail struct {
	ID        string            `json:"id"`
	Kind      usher.MessageKind `json:"kind"`
	Email     string            `json:"email"`
	CreatedAt string            `json:"created_at"`
	DueAt     string            `json:"due_at"`
	Attempts  int               `json:"attempts"`
	Dead      bool              `json:"dead"`
	LastError string            `json:"last_error"`
}

func (m mailListCommand) Run(settings Settings) error {
	return withApp(settings, func(ctx context.Context, a *app) error {
		messages, err := a.db.ListMessages(ctx, m.Limit)
		if err != nil {
			return err
		}
		lines := json.NewEncoder(os.Stdout)
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		defer table.Flush()
		if !m.JSON {
			fmt.Fprintln(table, "ID\tKIND\tTO\tCREATED\tDUE\tATTEMPTS\tLAST ERROR")
		}
		for _, x := range messages {
			due := inUTC(x.DueAt)
			if m.JSON {
				err := lines.Encode(listedMail{x.ID, x.Kind, x.Email, inUTC(x.CreatedAt), due, x.Attempts, x.Dead, x.LastError})
				if err != nil {
					return err
				}
				continue
			}
			if x.Dead {
				due = "given up"
			}
			fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\n", x.ID, x.Kind, printable(x.Email), inUTC(x.CreatedAt), due, x.Attempts, printable(x.LastError))
		}
		return nil
	})
}

type mailDeliverCommand struct{}

// Run does what the server does, once: for a server that is not running.
func (mailDeliverCommand) Run(settings Settings) error {
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	if !config.mails() {
		return errNoMails
	}
	return withApp(settings, func(ctx context.Context, a *app) error {
		worker, err := a.newWorker(config, slog.New(slog.DiscardHandler))
		if err != nil {
			return err
		}
		n, err := worker.DeliverDue(ctx)
		fmt.Printf("delivered mails: %d\n", n)
		if err != nil {
			return errors.New(strings.ReplaceAll(err.Error(), "\n", "\nusher: "))
		}
		return nil
	})
}

var errNoMails = errors.New("users get no mails: the key mail.mailer is none")
