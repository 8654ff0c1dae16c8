package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"usher/password"

	"golang.org/x/term"
)

// askPassword asks for a new password on the terminal, twice and unseen, or
// takes the first line of standard input if that is no terminal. There is no
// flag for it: flags show in the list of processes and in the shell's history.
func askPassword() (string, error) {
	if !isTerminal(os.Stdin) {
		return firstLine(os.Stdin)
	}
	first, err := prompt("Password: ")
	if err != nil {
		return "", err
	}
	second, err := prompt("Again: ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("these were two different passwords")
	}
	return first, nil
}

func prompt(text string) (string, error) {
	fmt.Fprint(os.Stderr, text)
	b, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return string(b), err
}

func firstLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, 2*password.MaxBytes)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", err
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}
