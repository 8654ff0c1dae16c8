package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"text/tabwriter"
	"time"

	"usher"
)

type userCommand struct {
	Create      userCreateCommand      `cmd:"" help:"Create a user and print the id. The password is asked for, or is the first line of standard input."`
	List        userListCommand        `cmd:"" help:"List all users."`
	SetProfile  userSetProfileCommand  `cmd:"" help:"Set fields of a user's profile, those that clients cannot set among them."`
	SetPassword userSetPasswordCommand `cmd:"" help:"Set a user's password and end all sessions. The password is asked for, or is the first line of standard input."`
	Activate    userActivateCommand    `cmd:"" help:"Let a user sign in again."`
	Deactivate  userDeactivateCommand  `cmd:"" help:"Keep a user from signing in, and end all sessions."`
	Import      userImportCommand      `cmd:"" help:"Create many users from a file, with passwords or with hashes of passwords."`
	Delete      userDeleteCommand      `cmd:"" help:"Delete a user with all that belongs to it."`
}

// withApp runs f with the stores of the configuration. What f does is not
// logged: it is told, by its output and the exit status.
func withApp(settings Settings, f func(ctx context.Context, a *app) error) error {
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	ctx := context.Background()
	a, err := openApp(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	if err := f(ctx, a); err != nil {
		_ = a.close()
		return err
	}
	return a.close()
}

// userArg names a user in the commands that are about one.
type userArg struct {
	User string `arg:"" help:"E-mail address or id."`
}

// with is withApp for what f does to the user.
func (u userArg) with(settings Settings, f func(ctx context.Context, a *app, user *User) error) error {
	return withApp(settings, func(ctx context.Context, a *app) error {
		user, err := a.user(ctx, u.User)
		if err != nil {
			return err
		}
		return f(ctx, a, user)
	})
}

type userCreateCommand struct {
	Email     string `arg:"" help:"E-mail address."`
	Superuser bool   `help:"Make it a superuser."`
	Verified  bool   `help:"Take the address for verified."`
	Profile   string `placeholder:"JSON" help:"Fields of the profile, as a JSON object."`
}

func (u userCreateCommand) Run(settings Settings) error {
	return withApp(settings, func(ctx context.Context, a *app) error {
		user := &User{User: usher.User{Email: u.Email, IsActive: true, IsSuperuser: u.Superuser, IsVerified: u.Verified}}
		if u.Profile != "" {
			if err := a.db.declared.setText(user, u.Profile); err != nil {
				return err
			}
		}
		password, err := askPassword()
		if err != nil {
			return err
		}
		if err := a.auth.CreateUser(ctx, user, password); err != nil {
			return err
		}
		fmt.Println(user.ID)
		return nil
	})
}

type userSetPasswordCommand struct{ userArg }

func (u userSetPasswordCommand) Run(settings Settings) error {
	return u.with(settings, func(ctx context.Context, a *app, user *User) error {
		password, err := askPassword()
		if err != nil {
			return err
		}
		_, err = a.auth.UpdateUser(ctx, user.ID, usher.Change[User]{Password: &password})
		return err
	})
}

type userSetProfileCommand struct {
	userArg
	Profile string `arg:"" placeholder:"JSON" help:"The fields to set, as a JSON object; others stay."`
}

func (u userSetProfileCommand) Run(settings Settings) error {
	return u.with(settings, func(ctx context.Context, a *app, user *User) error {
		if err := a.db.declared.setText(user, u.Profile); err != nil {
			return err
		}
		_, err := a.auth.UpdateUser(ctx, user.ID, usher.Change[User]{Set: func(now *User) {
			_ = a.db.declared.setText(now, u.Profile) // which has no fault
		}})
		return err
	})
}

type userActivateCommand struct{ userArg }

func (u userActivateCommand) Run(settings Settings) error { return u.setActive(settings, true) }

type userDeactivateCommand struct{ userArg }

func (u userDeactivateCommand) Run(settings Settings) error { return u.setActive(settings, false) }

func (u userArg) setActive(settings Settings, active bool) error {
	return u.with(settings, func(ctx context.Context, a *app, user *User) error {
		_, err := a.auth.UpdateUser(ctx, user.ID, usher.Change[User]{IsActive: &active})
		return err
	})
}

type userDeleteCommand struct{ userArg }

func (u userDeleteCommand) Run(settings Settings) error {
	return u.with(settings, func(ctx context.Context, a *app, user *User) error {
		return a.auth.DeleteUser(ctx, user.ID)
	})
}

type userListCommand struct {
	JSON bool `help:"Print a JSON object for each user, each on a line."`
}

func (u userListCommand) Run(settings Settings) error {
	return withApp(settings, func(ctx context.Context, a *app) error {
		table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
		defer table.Flush()
		lines := json.NewEncoder(os.Stdout)
		if !u.JSON {
			fmt.Fprintln(table, "ID\tEMAIL\tACTIVE\tSUPERUSER\tVERIFIED\tCREATED")
		}
		const page = 500
		var last usher.ID
		for {
			users, err := a.db.ListUsers(ctx, usher.UserQuery{After: last, Limit: page})
			if err != nil {
				return err
			}
			for _, user := range users {
				last = user.ID
				if u.JSON {
					if err := lines.Encode(user); err != nil {
						return err
					}
					continue
				}
				fmt.Fprintf(table, "%s\t%s\t%t\t%t\t%t\t%s\n", user.ID, printable(user.Email),
					user.IsActive, user.IsSuperuser, user.IsVerified, inUTC(user.CreatedAt))
			}
			if len(users) < page {
				return nil
			}
		}
	})
}

func inUTC(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// printable makes text that came from outside harmless for a terminal and a
// table.
func printable(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	return quoted[1 : len(quoted)-1]
}
