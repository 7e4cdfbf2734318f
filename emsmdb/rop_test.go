package emsmdb

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mapiscope/dcerpc/ndr"
	"mapiscope/internal/pcaptest"
	"mapiscope/internal/wire"
)

const aSession = pcaptest.UUID("9657703b-0509-2b45-8eb2-2f5383133045")

// client plays the calls of one TCP connection.
type client struct {
	t    testing.TB
	conn *Conn
	seen []RopCall
}

func newClient(t testing.TB, s *Store) *client {
	c := &client{t: t, conn: s.NewConn()}
	c.conn.OnCall = func(r RopCall) {
		r.Requests, r.Responses = append([]uint8(nil), r.Requests...), append([]uint8(nil), r.Responses...)
		c.seen = append(c.seen, r)
	}
	return c
}

// ask sends an EcDoRpcExt2 with a ROP buffer.
func (c *client) ask(session pcaptest.UUID, buffer []byte) *Pending {
	stub := pcaptest.RpcExt2{Handle: session, In: pcaptest.Plain(buffer), MaxOut: 0x8007}.Request(pcaptest.NDR{})
	return c.conn.Request(MDB, opRPCExt2, wire.LittleEndian, ndr.NDR32, wire.Mark{}, stub, false)
}

// tell answers it.
func (c *client) tell(p *Pending, session pcaptest.UUID, out []byte) {
	stub := pcaptest.RpcExt2Result{Handle: session, Out: out}.Response(pcaptest.NDR{})
	c.conn.Response(p, wire.LittleEndian, stub, false, 1000)
}

// call is ask and tell for single payloads; it returns the observed call.
func (c *client) call(request, response []byte) RopCall {
	n := len(c.seen)
	c.tell(c.ask(aSession, request), aSession, pcaptest.Plain(response))
	if len(c.seen) != n+1 {
		c.t.Fatalf("%d calls were observed, want one", len(c.seen)-n)
	}
	return c.seen[n]
}

// list says what a walk found: names with sizes, then what was not walked.
func ropSizes(f *Figures, response bool) string {
	s := ""
	for i := range f.Rops {
		r := &f.Rops[i]
		n, bytes := r.Requests, r.RequestBytes
		if response {
			n, bytes = r.Responses, r.ResponseBytes
		}
		if n > 0 {
			s += fmt.Sprintf("%s×%d:%d ", RopName(r.ID)[3:], n, bytes)
		}
	}
	if n := f.RequestUnwalked; !response && n > 0 {
		s += fmt.Sprintf("unwalked:%d", n)
	}
	if n := f.ResponseUnwalked; response && n > 0 {
		s += fmt.Sprintf("unwalked:%d", n)
	}
	return s
}

// fourHandles is a handle table with two open objects and two free slots.
var fourHandles = []uint32{0x10, 0x20, noHandle, noHandle}

// ropCases are exchanges written by hand, one or two ROPs each.
var ropCases = []struct {
	name              string
	request, response string // RopsLists
	asked, answered   string
}{
	{
		name: "RopOpenFolder, plain, ghosted and refused",
		request: `
			02 00 00 02 0100000000001234 00     // RopId, LogonId, index, output index, FolderId, flags
			02 00 00 02 0100000000001234 00
			02 00 00 02 0100000000001234 00`,
		response: `
			02 02 00000000 00 00                // HasRules, IsGhosted
			02 02 00000000 01 01 0200 0100 53525600 42 00  // ghosted, two servers: "SRV", "B"
			02 02 0f010480                      // not found`,
		asked: "OpenFolder×3:39 ", answered: "OpenFolder×3:32 ",
	},
	{
		name: "RopOpenMessage with recipients and typed strings",
		request: `
			03 00 00 02 ff0f 0100000000001234 03 0100000000005678`,
		response: `
			03 02 00000000
			00                                  // HasNamedProperties
			04 5200 4500 3a00 0000              // SubjectPrefix: UTF-16 "RE:"
			03 5375626a00                       // NormalizedSubject: "Subj", high bytes dropped
			0200 0100 0300fe0f                  // RecipientCount, one column
			02                                  // RowCount
			01 0000 0000 0300 aabbcc            // type, code page, reserved, row of 3 bytes
			02 0000 0000 0000                   // empty row`,
		asked: "OpenMessage×1:23 ", answered: "OpenMessage×1:48 ",
	},
	{
		name:     "RopGetContentsTable",
		request:  `05 00 00 02 02`,
		response: `05 02 00000000 07000000`,
		asked:    "GetContentsTable×1:5 ", answered: "GetContentsTable×1:10 ",
	},
	{
		name: "RopCreateMessage, with and without a MessageId",
		request: `
			06 00 00 02 ff0f 0100000000001234 00
			06 00 00 02 ff0f 0100000000001234 01`,
		response: `
			06 02 00000000 01 0100000000009999
			06 02 00000000 00`,
		asked: "CreateMessage×2:30 ", answered: "CreateMessage×2:22 ",
	},
	{
		name: "RopGetPropertiesSpecific: standard and flagged rows",
		request: `
			07 00 01 0000 0000 0300             // limit, Unicode, three tags
			0300 fe0f  1e00 3700  0201 ff0f
			07 00 01 0000 0000 0300
			0300 fe0f  0000 3700  0b00 1a0e`,
		response: `
			07 01 00000000 00                   // standard row
			05000000                            // integer
			48656c6c6f00                        // "Hello"
			0400 deadbeef                       // binary
			07 01 00000000 01                   // flagged row
			0a 0f010480                         // error
			1f00 00 4800 6900 0000              // type that the column left open: UTF-16 "Hi"
			01                                  // absent`,
		asked: "GetPropertiesSpecific×2:42 ", answered: "GetPropertiesSpecific×2:45 ",
	},
	{
		name:    "RopGetPropertiesAll and its kinds of values",
		request: `08 00 01 0000 0000`,
		response: `
			08 01 00000000 0500
			0300 fe0f 05000000
			0310 0180 02000000 01000000 02000000        // two integers
			0211 0280 02000000 0100aa 0200bbcc          // two binaries
			0201 ff0f 0000                              // empty binary
			fd00 7966 04 04 1e003700 1e003700 6100      // restriction: property = "a"`,
		asked: "GetPropertiesAll×1:7 ", answered: "GetPropertiesAll×1:69 ",
	},
	{
		name: "RopSetProperties with one problem",
		request: `
			0a 00 01 0a00 0100 0300 fe0f 05000000      // PropertyValueSize, count, value`,
		response: `
			0a 01 00000000 0100 0000 0300fe0f 05000480 // index, tag, error`,
		asked: "SetProperties×1:15 ", answered: "SetProperties×1:18 ",
	},
	{
		name: "RopSaveChangesMessage names the response index in its head",
		request: `
			0c 00 01 00 0a`,
		response: `
			0c 01 00000000 00 0100000000005678`,
		asked: "SaveChangesMessage×1:5 ", answered: "SaveChangesMessage×1:15 ",
	},
	{
		name: "RopDeleteMessages: failures with and without PartialCompletion",
		request: `
			1e 00 00 00 01 0100 0100000000005678
			1e 00 00 00 01 0100 0100000000005678
			1e 00 00 00 01 0200 0100000000005678 0200000000005678`,
		response: `
			1e 00 05400080 01                          // failure, long
			1e 00 05400080                             // failure, short: the next RopId follows
			1e 00 00000000 00`,
		asked: "DeleteMessages×3:53 ", answered: "DeleteMessages×3:20 ",
	},
	{
		name: "RopGetReceiveFolder",
		request: `
			27 00 00 49504d2e4e6f746500                // "IPM.Note"`,
		response: `
			27 00 00000000 0100000000001234 49504d00`,
		asked: "GetReceiveFolder×1:12 ", answered: "GetReceiveFolder×1:18 ",
	},
	{
		name: "RopRegisterNotification in its three forms",
		request: `
			29 00 00 02 fc03 01                                // whole store
			29 00 00 02 fc03 00 0100000000001234 0000000000000000
			29 00 00 02 fc04 00 01                             // type bit 0x0400: one more byte`,
		response: `
			29 02 00000000  29 02 00000000  29 02 00000000`,
		asked: "RegisterNotification×3:38 ", answered: "RegisterNotification×3:18 ",
	},
	{
		name:    "RopNotify in the forms of a folder and of tables, RopPending",
		request: ``,
		response: `
			2a 20000000 00 1030 0100000000001234       // folder modified, with counts: FolderId
			   ffff 05000000 02000000                  // no tags, total, unread
			2a 20000000 00 1020 0100000000001234
			   0100 03003600 02000000                  // one tag, unread
			2a 30000000 00 00c1 0400                   // message row deleted
			   0100000000001234 0100000000005678 00000000
			2a 30000000 00 0001 0500                   // hierarchy row modified
			   0100000000001234 0100000000000000       // and the row after which it stands now
			   0200 aabb
			2a 30000000 00 00c1 0500                   // message row modified
			   0100000000001234 0100000000005678 00000000
			   0100000000001234 0100000000005677 00000000 0000
			2a 30000000 00 0001 0100                   // table changed
			2a 20000000 00 0280 0100000000001234 0100000000005678
			   00000000 00 49504d00                    // new mail: flags, 8-bit class "IPM"
			2a 20000000 00 2080 0100000000001234 0100000000005678
			   0100000000000001 0100000000000002       // message moved: parents
			6e f500`,
		asked: "", answered: "Notify×8:247 Pending×1:3 ",
	},
	{
		name: "RopOpenStream and RopReadStream",
		request: `
			2b 00 01 02 02010137 00
			2c 00 02 0004
			2c 00 02 baba 2c 00 02 beba 00000100`,
		response: `
			2b 02 00000000 5e760000
			2c 02 00000000 0300 616263
			2c 02 00000000 0000
			2c 02 00000000 0100 7a`,
		asked: "OpenStream×1:9 ReadStream×3:19 ", answered: "OpenStream×1:10 ReadStream×3:28 ",
	},
	{
		name: "RopReadStream that fails, with and without DataSize",
		request: `
			2c 00 01 0004
			2c 00 01 0004
			2c 00 01 0004`,
		response: `
			2c 01 05400080 0000
			2c 01 05400080
			2c 01 05400080`,
		asked: "ReadStream×3:15 ", answered: "ReadStream×3:20 ",
	},
	{
		name: "RopWriteStream, RopCommitStream, RopSetStreamSize",
		request: `
			2d 00 01 0300 616263
			5d 00 01
			2f 00 01 0300000000000000`,
		response: `
			2d 01 00000000 0300
			5d 01 00000000
			2f 01 00000000`,
		asked: "WriteStream×1:8 SetStreamSize×1:11 CommitStream×1:3 ", answered: "WriteStream×1:8 SetStreamSize×1:6 CommitStream×1:6 ",
	},
	{
		name: "RopMoveCopyMessages without a destination",
		request: `
			33 00 00 01 0100 0100000000005678 00 01`,
		response: `
			33 00 03050000 01000000 00`,
		asked: "MoveCopyMessages×1:16 ", answered: "MoveCopyMessages×1:11 ",
	},
	{
		name: "RopProgress in place of RopCopyTo, and asked for",
		request: `
			39 00 00 01 01 00 00 0000
			50 00 00 00`,
		response: `
			50 00 00000000 00 01000000 0a000000
			39 00 00000000 0000`,
		asked: "CopyTo×1:9 Progress×1:4 ", answered: "CopyTo×1:8 Progress×1:15 ",
	},
	{
		name: "RopFastTransferSourceCopyMessages and CopyTo",
		request: `
			4b 00 00 02 0100 0100000000005678 00 01
			4d 00 00 02 00 00000000 01 0100 0300fe0f`,
		response: `
			4b 02 00000000  4d 02 00000000`,
		asked: "FastTransferSourceCopyMessages×1:16 FastTransferSourceCopyTo×1:16 ", answered: "FastTransferSourceCopyMessages×1:6 FastTransferSourceCopyTo×1:6 ",
	},
	{
		name: "RopFastTransferSourceGetBuffer: data, 0xBABE, server busy, failures",
		request: `
			4e 00 01 c07b
			4e 00 01 beba 887b                         // the maximum is 16 bits wide here
			4e 00 01 c07b
			4e 00 01 c07b
			4e 00 01 c07b`,
		response: `
			4e 01 00000000 0100 0100 0200 00 0300 616263
			4e 01 00000000 0300 0200 0200 00 0000
			4e 01 80040000 0000 0000 0000 00 0000 10270000   // 0x480: BackoffTime
			4e 01 05400080 0000 0000 0000 00 0000
			4e 01 05400080`,
		asked: "FastTransferSourceGetBuffer×5:27 ", answered: "FastTransferSourceGetBuffer×5:73 ",
	},
	{
		name: "RopFastTransferDestinationConfigure and PutBuffer",
		request: `
			53 00 00 02 01 00
			54 00 02 0300 616263`,
		response: `
			53 02 00000000
			54 02 00000000 0000 0000 0000 00 0300`,
		asked: "FastTransferDestinationConfigure×1:6 FastTransferDestinationPutBuffer×1:8 ", answered: "FastTransferDestinationConfigure×1:6 FastTransferDestinationPutBuffer×1:15 ",
	},
	{
		name: "RopSynchronizationConfigure and the upload of the state",
		request: `
			70 00 00 02 01 01 3100 0000 00000000 0100 0300fe0f
			75 00 02 02011740 04000000
			76 00 02 04000000 01020304
			77 00 02`,
		response: `
			70 02 00000000  75 02 00000000  76 02 00000000  77 02 00000000`,
		asked: "SynchronizationConfigure×1:20 SynchronizationUploadStateStreamBegin×1:11 SynchronizationUploadStateStreamContinue×1:11 SynchronizationUploadStateStreamEnd×1:3 ",
		answered: "SynchronizationConfigure×1:6 SynchronizationUploadStateStreamBegin×1:6 " +
			"SynchronizationUploadStateStreamContinue×1:6 SynchronizationUploadStateStreamEnd×1:6 ",
	},
	{
		name: "RopSynchronizationImportMessageChange",
		request: `
			72 00 00 02 00 0200
			0201 e065 0200 aabb
			4000 0830 0011223344556677`,
		response: `
			72 02 00000000 0100000000009999`,
		asked: "SynchronizationImportMessageChange×1:27 ", answered: "SynchronizationImportMessageChange×1:14 ",
	},
	{
		name: "RopGetPropertyIdsFromNames with a warning that brings data",
		request: `
			56 00 01 00 0200
			00 00112233445566778899aabbccddeeff 01850000
			01 00112233445566778899aabbccddeeff 04 4100 4200`,
		response: `
			56 01 80030400 0200 0180 0000`,
		asked: "GetPropertyIdsFromNames×1:49 ", answered: "GetPropertyIdsFromNames×1:12 ",
	},
	{
		name: "warnings with what success brings, and alone",
		request: `
			13 00 01 00 0100 0000 0000 0300 3600 00
			13 00 01 00 0100 0000 0000 0300 3600 00`,
		response: `
			13 01 80030400 00
			13 01 80030400`,
		asked: "SortTable×2:30 ", answered: "SortTable×2:13 ",
	},
	{
		name: "RopGetMessageStatus may be answered as RopSetMessageStatus",
		request: `
			1f 00 00 0100000000005678`,
		response: `
			20 00 00000000 01000000`,
		asked: "GetMessageStatus×1:11 ", answered: "SetMessageStatus×1:10 ",
	},
	{
		name: "RopLogon to a mailbox, to public folders, to the wrong server",
		request: `
			fe 00 00 01 0c000000 00000000 0200 4100
			fe 01 02 00 06000000 00000000 0000
			fe 02 03 01 0c000000 00000000 0200 4100`,
		response: `
			fe 00 00000000 01` + zeros(13*8) + `
			   07` + zeros(16) + `0100` + zeros(16) + zeros(8) + zeros(8) + `00000000
			fe 02 00000000 00` + zeros(13*8) + `0100` + zeros(16) + zeros(16) + `
			fe 03 78040000 01 04 53525600`,
		asked: "Logon×3:46 ", answered: "Logon×3:323 ",
	},
	{
		name:    "RopBackoff stands for the rest",
		request: `02 00 00 02 0100000000001234 00  07 00 00 0000 0000 0000`,
		response: `
			f9 00 e8030000 01 02 e8030000 0200 aabb`,
		asked: "OpenFolder×1:13 GetPropertiesSpecific×1:9 ", answered: "Backoff×1:16 ",
	},
	{
		name:    "RopBufferTooSmall repeats the requests",
		request: `02 00 00 02 0100000000001234 00  07 00 00 0000 0000 0000`,
		response: `
			02 02 00000000 00 00
			ff 0020 07 00 00 0000 0000 0000`,
		asked: "OpenFolder×1:13 GetPropertiesSpecific×1:9 ", answered: "OpenFolder×1:8 BufferTooSmall×1:12 ",
	},
	{
		name:     "RopRelease has no response",
		request:  `01 00 00  01 00 01`,
		response: ``,
		asked:    "Release×2:6 ", answered: "",
	},
	{
		name:     "an id that no document names stops the request",
		request:  `01 00 00  28 00 00 0000`,
		response: ``,
		asked:    "Release×1:3 unwalked:5", answered: "",
	},
	{
		name:     "a layout that is not known stops the request",
		request:  `87 00 00 02 41424300`,
		response: `87 02 00000000 00 00`,
		asked:    "unwalked:8", answered: "OpenPublicFolderByName×1:8 ",
	},
	{
		name:     "a response that was not asked for",
		request:  `05 00 00 02 02`,
		response: `04 02 00000000 07000000`,
		asked:    "GetContentsTable×1:5 ", answered: "unwalked:10",
	},
	{
		name:     "one response too many",
		request:  `05 00 00 02 02`,
		response: `05 02 00000000 07000000  05 02 00000000 07000000`,
		asked:    "GetContentsTable×1:5 ", answered: "GetContentsTable×1:10 unwalked:10",
	},
	{
		name:     "handle indexes outside of the tables",
		request:  `05 00 00 04 02`,
		response: `05 04 00000000 07000000`,
		asked:    "unwalked:5", answered: "unwalked:10",
	},
	{
		name:     "rows without columns are told by their head",
		request:  `15 00 01 00 01 0a00`,
		response: `15 01 00000000 02 0200 00 aabbcc`,
		asked:    "QueryRows×1:7 ", answered: "QueryRows×1:0 unwalked:13",
	},
	{
		name:     "no rows need no columns",
		request:  `15 00 01 00 01 0a00  4f 00 01 00 0000 00 0000  59 00 01 0000 0100000000000000`,
		response: `15 01 00000000 02 0000  4f 01 00000000 00 00  59 01 00000000 00000000 0000`,
		asked:    "QueryRows×1:7 FindRow×1:9 ExpandRow×1:13 ", answered: "QueryRows×1:9 FindRow×1:8 ExpandRow×1:12 ",
	},
}

func zeros(n int) string { return fmt.Sprintf("%0*d", 2*n, 0) }

func TestRops(t *testing.T) {
	for _, x := range ropCases {
		t.Run(x.name, func(t *testing.T) {
			c := newClient(t, NewStore(Limits{}))
			c.call(pcaptest.ROPs(fourHandles, unhex(t, x.request)), pcaptest.ROPs(fourHandles, unhex(t, x.response)))
			f := c.conn.Figures()
			if diff := cmp.Diff([2]string{x.asked, x.answered}, [2]string{ropSizes(f, false), ropSizes(f, true)}); diff != "" {
				t.Errorf("requests, responses (-want +got):\n%s", diff)
			}
			checkBytes(t, f, unhex(t, x.request), unhex(t, x.response))
		})
	}
}

// checkBytes: every byte of the lists is walked or not, and the reasons sum up.
func checkBytes(t testing.TB, f *Figures, request, response []byte) {
	t.Helper()
	if got := f.RequestWalked + f.RequestUnwalked; got != int64(len(request)) {
		t.Errorf("request: %d walked + %d unwalked bytes of %d", f.RequestWalked, f.RequestUnwalked, len(request))
	}
	if got := f.ResponseWalked + f.ResponseUnwalked; got != int64(len(response)) {
		t.Errorf("response: %d walked + %d unwalked bytes of %d", f.ResponseWalked, f.ResponseUnwalked, len(response))
	}
	sum := int64(0)
	for _, n := range f.Unwalked {
		sum += n
	}
	if sum != f.RequestUnwalked+f.ResponseUnwalked {
		t.Errorf("the reasons sum up to %d of %d bytes", sum, f.RequestUnwalked+f.ResponseUnwalked)
	}
}

// TestRopsCut cuts every list of the cases at every byte: what is certain is
// counted, the rest stands as unwalked, and nothing is read behind the cut.
func TestRopsCut(t *testing.T) {
	for _, x := range ropCases {
		t.Run(x.name, func(t *testing.T) {
			request, response := unhex(t, x.request), unhex(t, x.response)
			for cut := range request {
				c := newClient(t, NewStore(Limits{}))
				c.call(pcaptest.ROPs(fourHandles, request[:cut]), pcaptest.ROPs(fourHandles))
				checkBytes(t, c.conn.Figures(), request[:cut], nil)
			}
			for cut := range response {
				c := newClient(t, NewStore(Limits{}))
				c.call(pcaptest.ROPs(fourHandles, request), pcaptest.ROPs(fourHandles, response[:cut]))
				checkBytes(t, c.conn.Figures(), request, response[:cut])
			}
		})
	}
}
