package main

import (
	"context"
	"fmt"

	"usher/sqlstore"
	"usher/sqlstore/sqlite"
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
		script, err := sqlstore.Script(sqlstore.SQLite, 0)
		fmt.Print(script)
		return err
	}
	path, err := sqlitePath(config.Database)
	if err != nil {
		return err
	}
	db, err := sqlite.Open[User](context.Background(), path) // migrates
	if err != nil {
		return fmt.Errorf("database %s: %w", config.Database, err)
	}
	fmt.Println(absolute(path) + " is up to date")
	return db.Close()
}
