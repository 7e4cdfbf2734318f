package pcaps

import (
	"bytes"
	"encoding/hex"
	"hash/crc32"
	"strings"
	"testing"
)

// What other programs made of a pcap file with one packet, "one".
const (
	onePcap = "d4c3b2a10200040000000000000000006000000001000000" + "01000000020000000300000003000000" + "6f6e65"
	oneXZ   = "fd377a585a000004e6d6b4460200210116000000742fe5a3e0002a001a5d006a30d1c87d8bf8099bad1b6855bf619ea6e0eff4008864066000000000619586f00b1c6b550001362b1edd26051fb6f37d010000000004595a"
	oneBZ2  = "425a6839314159265359d3222ae5000013411e7e004201a000100008000400200031000004a6a620d1a465c899481b098a41ae53f7d77f177245385090d3222ae5"
	oneLZ4  = "04224d186440a72400000084d4c3b2a10200040001005360000000010400f0000200000003000000030000006f6e65000000003b6fef56"
	oneOld  = "02214c182400000084d4c3b2a10200040001005360000000010400f0000200000003000000030000006f6e65"
)

// TestCompressions reads what other programs compressed, also where two
// streams follow each other: of the second only its head is damaged then, since
// it is no record.
func TestCompressions(t *testing.T) {
	for _, tt := range []struct {
		name, compression, file string
	}{
		{"xz", "xz", oneXZ}, {"bzip2", "bzip2", oneBZ2}, {"lz4", "lz4", oneLZ4}, {"lz4 of old", "lz4", oneOld},
	} {
		t.Run(tt.name, func(t *testing.T) {
			packed, err := hex.DecodeString(tt.file)
			if err != nil {
				t.Fatal(err)
			}
			read := func(b []byte) (string, Capture) {
				r, err := Open([]string{"-"}, Options{Stdin: bytes.NewReader(b)})
				if err != nil {
					return err.Error(), Capture{}
				}
				defer r.Close()
				data := ""
				var p Packet
				for r.Next(&p) == nil {
					data += string(p.Data)
				}
				return data, r.Captures()[0]
			}
			data, c := read(packed)
			if data != "one" || c.Compression != tt.compression || c.Err != nil {
				t.Errorf("%q, %+v", data, c)
			}
			if data, c = read(bytes.Repeat(packed, 2)); !strings.HasPrefix(data, "one\x03") || c.Err == nil {
				t.Errorf("twice: %q, %v", data, c.Err)
			}
			for n := range packed {
				if data, c := read(packed[:n]); data == "one" && c.Err == nil && n < len(packed)-12 {
					t.Errorf("%d of %d bytes: no error", n, len(packed))
				}
			}
		})
	}
}

// TestXZDictionary refuses a dictionary over the bound before it is made.
func TestXZDictionary(t *testing.T) {
	packed, err := hex.DecodeString(oneXZ)
	if err != nil {
		t.Fatal(err)
	}
	packed[16] = 40 // of the LZMA2 filter: 4 GiB
	le.PutUint32(packed[20:], crc32.ChecksumIEEE(packed[12:20]))
	_, err = Open([]string{"-"}, Options{Stdin: bytes.NewReader(packed)})
	if err == nil || !strings.Contains(err.Error(), "dictionary size exceeds max") {
		t.Errorf("%v", err)
	}
}
