package ushertest

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"usher"
)

// TestOutbox proves that an Outbox keeps its contract.
//
// newStore is called for each part of the suite and returns an empty outbox. One
// that is a Transactor too must add messages in its transactions.
func TestOutbox(t *testing.T, newStore func(t *testing.T) usher.Outbox) {
	for _, part := range []struct {
		name string
		test func(*outboxSuite)
	}{
		{"round trip", (*outboxSuite).roundTrip},
		{"returns copies", (*outboxSuite).copies},
		{"due", (*outboxSuite).due},
		{"oldest first", (*outboxSuite).oldestFirst},
		{"lease", (*outboxSuite).lease},
		{"delay", (*outboxSuite).delay},
		{"dead", (*outboxSuite).dead},
		{"delete", (*outboxSuite).delete},
		{"list", (*outboxSuite).list},
		{"transaction", (*outboxSuite).transaction},
		{"cancelled context", (*outboxSuite).cancelled},
		{"one claim wins", (*outboxSuite).oneClaimWins},
		{"workers share nothing", (*outboxSuite).workers},
	} {
		t.Run(part.name, func(t *testing.T) {
			part.test(&outboxSuite{T: t, ctx: t.Context(), store: newStore(t), start: time.Date(2030, 1, 2, 3, 4, 5, 678e6, time.UTC)})
		})
	}
}

type outboxSuite struct {
	*testing.T
	ctx   context.Context
	store usher.Outbox
	start time.Time // an outbox goes by the times that it is given
}

// message returns an ordinary message that is due since start.
func (s *outboxSuite) message() usher.Message {
	return usher.Message{
		Kind: usher.MailVerify, UserID: usher.NewID(), Email: "Zoë@example.com", CreatedAt: s.start, DueAt: s.start,
		Data: map[string]string{"ip": "192.0.2.1", "user_agent": "test"},
	}
}

// add stores a message.
func (s *outboxSuite) add(m usher.Message) usher.Message {
	s.Helper()
	wantError(s.T, "AddMessage", s.store.AddMessage(s.ctx, &m), nil)
	return m
}

// adds stores n ordinary messages, one after the other.
func (s *outboxSuite) adds(n int) (messages []usher.Message) {
	s.Helper()
	for i := range n {
		m := s.message()
		m.CreatedAt = s.start.Add(time.Duration(i) * time.Second)
		m.DueAt = m.CreatedAt
		messages = append(messages, s.add(m))
	}
	return messages
}

// claim claims messages for a minute, so long after the start.
func (s *outboxSuite) claim(what string, after time.Duration, limit int) []usher.Message {
	s.Helper()
	claimed, err := s.store.ClaimMessages(s.ctx, s.start.Add(after), time.Minute, limit)
	if err != nil {
		s.Fatalf("%s: ClaimMessages: %v", what, err)
	}
	return claimed
}

// claims checks that exactly these messages are claimed, in this order.
func (s *outboxSuite) claims(what string, after time.Duration, limit int, want ...usher.Message) {
	s.Helper()
	if got := s.claim(what, after, limit); !slices.Equal(messageIDs(got), messageIDs(want)) {
		s.Errorf("%s: ClaimMessages: %q, want %q", what, messageIDs(got), messageIDs(want))
	}
}

func messageIDs(messages []usher.Message) []string {
	ids := []string{}
	for _, m := range messages {
		ids = append(ids, m.ID)
	}
	return ids
}

// all returns all messages.
func (s *outboxSuite) all() []usher.Message {
	s.Helper()
	messages, err := s.store.ListMessages(s.ctx, 10_000)
	if err != nil {
		s.Fatalf("ListMessages: %v", err)
	}
	return messages
}

// lists checks that exactly these messages are stored, in this order.
func (s *outboxSuite) lists(what string, want ...usher.Message) {
	s.Helper()
	got := s.all()
	if !slices.Equal(messageIDs(got), messageIDs(want)) {
		s.Errorf("%s: ListMessages: %q, want %q", what, messageIDs(got), messageIDs(want))
		return
	}
	for i := range want {
		s.same(what, got[i], want[i])
	}
}

// same checks that a message came back as it went in.
func (s *outboxSuite) same(what string, got, want usher.Message) {
	s.Helper()
	check := func(field string, ok bool, got, want any) {
		s.Helper()
		if !ok {
			s.Errorf("%s: %s is %s, want %s", what, field, shorten(got), shorten(want))
		}
	}
	check("ID", got.ID == want.ID, got.ID, want.ID)
	check("Kind", got.Kind == want.Kind, got.Kind, want.Kind)
	check("UserID", got.UserID == want.UserID, got.UserID, want.UserID)
	check("Email", got.Email == want.Email, got.Email, want.Email)
	check("CreatedAt", sameTime(got.CreatedAt, want.CreatedAt), got.CreatedAt, want.CreatedAt)
	check("DueAt", sameTime(got.DueAt, want.DueAt), got.DueAt, want.DueAt)
	check("Attempts", got.Attempts == want.Attempts, got.Attempts, want.Attempts)
	check("LastError", got.LastError == want.LastError, got.LastError, want.LastError)
	check("Dead", got.Dead == want.Dead, got.Dead, want.Dead)
	check("Data", maps.Equal(got.Data, want.Data), got.Data, want.Data)
}

func (s *outboxSuite) roundTrip() {
	full := s.message()
	full.Data = map[string]string{"user_agent": strings.Repeat("long ", 1000), "ö\"'\\\n": "\u2028<&>😀", "": "empty", "empty": ""}
	full.DueAt = s.start.Add(123 * time.Millisecond)
	nobody := usher.Message{Kind: usher.MailNone, CreatedAt: s.start, DueAt: s.start.Add(time.Second)} // no user, no address, no data
	want := []usher.Message{s.add(full), s.add(nobody)}
	ids := messageIDs(want)
	if ids[0] == "" || ids[1] == "" || ids[0] == ids[1] {
		s.Errorf("AddMessage set the IDs to %q", ids)
	}
	for i, given := range []usher.Message{full, nobody} {
		given.ID = ids[i]
		s.same("what the caller gave", want[i], given)
	}
	s.lists("added", want...)
	claimed := s.claim("added", time.Hour, 10)
	if len(claimed) != len(want) {
		s.Fatalf("ClaimMessages: %d messages, want %d", len(claimed), len(want))
	}
	for i := range want {
		if got := claimed[i].Attempts; got != 1 {
			s.Errorf("claimed: Attempts is %d, want this one counted", got)
		}
		want[i].Attempts, want[i].DueAt = 1, claimed[i].DueAt
		s.same("claimed", claimed[i], want[i])
		want[i].DueAt = s.start.Add(time.Hour + time.Minute)
	}
	s.lists("claimed", want...)
}

// copies: what goes in and what comes out belongs to the caller.
func (s *outboxSuite) copies() {
	m := s.add(s.message())
	want := m
	want.Data = maps.Clone(m.Data)
	vandalise := func(m usher.Message) { m.Data["ip"] = "vandal" }
	vandalise(m)
	s.lists("after the caller changed what it gave", want)
	for _, m := range s.all() {
		vandalise(m)
	}
	for _, m := range s.claim("a claim", 0, 1) {
		vandalise(m)
	}
	for _, got := range s.all() {
		if !maps.Equal(got.Data, want.Data) {
			s.Errorf("after a reader changed what it got: Data is %v, want %v", got.Data, want.Data)
		}
	}
}

func (s *outboxSuite) due() {
	s.claims("nothing", 0, 10)
	m := s.message()
	m.DueAt = s.start.Add(time.Hour)
	later := s.add(m)
	now := s.add(s.message())
	s.claims("before anything is due", -time.Millisecond, 10)
	s.claims("at the moment", 0, 10, now)
	s.claims("before the other is due", time.Hour-time.Millisecond, 10, now) // whose lease is over
	s.claims("when the other is due", time.Hour, 10, later)
}

func (s *outboxSuite) oldestFirst() {
	want := s.adds(7)
	s.claims("none asked for", time.Hour, 0)
	s.claims("the oldest", time.Hour, 3, want[:3]...)
	s.claims("the next", time.Hour, 3, want[3:6]...)
	s.claims("the rest", time.Hour, 3, want[6:]...)
	s.claims("when all are claimed", time.Hour, 3)
	s.claims("when the leases are over", 2*time.Hour, 100, want...)
}

// lease: whoever dies with a message leaves it to the next, but not sooner.
func (s *outboxSuite) lease() {
	m := s.add(s.message())
	for attempt := 1; attempt <= 3; attempt++ {
		begun := time.Duration(attempt) * time.Hour
		claimed := s.claim("a claim", begun, 10)
		if len(claimed) != 1 || claimed[0].ID != m.ID || claimed[0].Attempts != attempt {
			s.Fatalf("claim %d: %+v, want the message with %d attempts", attempt, claimed, attempt)
		}
		s.claims("within the lease", begun, 10)
		s.claims("at the end of the lease", begun+time.Minute-time.Millisecond, 10)
	}
	s.claims("after the lease", 3*time.Hour+time.Minute, 10, m)
}

func (s *outboxSuite) delay() {
	m, other := s.add(s.message()), s.add(s.message())
	s.claims("both", 0, 10, m, other)
	due := s.start.Add(3 * time.Hour)
	wantError(s.T, "DelayMessage", s.store.DelayMessage(s.ctx, m.ID, due, "451 \"try\" again\r\n", false), nil)
	m.DueAt, m.Attempts, m.LastError = due, 1, "451 \"try\" again\r\n"
	other.DueAt, other.Attempts = s.start.Add(time.Minute), 1
	s.lists("delayed", m, other)
	s.claims("before it is due again", 3*time.Hour-time.Millisecond, 10, other)
	claimed := s.claim("when it is due again", 3*time.Hour, 1)
	if len(claimed) == 1 {
		m.Attempts, m.DueAt = 2, claimed[0].DueAt
		s.same("claimed again", claimed[0], m)
	} else {
		s.Errorf("ClaimMessages when it is due again: %d messages, want 1", len(claimed))
	}
	// It may be tried again within the lease, and the last error counts.
	wantError(s.T, "DelayMessage", s.store.DelayMessage(s.ctx, m.ID, s.start.Add(3*time.Hour), "552", false), nil)
	claimed = s.claim("when it is due within the lease", 3*time.Hour, 1)
	if len(claimed) != 1 || claimed[0].Attempts != 3 || claimed[0].LastError != "552" {
		s.Errorf("ClaimMessages of a message that was delayed twice: %+v, want 3 attempts and the last error", claimed)
	}
}

func (s *outboxSuite) dead() {
	m, other := s.add(s.message()), s.add(s.message())
	s.claims("both", 0, 10, m, other)
	wantError(s.T, "DelayMessage", s.store.DelayMessage(s.ctx, m.ID, s.start, "550 no such user", true), nil)
	s.claims("one is dead", 1000*time.Hour, 10, other)
	m.Attempts, m.LastError, m.Dead = 1, "550 no such user", true
	other.Attempts, other.DueAt = 2, s.start.Add(1000*time.Hour+time.Minute)
	s.lists("one is dead", m, other)
	wantError(s.T, "DelayMessage of a dead one", s.store.DelayMessage(s.ctx, m.ID, s.start, "an operator's", false), nil)
	s.claims("brought back by an operator", 1000*time.Hour, 10, m)
}

func (s *outboxSuite) delete() {
	m, other := s.add(s.message()), s.add(s.message())
	s.claims("both", 0, 10, m, other)
	wantError(s.T, "DeleteMessage", s.store.DeleteMessage(s.ctx, m.ID), nil)
	other.Attempts, other.DueAt = 1, s.start.Add(time.Minute)
	s.lists("after DeleteMessage", other)
	// A worker that was slow comes when another has delivered it.
	gone := func(what string, err error) {
		s.Helper()
		if err != nil {
			wantError(s.T, what, err, usher.ErrNotFound)
		}
	}
	gone("DeleteMessage again", s.store.DeleteMessage(s.ctx, m.ID))
	gone("DelayMessage of a message that was deleted", s.store.DelayMessage(s.ctx, m.ID, s.start, "late", false))
	for _, id := range append(hostile(), other.ID+"' --", string(usher.NewID())) {
		gone("DeleteMessage "+shorten(id), s.store.DeleteMessage(s.ctx, id))
		gone("DelayMessage "+shorten(id), s.store.DelayMessage(s.ctx, id, s.start, "late", true))
	}
	s.lists("after all that", other)
	s.claims("after all that", time.Hour, 10, other)
}

func (s *outboxSuite) list() {
	s.lists("nothing")
	want := s.adds(5)
	wantError(s.T, "DelayMessage", s.store.DelayMessage(s.ctx, want[0].ID, s.start.Add(9*time.Hour), "", false), nil)
	wantError(s.T, "DelayMessage", s.store.DelayMessage(s.ctx, want[1].ID, s.start, "", true), nil)
	s.claims("one", 2*time.Second, 10, want[2])
	for limit, want := range map[int][]usher.Message{0: nil, 3: want[:3], 5: want, 6: want} {
		got, err := s.store.ListMessages(s.ctx, limit)
		if err != nil || !slices.Equal(messageIDs(got), messageIDs(want)) {
			s.Errorf("ListMessages, at most %d: %q and error %v, want %q", limit, messageIDs(got), err, messageIDs(want))
		}
	}
}
