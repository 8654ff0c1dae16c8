package fastapiusers

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"usher"
	"usher/oauth"
)

// account is a row of oauth_account.
type account struct {
	usher.OAuthAccount
	access, refresh string // in clear
}

// item is the account in the ledger.
func (a account) item() string {
	sum := sha256.Sum256([]byte(a.Provider + "\x00" + a.AccountID))
	return hex.EncodeToString(sum[:])
}

// fingerprint changes with all that is carried of the account.
func (a account) fingerprint() string {
	return shortHash(a.UserID, a.Email, a.access, a.refresh, a.ExpiresAt.Unix())
}

// importAccounts carries the accounts at providers.
func (im *importer[U]) importAccounts(ctx context.Context) error {
	t := im.from.accounts
	if t.source == "" {
		return nil
	}
	done, err := im.progress(ctx, t)
	if err != nil {
		return err
	}
	doubles, err := im.doubleAccounts(ctx)
	if err != nil {
		return err
	}
	first := map[string]bool{} // of those that there are more than one of
	return im.from.pages(ctx, t, tableColumns[accountTable][1:], batchSize, func(rows [][]any) error {
		var accounts []account
		var items []string
		for _, values := range rows {
			im.report.Accounts.Read++
			a, err := im.readAccount(values)
			if err != nil {
				im.settle(outcome{count: &im.report.Accounts.Refused, problem: accountProblem(a, ReasonRefused, err.Error())})
				continue
			}
			if item := a.item(); doubles[im.hash(item)] {
				if first[item] {
					im.settle(outcome{count: &im.report.Accounts.Collided, problem: accountProblem(a, ReasonAccount, "another row has this account")})
					continue
				}
				first[item] = true
			}
			accounts, items = append(accounts, a), append(items, a.item())
		}
		if err := im.importAccountBatch(ctx, accounts, items); err != nil {
			return err
		}
		done(len(rows))
		return nil
	})
}

func accountProblem(a account, reason, detail string) Problem {
	return Problem{Table: accountTable, ID: string(a.UserID), Email: a.Email, Reason: reason,
		Detail: fmt.Sprintf("account %q at %q: %s", a.AccountID, a.Provider, detail)}
}

// doubleAccounts finds accounts that are linked more than once: FastAPI Users
// allows it.
func (im *importer[U]) doubleAccounts(ctx context.Context) (map[uint64]bool, error) {
	var all hashSet
	err := im.from.pages(ctx, im.from.accounts, []string{"oauth_name", "account_id"}, 10*batchSize, func(rows [][]any) error {
		for _, values := range rows {
			provider, _ := textOf(values[0])
			id, _ := textOf(values[1])
			all.add(im.hash(account{OAuthAccount: usher.OAuthAccount{Provider: provider, AccountID: id}}.item()))
		}
		return nil
	})
	return all.doubles(), err
}

// readAccount makes an account of a row without its id, which has no use.
func (im *importer[U]) readAccount(values []any) (a account, err error) {
	for _, column := range []struct {
		i  int
		to *string
	}{{1, &a.Provider}, {2, &a.access}, {4, &a.refresh}, {5, &a.AccountID}, {6, &a.Email}} {
		text, err := textOf(values[column.i])
		if err != nil {
			return a, fmt.Errorf("%s %w", tableColumns[accountTable][column.i+1], err)
		}
		*column.to = text
	}
	if a.UserID, err = idOf(values[0], im.to.IntegerIDs); err != nil {
		return a, fmt.Errorf("user_id: %w", err)
	}
	if a.Provider == "" || a.AccountID == "" {
		return a, errors.New("it has no provider or no id")
	}
	if values[3] != nil {
		seconds, err := intOf(values[3])
		if err != nil {
			return a, fmt.Errorf("expires_at %w", err)
		}
		if seconds > 0 && seconds < 1<<36 { // the year 4147
			a.ExpiresAt = time.Unix(seconds, 0).UTC()
		}
	}
	return a, nil
}

func (im *importer[U]) importAccountBatch(ctx context.Context, accounts []account, items []string) error {
	states, err := im.to.Ledger.read(ctx, ledgerAccount, items)
	if err != nil {
		return err
	}
	users := make([]usher.ID, len(accounts))
	for i, a := range accounts {
		users[i] = a.UserID
	}
	ledger, err := im.ledgerOfUsers(ctx, users)
	if err != nil {
		return err
	}
	var todo []*row
	for i, a := range accounts {
		known, carriedBefore := states[items[i]]
		fingerprint, updated, _ := strings.Cut(known, ".")
		if carriedBefore && fingerprint == a.fingerprint() {
			im.report.Accounts.Same++
			continue
		}
		r := &row{item: items[i], refused: func(err error) outcome {
			if errors.Is(err, usher.ErrNotFound) { // deleted just now
				return outcome{count: &im.report.Accounts.Orphaned, problem: accountProblem(a, ReasonNoUser, "its user is not carried")}
			}
			return outcome{count: &im.report.Accounts.Refused, problem: accountProblem(a, ReasonRefused, err.Error())}
		}}
		r.do = func(ctx context.Context) (outcome, error) {
			owner, err := im.ownerOf(ctx, a.UserID, ledger[string(a.UserID)])
			switch {
			case err != nil:
				return outcome{}, err
			case owner == ownerUnknown:
				return outcome{count: &im.report.Accounts.Orphaned, problem: accountProblem(a, ReasonNoUser, "its user is not carried")}, nil
			case owner == ownerChanged:
				return outcome{count: &im.report.Accounts.ChangedHere, problem: accountProblem(a, ReasonChangedHere, "its user has changed in usher how he signs in")}, nil
			case carriedBefore:
				return im.updateAccount(ctx, a, updated)
			}
			return im.linkAccount(ctx, a)
		}
		todo = append(todo, r)
	}
	return im.carry(ctx, ledgerAccount, todo)
}

// seal puts the provider's tokens into the account.
func (im *importer[U]) seal(a *account) error {
	if err := oauth.SealTokens(im.to.EncryptionKeys, &a.OAuthAccount, a.access, a.refresh); err != nil {
		return err
	}
	if len(im.to.EncryptionKeys) == 0 {
		a.ExpiresAt = time.Time{}
	}
	return nil
}

func (im *importer[U]) linkAccount(ctx context.Context, a account) (outcome, error) {
	counts := &im.report.Accounts
	taken := outcome{count: &counts.Collided, problem: accountProblem(a, ReasonAccount, "it is linked to another user of usher")}
	if !im.isNew(a.UserID) || im.options.DryRun {
		there, err := im.to.Store.OAuthAccount(ctx, a.Provider, a.AccountID)
		switch {
		case err == nil && there.UserID == a.UserID && there.Email == a.Email: // interrupted before it could be written down
			return outcome{count: &counts.Same, state: a.fingerprint() + "." + micros(there.UpdatedAt)}, nil
		case err == nil:
			return taken, nil
		case !errors.Is(err, usher.ErrNotFound):
			return outcome{}, err
		}
	}
	fresh := a
	if err := im.seal(&fresh); err != nil {
		return outcome{}, err
	}
	if !im.options.DryRun {
		err := im.to.Store.LinkOAuthAccount(ctx, &fresh.OAuthAccount)
		if errors.Is(err, usher.ErrOAuthAccountTaken) {
			return taken, nil
		}
		if err != nil {
			return outcome{}, err
		}
	}
	o := outcome{count: &counts.New, state: a.fingerprint() + "." + micros(fresh.UpdatedAt), done: func() { im.countDropped(a) }}
	return o, nil
}

func (im *importer[U]) countDropped(a account) {
	if len(im.to.EncryptionKeys) > 0 {
		return
	}
	for _, token := range []string{a.access, a.refresh} {
		if token != "" {
			im.report.DroppedProviderTokens++
		}
	}
}

// updateAccount carries new tokens of an account, unless usher has got newer ones
// itself.
func (im *importer[U]) updateAccount(ctx context.Context, a account, updated string) (outcome, error) {
	counts := &im.report.Accounts
	there, err := im.to.Store.OAuthAccount(ctx, a.Provider, a.AccountID)
	switch {
	case errors.Is(err, usher.ErrNotFound):
		return outcome{count: &counts.DeletedHere}, nil
	case err != nil:
		return outcome{}, err
	case there.UserID != a.UserID || micros(there.UpdatedAt) != updated:
		return outcome{count: &counts.ChangedHere, problem: accountProblem(a, ReasonChangedHere, "changed in the source and in usher")}, nil
	}
	there.Email, there.ExpiresAt = a.Email, a.ExpiresAt
	fresh := account{OAuthAccount: there, access: a.access, refresh: a.refresh}
	if err := im.seal(&fresh); err != nil {
		return outcome{}, err
	}
	o := outcome{count: &counts.Changed, done: func() { im.countDropped(a) }}
	if im.options.DryRun {
		return o, nil
	}
	if err := im.to.Store.UpdateOAuthAccount(ctx, fresh.OAuthAccount); err != nil {
		return outcome{}, err
	}
	there, err = im.to.Store.OAuthAccount(ctx, a.Provider, a.AccountID)
	o.state = a.fingerprint() + "." + micros(there.UpdatedAt)
	return o, err
}

func micros(t time.Time) string { return strconv.FormatInt(t.UnixMicro(), 10) }
