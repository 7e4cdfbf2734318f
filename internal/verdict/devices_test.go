package verdict

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/assoc"
	"mapiscope/flows"
	"mapiscope/internal/compare"
	"mapiscope/internal/wire"
)

func unhex(t *testing.T, text string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(text, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestDeviceIDs: where the id of a device lies, as far as the options tell.
func TestDeviceIDs(t *testing.T) {
	tests := []struct {
		name   string
		values []string
		want   string // candidate in the first one
	}{
		{"nothing varies: as published traces have it", []string{"0108 00145e842460 0000", "0108 00145e842460 0000", "0108 00145e842460 0000"}, "00:14:5e:84:24:60"},
		{"nothing varies, another length", []string{"01 00145e842460 0000", "01 00145e842460 0000", "01 00145e842460 0000"}, ""},
		{"what is around it varies", []string{"a1 00145e842460 0102", "b2 00145e842460 0304", "c3 00145e842460 0506"}, "00:14:5e:84:24:60"},
		{"at the start", []string{"00145e842460 01", "00145e842460 03", "00145e842460 05"}, "00:14:5e:84:24:60"},
		{"two devices, three connections each", []string{
			"a1 00145e842460 01", "b2 00145e842460 03", "c3 00145e842460 05", "a7 001a64d32fb8 11", "b8 001a64d32fb8 13", "c9 001a64d32fb8 15",
		}, "00:14:5e:84:24:60"},
		{"two connections are too few", []string{"a1 00145e842460 0102", "b2 00145e842460 0304"}, ""},
		{"seven bytes in common are no id", []string{"a1 00145e84246077 01", "b2 00145e84246077 03", "c3 00145e84246077 05"}, ""},
		{"a group address is no id", []string{"a1 01145e842460 0102", "b2 01145e842460 0304", "c3 01145e842460 0506"}, ""},
		{"zeros are no id", []string{"0108 000000000000 0000"}, ""},
		{"ones are no id", []string{"0108 ffffffffffff 0000"}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			place := idPlace{length: len(unhex(t, tt.values[0]))}
			var values [][]byte
			for _, v := range tt.values {
				values = append(values, unhex(t, v))
			}
			r := &idRules{offsets: map[idPlace]int{}, seen: map[idOf]int{}}
			if o, ok := commonRun(values); ok {
				r.offsets[place] = o
			}
			if got := r.candidate(false, values[0]); got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// TestDescribe: how an option is printed, and when two devices are two.
func TestDescribe(t *testing.T) {
	option := func(value string) *assoc.Conn {
		b := append([]byte{0x21, byte(2 + len(unhex(t, value)))}, unhex(t, value)...)
		return legAt(func(f *flows.Conn) { f.Sides[0].SynOptions = b })
	}
	answer := legAt(func(f *flows.Conn) {
		f.Sides[1].SynOptions = append([]byte{0x21, 12}, unhex(t, "0108 00145e842499 0000")...)
	})
	var conns []*assoc.Conn
	for _, v := range []string{"a1 00145e842460 0102", "b2 00145e842460 0304", "c3 00145e842460 0506", "d4 001a64d32fb8 0708", "e5 001a64d32fb8 090a"} {
		conns = append(conns, option(v))
	}
	r := learnIDs(append(conns, answer, option("010203")))
	for _, row := range []struct {
		server bool
		value  string
		want   string
	}{
		{false, "a1 00145e842460 0102", "waas-ad(33) len=11 raw=a100145e8424600102, device id candidate 00:14:5e:84:24:60 (unverified, the same bytes on 3 connections)"},
		{false, "d4 001a64d32fb8 0708", "waas-ad(33) len=11 raw=d4001a64d32fb80708, device id candidate 00:1a:64:d3:2f:b8 (unverified)"},
		{true, "0108 00145e842499 0000", "waas-ad(33) len=12 raw=010800145e8424990000, device id candidate 00:14:5e:84:24:99 (unverified)"},
		{false, "010203", "waas-ad(33) len=5 raw=010203"},
	} {
		if got := r.describe(row.server, unhex(t, row.value)); got != row.want {
			t.Errorf("%q, want %q", got, row.want)
		}
	}
	for _, row := range []struct {
		a, b string
		want bool
	}{
		{"00:14:5e:84:24:60", "00:14:5e:84:24:60", false},
		{"00:14:5e:84:24:60", "", false},
		{"", "00:14:5e:84:24:60", false},
		{"00:14:5e:84:24:60", "00:1a:64:d3:2f:b8", true},  // both seen again
		{"00:14:5e:84:24:60", "99:1a:64:d3:2f:b8", false}, // one of them once
		{"99:14:5e:84:24:60", "00:1a:64:d3:2f:b8", false},
		{"00:14:5e:00:00:01", "00:14:5e:00:00:02", true}, // of one vendor
		{"00:14:5e:00:00:01", "00:14:5f:00:00:01", false},
	} {
		if got := r.distinct(false, row.a, row.b); got != row.want {
			t.Errorf("%s and %s: %v", row.a, row.b, got)
		}
	}
	if r.distinct(true, "00:14:5e:84:24:60", "00:1a:64:d3:2f:b8") {
		t.Error("ids of clients' options are none of servers'")
	}
}

// TestPairsOf: what a connection does not name may be any.
func TestPairsOf(t *testing.T) {
	taken := func(at int64, edge, core string) *Conversation {
		return &Conversation{Edge: edge, Core: core, Main: legAt(func(f *flows.Conn) {
			f.First = wire.Mark{Time: at, Packet: at}
			f.A = netip.AddrPortFrom(f.A.Addr(), uint16(at))
		})}
	}
	var got []string
	pairs, _ := pairsOf([]*Conversation{taken(9, "a", "x"), taken(2, "", "y"), taken(3, "", ""), taken(4, "a", ""), taken(5, "b", "y"), taken(6, "c", "y"), taken(1, "", "x")})
	for _, p := range pairs {
		got = append(got, fmt.Sprint(p.Edge, p.Core, portsOf(p.Members)))
	}
	if diff := cmp.Diff([]string{"ax[9 4 1]", "by[2 5]", "cy[6]"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestCause: what two places show of why a connection took another path.
func TestCause(t *testing.T) {
	lane := func(mac byte, vlan uint16) func(f *flows.Conn) {
		return func(f *flows.Conn) { f.Sides[0].Lane.SrcMAC[5], f.Sides[0].Lane.VLAN = mac, vlan }
	}
	seen := func(f *flows.Conn) { f.Sides[0].Syn = wire.Mark{Packet: 1, Time: 1} }
	j := &judge{legs: map[*assoc.Conn]*Leg{}}
	conversation := func(change func(l *Leg), far func(f *flows.Conn), paired bool, near ...func(f *flows.Conn)) *Conversation {
		a, b := legAt(near...), legAt(far)
		c := &Conversation{Legs: []*assoc.Conn{a, b}, Main: a, Crossing: new(Crossing)}
		if paired {
			c.Pair = &compare.Pair{Near: a, Far: b}
		}
		j.legs[a], j.legs[b] = &Leg{Conn: a}, &Leg{Conn: b}
		if change != nil {
			change(j.legs[a])
		}
		return c
	}
	noOption := func(l *Leg) { l.note(NoOption, "", Heuristic, wire.Mark{}) }
	stripped := func(l *Leg) { l.Stripped = true }
	through := conversation(nil, lane(1, 0), true)
	const neighbour = "another path: at the far point its packets come from another neighbour than those of the others"
	for _, row := range []struct {
		name    string
		through *Conversation
		past    *Conversation
		want    string
	}{
		{"nothing tells", through, conversation(nil, lane(1, 0), true), ""},
		{"stripped", through, conversation(stripped, lane(2, 0), true), "the discovery option was not answered: it was stripped on the way, or the peer did not take the connection"},
		{"no option", through, conversation(noOption, lane(2, 0), true, seen), "the edge device did not offer optimization: its SYN carries no discovery option (overload, policy or interception)"},
		{"no option, and its SYN was not captured", through, conversation(noOption, lane(1, 0), true), ""},
		{"another neighbour", through, conversation(nil, lane(2, 0), true), neighbour},
		{"another VLAN", through, conversation(nil, lane(1, 5), true), neighbour},
		{"not paired", through, conversation(nil, lane(2, 0), false), ""},
		{"the others are not paired", conversation(nil, lane(1, 0), false), conversation(nil, lane(2, 0), true), ""},
	} {
		if got := j.cause([]*Conversation{row.through}, []*Conversation{row.past}); got != row.want {
			t.Errorf("%s: %q", row.name, got)
		}
	}
}
