package main

import (
	"errors"
	"fmt"
	"io/fs"

	"usher"
)

// FastAPIUsersConfig is what a deployment that moved from FastAPI Users has kept.
type FastAPIUsersConfig struct {
	VerifySecretFile string `yaml:"verify_secret_file"`
	ResetSecretFile  string `yaml:"reset_secret_file"`
	ResetTokens      bool   `yaml:"reset_tokens"`
	// RedisTokens looks for tokens that `usher import fastapi-users` brought to Redis.
	RedisTokens bool `yaml:"redis_tokens"`
}

// secrets returns those that FastAPI Users signed its links with, nil for none.
func (f FastAPIUsersConfig) secrets() (verify, reset []byte, err error) {
	var faults []error
	read := func(key, name string) []byte {
		if name == "" {
			return nil
		}
		secret, err := readPrivate(name)
		if err == nil {
			err = usher.CheckSecret(secret)
		}
		if err == nil {
			return secret
		}
		if errors.Is(err, fs.ErrNotExist) {
			err = fmt.Errorf("%s does not exist", name)
		}
		faults = append(faults, fmt.Errorf("fastapi_users.%s: %w", key, err))
		return nil
	}
	verify, reset = read("verify_secret_file", f.VerifySecretFile), read("reset_secret_file", f.ResetSecretFile)
	return verify, reset, errors.Join(faults...)
}
