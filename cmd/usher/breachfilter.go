package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"usher/password/breach"
)

type breachFilterCommand struct {
	List      string  `arg:"" help:"File with lines of HASH:COUNT, as Have I Been Pwned has them."`
	Filter    string  `arg:"" help:"File to write, for password.breach.filter in the configuration."`
	Passwords bool    `help:"The list has passwords, one on each line."`
	Rate      float64 `default:"0.000001" help:"Share of good passwords that are refused by mistake; the smaller, the larger the file."`
}

// Run makes the file. One that is in use stays whole until the new one is complete.
func (f breachFilterCommand) Run() (err error) {
	list, err := os.Open(f.List)
	if err != nil {
		return err
	}
	defer list.Close()
	n, err := countLines(list)
	if err != nil {
		return fmt.Errorf("%s: %w", f.List, err)
	}
	builder, err := breach.NewBuilder(n, f.Rate)
	if err != nil {
		return fmt.Errorf("%s: %w", f.List, err)
	}
	add := builder.AddHashes
	if f.Passwords {
		add = builder.AddPasswords
	}
	if err := add(list); err != nil {
		return fmt.Errorf("%s: %w", f.List, err)
	}
	file, err := os.CreateTemp(filepath.Dir(f.Filter), ".usher.filter.*")
	if err != nil {
		return err
	}
	defer os.Remove(file.Name()) // once it has its name, there is none
	_, err = builder.WriteTo(file)
	if err := errors.Join(err, file.Sync(), file.Close()); err != nil {
		return err
	}
	if err := os.Rename(file.Name(), f.Filter); err != nil {
		return err
	}
	fmt.Printf("lines: %d\n", n)
	return nil
}

// countLines counts and goes back to the beginning.
func countLines(list *os.File) (n int, err error) {
	lines := bufio.NewScanner(list)
	for lines.Scan() {
		n++
	}
	if err := lines.Err(); err != nil {
		return 0, err
	}
	_, err = list.Seek(0, 0)
	return n, err
}
