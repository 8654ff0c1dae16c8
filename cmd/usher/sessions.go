package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"

	"usher"
)

type sessionsCommand struct {
	List   sessionsListCommand   `cmd:"" help:"List a user's live sessions, newest first."`
	Revoke sessionsRevokeCommand `cmd:"" help:"End one session of a user, or all. JWTs are no sessions: a new password or deactivating the user ends them."`
}

type sessionsListCommand struct {
	userArg
	JSON bool `help:"Print a JSON object for each session, each on a line."`
}

func (s sessionsListCommand) Run(settings Settings) error {
	return s.with(settings, func(ctx context.Context, a *app, user *User) error {
		sessions, err := a.auth.ListSessions(ctx, user.ID)
		if err != nil {
			return err
		}
		if s.JSON {
			lines := json.NewEncoder(os.Stdout)
			for _, session := range sessions {
				if err := lines.Encode(session); err != nil {
					return err
				}
			}
			return nil
		}
		return printSessions(sessions)
	})
}

func printSessions(sessions []usher.Session) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SESSION\tCREATED\tLAST SEEN\tEXPIRES\tIP\tUSER AGENT")
	for _, s := range sessions {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\n", s.ID, inUTC(s.CreatedAt), inUTC(s.LastSeenAt), inUTC(s.ExpiresAt),
			printable(s.IP), printable(s.UserAgent))
	}
	return table.Flush()
}

type sessionsRevokeCommand struct {
	userArg
	Session string `arg:"" optional:"" help:"Id of the session."`
	All     bool   `help:"End all of the user's sessions."`
}

// Validate is called by kong.
func (s sessionsRevokeCommand) Validate() error {
	if (s.Session != "") == s.All {
		return errors.New("name a session, or --all")
	}
	return nil
}

func (s sessionsRevokeCommand) Run(settings Settings) error {
	return s.with(settings, func(ctx context.Context, a *app, user *User) error {
		if !s.All {
			err := a.auth.RevokeSession(ctx, user.ID, s.Session)
			if errors.Is(err, usher.ErrNotFound) {
				return fmt.Errorf("the user has no session %s", s.Session)
			}
			return err
		}
		n, err := a.auth.RevokeSessions(ctx, user.ID, "")
		if err == nil {
			fmt.Printf("ended sessions: %d\n", n)
		}
		return err
	})
}
