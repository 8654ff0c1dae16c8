// Package redisstore keeps sessions in Redis (6.2 or later, alone, with
// Sentinel or as a Cluster) or Valkey.
//
//	store, err := redisstore.Open(ctx, "redis://localhost:6379", redisstore.Options{})
//	...
//	{Name: "redis", Transport: usher.Bearer{}, Strategy: usher.Sessions{Store: store}}
//
// # Keys
//
//	usher:{7f}:session:<hash of the token>   the session, as JSON
//	usher:{7f}:user:<user id>                a sorted set, the index of the user's sessions
//
// Every key expires, an index with the last of its sessions.
//
// A session and its index change together, in one script, so that no session
// can live that its user's list does not show. In Redis Cluster a script may
// touch only keys of one slot, which the part of a key in braces decides. It
// cannot be the user's id, because whoever reads a session knows its token only
// and would have to ask for the user first. So it is two digits that both sides
// know: the first byte of the token's hash, and the first byte of the SHA-256 of
// the user's id. They agree because HoldsToken refuses every new token for which
// they do not: 255 of 256 are drawn in vain, some 0.1 ms for each sign-in, and 8
// of a token's 256 random bits are given up. For that, reading a session is one
// GET, and the sessions spread over 256 buckets.
//
// So no command or script has keys of two slots. What takes several steps is in an
// order in which each may be the last: RevokeSessions ends a thousand sessions at a
// time, each batch with its part of the index; what tidies an index is a help and
// nothing depends on it; and Moved, whose tokens may be in any bucket, writes the
// way to a session before the session, for without it the way leads to nothing.
//
// # Outages
//
// Redis need not be there when the application starts, and may leave and come
// back: until then every method fails, within about three seconds, with an error
// that is not usher.ErrNotFound, and the client is answered 503. Nothing has to be
// restarted. When a method that writes fails, the change may or may not have been
// made; it is not repeated unless the caller does, which is safe.
//
// # What Redis has to promise
//
// Redis must not evict (maxmemory-policy noeviction, its default). If it evicts
// a session, somebody is signed out. But if it evicts an index, the sessions
// that were in it cannot be listed or revoked until their use is next recorded.
// Redis forgets sessions by its own clock, which must not be ahead.
//
// Redis replicates, and by default writes its file, after it has answered. A
// session that was ended just before a crash or a failover may live again until
// it expires. `appendfsync always` closes the gap for a crash, and a deny-list in
// the database (usher.Sessions.DenyList) for both; Options.WaitReplicas narrows it.
// docs/operations.md weighs them.
//
// A master that was replaced and starts again says that it is the master until
// Sentinel corrects it. If it has no file it is empty, and whoever still asks it is
// told usher.ErrNotFound of sessions that live: so every node needs one
// (`appendonly yes`). With Options.WaitReplicas it cannot acknowledge the end of
// sessions that it does not know.
package redisstore
