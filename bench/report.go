package main

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"
)

// printMachine tells on what was measured.
func printMachine(w *world) {
	redis := "none: USHER_TEST_REDIS is not set"
	if w.Redis != "" {
		redis = "on this machine"
	}
	fmt.Printf("# usher's benchmarks, %s\n\n%s, %d cores, %s %s/%s, %d users, Redis: %s. Load average at the start: %s.\n",
		time.Now().Format(time.DateOnly), processor(), runtime.NumCPU(), runtime.Version(), runtime.GOOS, runtime.GOARCH,
		len(w.users), redis, loadAverage())
}

func printLoad() {
	fmt.Printf("\nLoad average at the end: %s.\n", loadAverage())
}

func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "unknown processor"
}

func loadAverage() string {
	text, _ := os.ReadFile("/proc/loadavg")
	fields := strings.Fields(string(text))
	return strings.Join(fields[:min(3, len(fields))], " ")
}

func verdict(met bool) string {
	if met {
		return "met"
	}
	return "**missed**"
}

func median(values []float64) float64 { return quantile(values, 0.5) }

// quantile takes the value at the nearest rank; it is 0 if there are none.
func quantile(values []float64, q float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	return sorted[int(q*float64(len(sorted)-1)+0.5)]
}

func spread(values []float64, format string) string {
	return fmt.Sprintf(format+"–"+format, slices.Min(values), slices.Max(values))
}

func seconds(durations []time.Duration) []float64 {
	values := make([]float64, len(durations))
	for i, d := range durations {
		values[i] = d.Seconds()
	}
	return values
}

func megabytes[N int64 | uint64](n N) float64 { return float64(n) / 1e6 }
