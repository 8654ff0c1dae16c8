package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"usher"
	"usher/password/breach"

	"go.yaml.in/yaml/v3"
)

// RegistrationConfig says who may register.
type RegistrationConfig struct {
	Closed               bool     `yaml:"closed"`
	Domains              []string `yaml:"domains"`
	HideExistingAccounts bool     `yaml:"hide_existing_accounts"`
}

// policy spells the domains as the library compares them.
func (r RegistrationConfig) policy() (usher.Registration, error) {
	policy := usher.Registration{Closed: r.Closed, HideExistingAccounts: r.HideExistingAccounts}
	var faults []error
	for _, domain := range r.Domains {
		key, err := usher.EmailKey("a@" + domain)
		if err != nil {
			faults = append(faults, fmt.Errorf("registration.domains: %q is not a domain such as example.com", domain))
			continue
		}
		policy.Domains = append(policy.Domains, strings.TrimPrefix(key, "a@"))
	}
	return policy, errors.Join(faults...)
}

// LifetimesConfig says how long the links of mails live, and mails that were given
// up.
type LifetimesConfig struct {
	Verify   time.Duration `yaml:"verify"`
	Reset    time.Duration `yaml:"reset"`
	DeadMail time.Duration `yaml:"dead_mail"`
}

func (c Config) checkLifetimes() error {
	var faults []error
	for _, limit := range []struct {
		key   string
		value time.Duration
	}{{"verify", c.Lifetimes.Verify}, {"reset", c.Lifetimes.Reset}, {"dead_mail", c.Lifetimes.DeadMail}} {
		if limit.value < time.Minute {
			faults = append(faults, fmt.Errorf("lifetimes.%s: %v is less than a minute", limit.key, limit.value))
		}
	}
	return errors.Join(faults...)
}

// BreachConfig says where to look passwords up among those that leaked.
type BreachConfig struct {
	Range  rangeAPI `yaml:"range"`
	Filter string   `yaml:"filter"` // a file of usher/password/breach
}

// rangeAPI is true, false, or the URL of a server like Have I Been Pwned's.
type rangeAPI struct {
	on  bool
	url string
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *rangeAPI) UnmarshalYAML(node *yaml.Node) error {
	if node.Decode(&r.on) == nil {
		return nil
	}
	r.on = true
	return node.Decode(&r.url)
}

func (c Config) checkBreach() error {
	checks, err := c.Password.Breach.open()
	return errors.Join(err, checks.close())
}

func (b BreachConfig) open() (checks breachChecks, err error) {
	if b.Filter != "" {
		filter, err := breach.OpenFilter(b.Filter)
		if err != nil {
			return nil, fmt.Errorf("password.breach.filter: %w", err)
		}
		checks = append(checks, filter)
	}
	if b.Range.on {
		if u, err := url.Parse(b.Range.url); b.Range.url != "" && (err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http") {
			return checks, errors.New("password.breach.range: neither true nor false nor a URL such as https://api.pwnedpasswords.com/range")
		}
		checks = append(checks, breach.Range{URL: b.Range.url})
	}
	return checks, nil
}

// breachChecks finds a password in any of several places.
type breachChecks []interface {
	Breached(ctx context.Context, password string) (bool, error)
}

// Breached implements what usher.Config wants.
func (b breachChecks) Breached(ctx context.Context, password string) (bool, error) {
	var failures []error
	for _, check := range b {
		leaked, err := check.Breached(ctx, password)
		if leaked && err == nil {
			return true, nil
		}
		failures = append(failures, err)
	}
	return false, errors.Join(failures...)
}

func (b breachChecks) close() (err error) {
	for _, check := range b {
		if file, ok := check.(*breach.Filter); ok {
			err = errors.Join(err, file.Close())
		}
	}
	return err
}
