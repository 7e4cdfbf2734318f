package assoc

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestProbes(t *testing.T) {
	tests := []struct {
		name    string
		options string
		want    []string
		answer  bool
	}{
		{"query", "4c 0a 01 00 0a010002 0005", []string{"riverbed(76) version 1 probe query, prober 10.1.0.2, application version 5"}, false},
		{"query without its version", "4c 08 01 00 0a010002", []string{"riverbed(76) version 1 probe query, prober 10.1.0.2"}, false},
		{"response", "4c 0e 11 00 0a010002 0a020002 1e78", []string{"riverbed(76) version 1 probe response, prober 10.1.0.2, proxy 10.2.0.2:7800"}, true},
		{"response cut short", "4c 0c 11 00 0a010002 0a020002", []string{"riverbed(76) version 1 probe response, prober 10.1.0.2"}, true},
		{"internal", "4c 03 21", []string{"riverbed(76) version 1 probe internal"}, false},
		{"trace", "4c 0a 31 00 0a010002 0005", []string{"riverbed(76) version 1 probe trace, prober 10.1.0.2, application version 5"}, false},
		{"query of a SteelHead", "4c 0a 41 00 0a010002 0005", []string{"riverbed(76) version 1 probe query (SteelHead), prober 10.1.0.2, application version 5"}, false},
		{
			"response of a SteelHead", "4c 12 51 00 0a010002 0a010005 0a020002 1e78",
			[]string{"riverbed(76) version 1 probe response (SteelHead), prober 10.1.0.2, client 10.1.0.5, proxy 10.2.0.2:7800"}, true,
		},
		{
			"query info", "4c 04 0c ff",
			[]string{"riverbed(76) version 2 query info, flags 0xff, last notify, not the first client-side device"}, false,
		},
		{"response info", "4c 04 0e 13", []string{"riverbed(76) version 2 response info, flags 0x13, server connected, SSL certificate, probe cache"}, true},
		{"query info of a SteelHead", "4c 08 10 01 0a010005", []string{"riverbed(76) version 2 query info (SteelHead), client 10.1.0.5, flags 0x01, last notify"}, false},
		{"store id", "4c 08 12 00 00001234", []string{"riverbed(76) version 2 query info (store id), flags 0x00, store id 0x00001234"}, false},
		{"reset", "4c 04 14 00", []string{"riverbed(76) version 2 probe reset, flags 0x00"}, false},
		{"unknown type", "4c 03 f1", []string{"riverbed(76) version 1 type 15"}, false},
		{"empty", "4c 02", nil, false},
		{
			"two after each other, behind others", "0204 05b4 01 4c 0a 01 00 0a010002 0005 4c 04 0c 01 00",
			[]string{"riverbed(76) version 1 probe query, prober 10.1.0.2, application version 5", "riverbed(76) version 2 query info, flags 0x01, last notify"}, false,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			raw := unhex(t, tt.options)
			var got []string
			answer := false
			for _, p := range Probes(raw) {
				got = append(got, p.String())
				answer = answer || p.Answer()
			}
			if diff := cmp.Diff(tt.want, got); diff != "" || answer != tt.answer {
				t.Errorf("answer %v, want %v; (-want +got):\n%s", answer, tt.answer, diff)
			}
			for n := range raw { // no prefix makes it read past the end
				Probes(raw[:n])
			}
		})
	}
}

func TestRiverbedInner(t *testing.T) {
	tests := []struct{ value, want string }{
		{"0001 0a010002 0a020002 9c40 1e78", "riverbed(78) port transparency, inner connection 10.1.0.2:40000 > 10.2.0.2:7800"},
		{"0000 0a010002 0a020002 9c40 1e78", "riverbed(78) full transparency, inner connection 10.1.0.2:40000 > 10.2.0.2:7800"},
		{"0706 0a010002 0a020002 9c40 1e78", "riverbed(78) full transparency, inner connection 10.1.0.2:40000 > 10.2.0.2:7800, out-of-band splice, checksum, firewall reset, firewall reset inner, firewall reset probe"},
		{"0002 0a010002 0a020002 9c40 1e78 0fa1", "riverbed(78) full transparency, inner connection 10.1.0.2:40000 > 10.2.0.2:7800, out-of-band splice, client port 4001"},
		{"0001 0a01", "riverbed(78) raw=00010a01"},
	}
	for _, tt := range tests {
		if got := RiverbedInner(unhex(t, tt.value)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.value, got, tt.want)
		}
	}
}

func TestFindOption(t *testing.T) {
	tests := []struct {
		name, options, want string
		ok                  bool
	}{
		{"among others", "0204 05b4 0101 2104 abcd", "abcd", true},
		{"without value", "2102", "", true},
		{"behind the end of the list", "00 2104 abcd", "", false},
		{"longer than the header", "2106 abcd", "", false},
		{"length 1", "2101 abcd", "", false},
		{"kind alone", "21", "", false},
		{"the first of two", "2103 aa 2103 bb", "aa", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := FindOption(unhex(t, tt.options), OptionWAAS)
			if diff := cmp.Diff(unhex(t, tt.want), append([]byte{}, got...)); diff != "" || ok != tt.ok {
				t.Errorf("ok %v, want %v; (-want +got):\n%s", ok, tt.ok, diff)
			}
		})
	}
}

func TestFamiliar(t *testing.T) {
	tests := []struct {
		name, hex string
		want      bool
	}{
		{"TLS ClientHello", "16 03 01 00 c8 01", true},
		{"HTTP", "47 45 54 20 2f 20 48 54", true}, // "GET / HT"
		{"zlib", "78 9c ed bd", false},
		{"DCE/RPC bind", "05 00 0b 03", false},
		{"three bytes", "47 45 54", false},
	}
	for _, tt := range tests {
		if got := familiar(unhex(t, tt.hex)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
