package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"time"

	"usher"
)

// check returns every fault of the configuration. It looks at files but touches
// no store.
func (c Config) check() error {
	secret, secretErr := c.readSecret()
	if errors.Is(secretErr, os.ErrNotExist) {
		secretErr = nil // serve makes one
	}
	if secret == nil {
		secret = newSecret() // any good one will do here
	}
	// The library knows best what goes together; it is shown stores that it
	// never uses.
	s := stores{
		users:    struct{ usher.UserStore[User] }{},
		database: struct{ usher.SessionStore }{},
		redis:    struct{ usher.SessionStore }{},
		denied:   struct{ usher.DenyList }{},
		outbox:   struct{ usher.Outbox }{},
	}
	library, faults := c.library(secret, s)
	_, libraryErr := usher.New(library)
	return errors.Join(append(faults, libraryErr, secretErr,
		c.checkAddr(), c.checkDatabase(), c.checkRedis(), c.checkLifetimes(), c.checkBreach(), c.checkMail(), c.checkOAuth(secret, s),
		c.checkProxies(), c.checkLimits(), c.checkLog())...)
}

func (c Config) checkAddr() error {
	_, port, err := net.SplitHostPort(c.Addr)
	if err != nil {
		return fmt.Errorf("addr: %q is not of the form HOST:PORT", c.Addr)
	}
	if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return fmt.Errorf("addr: %q has no port from 0 to 65535", c.Addr)
	}
	return nil
}

// origins returns the origins of cors_origins, and the faults of those that are
// none. Patterns and capitals would be taken in different ways by those who
// compare them.
func (c Config) origins() (origins []string, faults []error) {
	for _, origin := range c.CORSOrigins {
		err := http.NewCrossOriginProtection().AddTrustedOrigin(origin)
		if err != nil || strings.Contains(origin, "*") || origin != strings.ToLower(origin) {
			faults = append(faults, fmt.Errorf("cors_origins: %q is not an origin as browsers send it, such as https://app.example.com", origin))
			continue
		}
		origins = append(origins, origin)
	}
	return origins, faults
}

func (c Config) checkProxies() error {
	var faults []error
	for _, proxy := range c.TrustedProxies {
		if _, err := parseProxy(proxy); err != nil {
			faults = append(faults, fmt.Errorf("trusted_proxies: %q is neither an IP address nor a network such as 10.0.0.0/8", proxy))
		}
	}
	return errors.Join(faults...)
}

func parseProxy(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil {
		return addr.Prefix(addr.BitLen())
	}
	return netip.ParsePrefix(s)
}

func (c Config) checkLimits() error {
	var faults []error
	for _, limit := range []struct {
		key   string
		value time.Duration
	}{
		{"limits.read_header_timeout", c.Limits.ReadHeaderTimeout},
		{"limits.read_timeout", c.Limits.ReadTimeout},
		{"limits.request_timeout", c.Limits.RequestTimeout},
		{"limits.write_timeout", c.Limits.WriteTimeout},
		{"limits.idle_timeout", c.Limits.IdleTimeout},
		{"shutdown_timeout", c.Shutdown},
	} {
		if limit.value <= 0 {
			faults = append(faults, fmt.Errorf("%s: has to be more than 0", limit.key))
		}
	}
	if c.Limits.WriteTimeout > 0 && c.Limits.WriteTimeout <= c.Limits.RequestTimeout {
		faults = append(faults, errors.New("limits.write_timeout: has to be more than limits.request_timeout, or the last answers are cut off"))
	}
	if c.Limits.MaxBodyBytes <= 0 {
		faults = append(faults, errors.New("limits.max_body_bytes: has to be more than 0"))
	}
	if c.Limits.MaxHeaderBytes <= 0 {
		faults = append(faults, errors.New("limits.max_header_bytes: has to be more than 0"))
	}
	return errors.Join(faults...)
}

func (c Config) checkLog() error {
	_, err := c.Log.level()
	switch c.Log.Format {
	case "auto", "text", "json":
	default:
		err = errors.Join(err, fmt.Errorf("log.format: %q is none of auto, text, json", c.Log.Format))
	}
	return err
}
