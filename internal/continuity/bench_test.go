package continuity

import (
	"fmt"
	"testing"
)

// many returns n groups of two members with a hole each, all at one server, and
// as many connections without a bind. Apart, each fills one hole; else all
// groups have the same ids, and nothing tells them apart.
func many(n int, apart bool) (groups [][]Member, unbound []Member) {
	for i := range uint32(n) {
		at := uint32(2)
		if apart {
			at += i * 40
		}
		groups = append(groups, []Member{creator(r(at, at+9)), joined(r(at+20, at+29))})
		unbound = append(unbound, conn(r(at+10, at+19)))
	}
	return groups, unbound
}

// BenchmarkContinuity has to grow with n, not with its square.
func BenchmarkContinuity(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		for _, apart := range []bool{true, false} {
			groups, unbound := many(n, apart)
			b.Run(fmt.Sprintf("%d/apart=%v", n, apart), func(b *testing.B) {
				for b.Loop() {
					joined := 0
					for _, to := range Join(groups, unbound) {
						if to >= 0 {
							joined++
						}
					}
					if apart != (joined == n) || !apart && joined > 0 {
						b.Fatalf("%d joined", joined)
					}
					elsewhere := Explain(unbound)
					for _, g := range groups {
						if v := Judge(g, elsewhere); v.Missing > 0 {
							b.Fatalf("%+v", v)
						}
					}
				}
			})
		}
	}
}

// BenchmarkOneGroup has one group of n members with a hole between any two, and
// a connection for each hole.
func BenchmarkOneGroup(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000} {
		groups, unbound := many(n, true)
		var one []Member
		for _, g := range groups {
			one = append(one, g...)
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			for b.Loop() {
				for i, to := range Join([][]Member{one}, unbound) {
					if to != 0 {
						b.Fatalf("%v: %d", unbound[i], to)
					}
				}
				if v := Judge(one, Cover{}); v.Counting == PerConnection {
					b.Fatalf("%+v", v)
				}
			}
		})
	}
}
