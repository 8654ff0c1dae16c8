package fastapiusers

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"usher"
)

// importUsers carries the users.
func (im *importer[U]) importUsers(ctx context.Context) error {
	done, err := im.progress(ctx, im.from.users)
	if err != nil {
		return err
	}
	defer im.to.Ledger.readBack(ledgerUser) // by the accounts and tokens of users who were in usher before
	columns := slices.Concat(tableColumns[userTable], im.report.Columns)
	return im.from.pages(ctx, im.from.users, columns, batchSize, func(rows [][]any) error {
		if err := im.importUserBatch(ctx, rows); err != nil {
			return err
		}
		done(len(rows))
		return nil
	})
}

func (im *importer[U]) importUserBatch(ctx context.Context, rows [][]any) error {
	var users []*U
	var items []string
	for _, values := range rows {
		im.report.Users.Read++
		u, err := im.readUser(values)
		base := im.base(u)
		if base.ID != "" {
			im.seen.add(im.hash(string(base.ID)))
		}
		if err != nil {
			im.settle(outcome{count: &im.report.Users.Refused, problem: userProblem(base, ReasonRefused, err.Error())})
			continue
		}
		if im.doubleIDs[im.hash(string(base.ID))] {
			if im.firsts[base.ID] {
				im.settle(outcome{count: &im.report.Users.Collided, problem: userProblem(base, ReasonID, "another row has this id, in another spelling")})
				continue
			}
			im.firsts[base.ID] = true
		}
		if winner, loses := im.losers[base.ID]; loses {
			im.settle(outcome{count: &im.report.Users.Collided, problem: userProblem(base, ReasonEmail, "the address is that of user "+winner)})
			continue
		}
		users, items = append(users, u), append(items, string(base.ID))
	}
	states, err := im.to.Ledger.read(ctx, ledgerUser, items)
	if err != nil {
		return err
	}
	var todo []*row
	for _, u := range users {
		base := im.base(u)
		known, carriedBefore := parseState(states[string(base.ID)])
		if carriedBefore && known.parts == im.partsOf(u) {
			im.report.Users.Same++
			if err := im.judgeAgain(ctx, base); err != nil {
				return err
			}
			continue
		}
		r := &row{item: string(base.ID), refused: func(err error) outcome {
			if errors.Is(err, errAddressTaken) {
				return outcome{count: &im.report.Users.Collided, problem: userProblem(base, ReasonEmail, err.Error())}
			}
			return outcome{count: &im.report.Users.Refused, problem: userProblem(base, ReasonRefused, err.Error())}
		}}
		if carriedBefore {
			r.do = func(ctx context.Context) (outcome, error) { return im.updateUser(ctx, u, known) }
		} else {
			r.do = func(ctx context.Context) (outcome, error) { return im.createUser(ctx, u) }
		}
		todo = append(todo, r)
	}
	return im.carry(ctx, ledgerUser, todo)
}

// readUser makes a user of a row. The error says what usher refuses; the user then
// has what could be read for a Problem.
func (im *importer[U]) readUser(values []any) (*U, error) {
	u := new(U)
	b := im.base(u)
	var err error
	if b.Email, err = textOf(values[1]); err != nil {
		return u, fmt.Errorf("email %w", err)
	}
	if b.ID, err = idOf(values[0], im.to.IntegerIDs); err != nil {
		return u, fmt.Errorf("%w: %s", err, shownID(values[0])) // the problem has no other
	}
	if _, err := usher.EmailKey(b.Email); err != nil {
		return u, err
	}
	if strings.TrimSpace(b.Email) != b.Email {
		return u, errors.New("there is space around the address")
	}
	if b.HashedPassword, err = textOf(values[2]); err != nil {
		return u, fmt.Errorf("hashed_password %w", err)
	}
	for i, flag := range []*bool{&b.IsActive, &b.IsSuperuser, &b.IsVerified} {
		if *flag, err = boolOf(values[3+i]); err != nil {
			return u, fmt.Errorf("%s %w", tableColumns[userTable][3+i], err)
		}
	}
	for i, column := range im.own {
		if err := column.Set(u, values[len(tableColumns[userTable])+i]); err != nil {
			return u, fmt.Errorf("%s %w", column.Name, err)
		}
	}
	return u, nil
}

func shownID(v any) string {
	if text, err := textOf(v); err == nil {
		return fmt.Sprintf("%.50q", text)
	}
	return fmt.Sprint(v)
}

// createUser carries a user whom no import has carried.
func (im *importer[U]) createUser(ctx context.Context, u *U) (outcome, error) {
	fresh := *u // CreateUser sets fields, and may be repeated
	base := im.base(&fresh)
	counts := &im.report.Users
	if !im.empty {
		there, err := im.to.Store.UserByID(ctx, base.ID)
		if err == nil {
			return im.adopt(u, there), nil
		}
		if !errors.Is(err, usher.ErrNotFound) {
			return outcome{}, err
		}
	}
	taken := outcome{count: &counts.Collided, problem: userProblem(base, ReasonEmail, "somebody in usher has the address")}
	if im.options.DryRun {
		if key, _ := usher.EmailKey(base.Email); !im.empty {
			if _, err := im.to.Store.UserByEmail(ctx, key); err == nil {
				return taken, nil
			} else if !errors.Is(err, usher.ErrNotFound) {
				return outcome{}, err
			}
		}
	} else if err := im.to.Store.CreateUser(ctx, &fresh); errors.Is(err, usher.ErrEmailTaken) {
		return taken, nil
	} else if err != nil {
		return outcome{}, err
	}
	o := outcome{count: &counts.New, state: state{parts: im.partsOf(u)}.String(), done: func() {
		im.created.add(im.hash(string(base.ID)))
		if !base.IsActive {
			im.inactive.add(im.hash(string(base.ID)))
		}
		im.judgePassword(base)
	}}
	return o, nil
}

// adopt takes a user who is in usher for carried, if he is as in the source: an
// import was interrupted before it could write him down.
func (im *importer[U]) adopt(u, there *U) outcome {
	base := im.base(there)
	if parts := im.partsOf(u); parts == im.partsOf(there) {
		return outcome{count: &im.report.Users.Same, state: state{parts, base.Epoch}.String()}
	}
	return outcome{count: &im.report.Users.Collided, problem: userProblem(im.base(u), ReasonID,
		"usher has a user with this id, who is not as in the source and whom no import has carried")}
}

func (im *importer[U]) judgePassword(base *usher.User) {
	if base.HashedPassword == "" || im.options.Usable == nil || im.options.Usable(base.HashedPassword) {
		return
	}
	im.report.UnusablePasswords++
	im.options.Problem(userProblem(base, ReasonPassword, "carried, but usher cannot check a password against this hash: a new one has to be set"))
}

// judgeAgain tells of a hash that was carried before, unless usher has another one
// by now.
func (im *importer[U]) judgeAgain(ctx context.Context, base *usher.User) error {
	if base.HashedPassword == "" || im.options.Usable == nil || im.options.Usable(base.HashedPassword) {
		return nil
	}
	there, err := im.to.Store.UserByID(ctx, base.ID)
	if err == nil && im.base(there).HashedPassword == base.HashedPassword {
		im.judgePassword(base)
	}
	if errors.Is(err, usher.ErrNotFound) { // deleted in usher
		return nil
	}
	return err
}

// updateUser carries what has changed in the source since the user was carried.
func (im *importer[U]) updateUser(ctx context.Context, u *U, known state) (outcome, error) {
	counts := &im.report.Users
	base := im.base(u)
	before, err := im.to.Store.UserByID(ctx, base.ID)
	if errors.Is(err, usher.ErrNotFound) {
		return outcome{count: &counts.DeletedHere}, nil
	}
	if err != nil {
		return outcome{}, err
	}
	after, next, conflicts := im.merge(known, u, before)
	conflict := userProblem(base, ReasonChangedHere, strings.Join(conflicts, ", "))
	if after == nil {
		return outcome{count: &counts.ChangedHere, problem: conflict}, nil
	}
	o := outcome{count: &counts.Changed, state: next.String(), done: func() {
		if im.base(after).HashedPassword != im.base(before).HashedPassword {
			im.judgePassword(im.base(after))
		}
	}}
	if len(conflicts) > 0 {
		o.count, o.problem = &counts.ChangedHere, conflict
	}
	if im.options.DryRun {
		return o, im.checkAddress(ctx, im.base(before), im.base(after))
	}
	switch err := im.to.Store.UpdateUser(ctx, before, after); {
	case errors.Is(err, usher.ErrEmailTaken):
		return outcome{}, errAddressTaken
	case errors.Is(err, usher.ErrConflict), errors.Is(err, usher.ErrNotFound): // somebody was faster
		return outcome{count: &counts.ChangedHere, problem: userProblem(base, ReasonChangedHere, "changed in usher just now")}, nil
	case err != nil:
		return outcome{}, err
	}
	if im.base(before).IsActive && !im.base(after).IsActive {
		for _, sessions := range []usher.SessionStore{im.to.Sessions, im.to.RedisSessions} {
			if sessions != nil {
				if _, err := sessions.RevokeSessions(ctx, base.ID, ""); err != nil {
					return outcome{}, err
				}
			}
		}
	}
	return o, nil
}

// checkAddress looks whether a new address is free.
func (im *importer[U]) checkAddress(ctx context.Context, before, after *usher.User) error {
	key, err := usher.EmailKey(after.Email)
	if err != nil || before.Email == after.Email {
		return err
	}
	other, err := im.to.Store.UserByEmail(ctx, key)
	switch {
	case errors.Is(err, usher.ErrNotFound):
		return nil
	case err == nil && im.base(other).ID != before.ID:
		return errAddressTaken
	}
	return err
}

// errAddressTaken ends a transaction in which the new address of a user turned
// out to be somebody else's.
var errAddressTaken = errors.New("somebody in usher has the new address")

// reportGone tells of users who were carried and are no more in the source.
func (im *importer[U]) reportGone(ctx context.Context) error {
	for last := ""; ; {
		entries, err := im.to.Ledger.after(ctx, ledgerUser, last, batchSize)
		if err != nil || len(entries) == 0 {
			return err
		}
		for _, e := range entries {
			if !im.seen.has(im.hash(e.item)) {
				im.settle(outcome{count: &im.report.Users.Gone, problem: Problem{Table: userTable, ID: e.item, Reason: ReasonGone,
					Detail: "no more in the source, and still in usher unless deleted there too"}})
			}
		}
		last = entries[len(entries)-1].item
	}
}
