//go:build race

package dcerpc

// The race detector lets pools forget at random.
const poolsForget = true
