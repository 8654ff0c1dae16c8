package fastapiusers

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"time"

	"usher"
	"usher/oauth"
)

// NeverExpire is the lifetime of tokens of a DatabaseStrategy with
// lifetime_seconds=None. In usher every session ends: these a year after they were
// imported. So do tokens in Redis without a time to live.
const NeverExpire time.Duration = -1

const (
	finite = 365 * 24 * time.Hour
	// batchSize is how many rows are carried in one transaction, which keeps others
	// from writing to a SQLite database for a tenth of a second or so.
	batchSize = 1000
	// batchPatience is how long one may take.
	batchPatience = 2 * time.Minute
)

// Store is what an import needs of where usher's users live. A *sqlstore.Store is
// one.
type Store[U any] interface {
	usher.UserStore[U]
	usher.OAuthAccountStore
	usher.Transactor
	// Ping tells whether the store is there.
	Ping(ctx context.Context) error
}

// Target is where an import writes.
type Target[U any] struct {
	Store Store[U]
	// Ledger is where imports write down what they carried. Without one, a later
	// run takes every user who is not exactly as in the source for changed here.
	Ledger *Ledger
	// Sessions keeps the tokens of the table accesstoken, and RedisSessions those in
	// Redis: stores of the backends that are to accept them (see redisstore.Moved).
	// Without one they are not carried.
	Sessions, RedisSessions usher.SessionStore
	// Columns are where own columns of the source go; nil: into the fields of U whose
	// columns have these names.
	Columns []Column[U]
	// EncryptionKeys seal the providers' tokens; without any they are dropped.
	EncryptionKeys []oauth.Key
	// IntegerIDs: the store numbers its users.
	IntegerIDs bool
}

// Options say how to import.
type Options struct {
	// DryRun does everything but write.
	DryRun bool
	// TokenLifetime is that of FastAPI Users' DatabaseStrategy (lifetime_seconds):
	// how long after created_at a token lives. 0 means an hour, as in FastAPI Users'
	// documentation; see NeverExpire.
	TokenLifetime time.Duration
	// RedisTokens are FastAPI Users' tokens in Redis, nil if there are none.
	RedisTokens *RedisTokens
	// Usable tells whether usher can check passwords against a hash; nil: always.
	Usable func(hash string) bool
	// Problem is told of each row that was not carried as it is.
	Problem func(Problem)
	// Progress is told how many rows of a table are done.
	Progress func(table string, done, total int64)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// importer is one run.
type importer[U any] struct {
	from    *Source
	to      Target[U]
	options Options
	base    func(u *U) *usher.User
	own     []Column[U] // those that are carried, in the order of Report.Columns
	report  Report

	empty     bool    // usher had no users when the run began
	created   hashSet // users whom this run has created
	inactive  hashSet // of these, those who are not active
	seen      hashSet // users in the source
	losers    map[usher.ID]string
	doubleIDs map[uint64]bool   // those that more than one row has
	firsts    map[usher.ID]bool // of these, those of which one was read
	seed      maphash.Seed
}

// Import carries what is in the source and not yet in usher. The error is the
// source's or a store's: what was carried until then stays, and the next run goes
// on there. Rows that cannot be carried are no error: see Options.Problem.
func Import[U any, P usher.UserOf[U]](ctx context.Context, from *Source, to Target[U], options Options) (Report, error) {
	fields, err := usher.FieldsOf[U, P]()
	if err != nil {
		return Report{}, err
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.TokenLifetime == 0 {
		options.TokenLifetime = time.Hour
	}
	if options.Problem == nil {
		options.Problem = func(Problem) {}
	}
	if options.Progress == nil {
		options.Progress = func(string, int64, int64) {}
	}
	im := &importer[U]{from: from, to: to, options: options, base: fields.Base, firsts: map[usher.ID]bool{}, seed: maphash.MakeSeed()}
	if to.Columns == nil {
		to.Columns = columnsOf[U](fields.Custom())
	}
	im.matchColumns(to.Columns)
	if from.accounts.source == "" {
		im.report.MissingTables = append(im.report.MissingTables, accountTable)
	}
	if from.tokens.source == "" {
		im.report.MissingTables = append(im.report.MissingTables, tokenTable)
	}
	if err := im.checkIDs(ctx); err != nil {
		return im.report, err
	}
	anybody, err := to.Store.ListUsers(ctx, usher.UserQuery{Limit: 1})
	if err != nil {
		return im.report, err
	}
	im.empty = len(anybody) == 0
	for _, step := range []func(context.Context) error{im.findCollisions, im.importUsers, im.reportGone, im.importAccounts, im.importTokens, im.importRedisTokens} {
		if err := step(ctx); err != nil {
			return im.report, err
		}
	}
	return im.report, nil
}

// checkIDs compares the kind of the ids with usher's.
func (im *importer[U]) checkIDs(ctx context.Context) error {
	var fault error
	enough := errors.New("enough")
	err := im.from.pages(ctx, im.from.users, []string{"id"}, 1, func(rows [][]any) error {
		_, ownKind := idOf(rows[0][0], im.to.IntegerIDs)
		_, otherKind := idOf(rows[0][0], !im.to.IntegerIDs)
		switch {
		case ownKind == nil || otherKind != nil:
		case im.to.IntegerIDs:
			fault = errors.New("fastapiusers: the users of the source have UUIDs, but usher numbers its users: give it a database without integer ids")
		default:
			fault = errors.New("fastapiusers: the users of the source are numbered, but usher's have UUIDs: give it a new database with integer ids (integer_ids: true, sqlstore.IntegerIDs)")
		}
		return enough
	})
	if err != nil && !errors.Is(err, enough) {
		return err
	}
	return fault
}

// carry does what is to be done for a batch of rows in one transaction. If one of
// them fails, each half has its own, and so on, so that the others are carried.
func (im *importer[U]) carry(ctx context.Context, kind string, rows []*row) error {
	if len(rows) == 0 {
		return nil
	}
	outcomes, err := im.attempt(ctx, rows)
	if err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if away := im.to.Store.Ping(ctx); away != nil {
			return errors.Join(err, away)
		}
		if len(rows) > 1 {
			half := len(rows) / 2
			if err := im.carry(ctx, kind, rows[:half]); err != nil {
				return err
			}
			return im.carry(ctx, kind, rows[half:])
		}
		if rows[0].refused == nil || errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		if !im.options.DryRun {
			if cannot := im.to.Ledger.canWrite(ctx); cannot != nil { // it is not the row's fault
				return errors.Join(err, cannot)
			}
		}
		outcomes = []outcome{rows[0].refused(err)}
	}
	var entries []entry
	for i, o := range outcomes {
		if o.state != "" {
			entries = append(entries, entry{rows[i].item, o.state})
		}
	}
	if !im.options.DryRun {
		if err := im.to.Ledger.write(ctx, kind, entries); err != nil {
			return err
		}
	}
	for _, o := range outcomes {
		im.settle(o)
	}
	return nil
}

// row is one that may have something to be carried.
type row struct {
	item string // in the ledger
	// do writes, in a transaction, or in a dry run only looks; it may be repeated.
	do func(ctx context.Context) (outcome, error)
	// refused is the outcome of a row that the store refuses; nil: that is an error.
	refused func(err error) outcome
}

func (im *importer[U]) attempt(ctx context.Context, rows []*row) ([]outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, batchPatience)
	defer cancel()
	outcomes := make([]outcome, len(rows))
	all := func(ctx context.Context) (err error) {
		for i, r := range rows {
			if outcomes[i], err = r.do(ctx); err != nil {
				return err
			}
		}
		return nil
	}
	if im.options.DryRun {
		return outcomes, all(ctx)
	}
	return outcomes, im.to.Store.InTx(ctx, all)
}

// settle counts an outcome.
func (im *importer[U]) settle(o outcome) {
	*o.count++
	if o.problem.Reason != "" {
		im.options.Problem(o.problem)
	}
	if o.done != nil {
		o.done()
	}
}

// progress returns a function that tells of n more rows of a table.
func (im *importer[U]) progress(ctx context.Context, t table) (func(n int), error) {
	total, keyed, err := im.from.count(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("fastapiusers: read table %s: %w", t.source, err)
	}
	if t.name == userTable && total > keyed {
		im.report.Users.Read += int(total - keyed)
		im.report.Users.Refused += int(total - keyed)
		im.options.Problem(Problem{Table: t.name, Reason: ReasonRefused, Detail: fmt.Sprintf("%d rows have no id", total-keyed)})
	}
	var done int64
	im.options.Progress(t.name, 0, keyed)
	return func(n int) {
		done += int64(n)
		im.options.Progress(t.name, done, max(keyed, done))
	}, nil
}

// hashSet is a set of texts in eight bytes each. It can be asked when all are in.
type hashSet struct {
	hashes []uint64
	sorted bool
}

func (s *hashSet) add(hash uint64) { s.hashes, s.sorted = append(s.hashes, hash), false }

func (s *hashSet) sort() {
	if !s.sorted {
		slices.Sort(s.hashes)
		s.sorted = true
	}
}

func (s *hashSet) has(hash uint64) bool {
	s.sort()
	_, found := slices.BinarySearch(s.hashes, hash)
	return found
}

// doubles returns the hashes that were added more than once.
func (s *hashSet) doubles() map[uint64]bool {
	s.sort()
	doubles := map[uint64]bool{}
	for i := 1; i < len(s.hashes); i++ {
		if s.hashes[i] == s.hashes[i-1] {
			doubles[s.hashes[i]] = true
		}
	}
	return doubles
}

func (im *importer[U]) hash(text string) uint64 { return maphash.String(im.seed, text) }
