package fastapiusers

import (
	"context"

	"usher"
)

// findCollisions finds the users whom another one of the source keeps out, because
// their addresses are one to usher, and ids that are one although they are spelt
// differently. It reads the addresses twice: to find those that there are more than
// one of, and then who has these.
func (im *importer[U]) findCollisions(ctx context.Context) error {
	columns := []string{"id", "email", "is_active", "is_verified"}
	var keys, ids hashSet
	err := im.from.pages(ctx, im.from.users, columns, 10*batchSize, func(rows [][]any) error {
		for _, values := range rows {
			if id, err := idOf(values[0], im.to.IntegerIDs); err == nil {
				ids.add(im.hash(string(id)))
			}
			if email, err := textOf(values[1]); err == nil {
				if key, err := usher.EmailKey(email); err == nil {
					keys.add(im.hash(key))
				}
			}
		}
		return nil
	})
	im.doubleIDs = ids.doubles()
	doubles := keys.doubles()
	if err != nil || len(doubles) == 0 {
		return err
	}
	groups := map[string][]candidate{}
	var members []string
	err = im.from.pages(ctx, im.from.users, columns, 10*batchSize, func(rows [][]any) error {
		for _, values := range rows {
			email, err := textOf(values[1])
			if err != nil {
				continue
			}
			key, err := usher.EmailKey(email)
			if err != nil || !doubles[im.hash(key)] {
				continue
			}
			c := candidate{}
			if c.id, err = idOf(values[0], im.to.IntegerIDs); err != nil {
				continue
			}
			c.active, _ = boolOf(values[2])
			c.verified, _ = boolOf(values[3])
			groups[key], members = append(groups[key], c), append(members, string(c.id))
		}
		return nil
	})
	if err != nil {
		return err
	}
	return im.chooseWinners(ctx, groups, members)
}

// candidate is one of several users with one address.
type candidate struct {
	id                        usher.ID
	carried, verified, active bool
}

func (c candidate) beats(other candidate) bool {
	switch {
	case c.carried != other.carried:
		return c.carried
	case c.verified != other.verified:
		return c.verified
	}
	return c.active && !other.active
}

func (im *importer[U]) chooseWinners(ctx context.Context, groups map[string][]candidate, ids []string) error {
	carried := map[string]bool{}
	for len(ids) > 0 {
		n := min(len(ids), batchSize)
		states, err := im.to.Ledger.read(ctx, ledgerUser, ids[:n])
		if err != nil {
			return err
		}
		for id := range states {
			carried[id] = true
		}
		ids = ids[n:]
	}
	im.losers = map[usher.ID]string{}
	for _, group := range groups {
		winner := group[0]
		winner.carried = carried[string(winner.id)]
		for _, c := range group[1:] {
			c.carried = carried[string(c.id)]
			if c.beats(winner) {
				winner = c
			}
		}
		for _, c := range group {
			if c.id != winner.id {
				im.losers[c.id] = string(winner.id)
			}
		}
	}
	return nil
}
