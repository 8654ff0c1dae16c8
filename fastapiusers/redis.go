package fastapiusers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/redis/rueidis"

	"usher"
)

// RedisTokens are the tokens of FastAPI Users' RedisStrategy. They are only read.
type RedisTokens struct {
	client rueidis.Client
	prefix string
}

// OpenRedis opens the Redis at a URL such as redis://user:password@host:6379/0,
// alone, with Sentinel or as a Cluster. prefix begins the keys (key_prefix of
// RedisStrategy); empty means "fastapi_users_token:". The caller must Close it.
func OpenRedis(url, prefix string) (*RedisTokens, error) {
	options, err := rueidis.ParseURL(url)
	if err != nil {
		return nil, errors.New("fastapiusers: not of the form redis://[USER:PASSWORD@]HOST[:PORT][/DB]") // the cause may quote the password
	}
	options.DisableCache = true
	client, err := rueidis.NewClient(options)
	if err != nil {
		return nil, fmt.Errorf("fastapiusers: open Redis: %w", err)
	}
	if prefix == "" {
		prefix = "fastapi_users_token:"
	}
	return &RedisTokens{client, prefix}, nil
}

// Close closes the connections.
func (r *RedisTokens) Close() { r.client.Close() }

// maxLeft is a hundred years: what is longer overflows sooner or later.
const maxLeft = 100 * 365 * 24 * 60 * 60 * 1000

// redisToken is a key of Redis.
type redisToken struct {
	token, user string
	left        time.Duration // negative: it has no time to live
}

// redisPatience is how long one page may take: reads are repeated while a node is
// away.
const redisPatience = 10 * time.Second

// pages calls f with the tokens, some at a time. As SCAN has it, one may come twice.
func (r *RedisTokens) pages(ctx context.Context, f func([]redisToken) error) error {
	nodes := r.client.Nodes()
	for _, node := range nodes {
		if len(nodes) > 1 && isReplica(ctx, node) {
			continue
		}
		for cursor := uint64(0); ; {
			page, tokens, err := r.page(ctx, node, cursor)
			if err != nil {
				return fmt.Errorf("fastapiusers: read Redis: %w", err)
			}
			for chunk := range slices.Chunk(tokens, batchSize) {
				if err := f(chunk); err != nil {
					return err
				}
			}
			if cursor = page.Cursor; cursor == 0 {
				break
			}
		}
	}
	return nil
}

// isReplica tells whether what a node of a Cluster has is on another one, too. Where
// it cannot tell, tokens come twice.
func isReplica(ctx context.Context, node rueidis.Client) bool {
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
	if err != nil || len(role) == 0 {
		return false
	}
	name, err := role[0].ToString()
	return err == nil && name == "slave"
}

func (r *RedisTokens) page(ctx context.Context, node rueidis.Client, cursor uint64) (page rueidis.ScanEntry, tokens []redisToken, err error) {
	ctx, cancel := context.WithTimeout(ctx, redisPatience)
	defer cancel()
	scan := node.B().Scan().Cursor(cursor).Match(escapeGlob(r.prefix) + "*").Count(batchSize).Build()
	if page, err = node.Do(ctx, scan).AsScanEntry(); err == nil {
		tokens, err = r.read(ctx, page.Elements)
	}
	return page, tokens, err
}

func (r *RedisTokens) read(ctx context.Context, keys []string) (tokens []redisToken, err error) {
	slices.Sort(keys)
	keys = slices.Compact(keys)
	commands := make(rueidis.Commands, 0, 2*len(keys))
	for _, key := range keys {
		commands = append(commands, r.client.B().Get().Key(key).Build(), r.client.B().Pttl().Key(key).Build())
	}
	if len(commands) == 0 {
		return nil, nil
	}
	answers := r.client.DoMulti(ctx, commands...)
	for i, key := range keys {
		user, err := answers[2*i].ToString()
		if rueidis.IsRedisNil(err) || isRefusal(err) { // expired meanwhile, or not a token
			continue
		}
		if err != nil {
			return nil, err
		}
		left, err := answers[2*i+1].AsInt64()
		if err != nil {
			return nil, err
		}
		if left == -2 { // expired meanwhile
			continue
		}
		tokens = append(tokens, redisToken{strings.TrimPrefix(key, r.prefix), user, time.Duration(min(left, maxLeft)) * time.Millisecond})
	}
	return tokens, nil
}

// isRefusal tells that the key is of another type.
func isRefusal(err error) bool {
	refusal, is := rueidis.IsRedisErr(err)
	return is && strings.HasPrefix(refusal.Error(), "WRONGTYPE")
}

func escapeGlob(s string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`).Replace(s)
}

// importRedisTokens carries the tokens in Redis. When one was made is not known:
// it is taken for one that lives for TokenLifetime.
func (im *importer[U]) importRedisTokens(ctx context.Context) error {
	source := im.options.RedisTokens
	if source == nil || im.to.RedisSessions == nil {
		return nil
	}
	run := &tokenRun[U]{importer: im, origin: "redis", counts: &im.report.RedisTokens, sessions: im.to.RedisSessions}
	carried := int64(0)
	run.done = func(n int) {
		carried += int64(n)
		im.options.Progress("redis", carried, carried) // nobody knows how many there are
	}
	im.to.Ledger.readBack(ledgerToken) // SCAN may name a token twice
	err := source.pages(ctx, func(page []redisToken) error {
		now := im.options.Now().Truncate(time.Microsecond)
		for _, t := range page {
			id, fault := idOf(t.user, im.to.IntegerIDs)
			if !opaqueToken.MatchString(t.token) {
				fault = errToken
			}
			lifetime := max(im.options.TokenLifetime, 0)
			a := accessToken{hash: usher.HashToken(t.token), user: id, fault: fault, expiresAt: now.Add(t.left), created: now.Add(min(t.left-lifetime, 0))}
			if t.left < 0 {
				a.expiresAt, a.created = now.Add(finite), now.Add(-lifetime)
			}
			run.add(a)
		}
		if len(run.live) < sortedTokens {
			return nil
		}
		return run.carryTokens(ctx)
	})
	if err == nil {
		err = run.carryTokens(ctx)
	}
	if err != nil {
		return err
	}
	return run.endOthers(ctx)
}
