package account

import (
	"fmt"
	"time"

	"mapiscope/assoc"
	"mapiscope/dcerpc"
	"mapiscope/emsmdb"
)

func (b *builder) findEncrypted(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if !isMAPI(d) {
			return
		}
		a := secured(d)
		if a == nil || b.rules.Encrypted && mechanismOf(a) != "ntlm" {
			return
		}
		mech := mechanismOf(a)
		if mech == "" {
			mech = a.TypeName
		}
		found.add(fmt.Sprintf("EMSMDB at level %s with %s, which release %s hands to the generic accelerator", a.LevelName, mech, b.rules.Name), d, a.Packet)
	})
	found.report(add)
}

func (b *builder) findNTLM(add func(string) *Finding) {
	if !b.rules.Encrypted {
		return
	}
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if a := secured(d); isMAPI(d) && a != nil && a.Level == dcerpc.LevelPrivacy && mechanismOf(a) == "ntlm" {
			how := "bare NTLM"
			if a.TypeName == "spnego" {
				how = "NTLM inside SPNEGO"
			}
			found.add(fmt.Sprintf("privacy with %s (Unsupported Auth Type :NTLM)", how), d, a.Packet)
		}
	})
	found.report(add)
}

// maxDisconnects is how many disconnects in a row the device bears.
const maxDisconnects = 4

// findDisconnects looks for clients whose connections to one EMSMDB end point
// end again and again before a call was answered.
func (b *builder) findDisconnects(add func(string) *Finding) {
	type pair struct {
		client string
		server Host
		at     string
	}
	runs := make(map[pair][]member)
	var order []pair
	flush := func(p pair) {
		if ms := runs[p]; len(ms) > maxDisconnects {
			f := add(fmt.Sprintf("%s: %d connections in a row to %s:%d ended before the first answered EMSMDB call", p.client, len(ms), p.server.IP, p.server.Port))
			for _, m := range ms {
				f.concerns(m.d, m.p)
			}
		}
		delete(runs, p)
	}
	b.each(func(c *assoc.Conn, d *Connection) {
		if !isMAPI(d) || d.Origin != "handshake" || d.State == "refused" || d.State == "unanswered" {
			return
		}
		p := pair{d.Client.IP, d.Server, d.At}
		if c.RPC == nil || !c.FirstAnswer.IsZero() || d.State == "open" {
			flush(p)
			return
		}
		if _, ok := runs[p]; !ok {
			order = append(order, p)
		}
		runs[p] = append(runs[p], member{d, d.LastPacket})
	})
	for _, p := range order {
		flush(p)
	}
}

func (b *builder) findClients(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		if d.MAPI == nil || d.MAPI.major == nil {
			return
		}
		if why := b.unsupported(*d.MAPI.major, *d.MAPI.build); why != "" {
			found.add(fmt.Sprintf("version %s: %s", *d.MAPI.ClientVersion, why), d, d.FirstPacket)
		}
	})
	found.report(add)
}

func (b *builder) findHTTP(add func(string) *Finding) {
	var found byReason
	b.each(func(_ *assoc.Conn, d *Connection) {
		switch d.Service {
		case "rpc_http":
			found.add("RPC over HTTP", d, d.FirstPacket)
		case "mapi_http":
			found.add("MAPI over HTTP", d, d.FirstPacket)
		}
	})
	found.report(add)
}

// Calls are slow when the slowest in twenty takes both a time that a person
// notices and several times what the network takes.
const (
	slowCalls  = 5                      // answered calls needed to say anything
	slowFloor  = 100_000                // µs
	slowFactor = 5                      // times the handshake round trip
	slowNoRTT  = 250 * time.Millisecond // floor where no handshake was captured
)

func (b *builder) findSlow(add func(string) *Finding) {
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if !isMAPI(d) || c.RPC == nil {
			return
		}
		for i := range d.Operations {
			op := &d.Operations[i]
			t := &op.ResponseTime
			if t.Count < slowCalls || op.InterfaceUUID == nil || *op.InterfaceUUID != emsmdb.MDB.String() {
				continue
			}
			floor := int64(slowNoRTT / time.Microsecond)
			if d.RTT != nil {
				floor = max(slowFloor, slowFactor**d.RTT)
			}
			if *t.P95 >= floor {
				found.add(fmt.Sprintf("one call in twenty of %s takes %v or more", opName(op), time.Duration(*t.P95)*time.Microsecond), d, d.FirstPacket)
			}
		}
	})
	found.report(add)
}

func opName(op *Operation) string {
	switch {
	case op.Name != nil:
		return *op.Name
	case op.Opnum != nil:
		return fmt.Sprintf("opnum %d", *op.Opnum)
	}
	return "an unknown operation"
}

func (b *builder) findNotRegistered(add func(string) *Finding) {
	var found byReason
	for i := range b.res.Maps {
		ex := &b.res.Maps[i]
		if ex.Interface != emsmdb.MDB || !ex.Answered || len(ex.Ports) > 0 || ex.Conn.ID == 0 || ex.Sequence != "ncacn_ip_tcp" && ex.Sequence != "" {
			continue
		}
		found.add(fmt.Sprintf("ept_map for EMSMDB was answered with status 0x%08x and no tower", ex.Status), &b.doc.Connections[ex.Conn.ID-1], ref(ex.Mark))
	}
	found.report(add)
}

func (b *builder) findUnannounced(add func(string) *Finding) {
	// An endpoint mapper conversation that an optimizer hides may have
	// announced anything.
	hidden := make(map[string]bool)
	b.each(func(c *assoc.Conn, d *Connection) {
		if d.Service == "epm" && c.RPC == nil {
			hidden[d.Server.IP] = true
		}
	})
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if d.Service != "mapi" || d.Origin != "handshake" || c.RPC == nil || hidden[d.Server.IP] || rejectedAll(d) {
			return
		}
		if !b.dir.Announced(c.Server(), emsmdb.MDB) {
			found.add("no captured ept_map answer names this port for EMSMDB", d, d.FirstPacket)
		}
	})
	found.report(add)
}

func (b *builder) findStripped(add func(string) *Finding) {
	var found byReason
	b.each(func(c *assoc.Conn, d *Connection) {
		if c.Optimizer.Stripped {
			found.add("discovery option on the SYN, none on the SYN/ACK, no sequence jump", d, d.FirstPacket)
		}
	})
	found.report(add)
}
