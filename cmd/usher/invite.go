package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

type inviteCommand struct {
	Email    string        `arg:"" help:"E-mail address that may register."`
	Lifetime time.Duration `default:"168h" help:"How long the invitation is good."`
}

// Validate is called by kong.
func (i inviteCommand) Validate() error {
	if i.Lifetime < time.Second {
		return errors.New("--lifetime has to be at least a second")
	}
	return nil
}

// Run prints the token, which is the member "invitation" of a registration.
func (i inviteCommand) Run(settings Settings) error {
	return withApp(settings, func(ctx context.Context, a *app) error {
		token, err := a.auth.NewInvitation(ctx, i.Email, i.Lifetime)
		if err != nil {
			return err
		}
		fmt.Println(token)
		return nil
	})
}
