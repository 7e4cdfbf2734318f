//go:build !race

package run

const poolsForget = false
