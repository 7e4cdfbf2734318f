//go:build race

package run

// The race detector lets pools forget at random.
const poolsForget = true
