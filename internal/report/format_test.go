package report

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/document"
)

func TestSize(t *testing.T) {
	for n, want := range map[int64]string{
		0: "0 B", 1: "1 B", 999: "999 B", 1000: "1.00 kB", 1005: "1.00 kB", 9994: "9.99 kB", 9995: "10.0 kB", 68956: "69.0 kB", 99949: "99.9 kB",
		99950: "100 kB", 999499: "999 kB", 999500: "1.00 MB", 1_250_000: "1.25 MB", 4_000_000_000: "4.00 GB", 9_223_372_036_854_775_807: "9.22 EB",
	} {
		if got := size(n); got != want {
			t.Errorf("size(%d) = %q, want %q", n, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for us, want := range map[int64]string{
		0: "0 µs", 999: "999 µs", 1000: "1.00 ms", 41887: "41.9 ms", 999_499: "999 ms", 999_500: "1.00 s", 1_833_175: "1.83 s", 119_400_000: "119 s",
		120_000_000: "2 min 0 s", 200_000_000: "3 min 20 s", 7_199_000_000: "119 min 59 s", 7_200_000_000: "2 h 0 min", 7_500_000_000: "2 h 5 min",
		172_800_000_000: "2 d 0 h", 273_600_000_000: "3 d 4 h", -10600: "-10.6 ms", -5: "-5 µs",
	} {
		if got := span(us); got != want {
			t.Errorf("span(%d) = %q, want %q", us, got, want)
		}
	}
}

func TestNumbers(t *testing.T) {
	for _, row := range []struct {
		in   []int
		max  int
		want string
	}{
		{nil, 4, ""}, {[]int{7}, 4, "7"}, {[]int{1, 2}, 4, "1, 2"}, {[]int{1, 2, 3}, 4, "1-3"}, {[]int{1, 2, 3, 5, 6, 8}, 4, "1-3, 5, 6, 8"},
		{[]int{1, 3, 5, 7, 9}, 2, "1, 3 and 3 more"}, {[]int{1, 2, 3, 5, 7}, 2, "1-3, 5 and 1 more"},
	} {
		if got := numbers(row.in, row.max); got != row.want {
			t.Errorf("numbers(%v, %d) = %q, want %q", row.in, row.max, got, row.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, row := range []struct {
		name, in string
		width    int
		want     []string
	}{
		{"fits", "one two", 7, []string{"one two"}},
		{"breaks at a space", "one two three", 7, []string{"one two", "three"}},
		{"breaks a long word", "abcdefghij kl", 4, []string{"abcd", "efgh", "ij", "kl"}},
		{"counts columns, not bytes", "日本日本", 4, []string{"日本", "日本"}},
		{"a character wider than the line", "日", 1, []string{"日"}},
		{"nothing", "", 5, []string{""}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, wrap(row.in, row.width)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFilters(t *testing.T) {
	v4 := document.Connection{ID: 1, Client: document.Host{IP: "10.1.0.5", Port: 1066}, Server: document.Host{IP: "10.2.0.9", Port: 135},
		FirstPacket: document.PacketRef{Packet: 3}, LastPacket: document.PacketRef{Packet: 9}}
	v6 := document.Connection{ID: 2, Client: document.Host{IP: "2001:db8::5", Port: 1}, Server: document.Host{IP: "2001:db8::9", Port: 2}}
	again := v4
	again.ID, again.FirstPacket.Packet, again.LastPacket.Packet = 3, 20, 31
	for _, row := range []struct {
		name  string
		conns []document.Connection
		want  string
	}{
		{"IPv4", []document.Connection{v4, v6}, "ip.addr==10.1.0.5 && ip.addr==10.2.0.9 && tcp.port==1066 && tcp.port==135"},
		{"IPv6", []document.Connection{v6, v4}, "ipv6.addr==2001:db8::5 && ipv6.addr==2001:db8::9 && tcp.port==1 && tcp.port==2"},
		{"a port used again", []document.Connection{v4, again}, "ip.addr==10.1.0.5 && ip.addr==10.2.0.9 && tcp.port==1066 && tcp.port==135 && frame.number>=3 && frame.number<=9"},
	} {
		t.Run(row.name, func(t *testing.T) {
			d := &document.Document{Connections: row.conns}
			if got := connectionFilter(d, &d.Connections[0]); got != row.want {
				t.Errorf("got %s\nwant %s", got, row.want)
			}
		})
	}
}

func TestTshark(t *testing.T) {
	for in, want := range map[string]string{
		"-": "tshark -r FILE -Y 'tcp'", "a b.pcap": "tshark -r 'a b.pcap' -Y 'tcp'", "a\x1b.pcap": `tshark -r "$(printf 'a\033.pcap')" -Y 'tcp'`,
		"a\n": `f=$(printf 'a\012_'); tshark -r "${f%_}" -Y 'tcp'`,
	} {
		if got := tshark(in, "tcp"); got != want {
			t.Errorf("%q gives %s, want %s", in, got, want)
		}
	}
}
