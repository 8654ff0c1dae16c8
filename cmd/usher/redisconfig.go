package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"usher/redisstore"

	"github.com/redis/rueidis"
)

// RedisConfig says how sessions are kept in Redis.
type RedisConfig struct {
	Prefix       string        `yaml:"prefix"`
	DenyList     bool          `yaml:"deny_list"`
	WaitReplicas int           `yaml:"wait_replicas"`
	WaitTimeout  time.Duration `yaml:"wait_timeout"`
}

func (r RedisConfig) options() redisstore.Options {
	return redisstore.Options{Prefix: r.Prefix, WaitReplicas: r.WaitReplicas, WaitTimeout: r.WaitTimeout}
}

func (c Config) checkRedis() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Redis != "" {
		if _, err := rueidis.ParseURL(c.Redis); err != nil {
			fault("redis: not of the form redis://[USER:PASSWORD@]HOST[:PORT][/DB]")
		}
	}
	r := c.RedisOptions
	if (r.DenyList || r.WaitReplicas > 0) && c.Redis == "" {
		fault("redis_options: need a Redis (--redis, USHER_REDIS or the key redis)")
	}
	if strings.ContainsAny(r.Prefix, "{}") {
		fault("redis_options.prefix: %q has a brace, which would decide the slot in a Cluster", r.Prefix)
	}
	if r.WaitReplicas < 0 {
		fault("redis_options.wait_replicas: %d is negative", r.WaitReplicas)
	}
	if r.WaitTimeout < 0 || r.WaitTimeout > 2*time.Second {
		fault("redis_options.wait_timeout: %v is not from 0s to 2s", r.WaitTimeout)
	}
	return errors.Join(faults...)
}

// warnOfRedis logs if Redis is away or turns us down, and if it may forget sessions
// and the index of those to revoke. Of that it says nothing if Redis does not tell.
func (s *server) warnOfRedis() {
	ctx, cancel := context.WithTimeout(context.Background(), redisPatience)
	defer cancel()
	if err := s.redis.Ping(ctx); err != nil {
		s.log.Warn("Redis cannot be used: what is in it is answered 503 until it can", "error", err)
		return
	}
	if policy, err := s.redis.MaxmemoryPolicy(ctx); err == nil && policy != "noeviction" {
		s.log.Warn("Redis may evict sessions, and then cannot revoke others: set its maxmemory-policy to noeviction", "maxmemory-policy", policy)
	}
}
