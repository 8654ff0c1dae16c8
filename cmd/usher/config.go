package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Settings are those that flags and the environment can set. Empty means: as in
// the configuration file, or else the default.
type Settings struct {
	ConfigFile     string   `name:"config" env:"USHER_CONFIG" placeholder:"FILE" help:"Configuration file (YAML)."`
	Addr           string   `env:"USHER_ADDR" placeholder:"HOST:PORT" help:"Where to listen (default: 127.0.0.1:8000)."`
	Database       string   `env:"USHER_DATABASE" placeholder:"URL" help:"Database: sqlite:PATH, postgres://… or mysql://… (default: sqlite:usher.db)."`
	Redis          string   `env:"USHER_REDIS" placeholder:"URL" help:"Redis for sessions, such as redis://localhost:6379 (default: none)."`
	SecretFile     string   `env:"USHER_SECRET_FILE" placeholder:"FILE" help:"File of the secret, made if missing (default: usher.secret beside the database). The secret itself can be in USHER_SECRET."`
	CORSOrigins    []string `name:"cors-origins" env:"USHER_CORS_ORIGINS" placeholder:"ORIGIN" help:"Origins whose pages may call the server, such as https://app.example.com (default: none)."`
	TrustedProxies []string `env:"USHER_TRUSTED_PROXIES" placeholder:"CIDR" help:"Proxies whose X-Forwarded-For is believed (default: none)."`
	LogLevel       string   `env:"USHER_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error (default: info)."`
	LogFormat      string   `env:"USHER_LOG_FORMAT" placeholder:"FORMAT" help:"text, json, or auto: text on a terminal, else json (default: auto)."`
}

// Config is the whole configuration. The tags name the keys of the file.
type Config struct {
	Addr       string `yaml:"addr"`
	Database   string `yaml:"database"`
	IntegerIDs bool   `yaml:"integer_ids"`
	Redis      string `yaml:"redis"`
	SecretFile string `yaml:"secret_file"`

	RedisOptions RedisConfig `yaml:"redis_options"`
	// Secret comes from the environment only: flags show in the list of
	// processes, and files are copied around.
	Secret string `yaml:"-"`
	// dryRun lets nobody be created.
	dryRun bool

	Backends        []BackendConfig `yaml:"backends"`
	RequireVerified bool            `yaml:"require_verified"`
	Password        PasswordConfig  `yaml:"password"`

	Registration RegistrationConfig `yaml:"registration"`
	// Profile declares fields of users by their names.
	Profile   map[string]ProfileField `yaml:"profile"`
	Lifetimes LifetimesConfig         `yaml:"lifetimes"`
	// MailNewSignIn tells users of every sign-in.
	MailNewSignIn bool `yaml:"mail_new_sign_in"`
	// What follows is less safe than the default; see usher.Config.
	InsecureUpdateWithoutPassword  bool `yaml:"insecure_update_without_password"`
	InsecureKeepSessions           bool `yaml:"insecure_keep_sessions"`
	InsecureUnconfirmedEmailChange bool `yaml:"insecure_unconfirmed_email_change"`

	Mail         MailConfig         `yaml:"mail"`
	OAuth        OAuthConfig        `yaml:"oauth"`
	FastAPIUsers FastAPIUsersConfig `yaml:"fastapi_users"`

	CORSOrigins    []string      `yaml:"cors_origins"`
	TrustedProxies []string      `yaml:"trusted_proxies"`
	HSTS           bool          `yaml:"hsts"`
	Limits         LimitsConfig  `yaml:"limits"`
	Shutdown       time.Duration `yaml:"shutdown_timeout"`
	Log            LogConfig     `yaml:"log"`
}

// BackendConfig declares a backend.
type BackendConfig struct {
	Name        string        `yaml:"name"`
	Transport   string        `yaml:"transport"` // bearer, cookie
	Strategy    string        `yaml:"strategy"`  // database, redis, jwt
	Lifetime    time.Duration `yaml:"lifetime"`
	IdleTimeout time.Duration `yaml:"idle_timeout"`
	Cookie      *CookieConfig `yaml:"cookie"`
	JWT         *JWTConfig    `yaml:"jwt"`
}

// CookieConfig are the settings of the transport cookie.
type CookieConfig struct {
	Name     string        `yaml:"name"`
	Path     string        `yaml:"path"`
	Domain   string        `yaml:"domain"`
	SameSite string        `yaml:"same_site"` // lax, strict, none
	MaxAge   time.Duration `yaml:"max_age"`
	Secure   *bool         `yaml:"secure"`    // default true
	HTTPOnly *bool         `yaml:"http_only"` // default true
}

// JWTConfig are the settings of the strategy jwt.
type JWTConfig struct {
	Audience []string    `yaml:"audience"`
	Issuer   string      `yaml:"issuer"`
	Keys     []KeyConfig `yaml:"keys"` // default: the server's secret
}

// KeyConfig is a key for JWTs.
type KeyConfig struct {
	ID   string `yaml:"id"`
	File string `yaml:"file"`
}

// PasswordConfig says which passwords are good enough and how they are hashed.
type PasswordConfig struct {
	MinLength           int          `yaml:"min_length"`
	MaxBytes            int          `yaml:"max_bytes"`
	InsecureAllowCommon bool         `yaml:"insecure_allow_common"`
	Breach              BreachConfig `yaml:"breach"`

	Argon2       Argon2Config  `yaml:"argon2"`
	Parallel     int           `yaml:"parallel"`
	QueueTimeout time.Duration `yaml:"queue_timeout"`
	// InsecureAllowWeak permits cheap hashes. For tests.
	InsecureAllowWeak bool `yaml:"insecure_allow_weak"`
}

// Argon2Config are the parameters of Argon2id (RFC 9106 §3.1).
type Argon2Config struct {
	MemoryKiB uint32 `yaml:"memory_kib"`
	Time      uint32 `yaml:"time"`
	Lanes     uint8  `yaml:"lanes"`
}

// LimitsConfig bounds what a connection may cost.
type LimitsConfig struct {
	MaxBodyBytes      int64         `yaml:"max_body_bytes"`
	MaxHeaderBytes    int           `yaml:"max_header_bytes"`
	ReadHeaderTimeout time.Duration `yaml:"read_header_timeout"`
	ReadTimeout       time.Duration `yaml:"read_timeout"`
	RequestTimeout    time.Duration `yaml:"request_timeout"`
	WriteTimeout      time.Duration `yaml:"write_timeout"`
	IdleTimeout       time.Duration `yaml:"idle_timeout"`
}

// LogConfig says what is logged and how.
type LogConfig struct {
	Level  string `yaml:"level"`
	Format string `yaml:"format"`
}

func defaultConfig() Config {
	return Config{
		Addr:     "127.0.0.1:8000",
		Database: "sqlite:usher.db",

		RedisOptions: RedisConfig{Prefix: "usher:", WaitTimeout: 500 * time.Millisecond},
		Limits: LimitsConfig{
			MaxBodyBytes:      64 << 10,
			MaxHeaderBytes:    32 << 10,
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			RequestTimeout:    10 * time.Second,
			WriteTimeout:      30 * time.Second,
			IdleTimeout:       75 * time.Second, // more than the minute of most proxies
		},
		Lifetimes: LifetimesConfig{Verify: time.Hour, Reset: time.Hour, DeadMail: 30 * 24 * time.Hour},
		Shutdown:  10 * time.Second,
		Log:       LogConfig{Level: "info", Format: "auto"},
	}
}

// load returns the configuration that the settings make: they weigh more than
// the file, and the file more than the defaults. The error names every fault.
func (s Settings) load() (Config, error) {
	c := defaultConfig()
	var faults []error
	if s.ConfigFile != "" {
		faults = append(faults, c.readFile(s.ConfigFile))
	}
	for target, value := range map[*string]string{
		&c.Addr: s.Addr, &c.Database: s.Database, &c.Redis: s.Redis, &c.SecretFile: s.SecretFile,
		&c.Log.Level: s.LogLevel, &c.Log.Format: s.LogFormat,
	} {
		if value != "" {
			*target = value
		}
	}
	for target, values := range map[*[]string][]string{&c.CORSOrigins: s.CORSOrigins, &c.TrustedProxies: s.TrustedProxies} {
		if len(values) > 0 && values[0] != "" {
			*target = values
		}
	}
	c.Secret = os.Getenv("USHER_SECRET")
	c.Mail.SMTP.Password = os.Getenv("USHER_SMTP_PASSWORD")
	c.OAuth.readSecrets()
	c = c.withDefaults()
	return c, errors.Join(append(faults, c.check())...)
}

// withDefaults fills in what depends on other settings.
func (c Config) withDefaults() Config {
	if len(c.Backends) == 0 {
		c.Backends = []BackendConfig{
			{Name: "cookie", Transport: "cookie", Strategy: "database"},
			{Name: "jwt", Transport: "bearer", Strategy: "jwt"},
		}
		if c.Redis != "" {
			c.Backends = append(c.Backends, BackendConfig{Name: "redis", Transport: "bearer", Strategy: "redis"})
		}
	}
	if c.SecretFile == "" {
		c.SecretFile = defaultSecretFile(c.Database)
	}
	if c.OAuth.Backend == "" {
		c.OAuth.Backend = c.Backends[0].Name
	}
	c.Mail = c.Mail.withDefaults(c.Addr, c.Database)
	return c
}

// readFile reads the configuration file over c. What is well-formed in it is
// read even if something else is not, so that all faults can be named.
func (c *Config) readFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	d := yaml.NewDecoder(f)
	d.KnownFields(true)
	err = d.Decode(c)
	if err == nil && d.Decode(new(yaml.Node)) != io.EOF {
		err = errors.New("more than one document")
	}
	var faults *yaml.TypeError
	switch {
	case errors.Is(err, io.EOF): // an empty file
		return nil
	case errors.As(err, &faults):
		var all []error
		for _, fault := range faults.Errors {
			all = append(all, fmt.Errorf("%s: %s", name, readable(fault)))
		}
		return errors.Join(all...)
	case err != nil:
		return fmt.Errorf("%s: %s", name, strings.TrimPrefix(err.Error(), "yaml: "))
	}
	return nil
}

var unknownKey = regexp.MustCompile(`field (.*) not found in type .*`)

// readable takes the names of Go out of the decoder's messages.
func readable(fault string) string {
	fault = unknownKey.ReplaceAllString(fault, "unknown key $1")
	fault = strings.ReplaceAll(fault, "into time.Duration", `into a duration (such as "90s" or "24h")`)
	return strings.ReplaceAll(fault, "main.", "")
}
