package assoc

import (
	"net/netip"

	"mapiscope/dcerpc/auth"
	"mapiscope/flows"
	"mapiscope/internal/wire"
)

// kdcPort is the port of the Kerberos key distribution centre (RFC 4120 7.2).
const kdcPort = 88

// KDCMessage is one Kerberos message between a host and a KDC.
type KDCMessage struct {
	wire.Mark
	Client, KDC netip.Addr
	Conn        *Conn // nil over UDP
	Message     auth.KDCMessage
}

// kdcDatagram reads one message over UDP.
func (l *Linker) kdcDatagram(f *flows.Frame) {
	msg, ok := auth.ParseKDC(f.Payload)
	if !ok {
		return
	}
	client, kdc := f.Src.Addr(), f.Dst.Addr()
	if f.Src.Port() == kdcPort {
		client, kdc = kdc, client
	}
	l.fileKDC(KDCMessage{Mark: f.Mark, Client: client, KDC: kdc, Message: msg})
}

// kdcData reads the messages of one direction of a TCP connection to a KDC.
func (c *Conn) kdcData(side wire.Side, m wire.Mark, b []byte) {
	if c.kdc[side] == nil {
		c.kdc[side] = new(auth.KDCStream)
	}
	c.kdc[side].Data(b, func(raw []byte) {
		msg, ok := auth.ParseKDC(raw)
		if !ok {
			return
		}
		client, kdc := c.Flow.A, c.Flow.B
		if client.Port() == kdcPort {
			client, kdc = kdc, client
		}
		c.linker.fileKDC(KDCMessage{Mark: m, Client: client.Addr(), KDC: kdc.Addr(), Conn: c, Message: msg})
	})
}

func (l *Linker) fileKDC(m KDCMessage) {
	if len(l.kerberos) >= l.cfg.Exchanges {
		l.stats.ExchangesDropped++
		return
	}
	l.kerberos = append(l.kerberos, m)
}
