//go:build unix

package redisstore_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"usher"

	"github.com/redis/rueidis"
)

// BenchmarkReadSession compares the hot path with its floor: a GET of a session
// and a plain decoding of what a request needs of it. Aim: at most 1.25 times.
func BenchmarkReadSession(b *testing.B) {
	redis := startServer(b)
	store := open(b, redis)
	user := usher.NewID()
	token, session := newToken(store, user), newSession(user)
	session.UserAgent = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
	if err := store.CreateSession(b.Context(), token, session); err != nil {
		b.Fatal(err)
	}
	options := rueidis.MustParseURL(redis.url())
	options.DisableCache = true
	options.MaxFlushDelay = 20 * time.Microsecond // as Open has it
	client, err := rueidis.NewClient(options)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(client.Close)
	key := redis.list("KEYS", "*:session:*")[0]
	type minimal struct {
		User    string `json:"u"`
		ID      string `json:"i"`
		Expires int64  `json:"e"`
	}

	read := map[string]func(context.Context) error{
		"floor": func(ctx context.Context) error {
			b, err := client.Do(ctx, client.B().Get().Key(key).Build()).AsBytes()
			if err != nil {
				return err
			}
			var m minimal
			return json.Unmarshal(b, &m)
		},
		"store": func(ctx context.Context) error {
			_, _, err := store.ReadSession(ctx, token)
			return err
		},
	}
	for _, readers := range []int{1, 32} {
		b.Run(fmt.Sprint(readers), func(b *testing.B) {
			const batch = 10_000
			var cpu [2]time.Duration
			var ratios []float64
			for b.Loop() {
				for i, name := range []string{"floor", "store"} {
					used := cpuTime(b)
					var all sync.WaitGroup
					for range readers {
						all.Go(func() {
							ctx, cancel := context.WithCancel(b.Context()) // as a request has it
							defer cancel()
							for range batch / readers {
								if err := read[name](ctx); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					all.Wait()
					used = cpuTime(b) - used
					cpu[i] = used
					b.ReportMetric(float64(used)/batch, name+"-cpu-ns")
				}
				ratios = append(ratios, float64(cpu[1])/float64(cpu[0]))
			}
			slices.Sort(ratios)
			b.ReportMetric(ratios[len(ratios)/2], "median-ratio")
		})
	}
}

// cpuTime is what the process has used. Time on the clock says more about the
// other processes of a busy machine.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
