package main

import (
	"context"
	"fmt"

	"usher/sqlstore"
)

type migrateCommand struct {
	Print bool `help:"Print the SQL of all migrations instead, for those who apply it by other means."`
}

// profileColumnTypes are as sqlstore.AddColumns has them.
var profileColumnTypes = map[sqlstore.Dialect]string{sqlstore.SQLite: "TEXT", sqlstore.PostgreSQL: "jsonb", sqlstore.MySQL: "JSON"}

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
		script, err := sqlstore.Script(kind, 0, config.userIDs()...)
		fmt.Print(script)
		if err == nil {
			fmt.Printf("-- for the key profile of the configuration\nALTER TABLE users ADD COLUMN profile %s;\n", profileColumnTypes[kind])
		}
		return err
	}
	db, err := openDatabase(context.Background(), config.Database, config.userIDs()...) // migrates
	if err != nil {
		return err
	}
	fmt.Println(shownDatabase(config.Database) + " is up to date")
	return db.Close()
}
