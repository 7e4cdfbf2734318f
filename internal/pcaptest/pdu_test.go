package pcaptest

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	emsmdbLE = "00 db f1 a4 47 ca 67 10 b3 1f 00 dd 01 06 62 da  00 00 51 00 "
	emsmdbBE = "a4 f1 db 00 ca 47 10 67 b3 1f 00 dd 01 06 62 da  00 51 00 00 "
	ndrLE    = "04 5d 88 8a eb 1c c9 11 9f e8 08 00 2b 10 48 60  02 00 00 00 "
	ndrBE    = "8a 88 5d 04 1c eb 11 c9 9f e8 08 00 2b 10 48 60  00 00 00 02 "
	ndr64LE  = "33 05 71 71 ba be 37 49 83 19 b5 db ef 9c cc 36  01 00 00 00 "
	zeros20  = "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  00 00 00 00 "
	handleLE = "00 00 00 00  bb 9a 9d aa f3 75 71 4e b9 a5 1c 0f 6f 7f 4c 33 "
)

func TestPDUBytes(t *testing.T) {
	token := []byte{0x70, 0x71, 0x72, 0x73, 0x74}
	tests := []struct {
		name string
		pdu  PDU
		want string
	}{
		{"bind", Bind(0xfeed, Offer(0, EMSMDB), Offer(1, EMSMDB, NDR32, NDR64)).Call(7), `
			05 00 0b 03  10 00 00 00  88 00  00 00  07 00 00 00  # 136 bytes
			d0 16  d0 16  ed fe 00 00  02 00 00 00               # fragment sizes, group, contexts
			00 00  01 00 ` + emsmdbLE + ndrLE + `
			01 00  02 00 ` + emsmdbLE + ndrLE + ndr64LE},
		{"bind, big endian, with a token", Bind(1, Offer(2, EMSMDB)).Auth(10, 6, 9, token).Flags(7).Minor(1).BigEndian(), `
			05 01 0b 07  00 00 00 00  00 55  00 05  00 00 00 00  # 85 bytes, token of 5, header signing
			16 d0  16 d0  00 00 00 01  01 00 00 00
			00 02  01 00 ` + emsmdbBE + ndrBE + `
			0a 06 00 00  00 00 00 09  70 71 72 73 74`},
		{"bind_ack", BindAck(0xfeed, "135", Accept(NDR32), Reject(2), NegotiateAck(3)).Call(7), `
			05 00 0c 03  10 00 00 00  6c 00  00 00  07 00 00 00
			d0 16  d0 16  ed fe 00 00
			04 00  31 33 35 00  aa aa  03 00 00 00               # "135", padding, results
			00 00  00 00 ` + ndrLE + `
			02 00  02 00 ` + zeros20 + `
			03 00  03 00 ` + zeros20},
		{"alter_context", AlterContext(0xfeed, Offer(3, EMSMDB)), `
			05 00 0e 03  10 00 00 00  48 00  00 00  00 00 00 00
			d0 16  d0 16  ed fe 00 00  01 00 00 00
			03 00  01 00 ` + emsmdbLE + ndrLE},
		{"alter_context_resp, big endian", AlterContextResp(0xfeed, Accept(NDR32)).BigEndian(), `
			05 00 0f 03  00 00 00 00  00 38  00 00  00 00 00 00
			16 d0  16 d0  00 00 fe ed
			00 00  aa aa  01 00 00 00
			00 00  00 00 ` + ndrBE},
		{"bind_nak", BindNak(8), `
			05 00 0d 03  10 00 00 00  15 00  00 00  00 00 00 00
			08 00  01 05 00`},
		{"auth3", Auth3().Auth(10, 2, 7, token), `
			05 00 10 03  10 00 00 00  21 00  05 00  00 00 00 00
			70 61 64 21
			0a 02 00 00  07 00 00 00  70 71 72 73 74`},
		{"request with an object", Request(1, 11, []byte{1, 2, 3}).Call(258).Object(session), `
			05 00 00 83  10 00 00 00  2b 00  00 00  02 01 00 00
			03 00 00 00  01 00  0b 00
			bb 9a 9d aa f3 75 71 4e b9 a5 1c 0f 6f 7f 4c 33
			01 02 03`},
		{"request with a token, padded to 16", Request(1, 11, []byte{1, 2, 3}).Auth(9, 5, 0, token), `
			05 00 00 03  10 00 00 00  35 00  05 00  00 00 00 00
			03 00 00 00  01 00  0b 00
			01 02 03 00  00 00 00 00  00 00 00 00  00 00 00 00
			09 05 0d 00  00 00 00 00  70 71 72 73 74`},
		{"response, big endian", Response(1, []byte{1, 2, 3, 4, 5}).BigEndian(), `
			05 00 02 03  00 00 00 00  00 1d  00 00  00 00 00 00
			00 00 00 05  00 01  00 00
			01 02 03 04 05`},
		{"fault", Fault(2, 0x1c010003), `
			05 00 03 03  10 00 00 00  20 00  00 00  00 00 00 00
			00 00 00 00  02 00  00 00  03 00 01 1c  00 00 00 00`},
		{"co_cancel", CoCancel().Call(3), "05 00 12 03  10 00 00 00  10 00  00 00  03 00 00 00"},
		{"orphaned", Orphaned(), "05 00 13 03  10 00 00 00  10 00  00 00  00 00 00 00"},
		{"shutdown", Shutdown(), "05 00 11 03  10 00 00 00  10 00  00 00  00 00 00 00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { sameHex(t, tt.pdu.Bytes(), tt.want) })
	}
}

func TestFragments(t *testing.T) {
	p := Response(0, []byte("abcdefghij")).Call(5).Auth(10, 5, 0, []byte{0x77})
	sameHex(t, p.Fragmented(8), `
		05 00 02 01  10 00 00 00  31 00  01 00  05 00 00 00  # first
		0a 00 00 00  00 00  00 00                            # 10 bytes to come
		61 62 63 64  65 66 67 68  00 00 00 00  00 00 00 00
		0a 05 08 00  00 00 00 00  77
		05 00 02 02  10 00 00 00  31 00  01 00  05 00 00 00  # last
		02 00 00 00  00 00  00 00
		69 6a 00 00  00 00 00 00  00 00 00 00  00 00 00 00
		0a 05 0e 00  00 00 00 00  77`)
	var flags []byte
	for _, f := range p.Fragments(4) {
		flags = append(flags, f[3])
	}
	if diff := cmp.Diff([]byte{1, 0, 2}, flags); diff != "" {
		t.Error(diff)
	}
	if all := Request(0, 6, nil).Fragments(8); len(all) != 1 || all[0][3] != 3 {
		t.Errorf("an empty stub has fragments %v", all)
	}
}

const emsmdbTower = `
	05 00                                                                       # floors
	13 00  0d 00 db f1 a4 47 ca 67 10 b3 1f 00 dd 01 06 62 da 00 00  02 00  51 00
	13 00  0d 04 5d 88 8a eb 1c c9 11 9f e8 08 00 2b 10 48 60 02 00  02 00  00 00
	01 00  0b  02 00  00 00
`

func TestEndpointMapper(t *testing.T) {
	sameHex(t, EptMapRequest(NDR{}, EMSMDB, 4), `
		01 00 00 00  00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  # object
		02 00 00 00  4b 00 00 00  4b 00 00 00`+emsmdbTower+`
		01 00  07  02 00  00 00
		01 00  09  04 00  00 00 00 00
		aa `+zeros20+`04 00 00 00`)
	here := Endpoint{EMSMDB, netip.MustParseAddr("10.2.0.9"), 59531}
	sameHex(t, EptMapResponse(NDR{Big: true}, 4, 0, here, here), zeros20+`
		00 00 00 02  00 00 00 04  00 00 00 00  00 00 00 02  # towers; size, offset, length
		00 00 00 03  00 00 00 04
		00 00 00 4b  00 00 00 4b`+emsmdbTower+`
		01 00  07  02 00  e8 8b
		01 00  09  04 00  0a 02 00 09
		aa
		00 00 00 4b  00 00 00 4b`+emsmdbTower+`
		01 00  07  02 00  e8 8b
		01 00  09  04 00  0a 02 00 09
		aa
		00 00 00 00`)
	sameHex(t, EptMapResponse(NDR{}, 1, 0x16c9a0d6), zeros20+`
		00 00 00 00  01 00 00 00  00 00 00 00  00 00 00 00  d6 a0 c9 16`)
}

func TestEMSMDB(t *testing.T) {
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"connect", ConnectEx{UserDN: "/o=X", Client: Outlook2007, AuxIn: []byte{1}}.Request(NDR{}), `
			05 00 00 00  00 00 00 00  05 00 00 00  2f 6f 3d 58 00  aa aa aa
			00 00 00 00  44 33 22 11  00 00 00 00  e4 04 00 00
			09 04 00 00  09 04 00 00  ff ff ff ff
			01 00  00 0c 19 99 e8 03  00 00 00 00                # 12.0.6425.1000
			01 00 00 00  01  aa aa aa  01 00 00 00  08 10 00 00`},
		{"connected", ConnectExResult{Handle: session, Index: 3, DNPrefix: "P", DisplayName: "N", Server: Version{1, 2, 3}, Best: Version{4, 5, 6}, Status: 7}.Response(NDR{}), handleLE + `
			60 ea 00 00  06 00 00 00  10 27 00 00  03 00  aa aa
			00 00 02 00  02 00 00 00  00 00 00 00  02 00 00 00  50 00  aa aa
			04 00 02 00  02 00 00 00  00 00 00 00  02 00 00 00  4e 00
			01 00 02 00 03 00  04 00 05 00 06 00  aa aa  88 77 66 55
			00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  07 00 00 00`},
		{"call", RpcExt2{Handle: session, Flags: 3, In: Plain([]byte{2, 0, 0x45}), MaxOut: 0x8007}.Request(NDR{}), handleLE + `
			03 00 00 00  0b 00 00 00
			00 00  04 00  03 00  03 00  02 00 45  aa            # RPC_HEADER_EXT
			0b 00 00 00  07 80 00 00  00 00 00 00  00 00 00 00  08 10 00 00`},
		{"answer", RpcExt2Result{Handle: session, Out: Xored([]byte{2, 0}), TransTime: 9}.Response(NDR{Big: true}), `
			00 00 00 00  aa 9d 9a bb 75 f3 4e 71 b9 a5 1c 0f 6f 7f 4c 33
			00 00 00 00  00 00 00 0a  00 00 00 00  00 00 00 0a
			00 00  06 00  02 00  02 00  a7 a5  aa aa
			00 00 00 0a  00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 09  00 00 00 00`},
		{"legacy call", RpcRequest(NDR{}, session, []byte{3, 0, 1}, 0x7fff), handleLE + `
			ff 7f 00 00  00 00 00 00  03 00 00 00  a6 a5 a4  aa  03 00  ff 7f`},
		{"legacy answer", RpcResponse(NDR{}, session, []byte{2, 0}, 0x7fff, 0), handleLE + `
			ff 7f 00 00  00 00 00 00  02 00 00 00  a7 a5  02 00  00 00 00 00`},
		{"disconnect", DisconnectRequest(NDR{}, session), handleLE},
		{"disconnected", DisconnectResponse(NDR{}, 5), zeros20 + "05 00 00 00"},
		{"compressed", HeaderExt(ExtCompressed|ExtXorMagic|ExtLast, []byte{0xa5, 0x5a}, 300), "00 00  07 00  02 00  2c 01  00 ff"},
		{"ROPs", ROPs([]uint32{0x45, 0xffffffff}, []byte{0x01, 0, 0}, []byte{0x6e, 1, 0}), "08 00  01 00 00  6e 01 00  45 00 00 00  ff ff ff ff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { sameHex(t, tt.got, tt.want) })
	}
}

func TestTokens(t *testing.T) {
	tests := []struct {
		name string
		got  []byte
		want string
	}{
		{"negotiate", NTLMNegotiate(), `
			4e 54 4c 4d 53 53 50 00  01 00 00 00  35 82 08 e2
			00 00 00 00 28 00 00 00  00 00 00 00 28 00 00 00
			06 01 b1 1d 00 00 00 0f`},
		{"challenge", NTLMChallenge("D", "S", [8]byte{1, 2, 3, 4, 5, 6, 7, 8}), `
			4e 54 4c 4d 53 53 50 00  02 00 00 00
			02 00 02 00 38 00 00 00  35 82 89 e2  01 02 03 04 05 06 07 08
			00 00 00 00 00 00 00 00  10 00 10 00 3a 00 00 00
			06 01 b1 1d 00 00 00 0f
			44 00  02 00 02 00 44 00  01 00 02 00 53 00  00 00 00 00`},
		{"authenticate", NTLMAuthenticate("D", "al", "W"), `
			4e 54 4c 4d 53 53 50 00  03 00 00 00
			18 00 18 00 48 00 00 00  18 00 18 00 60 00 00 00  # responses
			02 00 02 00 78 00 00 00  04 00 04 00 7a 00 00 00  # domain, user
			02 00 02 00 7e 00 00 00  10 00 10 00 80 00 00 00  # workstation, session key
			35 82 08 e2  06 01 b1 1d 00 00 00 0f
			11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11 11
			22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22 22
			44 00  61 00 6c 00  57 00
			33 33 33 33 33 33 33 33 33 33 33 33 33 33 33 33`},
		{"SPNEGO init", SPNEGOInit([]byte{1, 2}, OIDMSKerb, OIDNTLM), `
			60 2d  06 06 2b 06 01 05 05 02
			a0 23  30 21
			a0 19  30 17  06 09 2a 86 48 82 f7 12 01 02 02  06 0a 2b 06 01 04 01 82 37 02 02 0a
			a2 04  04 02 01 02`},
		{"SPNEGO response", SPNEGOResp(1, OIDNTLM, []byte{9}), `
			a1 1a  30 18  a0 03 0a 01 01  a1 0c 06 0a 2b 06 01 04 01 82 37 02 02 0a  a2 03 04 01 09`},
		{"GSS token of Kerberos", GSSToken(OIDKerberos, []byte{1, 0}), "60 0d  06 09 2a 86 48 86 f7 12 01 02 02  01 00"},
		{"long value", tlv(4, make([]byte, 300))[:5], "04 82 01 2c 00"},
		{"longer value", tlv(4, make([]byte, 200))[:4], "04 81 c8 00"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) { sameHex(t, tt.got, tt.want) })
	}
}
