package usher_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"usher"
)

// 64 registrations of one address in four spellings, by two programs: one 201, the
// others the answer of any duplicate, one row, one mail (F28, P3, DEFECTS A). With
// HideExistingAccounts all get one answer.
func TestF28_SixtyFourRegistrations(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		spellings := []string{"josé@example.com", "JOSÉ@Example.com", "jose\u0301@example.com", "ｊｏｓé@example.com"}
		for _, hide := range []bool{false, true} {
			t.Run(fmt.Sprint("hide ", hide), func(t *testing.T) {
				t.Parallel()
				var welcomes atomic.Int32
				count := configured(func(c *usher.Config[User]) {
					c.Registration.HideExistingAccounts = hide
					c.Hooks.AfterRegister = func(context.Context, *User) { welcomes.Add(1) }
				})
				x := newFlowsOn(t, on, count)
				second := newSite(t, count, configured(func(c *usher.Config[User]) { c.Store, c.Outbox, c.Now = x.db, x.db, x.clock.Now }))
				answers := make([]answer, 64)
				atOnce(64, func(i int) {
					var err error
					program := []*site{x.site, second}[i%2]
					if answers[i], err = program.try(t.Context(), "POST", "/auth/register", registering(spellings[i/2%4])); err != nil {
						t.Error(err)
					}
				})
				created, duplicate := 0, x.send(t, "POST", "/auth/register", registering(spellings[0]))
				if !hide {
					duplicate.wantDetail(t, 400, "REGISTER_USER_ALREADY_EXISTS")
				}
				for i, a := range answers {
					if a.status == 201 {
						created++
					} else if withoutDate(a) != withoutDate(duplicate) {
						t.Errorf("answer %d is %s, want %s", i, withoutDate(a), withoutDate(duplicate))
					}
				}
				if want := map[bool]int{false: 1, true: 0}[hide]; created != want {
					t.Errorf("%d were created, want %d", created, want)
				}
				u := x.only(t)
				kinds := map[string]int{}
				for _, m := range x.sent(t) {
					kinds[m]++
				}
				if kinds["verify "+u.Email] != 1 || len(kinds) != map[bool]int{false: 1, true: 2}[hide] || kinds["already_registered "+u.Email] != map[bool]int{false: 0, true: 64}[hide] || welcomes.Load() != 1 {
					t.Errorf("mails %v, %d welcomes", kinds, welcomes.Load())
				}
			})
		}
	})
}

// Of sixteen uses of one invitation at the same moment one makes an account (F29).
func TestF29_InvitationOnce(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		x := newFlowsOn(t, on, configured(func(c *usher.Config[User]) { c.Registration.Closed = true }))
		for round := range 5 {
			email := fmt.Sprintf("ann%d@example.com", round)
			token := must(x.auth.NewInvitation(t.Context(), email, time.Hour))
			answers := make([]answer, 16)
			atOnce(16, func(i int) {
				var err error
				if answers[i], err = x.try(t.Context(), "POST", "/auth/register", registering(email, "invitation", token)); err != nil {
					t.Error(err)
				}
				if answers[i].status == 201 {
					answers[i].status = 200
				}
			})
			once(t, answers, "REGISTER_USER_ALREADY_EXISTS", "REGISTER_BAD_INVITATION")
			if users, err := x.db.ListUsers(t.Context(), usher.UserQuery{Limit: 100}); err != nil || len(users) != round+1 {
				t.Errorf("%d users after round %d, %v", len(users), round, err)
			}
		}
	})
}

// Of sixteen uses of one link at the same moment one makes the new address the
// user's (F29, G2).
func TestF29_ConfirmEmailOnce(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		var hooks atomic.Int32
		x := newFlowsOn(t, on, configured(func(c *usher.Config[User]) {
			c.Hooks.AfterUpdate = func(_ context.Context, _ *User, members []string) {
				if slices.Equal(members, []string{"email"}) {
					hooks.Add(1)
				}
			}
		}))
		for round := range 5 {
			email := fmt.Sprintf("ann%d@example.com", round)
			ann := x.add(t, email)
			token := x.emailToken(t, x.signedIn(t, "jwt", email), "new."+email)
			x.sent(t)
			hooks.Store(0)
			answers := make([]answer, 16)
			atOnce(16, func(i int) {
				var err error
				if answers[i], err = x.try(t.Context(), "POST", "/auth/confirm-email", map[string]any{"token": token}); err != nil {
					t.Error(err)
				}
			})
			once(t, answers, "VERIFY_USER_BAD_TOKEN")
			if got := x.stored(t, ann.ID); got.Email != "new."+email || !got.IsVerified || got.Epoch != ann.Epoch+1 {
				t.Errorf("the user is %+v", got)
			}
			if mails := x.sent(t); !slices.Equal(mails, []string{"email_changed " + email}) || hooks.Load() != 1 {
				t.Errorf("mails %q, AfterUpdate ran %d times", mails, hooks.Load())
			}
		}
	})
}

// Of sixteen uses of one link at the same moment one succeeds (G2, F29, P3,
// KNOWN-FLAWS 55).
func TestS_G2_VerifyOnce(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		for _, maker := range []string{"own", "FastAPI Users'"} {
			t.Run(maker, func(t *testing.T) {
				t.Parallel()
				var hooks atomic.Int32
				x := newFlowsOn(t, on, fastAPIUsers, configured(func(c *usher.Config[User]) {
					c.Hooks.AfterVerify = func(context.Context, *User) { hooks.Add(1) }
				}))
				for range 5 {
					ann := x.add(t, string(usher.NewID())+"@example.com", asUnverified)
					token := fastAPIVerify(t, ann)
					if maker == "own" {
						token = x.verifyToken(t, ann.Email)
					}
					hooks.Store(0)
					answers := make([]answer, 16)
					atOnce(16, func(i int) {
						var err error
						if answers[i], err = x.try(t.Context(), "POST", "/auth/verify", map[string]any{"token": token}); err != nil {
							t.Error(err)
						}
					})
					once(t, answers, "VERIFY_USER_ALREADY_VERIFIED", "VERIFY_USER_BAD_TOKEN")
					if n := hooks.Load(); n != 1 {
						t.Errorf("AfterVerify ran %d times, want once", n)
					}
				}
			})
		}
	})
}

// Of sixteen uses of one link at the same moment one succeeds, and its password
// stays (G2, F29, P3, DEFECTS A: FastAPI Users let 8 to 14 of 20 win).
func TestDefect_A_ResetOnce(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		for _, maker := range []string{"own", "FastAPI Users'", "both"} {
			t.Run(maker, func(t *testing.T) {
				t.Parallel()
				x := newFlowsOn(t, on, fastAPIUsers)
				for round := range 5 {
					email := fmt.Sprintf("ann%d@example.com", round)
					ann := x.add(t, email)
					tokens := []string{x.resetToken(t, email), fastAPIReset(t, ann)}
					if maker != "both" {
						tokens = tokens[map[string]int{"own": 0, "FastAPI Users'": 1}[maker]:][:1]
					}
					answers := make([]answer, 16)
					atOnce(16, func(i int) {
						var err error
						body := map[string]any{"token": tokens[i%len(tokens)], "password": fmt.Sprintf("password of %d", i)}
						if answers[i], err = x.try(t.Context(), "POST", "/auth/reset-password", body); err != nil {
							t.Error(err)
						}
					})
					winner := once(t, answers, "RESET_PASSWORD_BAD_TOKEN")
					x.send(t, "POST", "/auth/jwt/login", loginForm(email, fmt.Sprintf("password of %d", winner))).want(t, 200)
					if got := x.stored(t, ann.ID); got.Epoch != 1<<32 { // the first of the next generation
						t.Errorf("epoch %d, want one change", got.Epoch)
					}
					mails := x.sent(t)
					if n := len(slices.DeleteFunc(mails, func(m string) bool { return !strings.HasPrefix(m, "password_changed") })); n != 1 {
						t.Errorf("%d mails about the change, want 1", n)
					}
				}
			})
		}
	})
}

// Two changes of address at once: each link is for its own address, one wins, and
// no address is ever verified that nobody proved (F32, G5, CVE-2026-32700).
func TestF32_TwoEmailChanges(t *testing.T) {
	onEach(t, func(t *testing.T, on engine) {
		x := newFlowsOn(t, on)
		for round := range 8 {
			email := fmt.Sprintf("ann%d@example.com", round)
			ann := x.add(t, email)
			header := x.signedIn(t, "jwt", email)
			addresses := []string{fmt.Sprintf("victim%d@example.com", round), fmt.Sprintf("attacker%d@example.com", round)}
			atOnce(2, func(i int) { x.patchEmail(t, header, addresses[i]).want(t, 200) })
			tokens := []string{x.mailed(t, usher.MailConfirmEmail, addresses[0]), x.mailed(t, usher.MailConfirmEmail, addresses[1])}
			if round%2 == 0 { // one after the other
				x.confirm(t, tokens[1]).want(t, 200)
				x.confirm(t, tokens[0]).wantDetail(t, 400, "VERIFY_USER_BAD_TOKEN")
				if got := x.stored(t, ann.ID); got.Email != addresses[1] || !got.IsVerified || got.Epoch != ann.Epoch+1 {
					t.Errorf("the user is %+v", got)
				}
				continue
			}
			answers := make([]answer, 16)
			atOnce(16, func(i int) {
				var err error
				if answers[i], err = x.try(t.Context(), "POST", "/auth/confirm-email", map[string]any{"token": tokens[i%2]}); err != nil {
					t.Error(err)
				}
			})
			winner := once(t, answers, "VERIFY_USER_BAD_TOKEN")
			if got := x.stored(t, ann.ID); got.Email != addresses[winner%2] || !got.IsVerified || got.Epoch != ann.Epoch+1 {
				t.Errorf("the user is %+v, want %s", got, addresses[winner%2])
			}
		}
		// Two users, one address: one has it, and both have one.
		ann, bob := x.add(t, "ann@example.com"), x.add(t, "bob@example.com")
		for range 3 {
			tokens := []string{x.emailToken(t, x.signedIn(t, "jwt", x.stored(t, ann.ID).Email), "wanted@example.com"), ""}
			tokens[1] = x.emailToken(t, x.signedIn(t, "jwt", x.stored(t, bob.ID).Email), "Wanted@example.com")
			answers := make([]answer, 16)
			atOnce(16, func(i int) { answers[i] = x.confirm(t, tokens[i%2]) })
			winner := []usher.ID{ann.ID, bob.ID}[once(t, answers, "VERIFY_USER_BAD_TOKEN")%2]
			x.update(t, winner, usher.Change[User]{Email: new("back" + string(winner) + "@example.com")})
		}
	})
}
