//go:build !race

package dcerpc

const poolsForget = false
