// Command usher is a server for users and their sign-in, and the tools around
// it. It works without any configuration:
//
//	usher serve
//
// Settings come from flags, from the environment (USHER_…) and from a YAML file
// (--config), in that order of weight; usher.example.yaml shows them all.
//
// The exit status is 0 for success, 1 for failure, and 2 for a command line that
// makes no sense.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"usher"

	"github.com/alecthomas/kong"
)

const (
	exitFailure = 1
	exitUsage   = 2
)

// commandLine is what the program can do.
type commandLine struct {
	Settings

	Serve        serveCommand        `cmd:"" help:"Run the server."`
	User         userCommand         `cmd:"" help:"Create, list and change users."`
	Invite       inviteCommand       `cmd:"" help:"Print a token with which the owner of an address may register although registration is closed."`
	Sessions     sessionsCommand     `cmd:"" help:"List and revoke the sessions of a user."`
	Mail         mailCommand         `cmd:"" help:"Look at the mails to users."`
	Import       importCommand       `cmd:"" help:"Move users here from another program."`
	BreachFilter breachFilterCommand `cmd:"" help:"Make the file of leaked passwords that password.breach.filter names."`
	Migrate      migrateCommand      `cmd:"" help:"Bring the database schema up to date, as serve does when it starts."`
	Config       configCommand       `cmd:"" help:"Look at the configuration."`
	Version      versionCommand      `cmd:"" help:"Print the version."`
}

func main() {
	var c commandLine
	parser, err := kong.New(&c, kong.Name("usher"),
		kong.Description("A server for users and their sign-in. `usher serve` works without any configuration."),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}))
	if err != nil {
		fail(err, exitFailure)
	}
	command, err := parser.Parse(os.Args[1:])
	if err != nil {
		fail(fmt.Errorf("%w (see usher --help)", err), exitUsage)
	}
	if err := command.Run(c.Settings); err != nil {
		fail(err, exitFailure)
	}
}

func fail(err error, status int) {
	fmt.Fprintln(os.Stderr, "usher: "+explain(err))
	os.Exit(status)
}

// explain says in a sentence what the library says in the codes of its API.
func explain(err error) string {
	switch {
	case errors.Is(err, usher.ErrUserExists):
		return "there is a user with this e-mail address already"
	case errors.Is(err, usher.ErrNotFound):
		return "not found"
	}
	return strings.TrimPrefix(err.Error(), "usher: ")
}
