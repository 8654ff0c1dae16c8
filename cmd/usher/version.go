package main

import (
	"fmt"
	"runtime/debug"
)

type versionCommand struct{}

// Run prints the version of the module and the commit it was built from.
func (versionCommand) Run() error {
	v := version()
	fmt.Printf("usher %s %s", v.Version, v.Go)
	if v.Commit != "" {
		fmt.Printf(" %s", v.Commit)
	}
	fmt.Println()
	return nil
}

type versionInfo struct{ Version, Go, Commit string }

// version is what the Go command wrote into the binary.
func version() versionInfo {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return versionInfo{Version: "(unknown)"}
	}
	v := versionInfo{Version: info.Main.Version, Go: info.GoVersion}
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v.Commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			v.Commit += "+changes"
		}
	}
	return v
}
