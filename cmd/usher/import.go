package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"usher/fastapiusers"
	"usher/redisstore"
	"usher/sqlstore"
	"usher/sqlstore/sqlite"

	"github.com/alecthomas/kong"
)

type importCommand struct {
	FastAPIUsers importFastAPIUsersCommand `cmd:"" name:"fastapi-users" help:"Copy users, accounts at providers and live tokens from a database of FastAPI Users. Can be repeated: a later run brings what has changed. Here --redis, or USHER_IMPORT_REDIS, is FastAPI Users' Redis, if it has tokens there."`
}

type importFastAPIUsersCommand struct {
	From          string            `required:"" env:"USHER_IMPORT_FROM" placeholder:"URL" help:"Database of FastAPI Users, which is only read: sqlite:PATH, postgresql://… or mysql://…"`
	Map           map[string]string `mapsep:"," placeholder:"NAME=OTHER" help:"Tables and columns that have other names than FastAPI Users', such as user=members,user.email=mail. user.NAME=OTHER carries the own column OTHER as NAME."`
	TokenLifetime tokenLifetime     `placeholder:"DURATION" help:"lifetime_seconds of FastAPI Users' DatabaseStrategy, such as 3600s; none if it is None (default: that of the backend with the strategy database)."`
	RedisPrefix   string            `default:"fastapi_users_token:" help:"key_prefix of FastAPI Users' RedisStrategy."`
	Problems      string            `default:"fastapi-users-problems.csv" placeholder:"FILE" help:"Where to list what could not be carried as it is."`
	DryRun        bool              `help:"Do everything but write."`
}

// tokenLifetime is a duration, or none.
type tokenLifetime time.Duration

// UnmarshalText implements encoding.TextUnmarshaler.
func (t *tokenLifetime) UnmarshalText(text []byte) error {
	if string(text) == "none" {
		*t = tokenLifetime(fastapiusers.NeverExpire)
		return nil
	}
	d, err := time.ParseDuration(string(text))
	if err != nil || d <= 0 {
		return errors.New(`neither a duration such as 3600s or 24h nor none`)
	}
	*t = tokenLifetime(d)
	return nil
}

// Run imports, and prints what it did.
func (i importFastAPIUsersCommand) Run(settings Settings, line *kong.Context) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	redis := os.Getenv("USHER_IMPORT_REDIS")
	if given(line, "redis") { // else it is usher's own, by USHER_REDIS
		redis, settings.Redis = settings.Redis, os.Getenv("USHER_REDIS")
	}
	config, err := settings.load()
	if err != nil {
		return configFaults(err)
	}
	source, err := fastapiusers.Open(ctx, i.From, i.Map)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	problems := &problemFile{name: i.Problems}
	progress := newProgressBar(os.Stderr)
	options := fastapiusers.Options{
		DryRun: i.DryRun, TokenLifetime: i.lifetime(config),
		Usable: config.Password.Argon2.limits().allow, Problem: problems.add, Progress: progress.show,
	}
	if redis != "" {
		if options.RedisTokens, err = fastapiusers.OpenRedis(redis, i.RedisPrefix); err != nil {
			return err
		}
		defer options.RedisTokens.Close()
	}
	target, closeTarget, err := i.target(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	report, err := fastapiusers.Import(ctx, source, target, options)
	progress.end()
	err = errors.Join(err, problems.close())
	if ctx.Err() != nil {
		err = errors.New("interrupted: what was carried stays, and the next run goes on there")
	}
	printImport(os.Stdout, report, config, problems, i.DryRun)
	return err
}

// given tells whether a flag is on the command line.
func given(line *kong.Context, flag string) bool {
	for _, element := range line.Path {
		if element.Flag != nil && element.Flag.Name == flag {
			return true
		}
	}
	return false
}

func (i importFastAPIUsersCommand) lifetime(c Config) time.Duration {
	if i.TokenLifetime != 0 {
		return time.Duration(i.TokenLifetime)
	}
	for _, b := range c.Backends {
		if b.Strategy == "database" && b.Lifetime != 0 {
			return b.Lifetime
		}
	}
	return 24 * time.Hour
}

// target opens what the configuration names.
func (i importFastAPIUsersCommand) target(ctx context.Context, c Config) (target fastapiusers.Target[User], closeAll func() error, err error) {
	var closers []func() error
	closeAll = func() (err error) {
		for n := len(closers) - 1; n >= 0; n-- {
			err = errors.Join(err, closers[n]())
		}
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, closeAll())
		}
	}()
	database := c.Database
	if i.DryRun {
		if database, err = readableDatabase(ctx, database); err != nil {
			return target, closeAll, err
		}
	}
	db, err := openDatabase(ctx, database, c.userIDs()...)
	if err != nil {
		return target, closeAll, err
	}
	closers = append(closers, db.Close)
	target.Store, target.IntegerIDs = db, c.IntegerIDs
	if !strings.HasSuffix(database, sqlite.Memory) {
		if target.Ledger, err = fastapiusers.OpenLedger(ctx, database, i.DryRun); err != nil {
			return target, closeAll, err
		}
		closers = append(closers, target.Ledger.Close)
	}
	if c.hasStrategy("database") {
		target.Sessions, target.RedisSessions = db, db
	}
	if c.usesRedis() {
		redis, err := redisstore.Open(ctx, c.Redis, c.RedisOptions.options())
		if err != nil {
			return target, closeAll, err
		}
		closers = append(closers, func() error { redis.Close(); return nil })
		if err := redis.Ping(ctx); err != nil {
			return target, closeAll, err
		}
		target.RedisSessions = redisstore.Moved{Store: redis}
		if target.Sessions == nil {
			target.Sessions = target.RedisSessions
		}
	}
	if target.EncryptionKeys, err = i.encryptionKeys(c); err != nil {
		return target, closeAll, err
	}
	profile, err := c.profile()
	target.Columns = profile.importColumns()
	return target, closeAll, err
}

// readableDatabase is the database for a dry run, for to open one makes and
// migrates it: one in memory if usher's is not there yet.
func readableDatabase(ctx context.Context, database string) (string, error) {
	const none = "sqlite:" + sqlite.Memory
	kind, path, err := parseDatabase(database)
	if err != nil {
		return "", err
	}
	if info, err := os.Stat(path); kind == sqlstore.SQLite && (errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0) {
		return none, nil
	}
	ledger, err := fastapiusers.OpenLedger(ctx, database, true)
	if err != nil {
		return "", fmt.Errorf("database %s: %w", shownDatabase(database), err)
	}
	version, columns, err := ledger.UsherSchema(ctx)
	if err = errors.Join(err, ledger.Close()); err != nil {
		return "", fmt.Errorf("database %s: %w", shownDatabase(database), err)
	}
	left, err := sqlstore.Script(kind, version)
	nothing, failure := sqlstore.Script(kind, math.MaxInt64)
	switch {
	case err != nil || failure != nil:
		return "", errors.Join(err, failure)
	case version == 0 && len(columns) > 0:
		return "", fmt.Errorf("database %s: it has a table users that is not usher's: give usher a database of its own", shownDatabase(database))
	case version == 0:
		return none, nil
	case left != nothing || !slices.Contains(columns, "profile"):
		return "", fmt.Errorf("database %s: its tables are those of an older version, and a dry run changes nothing: run usher migrate first", shownDatabase(database))
	}
	return database, nil
}

func (c Config) hasStrategy(name string) bool {
	for _, b := range c.Backends {
		if b.Strategy == name {
			return true
		}
	}
	return false
}

// userIDs are the options of the database that the configuration asks for.
func (c Config) userIDs() []sqlstore.Option {
	if c.IntegerIDs {
		return []sqlstore.Option{sqlstore.IntegerIDs}
	}
	return nil
}

// printImport says what an import did, or would do.
func printImport(w *os.File, r fastapiusers.Report, c Config, problems *problemFile, dryRun bool) {
	if dryRun {
		fmt.Fprintln(w, "dry run: nothing was written")
	}
	for _, t := range []struct {
		name   string
		counts fastapiusers.Counts
	}{{"users", r.Users}, {"oauth accounts", r.Accounts}, {"access tokens", r.Tokens}, {"redis tokens", r.RedisTokens}} {
		if t.name == "users" || t.counts != (fastapiusers.Counts{}) {
			fmt.Fprintf(w, "%s: %s\n", t.name, inWords(t.counts))
		}
	}
	say := func(any bool, format string, args ...any) {
		if any {
			fmt.Fprintf(w, format+"\n", args...)
		}
	}
	say(len(r.Columns) > 0, "own columns carried: %s", strings.Join(r.Columns, ", "))
	say(len(r.NotCarried) > 0, "own columns not carried: %s (declare them under profile in the configuration)", strings.Join(r.NotCarried, ", "))
	say(len(r.MissingTables) > 0, "not in the source: %s", strings.Join(r.MissingTables, ", "))
	say(r.UnusablePasswords > 0, "passwords that usher cannot check: %d (their users have to set new ones)", r.UnusablePasswords)
	say(!c.hasStrategy("database") && !c.usesRedis(), "tokens are not carried: no backend has the strategy database or redis")
	say(c.usesRedis() && !c.FastAPIUsers.RedisTokens && (r.RedisTokens.New > 0 || !c.hasStrategy("database") && r.Tokens.New > 0),
		"set fastapi_users.redis_tokens: true, else usher does not find the tokens that are in Redis now")
	say(problems.count > 0, "problems: %d, listed in %s", problems.count, problems.name)
}

// inWords is what a report says of a table.
func inWords(c fastapiusers.Counts) string {
	words := []string{fmt.Sprintf("%d read", c.Read)}
	for _, part := range []struct {
		n    int
		what string
	}{
		{c.New, "new"}, {c.Changed, "changed"}, {c.Same, "same"}, {c.ChangedHere, "changed in usher too"}, {c.DeletedHere, "deleted in usher"},
		{c.Collided, "collided"}, {c.Refused, "refused"}, {c.Expired, "expired"}, {c.Inactive, "of inactive users"}, {c.Orphaned, "without a user"},
		{c.Gone, "gone from the source"}, {c.Ended, "ended"},
	} {
		if part.n > 0 {
			words = append(words, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	return strings.Join(words, ", ")
}
