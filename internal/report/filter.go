package report

import (
	"fmt"
	"net/netip"

	"mapiscope/internal/document"
	"mapiscope/internal/escape"
)

// A display filter of tshark and Wireshark can name addresses, ports and
// packet numbers. tcp.stream cannot be used: tshark numbers streams in its own
// way, and every filter and merge changes the numbers.

// connectionFilter selects the packets of a connection. Where its addresses
// and ports were used more than once in the capture, packet numbers bound it.
func connectionFilter(d *document.Document, c *document.Connection) string {
	field := "ip.addr"
	if a, err := netip.ParseAddr(c.Client.IP); err == nil && a.Is6() {
		field = "ipv6.addr"
	}
	out := fmt.Sprintf("%s==%s && %s==%s && tcp.port==%d && tcp.port==%d", field, c.Client.IP, field, c.Server.IP, c.Client.Port, c.Server.Port)
	if reused(d, c) && c.FirstPacket.Capture == c.LastPacket.Capture {
		out += fmt.Sprintf(" && frame.number>=%d && frame.number<=%d", c.FirstPacket.Packet, c.LastPacket.Packet)
	}
	return out
}

// reused reports whether another connection has the same addresses and ports.
func reused(d *document.Document, c *document.Connection) bool {
	for i := range d.Connections {
		o := &d.Connections[i]
		if o.ID != c.ID && o.Client == c.Client && o.Server == c.Server && o.FirstPacket.Capture == c.FirstPacket.Capture {
			return true
		}
	}
	return false
}

// packetFilter selects one packet.
func packetFilter(r document.PacketRef) string { return fmt.Sprintf("frame.number==%d", r.Packet) }

// callFilter is what selects the PDUs of one call among those of a connection.
func callFilter(id uint32) string { return fmt.Sprintf("dcerpc.cn_call_id==%d", id) }

// tshark is the command line that shows what a filter selects, ready to paste
// into a shell.
func tshark(path, filter string) string {
	if path == "-" {
		path = "FILE"
	}
	setup, word := escape.Shell(path)
	return setup + "tshark -r " + word + " -Y '" + filter + "'"
}
