package assoc

import "bytes"

// Transport says what carries the traffic of a connection.
type Transport uint8

// The transports that are told apart by content.
const (
	Undecided Transport = iota
	RPC                 // DCE/RPC directly over TCP, ncacn_ip_tcp
	SMB                 // SMB, whose pipes may carry DCE/RPC (ncacn_np)
	RPCHTTP             // RPC over HTTP, [MS-RPCH]: ncacn_http
	MAPIHTTP            // MAPI over HTTP, [MS-OXCMAPIHTTP]
	KDC                 // Kerberos over TCP
	Foreign             // nothing of ours
)

// The ports of SMB: directly over TCP, and over NetBIOS sessions (RFC 1002 4.3).
const (
	smbPort     = 445
	netbiosPort = 139
)

// sniffLength is how many bytes of a stream its transport is told from. HTTP
// needs the most: the request line up to the path.
const sniffLength = 64

var (
	rpcInData  = []byte("RPC_IN_DATA ")
	rpcOutData = []byte("RPC_OUT_DATA ")
	rpcBanner  = []byte("ncacn_http/1.0")
	post       = []byte("POST ")
	mapiPath   = []byte("/mapi/")
	smb1       = []byte("\xffSMB")
	smb2       = []byte("\xfeSMB")
	smb3       = []byte("\xfdSMB")
)

// sniff names the transport of a stream from its first bytes, Undecided for
// DCE/RPC and for what more bytes might still tell; the framer of package
// dcerpc has the last word on DCE/RPC.
func sniff(b []byte) Transport {
	switch {
	case bytes.HasPrefix(b, rpcInData), bytes.HasPrefix(b, rpcOutData), bytes.HasPrefix(b, rpcBanner):
		return RPCHTTP
	case bytes.HasPrefix(b, post):
		if path := b[len(post):min(len(b), sniffLength)]; len(path) >= len(mapiPath) && bytes.EqualFold(path[:len(mapiPath)], mapiPath) {
			return MAPIHTTP
		}
		return Foreign
	case len(b) >= 8 && b[0] == 0: // NetBIOS session message, then SMB
		if sig := b[4:8]; bytes.Equal(sig, smb1) || bytes.Equal(sig, smb2) || bytes.Equal(sig, smb3) {
			return SMB
		}
	}
	return Undecided
}

// tooFew reports whether more bytes might tell another transport than these do,
// which begin a stream. What may be DCE/RPC is left to its framer.
func tooFew(b []byte) bool {
	if b[0] == 5 {
		return false
	}
	for _, p := range [...][]byte{rpcInData, rpcOutData, rpcBanner} {
		if len(b) < len(p) && bytes.HasPrefix(p, b) {
			return true
		}
	}
	if bytes.HasPrefix(b, post) {
		path := b[len(post):]
		return len(path) < len(mapiPath) && bytes.EqualFold(path, mapiPath[:len(path)])
	}
	return len(b) < 8 // SMB behind the header of a NetBIOS session; see familiar
}

// mayBeRPC reports whether a stream that was captured from its first byte may
// be DCE/RPC: its first PDU begins with version 5.0 or 5.1 ([C706] 12.6.3.1).
// It spares the connections of everybody else the set-up of a framer.
func mayBeRPC(b []byte) bool {
	return b[0] == 5 && (len(b) == 1 || b[1] <= 1)
}

// pipeBinds finds the first PDU of a DCE/RPC conversation inside SMB: a bind
// or a bind_ack of version 5.0 with both fragment flags, little endian. It
// only counts connections; what they carry is not decoded.
var pipeBinds = [][]byte{
	[]byte("\x05\x00\x0b\x03\x10\x00\x00\x00"),
	[]byte("\x05\x00\x0c\x03\x10\x00\x00\x00"),
	[]byte("\x05\x00\x0b\x07\x10\x00\x00\x00"),
	[]byte("\x05\x00\x0c\x07\x10\x00\x00\x00"),
	[]byte("\x05\x00\x0b\x13\x10\x00\x00\x00"),
	[]byte("\x05\x00\x0c\x13\x10\x00\x00\x00"),
	[]byte("\x05\x00\x00\x03\x10\x00\x00\x00"),
	[]byte("\x05\x00\x02\x03\x10\x00\x00\x00"),
}

// pipeScan is how many bytes of both directions are searched for that. A client
// opens a pipe in the first messages of its session, or for each call anew.
const pipeScan = 1 << 20

func carriesPipe(b []byte) bool {
	for _, pattern := range pipeBinds {
		if bytes.Contains(b, pattern) {
			return true
		}
	}
	return false
}

// familiar reports whether a stream begins like a protocol between two hosts
// that is none of ours: a TLS handshake (RFC 8446 5.1) or a line of text.
func familiar(b []byte) bool {
	if len(b) >= 3 && b[0] == 0x16 && b[1] == 3 && b[2] <= 4 {
		return true
	}
	if len(b) < 4 {
		return false
	}
	for _, v := range b[:min(len(b), 8)] {
		letter := v|0x20 >= 'a' && v|0x20 <= 'z' || v >= '0' && v <= '9'
		if !letter && !bytes.ContainsRune([]byte(" -_./:*\r\n"), rune(v)) {
			return false
		}
	}
	return true
}
