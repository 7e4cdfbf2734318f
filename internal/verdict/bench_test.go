package verdict

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"mapiscope/assoc"
	"mapiscope/internal/pcaptest"
	"mapiscope/pcaps"
)

// open lets a job list any number of connections.
func open(cfg *assoc.Config) {
	cfg.Listed, cfg.Kept, cfg.Pairs = 1<<21, 1<<21, 1<<20
	cfg.Flows.Connections = 1 << 21
	cfg.Memory = 64 << 30
}

// address is one of many hosts.
func address(n int) string {
	return netip.AddrFrom4([4]byte{10, 100 + byte(n>>16), byte(n >> 8), byte(n)}).String()
}

// small is a connection with a bind and no call.
func small(s *pcaptest.Scene, client string, asked, granted uint32, options ...pcaptest.Option) *pcaptest.Conn {
	c := s.Dial(client, mdb, append(onWAN(), options...)...)
	return bind(c, pcaptest.EMSMDB, asked, granted).c
}

// crowds are jobs with n groups each: what is said of them must cost n times
// what is said of one.
var crowds = []struct {
	name  string
	sizes []int
	from  source
	build func(s *pcaptest.Scene, n int)
}{
	{"escaped of different clients", []int{1e3, 1e4, 1e5}, oneFile(pcaps.WAN), func(s *pcaptest.Scene, n int) {
		for i := range n {
			client := address(i)
			a := small(s, client+":4001", 0, 0x2000, jumped(1, 2)...)
			small(s, client+":4002", 0x2000, 0x2000).Close()
			a.Close()
		}
	}},
	{"hidden behind one address", []int{1e3, 1e4, 1e5}, oneFile(pcaps.WAN), func(s *pcaptest.Scene, n int) {
		// Of 1000 at a time all are open at once.
		for i := 0; i < n; i += 1000 {
			var all []*pcaptest.Conn
			for k := range min(1000, n-i) {
				all = append(all, tunnel(s.Dial(fmt.Sprintf("10.1.0.5:%d", 1024+(i+k)%60000), mdb, opts(rtt(time.Microsecond), jumped(1, 2), []pcaptest.Option{pcaptest.ISNs(uint32(i+k)*7919, uint32(i+k)*104729)})...), 1))
			}
			for k := range min(1000, n-i) {
				c := s.Dial(fmt.Sprintf("10.1.0.5:%d", 1024+(i+k+30000)%60000), mdb, pcaptest.RTT(time.Microsecond), pcaptest.ISNs(uint32(i+k)*7927, uint32(i+k)*104743))
				bind(c, pcaptest.EMSMDB, uint32(i+k+1), uint32(i+k+1)).c.Close()
			}
			for _, c := range all {
				c.Close()
			}
		}
	}},
	{"one group of one client", []int{1e3, 1e4}, oneFile(pcaps.WAN), func(s *pcaptest.Scene, n int) {
		small(s, "10.1.0.5:1023", 0, 0x2000, jumped(1, 2)...).Sleep(time.Millisecond)
		for i := range n {
			small(s, fmt.Sprintf("10.1.0.5:%d", 1024+i), 0x2000, 0x2000).Close()
		}
	}},
	{"one id of different clients", []int{1e3, 1e4, 1e5}, oneFile(pcaps.WAN), func(s *pcaptest.Scene, n int) {
		for i := range n { // a NAT pool: the opener is seen, the others come from anywhere
			small(s, address(i)+":4001", 0x2000*uint32(min(i, 1)), 0x2000, pcaptest.RTT(time.Microsecond))
		}
	}},
	{"two points, the same hosts", []int{1e3, 1e4, 5e4}, twoFiles(pcaps.Edge, pcaps.Core), func(s *pcaptest.Scene, n int) {
		for i := range n {
			for tap, ttl := range []byte{128, 126} {
				at := time.Duration(i) * 100 * time.Millisecond
				s.At(at + time.Duration(tap)*20*time.Millisecond)
				c := s.Dial(fmt.Sprintf("10.1.0.5:%d", 1024+i), mdb, pcaptest.On(tap), pcaptest.ISNs(uint32(i), uint32(i+7)), pcaptest.TTL(ttl, 126-ttl+128),
					pcaptest.RTT([]time.Duration{40 * time.Millisecond, time.Millisecond}[tap]))
				bind(c, pcaptest.EMSMDB, 0, uint32(i+1)).c.Close()
			}
		}
	}},
	{"one tuple at two points", []int{1e3, 1e4, 1e5}, source{taps: [][]int{{0}, {1}}}, func(s *pcaptest.Scene, n int) {
		for i := range n {
			for tap := range 2 {
				s.At(time.Duration(i)*time.Second + time.Duration(tap)*20*time.Millisecond)
				c := s.Dial("10.1.0.5:4001", mdb, pcaptest.On(tap), pcaptest.ISNs(uint32(i*1000), uint32(i*1000+7)), pcaptest.RTT(time.Millisecond))
				c.Client(noise(20, 1)).Close()
			}
		}
	}},
}

func BenchmarkJudge(b *testing.B) {
	for _, crowd := range crowds {
		for _, n := range crowd.sizes {
			b.Run(fmt.Sprintf("%s/%d", crowd.name, n), func(b *testing.B) {
				from := crowd.from
				from.limit = open
				facts := build(b, func(s *pcaptest.Scene) { crowd.build(s, n) }, from)
				if got := len(facts.Result.Conns); got < n {
					b.Fatalf("%d connections of %d", got, n)
				}
				b.ReportAllocs()
				b.ResetTimer()
				for range b.N {
					Judge(facts)
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/group")
			})
		}
	}
}
