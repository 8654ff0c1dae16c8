// Package faults proves that several usher processes on the same stores behave as
// one, also while these, the network and the processes themselves fail. It holds
// nothing but tests:
//
//	go test ./faults    a few seconds of each fault
//	make faults         a minute of each, or FAULTTIME
//
// Virtual users register, verify, sign in, change, reset and sign out through two
// processes at random. Before a request its intent, and after the answer the
// answer, is written to a ledger that is synced to the disk. Then something is
// killed, cut or slowed down, and when it is back an auditor reads the ledger and
// asks both processes and the database whether it is true:
//
//	P1  what was acknowledged is not lost
//	P2  what was ended stays ended, on both processes and after a restart
//	P3  one-time things and addresses have one winner
//	P4  an answer is about the user whose token was sent
//	P5  no failure lets anybody in
//	P6  the answers are 2xx to 4xx and 503 with Retry-After, in time
//	P7  memory, goroutines and descriptors are bounded
//	P8  all works again within 10 seconds, without a restart
//	P9  known and unknown addresses get the same answers
//	P10 what was not acknowledged is done or not done, and can be repeated
//
// A run that breaks a promise fails and keeps its ledger.
package faults
