package report

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"mapiscope/internal/document"
	"mapiscope/internal/escape"
)

// column is one column of a list. A figure that the packets
// do not give is an empty cell; what is a list in JSON is joined by spaces.
type column[T any] struct {
	name string
	cell func(*T) any // a numeral, or text of any other type
}

// columns are the columns in their order; new ones go to the end.
var columns = []column[document.Connection]{
	{"id", func(c *document.Connection) any { return number(c.ID) }},
	{"community_id", func(c *document.Connection) any { return c.CommunityID }},
	{"at", func(c *document.Connection) any { return c.At }},
	{"client_ip", func(c *document.Connection) any { return c.Client.IP }},
	{"client_port", func(c *document.Connection) any { return number(c.Client.Port) }},
	{"server_ip", func(c *document.Connection) any { return c.Server.IP }},
	{"server_port", func(c *document.Connection) any { return number(c.Server.Port) }},
	{"start", func(c *document.Connection) any { return c.Start }},
	{"end", func(c *document.Connection) any { return c.End }},
	{"capture", func(c *document.Connection) any { return number(c.FirstPacket.Capture) }},
	{"first_packet", func(c *document.Connection) any { return number(c.FirstPacket.Packet) }},
	{"last_packet", func(c *document.Connection) any { return number(c.LastPacket.Packet) }},
	{"origin", func(c *document.Connection) any { return c.Origin }},
	{"state", func(c *document.Connection) any { return c.State }},
	{"directions", func(c *document.Connection) any { return c.Directions }},
	{"rtt_us", func(c *document.Connection) any { return optional(c.RTT) }},
	{"packets_client", func(c *document.Connection) any { return number(c.Packets.Client) }},
	{"packets_server", func(c *document.Connection) any { return number(c.Packets.Server) }},
	{"bytes_client", func(c *document.Connection) any { return number(c.Bytes.Client) }},
	{"bytes_server", func(c *document.Connection) any { return number(c.Bytes.Server) }},
	{"retransmitted_client", func(c *document.Connection) any { return number(c.Retransmitted.Client) }},
	{"retransmitted_server", func(c *document.Connection) any { return number(c.Retransmitted.Server) }},
	{"out_of_order_client", func(c *document.Connection) any { return number(c.OutOfOrder.Client) }},
	{"out_of_order_server", func(c *document.Connection) any { return number(c.OutOfOrder.Server) }},
	{"gap_bytes_client", func(c *document.Connection) any { return number(c.GapBytes.Client) }},
	{"gap_bytes_server", func(c *document.Connection) any { return number(c.GapBytes.Server) }},
	{"service", func(c *document.Connection) any { return c.Service }},
	{"service_basis", func(c *document.Connection) any { return c.ServiceBasis }},
	{"interfaces", func(c *document.Connection) any {
		return join(c.Interfaces, func(x *document.Context) string { return cmp.Or(value(x.Name), x.UUID) })
	}},
	{"assoc_group_requested", func(c *document.Connection) any { return optional(c.AssocGroup.Requested) }},
	{"assoc_group_granted", func(c *document.Connection) any { return optional(c.AssocGroup.Granted) }},
	{"association_group", func(c *document.Connection) any { return optional(c.AssocGroup.Group) }},
	{"auth", func(c *document.Connection) any {
		return join(c.Auth, func(a *document.Auth) string { return a.TypeName + "/" + a.LevelName })
	}},
	{"auth_mechanism", func(c *document.Connection) any {
		return join(c.Auth, func(a *document.Auth) string { return value(a.Mechanism) })
	}},
	{"user", func(c *document.Connection) any {
		return join(c.Auth, logon)
	}},
	{"auth_state", func(c *document.Connection) any {
		return join(c.Auth, func(a *document.Auth) string { return a.State })
	}},
	{"encrypted", func(c *document.Connection) any { return strconv.FormatBool(c.Encrypted) }},
	{"signed", func(c *document.Connection) any { return strconv.FormatBool(c.Signed) }},
	{"multiplexed", func(c *document.Connection) any { return strconv.FormatBool(c.Multiplexed) }},
	{"requests", func(c *document.Connection) any { return number(c.Calls.Requests) }},
	{"responses", func(c *document.Connection) any { return number(c.Calls.Responses) }},
	{"faults", func(c *document.Connection) any { return number(c.Calls.Faults) }},
	{"cancels", func(c *document.Connection) any { return number(c.Calls.Cancels) }},
	{"orphaned", func(c *document.Connection) any { return number(c.Calls.Orphaned) }},
	{"unanswered", func(c *document.Connection) any { return number(c.Calls.Unanswered) }},
	{"lost", func(c *document.Connection) any { return number(c.Calls.Lost) }},
	{"bind_naks", func(c *document.Connection) any { return number(len(c.BindNaks)) }},
	{"user_dn", mapi(func(m *document.MAPI) any { return value(m.UserDN) })},
	{"client_version", mapi(func(m *document.MAPI) any { return value(m.ClientVersion) })},
	{"client_product", mapi(func(m *document.MAPI) any { return value(m.ClientProduct) })},
	{"server_version", mapi(func(m *document.MAPI) any { return value(m.ServerVersion) })},
	{"server_product", mapi(func(m *document.MAPI) any { return value(m.ServerProduct) })},
	{"sessions", mapi(func(m *document.MAPI) any { return optional(m.Sessions) })},
	{"optimizer_vendor", func(c *document.Connection) any { return value(c.Optimizer.Vendor) }},
	{"optimizer_verdict", func(c *document.Connection) any { return c.Optimizer.Verdict }},
	{"edge_device", func(c *document.Connection) any { return value(c.Optimizer.EdgeDevice) }},
	{"core_device", func(c *document.Connection) any { return value(c.Optimizer.CoreDevice) }},
	{"accelerator", func(c *document.Connection) any { return c.Disposition.Accelerator }},
	{"accel", func(c *document.Connection) any { return c.Disposition.Accel }},
	{"disposition_quality", func(c *document.Connection) any { return string(c.Disposition.Quality) }},
	{"disposition_reason", func(c *document.Connection) any { return c.Disposition.Reason }},
	{"escaped", func(c *document.Connection) any { return strconv.FormatBool(c.Escaped != nil) }},
	{"escaped_reason", func(c *document.Connection) any {
		if c.Escaped == nil {
			return ""
		}
		return c.Escaped.Reason
	}},
	{"possible_escape", func(c *document.Connection) any {
		if c.PossibleEscape == nil {
			return ""
		}
		return c.PossibleEscape.Reason
	}},
	{"conversation", func(c *document.Connection) any { return optional(c.Conversation) }},
}

// WriteCSV writes the list of connections, one a line under a line of names,
// quoted as RFC 4180 says. Lines end with a line feed alone, as the tools of
// the field like it; control characters in names from the wire are escaped, so
// that a connection is always one line, and formulas are defused.
func WriteCSV(w io.Writer, d *document.Document) error {
	return writeCSV(w, columns, d.Connections)
}

// writeCSV writes a line of names and one for each item.
func writeCSV[T any](w io.Writer, columns []column[T], items []T) error {
	out := csv.NewWriter(w)
	row := make([]string, len(columns))
	for i := range columns {
		row[i] = columns[i].name
	}
	if err := out.Write(row); err != nil {
		return err
	}
	for i := range items {
		for j := range columns {
			switch cell := columns[j].cell(&items[i]).(type) {
			case numeral:
				row[j] = string(cell)
			default:
				row[j] = escape.CSV(fmt.Sprint(cell))
			}
		}
		if err := out.Write(row); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// numeral is a cell that is a number or empty.
type numeral string

func number[T int | int64 | uint16 | uint32](n T) numeral { return numeral(fmt.Sprint(n)) }

func optional[T int | int64 | uint16 | uint32](n *T) numeral {
	if n == nil {
		return ""
	}
	return number(*n)
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

// logon is who authenticates, as far as the tokens tell: DOMAIN\user or
// user@REALM.
func logon(a *document.Auth) string {
	user := value(a.User)
	switch {
	case user == "":
		return ""
	case a.Domain != nil:
		return *a.Domain + `\` + user
	case a.Realm != nil:
		return user + "@" + *a.Realm
	}
	return user
}

// join lists what f gives for each item, without repetitions.
func join[T any](items []T, f func(*T) string) string {
	var words []string
	for i := range items {
		if s := f(&items[i]); s != "" && !slices.Contains(words, s) {
			words = append(words, s)
		}
	}
	return strings.Join(words, " ")
}

// mapi is a cell that is empty for connections that carry no EMSMDB.
func mapi(f func(*document.MAPI) any) func(*document.Connection) any {
	return func(c *document.Connection) any {
		if c.MAPI == nil {
			return ""
		}
		return f(c.MAPI)
	}
}
