//go:build !race

package emsmdb

const poolsForget = false
