package ushertest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"usher"
)

// The parts of TestOutbox about transactions, and calls that meet.

// transaction: a message is there exactly when the change is that caused it.
func (s *outboxSuite) transaction() {
	store, ok := s.store.(usher.Transactor)
	if !ok {
		s.Skip("the store has no transactions")
	}
	var m usher.Message
	add := func(ctx context.Context) error {
		m = s.message()
		return s.store.AddMessage(ctx, &m)
	}
	wantError(s.T, "InTx", store.InTx(s.ctx, add), nil)
	kept := m
	s.lists("committed", kept)
	veto := errors.New("veto")
	err := store.InTx(s.ctx, func(ctx context.Context) error { return errors.Join(add(ctx), veto) })
	wantError(s.T, "InTx that fails", err, veto)
	s.lists("rolled back", kept)
	err = store.InTx(s.ctx, func(ctx context.Context) error {
		wantError(s.T, "InTx within InTx", store.InTx(ctx, add), nil)
		return veto
	})
	wantError(s.T, "InTx that fails around another", err, veto)
	s.lists("rolled back with the outer one", kept)
}

func (s *outboxSuite) cancelled() {
	m, ctx := s.add(s.message()), cancelled(s.T)
	fresh := s.message()
	wantUnknown(s.T, "AddMessage", s.store.AddMessage(ctx, &fresh))
	_, err := s.store.ClaimMessages(ctx, s.start, time.Minute, 10)
	wantUnknown(s.T, "ClaimMessages", err)
	wantUnknown(s.T, "DelayMessage", s.store.DelayMessage(ctx, m.ID, s.start, "late", true))
	wantUnknown(s.T, "DeleteMessage", s.store.DeleteMessage(ctx, m.ID))
	_, err = s.store.ListMessages(ctx, 10)
	wantUnknown(s.T, "ListMessages", err)
	s.lists("after all that", m)
}

func (s *outboxSuite) oneClaimWins() {
	for round := range rounds / 2 {
		m := s.add(s.message())
		var claimed [callers][]usher.Message
		for _, err := range together(callers, func(i int) (err error) {
			claimed[i], err = s.store.ClaimMessages(s.ctx, s.start, time.Minute, 10)
			return err
		}) {
			wantError(s.T, "ClaimMessages at once", err, nil)
		}
		if got := slices.Concat(claimed[:]...); len(got) != 1 || got[0].ID != m.ID || got[0].Attempts != 1 {
			s.Errorf("ClaimMessages of one message by %d at once: %d messages, want one", callers, len(got))
		}
		wantError(s.T, fmt.Sprintf("DeleteMessage in round %d", round), s.store.DeleteMessage(s.ctx, m.ID), nil)
	}
}

// workers: some claim and deliver while others add; every message is delivered
// once.
func (s *outboxSuite) workers() {
	const adders, each, workers = 4, 25, 4
	var delivered [workers][]string
	for _, err := range together(adders+workers, func(i int) error {
		if i >= workers {
			for range each {
				m := s.message()
				if err := s.store.AddMessage(s.ctx, &m); err != nil {
					return err
				}
			}
			return nil
		}
		for idle := 0; idle < 100; idle++ {
			claimed, err := s.store.ClaimMessages(s.ctx, s.start, time.Minute, 3)
			if err != nil {
				return err
			}
			for _, m := range claimed {
				idle = 0
				delivered[i] = append(delivered[i], m.ID)
				if err := s.store.DeleteMessage(s.ctx, m.ID); err != nil {
					return err
				}
			}
			time.Sleep(time.Millisecond)
		}
		return nil
	}) {
		wantError(s.T, "AddMessage, ClaimMessages and DeleteMessage at once", err, nil)
	}
	all := slices.Concat(delivered[:]...)
	slices.Sort(all)
	if n := len(slices.Compact(slices.Clone(all))); n != adders*each || len(all) != n {
		s.Errorf("%d messages of %d were delivered, %d times in all", n, adders*each, len(all))
	}
	s.lists("all delivered")
}
