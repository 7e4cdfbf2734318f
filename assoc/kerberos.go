package assoc

import (
	"net/netip"

	"mapiscope/dcerpc/auth"
	"mapiscope/flows"
	"mapiscope/internal/budget"
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
	before := c.kdc[side].Size()
	defer func() { c.linker.account.Add(budget.Unfinished, c.kdc[side].Size()-before) }()
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

// kdcSize returns how many bytes the connection keeps of messages that are not
// complete.
func (c *Conn) kdcSize() int {
	n := 0
	for _, s := range c.kdc {
		if s != nil {
			n += s.Size()
		}
	}
	return n
}

// forgetKDC lets go of them; reading goes on with the next message.
func (c *Conn) forgetKDC() {
	for _, s := range c.kdc {
		if s != nil {
			c.linker.account.Add(budget.Unfinished, -s.Size())
			s.Forget()
		}
	}
}

func (l *Linker) fileKDC(m KDCMessage) {
	w := m.weight()
	if len(l.kerberos) >= l.cfg.Exchanges || !l.account.Room(budget.Exchanges, w) {
		l.stats.ExchangesDropped++
		return
	}
	l.account.Add(budget.Exchanges, w)
	l.kerberos = append(l.kerberos, m)
}
