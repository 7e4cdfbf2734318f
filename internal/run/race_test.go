//go:build race

package run

// The race detector lets pools forget at random, and takes ten times as long.
const (
	poolsForget = true
	slow        = true
)
