package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"

	"usher"
)

type userImportCommand struct {
	CSV    string `name:"csv" xor:"source" required:"" placeholder:"FILE" help:"CSV file whose first line names the columns: email, and password or hashed_password; is_active, is_superuser and is_verified may be missing, and so may fields of the profile, as profile.NAME. - is standard input."`
	JSON   string `name:"json" xor:"source" required:"" placeholder:"FILE" help:"File of JSON objects with the same members, one after the other or in an array. - is standard input."`
	DryRun bool   `help:"Only check the file: create nobody."`
}

// importedUser is one user of a file.
type importedUser struct {
	Email          string `json:"email"`
	Password       string `json:"password"`
	HashedPassword string `json:"hashed_password"`
	IsActive       *bool  `json:"is_active"` // default true
	IsSuperuser    bool   `json:"is_superuser"`
	IsVerified     bool   `json:"is_verified"`

	Profile json.RawMessage `json:"profile"`
}

// importReader reads users one by one. The error is io.EOF at the end, an
// errLine for a user after whom others may follow, and else the last.
type importReader interface {
	Read() (user importedUser, line int, err error)
}

// errLine is what is wrong with one user of a file.
type errLine string

func (e errLine) Error() string { return string(e) }

// Run creates every user that it can, and reports the others by their lines.
func (u userImportCommand) Run(settings Settings) error {
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	config.dryRun = u.DryRun
	config.Mail.Mailer = "none" // nobody asked for these accounts just now
	profile, err := config.profile()
	if err != nil {
		return err
	}
	users, file, err := u.open(profile)
	if err != nil {
		return err
	}
	defer file.Close()
	ctx := context.Background()
	a, err := openApp(ctx, config, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	failed, err := u.importAll(ctx, a, users, config.Password.Argon2.limits())
	err = errors.Join(err, a.close())
	if err == nil && failed > 0 {
		err = fmt.Errorf("could not import %d users", failed)
	}
	return err
}

func (u userImportCommand) open(p *profile) (importReader, io.Closer, error) {
	name := u.CSV + u.JSON // one is empty
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, nil, err
		}
	}
	if u.JSON != "" {
		return newJSONUsers(file), file, nil
	}
	users, err := newCSVUsers(file, p)
	if err != nil {
		return nil, nil, errors.Join(err, file.Close())
	}
	return users, file, nil
}

func (u userImportCommand) importAll(ctx context.Context, a *app, users importReader, limits hashLimits) (failed int, err error) {
	created, skipped := 0, 0
	seen := map[string]bool{} // in a dry run nobody else knows
	for {
		user, line, err := users.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err == nil {
			err = a.importUser(ctx, user, limits, u.DryRun, seen)
		}
		var reason errLine
		switch {
		case err == nil:
			created++
		case errors.Is(err, usher.ErrUserExists):
			skipped++
			fmt.Fprintf(os.Stderr, "line %d: skipped: %s\n", line, explain(err))
		case errors.As(err, &reason):
			failed++
			fmt.Fprintf(os.Stderr, "line %d: %s\n", line, reason)
		default: // the next would fare no better
			summary(u.DryRun, created, skipped, failed)
			return failed, fmt.Errorf("line %d: %w", line, err)
		}
	}
	summary(u.DryRun, created, skipped, failed)
	return failed, nil
}

func summary(dryRun bool, created, skipped, failed int) {
	verb := "created"
	if dryRun {
		verb = "could be created"
	}
	fmt.Printf("%s: %d, skipped: %d, failed: %d\n", verb, created, skipped, failed)
}

// importUser creates one user. Its error is an errLine, ErrUserExists, or that of
// a store or hasher which fails.
func (a *app) importUser(ctx context.Context, u importedUser, limits hashLimits, dryRun bool, seen map[string]bool) error {
	key, err := usher.EmailKey(u.Email)
	if err != nil {
		return errLine("the e-mail address " + printable(u.Email) + " is not valid: " + err.Error())
	}
	switch {
	case u.Password != "" && u.HashedPassword != "":
		return errLine("password and hashed_password are given")
	case u.Password == "" && u.HashedPassword == "":
		return errLine("neither password nor hashed_password is given")
	case u.HashedPassword != "":
		if !limits.allow(u.HashedPassword) {
			return errLine("hashed_password is not a hash of Argon2id, Argon2i or bcrypt ($argon2id$v=19$…, $2b$…), or costs too much")
		}
	}
	// Also before anything is hashed, which is slow.
	if _, err := a.db.UserByEmail(ctx, key); err == nil || seen[key] {
		return usher.ErrUserExists
	} else if !errors.Is(err, usher.ErrNotFound) {
		return err
	}
	user := &User{User: usher.User{
		Email: u.Email, IsActive: u.IsActive == nil || *u.IsActive, IsSuperuser: u.IsSuperuser, IsVerified: u.IsVerified,
	}}
	if len(u.Profile) > 0 {
		if err := a.db.declared.setText(user, string(u.Profile)); err != nil {
			return errLine(strings.ReplaceAll(err.Error(), "\n", "; "))
		}
	}
	seen[key] = dryRun
	if u.HashedPassword == "" {
		return inALine(a.auth.CreateUser(ctx, user, u.Password))
	}
	return inALine(a.db.InTx(ctx, func(ctx context.Context) error {
		if err := a.auth.CreateUserWithoutPassword(ctx, user); err != nil {
			return err
		}
		hashed := *user
		hashed.HashedPassword = u.HashedPassword
		return a.db.UpdateUser(ctx, user, &hashed)
	}))
}

// errDryRun ends the creation of a user when everything is checked and nothing
// hashed or stored.
var errDryRun = &usher.Error{Status: http.StatusBadRequest, Code: "DRY_RUN"}

// inALine makes a refusal of the library an errLine.
func inALine(err error) error {
	var invalid *usher.ValidationError
	var refusal *usher.Error
	switch {
	case errors.Is(err, errDryRun):
		return nil
	case errors.Is(err, usher.ErrUserExists):
		return err
	case errors.As(err, &invalid), errors.As(err, &refusal) && refusal.Status < 500:
		return errLine(explain(err))
	}
	return err
}
