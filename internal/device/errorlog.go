package device

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"mapiscope/internal/document"
)

// The authentication level from which the device calls a connection secured
// ([MS-RPCE] 2.2.1.1.8: integrity).
const levelSecured = 5

// spoken returns the connections whose events speak for their flows: one that
// was captured at several places is logged once.
func (v *Views) spoken() map[int]*flow {
	out := make(map[int]*flow, len(v.flows))
	for _, f := range v.flows {
		out[f.main.ID] = f
	}
	return out
}

// asksForSecurity reports whether an event is a bind of EMSMDB at level
// integrity or privacy.
func asksForSecurity(e *document.Event) bool {
	if e.Event != "bind" && e.Event != "alter_context" || e.AuthLevel == nil || *e.AuthLevel < levelSecured {
		return false
	}
	for i := range e.Contexts {
		if e.Contexts[i].UUID == emsmdb {
			return true
		}
	}
	return false
}

// Syslog returns the lines of the system log that packets can prove: each
// connection that asks for encrypted MAPI, from a device of the given name.
func (v *Views) Syslog(host string) []LogLine {
	var lines []LogLine
	flows := v.spoken()
	logged := make(map[int]bool)
	for i := range v.doc.Events {
		e := &v.doc.Events[i]
		if flows[e.Connection] == nil || logged[e.Connection] || !asksForSecurity(e) {
			continue
		}
		logged[e.Connection] = true
		t := instant(e.Time).In(v.loc)
		lines = append(lines, LogLine{Time: t, Connection: e.Connection, Once: "132104",
			Text: fmt.Sprintf("%s %s mapi_ao: %%WAAS-MAPIAO-3-132104: (%d) Encrypted connection. Client ip: %s",
				t.Format("2006 Jan 2 15:04:05"), host, micros(t), e.Client.IP)})
	}
	return lines
}

// micros is the fraction of a second as the device prints it: microseconds
// without leading zeros.
func micros(t time.Time) int { return t.Nanosecond() / int(time.Microsecond) }

// ErrorLog returns the lines of the MAPI accelerator's error log that packets
// can prove. Where the device names its source file, the capture and the
// packet stand; its process numbers and pointers are n/a.
func (v *Views) ErrorLog() []LogLine {
	l := errorLog{v: v, flows: v.spoken(), refused: make(map[int]bool)}
	for i := range v.doc.Events {
		e := &v.doc.Events[i]
		if f := l.flows[e.Connection]; f != nil && isMAPI(f.service()) {
			l.event(e, f)
		}
	}
	return l.lines
}

type errorLog struct {
	v       *Views
	flows   map[int]*flow
	lines   []LogLine
	refused map[int]bool // connections whose authentication was called unsupported
}

func (l *errorLog) add(e *document.Event, level, format string, args ...any) {
	t := instant(e.Time).In(l.v.loc)
	where := "?"
	if i := e.Packet.Capture; i >= 0 && i < len(l.v.doc.Captures) {
		where = filepath.Base(l.v.doc.Captures[i].Path)
	}
	l.lines = append(l.lines, LogLine{Time: t, Connection: e.Connection,
		Text: fmt.Sprintf("%s(Local)(%s) %s (%d) (fl=%d) %s [%s:%d]",
			t.Format("01/02/2006 15:04:05.000"), unavailable, level, micros(t), e.Connection, fmt.Sprintf(format, args...), where, e.Packet.Packet)})
}

// event prints the lines of one event.
func (l *errorLog) event(e *document.Event, f *flow) {
	switch e.Event {
	case "connection_start":
		if f.main.Origin == "handshake" {
			side := "Edge"
			if l.v.role == Core {
				side = "Core"
			}
			l.add(e, "NTCE", "%s TCP connection initiated (%s), Conn: [%s <=> %s], Flavor: %s", side, unavailable, address(e.Client), address(e.Server), unavailable)
		}
	case "bind":
		l.bind(e)
	case "bind_ack":
		l.bindAck(e, f)
	case "auth":
		l.unsupported(e)
		l.add(e, "NTCE", "Sec-Params [CtxId, AL, AT, ACT, DCT, [Hs, ConnMplx, SecMplx]]:=[%s, %s, %s, %s, %[4]s [%s,%s,%s]]",
			number(e.AuthContextID), number(e.AuthLevel), number(e.AuthType), etype(e.SessionEtype),
			flag(e.HeaderSigning), flag(e.Multiplexing), flag(e.SecMultiplexing))
	case "mapi_connect":
		n := strings.Split(e.ClientVersion, ".")
		if len(n) != 4 {
			return
		}
		l.add(e, "NTCE", "CEdgeTcpConnectionEmsMdbLayer::ConnectRequestCommon (CallId %s): client version is ProductMajor:%s, Product Minor:%s, Build Major:%s, Build Minor:%s Client ip %s Client port %d Dest ip %s Dest port %d",
			number(e.CallID), n[0], n[1], n[2], n[3], e.Client.IP, e.Client.Port, e.Server.IP, e.Server.Port)
	case "mapi_connect_response":
		if e.SessionOpened != nil && !*e.SessionOpened {
			l.add(e, "ERRO", "ContextHandle.IsNull()")
		}
	case "repeated_disconnect":
		l.add(e, "NTCE", "Client %s disconnected more than four consecutive times - push down to generic ao.", e.Client.IP)
	}
}

func (l *errorLog) bind(e *document.Event) {
	level, kind := "NONE", "NONE"
	if e.AuthLevel != nil {
		level, kind = levelName(*e.AuthLevel), typeName(*e.AuthType)
	}
	group := unavailable
	if e.AssocGroup != nil {
		group = fmt.Sprintf("0x%x", *e.AssocGroup)
	}
	l.add(e, "NTCE", "Bind Request from client with AGID %s, callId %s, to dest-ip %s, AuthLevel: %s AuthType: %s AuthCtxId: %s WsPlumb:%s",
		group, number(e.CallID), e.Server.IP, level, kind, number(e.AuthContextID), unavailable)
	l.unsupported(e)
}

// unsupported says that a release with encrypted MAPI refuses NTLM, bare or
// inside SPNEGO, as soon as the tokens tell.
func (l *errorLog) unsupported(e *document.Event) {
	if l.v.before(5) || l.refused[e.Connection] || e.AuthLevel == nil || *e.AuthLevel < levelSecured || e.Mechanism != "ntlm" {
		return
	}
	l.refused[e.Connection] = true
	l.add(e, "NTCE", "Unsupported Auth Type :NTLM")
	l.lines[len(l.lines)-1].Once = "unsupported"
}

func (l *errorLog) bindAck(e *document.Event, f *flow) {
	if e.Multiplexing != nil && *e.Multiplexing {
		l.add(e, "NTCE", "Connection multiplexing enabled by server on the connection.")
	}
	if e.HeaderSigning != nil && *e.HeaderSigning {
		l.add(e, "NTCE", "Header signing enabled by server on the connection.")
	}
	if e.AssocGroup == nil {
		return
	}
	fresh := unavailable
	if asked := f.main.AssocGroup.Requested; asked != nil {
		opens := *asked == 0
		fresh = flag(&opens)
	}
	l.add(e, "NTCE", "OnNewConnection - Client IP %s (%s), Serv IP %s (%s), nDstPort=%d, nAssociationGroup=0x%x,conn_fd=%s, bWasConnectionFromReservedPool=%[7]s, bIsNewMapiSession=%[8]s",
		e.Client.IP, hexAddr(e.Client.IP), e.Server.IP, hexAddr(e.Server.IP), e.Server.Port, *e.AssocGroup, unavailable, fresh)
}

// levelName and typeName spell authentication as the log does.
func levelName(level uint8) string {
	names := [...]string{"NONE", "NONE", "CONNECT", "CALL", "PACKET", "INTEGRITY", "PRIVACY"}
	if int(level) < len(names) {
		return names[level]
	}
	return fmt.Sprint(level)
}

func typeName(kind uint8) string {
	switch kind {
	case 0:
		return "NONE"
	case 9:
		return "SPNEGO"
	case 10:
		return "NTLM"
	case 14:
		return "SCHANNEL"
	case 16:
		return "KERBEROS"
	case 68:
		return "NETLOGON"
	}
	return fmt.Sprint(kind)
}

// hexAddr prints an IPv4 address as one number, first byte first.
func hexAddr(ip string) string {
	a, err := netip.ParseAddr(ip)
	if err != nil || !a.Is4() {
		return unavailable
	}
	return fmt.Sprintf("0x%x", a.As4())
}

func number[T uint8 | uint32](n *T) string {
	if n == nil {
		return unavailable
	}
	return fmt.Sprint(*n)
}

func etype(n int32) string {
	if n == 0 {
		return unavailable
	}
	return fmt.Sprint(n)
}

func flag(b *bool) string {
	if b != nil && *b {
		return "1"
	}
	return "0"
}
