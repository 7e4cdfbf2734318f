//go:build !race

package run

const (
	poolsForget = false
	slow        = false
)
