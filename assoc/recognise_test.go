package assoc

import (
	"encoding/hex"
	"strings"
	"testing"

	"mapiscope/internal/wire"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

const handle = "00000000 01020304 0506 0708 090a0b0c0d0e0f10 "

func TestRecognise(t *testing.T) {
	rpc := handle + "00800000 00000000 05000000 " + // Size, Offset, max_count
		"a6a5 aaa5a5 00 " + // RopSize 3 and one byte behind a mask of 0xA5, pad
		"0500 0080" // length, max_data
	ext2 := handle + "00000000 0a000000 " + // flags, rgbIn max_count
		"0000 0400 0200 0200 0200 0000 " + // RPC_HEADER_EXT, RopSize 2, pad
		"0a000000 07800000 00000000 00000000 00000000" // cbIn, cbOut, no aux
	tests := []struct {
		name  string
		opnum uint16
		stub  string
		want  bool
	}{
		{"EcDoRpc", 2, rpc, true},
		{"EcDoRpc of another opnum", 3, rpc, false},
		{"EcDoRpc without a session", 2, strings.Replace(rpc, handle, strings.Repeat("00", 20), 1), false},
		{"EcDoRpc whose lengths differ", 2, strings.Replace(rpc, "0500 0080", "0600 0080", 1), false},
		{"EcDoRpc whose limits differ", 2, strings.Replace(rpc, "0500 0080", "0500 0081", 1), false},
		{"EcDoRpc that does not begin with its RopSize", 2, strings.Replace(rpc, "a6a5", "a6a6", 1), false},
		{"EcDoRpcExt2", 11, ext2, true},
		{"EcDoRpcExt2 with unknown flags", 11, strings.Replace(ext2, handle+"00000000", handle+"08000000", 1), false},
		{"EcDoRpcExt2 whose lengths differ", 11, strings.Replace(ext2, "0a000000 0780", "0b000000 0780", 1), false},
		{"EcDoRpcExt2 with a bad header", 11, strings.Replace(ext2, "0000 0400 0200", "0100 0400 0200", 1), false},
		{"nothing", 2, "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			stub := unhex(t, tt.stub)
			if got := recognise(tt.opnum, wire.LittleEndian, stub); got != tt.want {
				t.Errorf("recognise = %v, want %v", got, tt.want)
			}
			if tt.want && tt.opnum == 2 {
				for n := range len(stub) {
					if recognise(tt.opnum, wire.LittleEndian, stub[:n]) {
						t.Errorf("the first %d bytes are recognised too", n)
					}
				}
			}
		})
	}
}
