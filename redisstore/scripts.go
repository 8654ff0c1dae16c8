package redisstore

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"usher"

	"github.com/redis/rueidis"
)

// script is a step of several commands.
type script struct {
	*rueidis.Lua
	text  string
	waits bool // for Options.WaitReplicas
}

func newScript(text string, waits bool) script {
	return script{Lua: rueidis.NewLuaScript(text), text: text, waits: waits}
}

// run runs a script on the user's index and some of his sessions. If a Cluster is
// moving the keys it waits until they have arrived.
func (s *Store) run(ctx context.Context, script script, user usher.ID, entries []entry, args ...string) (n int64, err error) {
	client, err := s.client(ctx)
	if err != nil {
		return 0, err
	}
	keys := append([]string{s.indexKey(user)}, s.sessionKeys(entries)...)
	for {
		if script.waits && s.waitReplicas > 0 {
			n, err = s.runReplicated(ctx, client, script, keys, args)
		} else {
			n, err = script.Exec(ctx, client, keys, args).AsInt64()
		}
		if !isElsewhere(err) {
			return n, script.nameForbidden(err)
		}
		select {
		case <-ctx.Done():
			return n, err
		case <-time.After(movePause):
		}
	}
}

// runReplicated also waits until enough replicas have what the script did. WAIT
// speaks of its own connection, which therefore must be nobody else's.
func (s *Store) runReplicated(ctx context.Context, client rueidis.Client, script script, keys, args []string) (n int64, err error) {
	want := int64(s.waitReplicas)
	err = client.Dedicated(func(c rueidis.DedicatedClient) error {
		eval := c.B().Eval().Script(script.text).Numkeys(int64(len(keys))).Key(keys...).Arg(args...).Build()
		if n, err = c.Do(ctx, eval).AsInt64(); err != nil {
			return err
		}
		have, err := c.Do(ctx, c.B().Wait().Numreplicas(want).Timeout(s.waitTimeout.Milliseconds()).Build()).AsInt64()
		if err == nil && have < want {
			err = fmt.Errorf("%d of %d replicas have it after %v", have, want, s.waitTimeout)
		}
		return err
	})
	return n, err
}

// forbiddenCommand is the error for a command of a script that the user may not
// run, which Redis names by its line only.
type forbiddenCommand struct {
	name  string
	cause error
}

func (e *forbiddenCommand) Error() string { return "+" + e.name + " is missing: " + e.cause.Error() }
func (e *forbiddenCommand) Unwrap() error { return e.cause }

var (
	forbiddenLine = regexp.MustCompile(`user_script:(\d+)`)
	calledCommand = regexp.MustCompile(`redis\.call\('([A-Z]+)'`)
)

// nameForbidden returns a *forbiddenCommand if err says that there is one.
func (s script) nameForbidden(err error) error {
	refusal, ok := rueidis.IsRedisErr(err)
	if !ok || !strings.Contains(refusal.Error(), "can't run this command") {
		return err
	}
	at := forbiddenLine.FindStringSubmatch(refusal.Error())
	if at == nil {
		return err
	}
	lines := strings.Split(s.text, "\n")
	n, _ := strconv.Atoi(at[1])
	if n < 1 || n > len(lines) {
		return err
	}
	command := calledCommand.FindStringSubmatch(lines[n-1])
	if command == nil {
		return err
	}
	return &forbiddenCommand{strings.ToLower(command[1]), err}
}

// The scripts are the steps that touch more than one key. KEYS[1] is the index
// of a user, the other keys are his sessions; all are in one bucket. A member of
// the index is the hash of the token and the id of the session, its score is
// when the session expires.

// tidyIndex forgets the sessions that Redis has forgotten, by Redis's own clock,
// and lets the index expire with the last one.
const tidyIndex = `
local now = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('(%s%03d', now[1], math.floor(now[2] / 1000)))
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
if last[2] then redis.call('PEXPIREAT', KEYS[1], last[2]) end
return 1
`

// createScript (member, expiry, record) stores a session. The index comes first:
// if the second command fails there is no session that it does not name.
var createScript = newScript(`
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
redis.call('SET', KEYS[2], ARGV[3], 'PXAT', ARGV[2])
`+tidyIndex, true)

// touchScript (member, last seen, expiry) returns 0 if there is no such session.
// It leaves the session alone if somebody has touched it later. It edits the
// text because decoding and encoding in Lua would spoil the application's data
// (large numbers, empty arrays).
var touchScript = newScript(`
local record = redis.call('GET', KEYS[2])
if not record then return 0 end
local seen, rest = string.match(record, '^{"s":(%-?%d+),"e":%-?%d+(,.*)$')
if not seen then return redis.error_reply('ERR corrupt session') end
if tonumber(seen) > tonumber(ARGV[2]) then return 1 end
redis.call('SET', KEYS[2], '{"s":' .. ARGV[2] .. ',"e":' .. ARGV[3] .. rest, 'PXAT', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[3], ARGV[1])
`+tidyIndex, false)

// endScript (members, in the order of the sessions' keys) deletes sessions and
// returns how many there were.
var endScript = newScript(`
local ended = 0
for i, member in ipairs(ARGV) do
	ended = ended + redis.call('DEL', KEYS[i + 1])
	redis.call('ZREM', KEYS[1], member)
end
return ended
`, true)
