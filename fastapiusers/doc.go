// Package fastapiusers moves the users of a FastAPI Users application into usher:
// with their ids, password hashes, flags and own columns, their accounts at
// providers and their live access tokens.
//
//	source, err := fastapiusers.Open(ctx, "postgresql://app@localhost/app", nil)
//	...
//	report, err := fastapiusers.Import(ctx, source, fastapiusers.Target[User]{
//		Store: db, Ledger: ledger, Sessions: db,
//	}, fastapiusers.Options{})
//
// The command is `usher import fastapi-users`; docs/moving-from-fastapi-users.md
// is the move step by step.
//
// # Runs
//
// The source is only read. An import can be run any number of times while the old
// application serves, and goes on where one that was interrupted ended. What it
// carried is written down in a [Ledger] beside usher's tables, as hashes. A later
// run compares the source with it and carries what changed there:
//
//   - A user whom nobody changed in usher gets the new values.
//   - What was changed in usher stays as it is, whatever happens in the source:
//     the address with its verification, the password, each flag, and the
//     application's own fields together count as one thing each. If the source
//     changed the same thing, that is a [Problem].
//   - If usher changed the address, the password, the activity or the ways to sign
//     in of a user (his Epoch moved), the whole user is usher's from then on, and
//     gets no accounts and no tokens of the source any more.
//   - A user who was deleted in usher, an account that was unlinked and a session
//     that was ended are not brought back.
//   - A user who was deleted in the source stays, and is a [Problem]. A token that
//     is gone from the source (somebody signed out) ends its session.
//
// # Who is left out
//
// Users whose addresses have one usher.EmailKey are one user to usher. Of these
// the one is carried who was carried before, else who is verified, else active,
// else the first by id; the others are Problems. So is a user with an address or
// an id that usher refuses: nothing is changed to make it fit.
package fastapiusers
