package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"usher"
)

// User is what the program knows of a user: usher's fields and its own. The type
// of a field says what it can hold, on the wire and in its column; the tag usher
// says who may set it. Nobody may, where there is none.
type User struct {
	usher.User
	DisplayName *string   `json:"display_name" usher:"write"` // null: none
	Language    Language  `json:"language" usher:"write"`
	AgreedAt    time.Time `json:"agreed_at" usher:"write"` // to the terms
	Address     Address   `json:"address" usher:"write"`   // kept as JSON
	Interests   []string  `json:"interests" usher:"write"` // kept as JSON

	// Superusers set these; their user reads them.
	Credit    int        `json:"credit" usher:"admin"`
	PaidUntil *time.Time `json:"paid_until" usher:"admin"` // null: never paid

	Visits int    `json:"visits"` // the program counts; clients read
	Notes  string `json:"-"`      // stays on the server
}

// Address is where a user lives.
type Address struct {
	Lines   []string `json:"lines"`
	Country string   `json:"country"` // ISO 3166-1, two letters; empty: unknown
}

// Language is one of those that the program speaks. A type that reads itself
// from text can hold nothing else.
type Language string

const (
	English Language = "en"
	German  Language = "de"
	Korean  Language = "ko"
)

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Language) UnmarshalText(text []byte) error {
	switch language := Language(text); language {
	case English, German, Korean:
		*l = language
		return nil
	}
	return fmt.Errorf("%q is no language of ours", text)
}

// Validate is called before every write. It completes what was not given, and
// refuses what the types cannot.
func (u *User) Validate(context.Context) error {
	if u.Language == "" {
		u.Language = English
	}
	if u.Interests == nil {
		u.Interests = []string{}
	}
	u.AgreedAt = u.AgreedAt.UTC() // as it comes back from the database
	switch {
	case u.DisplayName != nil && *u.DisplayName == "":
		return usher.Invalid("display_name", "must be null or have a character")
	case u.AgreedAt.IsZero():
		return usher.Invalid("agreed_at", "the terms must be agreed to")
	case u.AgreedAt.After(time.Now().Add(time.Minute)): // clocks differ
		return usher.Invalid("agreed_at", "is in the future")
	case u.Address.Country != "" && len(u.Address.Country) != 2:
		return usher.Invalid("address", "the country must have two letters")
	case len(u.Interests) > 10 || slices.Contains(u.Interests, ""):
		return usher.Invalid("interests", "must be up to ten, none of them empty")
	case u.Credit < 0:
		return usher.Invalid("credit", "must not be negative")
	}
	return nil
}
