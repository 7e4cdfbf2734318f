package emsmdb

import (
	"crypto/md5"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/wire"
)

// outlook returns a file of the corpus' folder lzxpress and skips the test
// where the corpus is absent. The files are request stubs of EcDoRpcExt2 as
// Outlook 2007 sent them; their licence keeps them out of this tree.
func outlook(t testing.TB, name string) []byte {
	t.Helper()
	root := os.Getenv("MAPISCOPE_CORPUS")
	if root == "" {
		root = filepath.Join("..", "..", "shared", "captures")
	}
	b, err := os.ReadFile(filepath.Join(root, "lzxpress", name))
	if os.IsNotExist(err) {
		t.Skipf("the corpus of captures is not here (%v); set MAPISCOPE_CORPUS", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// outlookFiles are the two stubs and what is in them. at and size of a ROP
// count from the start of the decoded payload.
var outlookFiles = []struct {
	name    string
	size    int
	md5     string
	handles []uint32
	rops    string
}{
	{
		name: "001_Outlook_2007_in_ModifyRecipients_comp.dat", size: 459, md5: "52d59d64b0408a5fa572d0701ae04920",
		handles: []uint32{0x45},
		rops:    "0d@2+7 0e@9+402 0a@411+27 32@438+4 07@442+13 ",
	},
	{
		name: "002_Outlook_2007_in_Tables_operations_comp.dat", size: 380, md5: "6b58ab7353afac4cb67d35282848449e",
		handles: []uint32{0x75, noHandle, 0x71, noHandle, noHandle, noHandle},
		rops:    "05@2+5 12@7+58 4f@65+161 02@226+13 02@239+13 29@252+23 07@275+81 ",
	},
}

func TestOutlook2007(t *testing.T) {
	for _, x := range outlookFiles {
		t.Run(x.name, func(t *testing.T) {
			stub := outlook(t, x.name)
			h, sent, err := parseHeader(stub[28:])
			if err != nil || h.Flags != flagCompressed|flagLast {
				t.Fatalf("%+v, %v", h, err)
			}
			payload, err := new(clearText).open(h, sent)
			if err != nil || len(payload) != x.size || fmt.Sprintf("%x", md5.Sum(payload)) != x.md5 {
				t.Fatalf("%d bytes, md5 %x, %v; want %d, %s", len(payload), md5.Sum(payload), err, x.size, x.md5)
			}

			c := NewStore(Limits{}).NewConn()
			p := c.Request(MDB, opRPCExt2, wire.LittleEndian, ndr.NDR32, wire.Mark{}, stub, false)
			got := ""
			for _, q := range p.rops {
				got += fmt.Sprintf("%02x@%d+%d ", q.id, 2+q.start, q.end-q.start)
			}
			if got != x.rops {
				t.Errorf("ROPs %s\nwant %s", got, x.rops)
			}
			for i, want := range x.handles {
				if got := handle(p.handles, uint8(i)); got != want || len(p.handles) != 4*len(x.handles) {
					t.Errorf("handle %d of %d is %#x, want %#x", i, len(p.handles)/4, got, want)
				}
			}
			f := c.Figures()
			if f.RequestUnwalked != 0 || f.DecodeErrors != 0 || f.Buffers != (Buffers{Compressed: 1}) {
				t.Errorf("unwalked %v, %d errors, buffers %+v", f.Unwalked, f.DecodeErrors, f.Buffers)
			}

			// The auxiliary buffer behind it is obfuscated and has one header too.
			aux := stub[len(stub)-8-48:]
			ah, asent, err := parseHeader(aux[:48])
			if err != nil || ah != (header{0, flagXorMagic | flagLast, 40, 40}) {
				t.Errorf("auxiliary header %+v, %v", ah, err)
			}
			blocks, _ := new(clearText).open(ah, asent)
			if blocks[0] != 8 || blocks[3] != 1 || blocks[8] != 16 || blocks[11] != 0x0c {
				t.Errorf("auxiliary blocks % x", blocks)
			}
		})
	}
}
