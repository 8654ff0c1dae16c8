package main

import (
	"errors"
	"fmt"
	"strings"
)

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Check the configuration that the other commands would use, and name every fault."`
}

type configCheckCommand struct{}

// Run checks the configuration. It touches no store and makes no file.
func (configCheckCommand) Run(settings Settings) error {
	if _, err := settings.load(); err != nil {
		return configFaults(err)
	}
	fmt.Println("the configuration is good")
	return nil
}

// configFaults lists the faults that errors.Join has joined, each on a line.
func configFaults(err error) error {
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = "  " + strings.TrimPrefix(line, "usher: ")
	}
	if len(lines) == 1 {
		return errors.New("the configuration has a fault:\n" + lines[0])
	}
	return fmt.Errorf("the configuration has %d faults:\n%s", len(lines), strings.Join(lines, "\n"))
}
