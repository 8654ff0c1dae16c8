package fastapiusers

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"usher"
)

// accessToken is a row of accesstoken, or a key of Redis, of which only the hash is
// kept.
type accessToken struct {
	hash               usher.TokenHash
	user               usher.ID
	created, expiresAt time.Time
	fault              error // what usher refuses in it
}

// opaqueToken is what FastAPI Users draws, and usher takes for a token.
var opaqueToken = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

var errToken = errors.New("not 43 characters of base64url")

// item is the token in the ledger.
func (a accessToken) item() string { return hex.EncodeToString(a.hash[:]) }

// session is what usher keeps of the token. Its id follows from the token's hash,
// so that a second attempt makes the same one; it is no way back to a token of 256
// random bits. In the order of the hashes, for sortedTokens, it begins as they do.
func (a accessToken) session() usher.Session {
	id := uuid.NewSHA1(uuid.NameSpaceOID, a.hash[:])
	copy(id[:6], a.hash[:6])
	return usher.Session{
		ID: id.String(), UserID: a.user,
		CreatedAt: a.created, LastSeenAt: a.created, AuthTime: a.created, ExpiresAt: a.expiresAt,
		Methods: []string{}, // nobody knows whether it was a password
	}
}

// tokenRun carries the tokens of one origin.
type tokenRun[U any] struct {
	*importer[U]
	origin   string // in the ledger
	counts   *Counts
	sessions usher.SessionStore
	seen     hashSet
	live     []accessToken // read, and not yet carried
	done     func(n int)
}

// sortedTokens is how many tokens are sorted before they are carried. They come in an
// order that says nothing of their hashes: one after the other each would change
// pages of its own of the database, which then writes a hundred times what it keeps.
const sortedTokens = 200_000

// importTokens carries the tokens of the table accesstoken.
func (im *importer[U]) importTokens(ctx context.Context) error {
	t := im.from.tokens
	if t.source == "" || im.to.Sessions == nil {
		return nil
	}
	done, err := im.progress(ctx, t)
	if err != nil {
		return err
	}
	run := &tokenRun[U]{importer: im, origin: "database", counts: &im.report.Tokens, sessions: im.to.Sessions, done: done}
	err = im.from.pages(ctx, t, tableColumns[tokenTable], batchSize, func(rows [][]any) error {
		for _, values := range rows {
			run.add(im.readToken(values))
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

func (im *importer[U]) readToken(values []any) (a accessToken) {
	var faults [3]error
	token, fault := textOf(values[0])
	a.hash, faults[0] = usher.HashToken(token), fault
	a.user, faults[1] = idOf(values[1], im.to.IntegerIDs)
	a.created, faults[2] = timeOf(values[2])
	if !opaqueToken.MatchString(token) {
		faults[0] = errToken
	}
	a.fault = errors.Join(faults[:]...)
	a.expiresAt = a.created.Add(im.options.TokenLifetime)
	if im.options.TokenLifetime < 0 {
		a.expiresAt = im.options.Now().Add(finite)
	}
	a.created = a.created.Truncate(time.Microsecond)
	return a
}

// add takes a token that was read, to be carried if it is still good.
func (r *tokenRun[U]) add(a accessToken) {
	r.counts.Read++
	r.seen.add(r.hash(a.item()))
	switch {
	case a.fault != nil:
		r.settle(r.refuse(a, a.fault))
	case !a.expiresAt.After(r.options.Now()):
		r.counts.Expired++
	default:
		r.live = append(r.live, a)
		return
	}
	r.done(1)
}

// carryTokens carries those that were added.
func (r *tokenRun[U]) carryTokens(ctx context.Context) error {
	slices.SortFunc(r.live, func(a, b accessToken) int { return bytes.Compare(a.hash[:], b.hash[:]) })
	unique := slices.CompactFunc(r.live, func(a, b accessToken) bool { return a.hash == b.hash })
	r.counts.Same += len(r.live) - len(unique) // Redis may name one twice
	for batch := range slices.Chunk(unique, batchSize) {
		if err := r.carryBatch(ctx, batch); err != nil {
			return err
		}
		r.done(len(batch))
	}
	r.live = r.live[:0]
	return nil
}

func (r *tokenRun[U]) carryBatch(ctx context.Context, live []accessToken) error {
	var items []string
	var users []usher.ID
	for _, a := range live {
		items, users = append(items, a.item()), append(users, a.user)
	}
	states, err := r.to.Ledger.read(ctx, ledgerToken, items)
	if err != nil {
		return err
	}
	ledger, err := r.ledgerOfUsers(ctx, users)
	if err != nil {
		return err
	}
	var todo []*row
	for i, a := range live {
		if _, carriedBefore := states[items[i]]; carriedBefore {
			r.counts.Same++ // or ended in usher since
			continue
		}
		todo = append(todo, &row{
			item: items[i],
			do:   func(ctx context.Context) (outcome, error) { return r.createSession(ctx, a, ledger[string(a.user)]) },
			refused: func(err error) outcome {
				if errors.Is(err, usher.ErrNotFound) { // deleted just now
					return outcome{count: &r.counts.Orphaned}
				}
				return r.refuse(a, err)
			},
		})
	}
	return r.carry(ctx, ledgerToken, todo)
}

// refuse never quotes the token.
func (r *tokenRun[U]) refuse(a accessToken, err error) outcome {
	return outcome{count: &r.counts.Refused, problem: Problem{Table: tokenTable, ID: string(a.user), Reason: ReasonToken,
		Detail: r.origin + ": " + strings.ReplaceAll(err.Error(), "\n", ", ")}}
}

func (r *tokenRun[U]) createSession(ctx context.Context, a accessToken, ledger string) (outcome, error) {
	owner, err := r.ownerOf(ctx, a.user, ledger)
	switch {
	case err != nil:
		return outcome{}, err
	case owner == ownerUnknown:
		return outcome{count: &r.counts.Orphaned}, nil
	case owner == ownerChanged:
		return outcome{count: &r.counts.ChangedHere}, nil
	case owner == ownerInactive:
		return outcome{count: &r.counts.Inactive}, nil
	}
	if !r.isNew(a.user) {
		_, _, err := r.sessions.ReadSession(ctx, a.hash)
		if err == nil { // interrupted before it could be written down
			return outcome{count: &r.counts.Same, state: r.origin}, nil
		}
		if !errors.Is(err, usher.ErrNotFound) {
			return outcome{}, err
		}
	}
	if !r.options.DryRun {
		if err := r.sessions.CreateSession(ctx, a.hash, a.session()); err != nil {
			return outcome{}, err
		}
	}
	return outcome{count: &r.counts.New, state: r.origin}, nil
}

// endOthers ends the sessions whose tokens were carried and are no more in the
// source.
func (r *tokenRun[U]) endOthers(ctx context.Context) error {
	for last := ""; ; {
		entries, err := r.to.Ledger.after(ctx, ledgerToken, last, batchSize)
		if err != nil || len(entries) == 0 {
			return err
		}
		var gone []entry
		for _, e := range entries {
			last = e.item
			hash, err := hex.DecodeString(e.item)
			if err != nil || len(hash) != len(usher.TokenHash{}) || e.state != r.origin || r.seen.has(r.hash(e.item)) {
				continue
			}
			if _, _, err = r.sessions.ReadSession(ctx, usher.TokenHash(hash)); err == nil {
				r.counts.Ended++
				if !r.options.DryRun {
					err = r.sessions.DestroySession(ctx, usher.TokenHash(hash))
				}
			}
			if err != nil && !errors.Is(err, usher.ErrNotFound) {
				return err
			}
			gone = append(gone, entry{item: e.item})
		}
		if !r.options.DryRun {
			if err := r.to.Ledger.write(ctx, ledgerToken, gone); err != nil {
				return err
			}
		}
	}
}
