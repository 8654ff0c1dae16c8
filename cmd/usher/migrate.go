package main

import (
	"context"
	"fmt"

	"usher/sqlstore"
)

type migrateCommand struct {
	Print bool `help:"Print the SQL of all migrations instead, for those who apply it by other means."`
}

// Run brings the schema up to date, or prints how.
func (m migrateCommand) Run(settings Settings) error {
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	if m.Print {
		kind, _, err := parseDatabase(config.Database)
		if err != nil {
			return err
		}
		script, err := sqlstore.Script(kind, 0)
		fmt.Print(script)
		return err
	}
	db, err := openDatabase(context.Background(), config.Database) // migrates
	if err != nil {
		return err
	}
	fmt.Println(shownDatabase(config.Database) + " is up to date")
	return db.Close()
}
