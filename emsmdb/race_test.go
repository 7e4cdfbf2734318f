//go:build race

package emsmdb

// The race detector lets pools forget at random.
const poolsForget = true
