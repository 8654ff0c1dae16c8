package redisstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"

	"usher"

	"github.com/redis/rueidis"
)

// timeout bounds every operation, however patient its context.
const timeout = 3 * time.Second

// Options are the settings of a Store.
type Options struct {
	// Prefix begins every key; empty means "usher:". Braces would decide the
	// slot of a key in Redis Cluster and must not be in it.
	Prefix string
	// WaitReplicas is how many replicas must have a session, or the end of one,
	// before whoever asked for it is told that it is done; 0 asks none. If too
	// few have it within WaitTimeout the call fails, though the change may stay.
	// A failover then undoes less, but not nothing: a replica that missed the
	// change may still become the master (see Redis's WAIT). With more than there
	// are, every such call fails.
	WaitReplicas int
	// WaitTimeout is how long WaitReplicas are waited for; 0 means 500 ms. More
	// than three seconds are never waited.
	WaitTimeout time.Duration
}

// store returns a Store with these settings or their defaults.
func (o Options) store(client func(context.Context) (rueidis.Client, error), close func()) *Store {
	s := &Store{prefix: o.Prefix, waitReplicas: o.WaitReplicas, waitTimeout: o.WaitTimeout, client: client, close: close}
	if s.prefix == "" {
		s.prefix = "usher:"
	}
	if s.waitTimeout <= 0 {
		s.waitTimeout = 500 * time.Millisecond
	}
	return s
}

// Store keeps sessions in Redis. It is safe for concurrent use.
type Store struct {
	prefix       string
	waitReplicas int
	waitTimeout  time.Duration
	client       func(context.Context) (rueidis.Client, error)
	close        func()
}

var _ usher.SessionStore = (*Store)(nil)

// New returns a Store over a client that the application holds, and that
// remains the application's to close. It must read from primaries only, or a
// session that was ended may be read from a replica. Unlike Open, rueidis makes
// no client while Redis is away; and it is the client's settings that decide how
// long an operation on a silent Redis can outlast its context.
func New(client rueidis.Client, opts Options) *Store {
	return opts.store(func(context.Context) (rueidis.Client, error) { return client, nil }, func() {})
}

// Open returns a Store for the Redis at a URL such as
//
//	redis://user:password@host:6379/0
//	rediss://host:6379?ca_file=ca.pem                                 TLS
//	redis://host1:6379?addr=host2:6379                                several nodes of a Cluster
//	redis://user:password@host1:26379?addr=host2:26379&master_set=name  Sentinels
//
// ca_file names the only authorities to trust (default: the system's); cert_file
// and key_file are our own certificate. The nodes of a Cluster show certificates
// for the host of the URL, others for their own names. user and password are
// those of Redis; Sentinels that ask for any have sentinel_user and
// sentinel_password.
//
// It tries to connect, until ctx ends. That Redis is away or turns us down is
// not an error here: the Store connects when it can and meanwhile fails; Ping
// tells. The error is that of a malformed URL or of a file that it names. The
// caller must Close the Store.
func Open(ctx context.Context, url string, opts Options) (*Store, error) {
	options, err := clientOption(url)
	if err != nil {
		return nil, err
	}
	c := &connector{options: options}
	c.client(ctx) // the error will come back with the first operation
	return opts.store(c.client, c.close), nil
}

// Close ends the connections of a Store that Open returned.
func (s *Store) Close() { s.close() }

// Ping reports whether Redis answers. The error's text says apart what does not
// end by itself: a fault of TLS, a wrong password, a right that is missing.
func (s *Store) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := s.client(ctx)
	if err == nil {
		err = client.Do(ctx, client.B().Ping().Build()).Error()
	}
	if err != nil {
		return fmt.Errorf("redisstore: ping: %w", explain(err))
	}
	return nil
}

// MaxmemoryPolicy returns the maxmemory-policy of one node. Any but noeviction
// can evict the index that revoking needs (see the package comment). The error may
// be that we are not allowed to ask (INFO).
func (s *Store) MaxmemoryPolicy(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	client, err := s.client(ctx)
	if err != nil {
		return "", fmt.Errorf("redisstore: maxmemory policy: %w", err)
	}
	info, err := client.Do(ctx, client.B().Info().Section("memory").Build()).ToString()
	if err != nil {
		return "", fmt.Errorf("redisstore: maxmemory policy: %w", err)
	}
	for line := range strings.Lines(info) {
		if policy, ok := strings.CutPrefix(line, "maxmemory_policy:"); ok {
			return strings.TrimSpace(policy), nil
		}
	}
	return "", errors.New("redisstore: maxmemory policy: Redis does not tell")
}

// HoldsToken reports whether a session of this user can be kept under this
// hash: whether both are in one bucket (see the package comment).
func (s *Store) HoldsToken(user usher.ID, token usher.TokenHash) bool {
	return bucket(user) == token[0]
}

func bucket(user usher.ID) byte {
	return sha256.Sum256([]byte(user))[0]
}

// sessionKey is the key of a session.
func (s *Store) sessionKey(token usher.TokenHash) string {
	const kind = "}:session:"
	b := make([]byte, 0, len(s.prefix)+len("{7f")+len(kind)+2*len(token))
	b = append(append(b, s.prefix...), '{')
	b = append(hex.AppendEncode(b, token[:1]), kind...)
	return rueidis.BinaryString(hex.AppendEncode(b, token[:]))
}

// indexKey is the key of the index of a user's sessions.
func (s *Store) indexKey(user usher.ID) string {
	return fmt.Sprintf("%s{%02x}:user:%s", s.prefix, bucket(user), user)
}
