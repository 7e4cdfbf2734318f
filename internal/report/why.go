package report

import (
	"fmt"
	"io"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"mapiscope/internal/document"
)

// FindConnection returns the ids of the connections that a person may mean:
// the id itself, or the client's address and port, an IPv6 address in
// brackets. There may be several, of one address and port used again; of one
// that was captured at several points it is the row that stands for it. An
// error says that there is none.
func FindConnection(d *document.Document, spec string) ([]int, error) {
	if id, err := strconv.Atoi(spec); err == nil {
		if d.Connection(id) == nil {
			return nil, fmt.Errorf("no connection %d: %s", id, known(d))
		}
		return []int{id}, nil
	}
	want, err := netip.ParseAddrPort(spec)
	if err != nil {
		return nil, fmt.Errorf("%q is no connection: give its id, or the client as 10.1.1.5:1066 or [2001:db8::5]:1066", spec)
	}
	want = netip.AddrPortFrom(want.Addr().Unmap(), want.Port())
	var ids []int
	for i := range d.Connections {
		c := &d.Connections[i]
		a, err := netip.ParseAddr(c.Client.IP)
		if err == nil && netip.AddrPortFrom(a.Unmap(), c.Client.Port) == want {
			ids = append(ids, c.Stands())
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	if len(ids) == 0 {
		return nil, fmt.Errorf("no connection of client %s: %s", want, known(d))
	}
	return ids, nil
}

// known says which connections there are.
func known(d *document.Document) string {
	switch n := len(d.Connections); n {
	case 0:
		return "the report lists none"
	case 1:
		return "the report lists 1 alone"
	default:
		return fmt.Sprintf("the report lists 1 to %d", n)
	}
}

// Describe names connections in one line, for a message that asks which one
// is meant.
func Describe(d *document.Document, ids []int) string {
	var words []string
	for _, id := range ids {
		c := d.Connection(id)
		if c == nil {
			continue
		}
		words = append(words, fmt.Sprintf("%d (%s, at %s)", id, safe(ends(c)), c.At))
	}
	return list(words, 6)
}

// WriteWhy writes everything that was decided about one connection, rule by
// rule, each with the packets that it rests on and a display filter that shows
// them.
func WriteWhy(w io.Writer, d *document.Document, id int, o TextOptions) error {
	if d.Connection(id) == nil {
		return fmt.Errorf("no connection %d: %s", id, known(d))
	}
	p := newPage(w, d, o)
	y := &why{page: p, c: d.Connection(id)}
	y.head()
	y.answer()
	y.transport()
	y.service()
	y.binds()
	y.group()
	y.authentication()
	y.releases()
	y.optimizer()
	y.verdict()
	y.calls()
	y.mapi()
	y.losses()
	y.events()
	y.findings()
	return p.err
}

// why is the page about one connection.
type why struct {
	*page
	c *document.Connection
}

// whyLabel is the width of the labels of the page.
const whyLabel = 14

func (y *why) say(label, format string, args ...any) {
	y.hang(whyLabel, piece{label, dim}, fmt.Sprintf(format, args...))
}

// paste writes a line that is to be copied, so it is never wrapped.
func (y *why) paste(label, line string) {
	y.write(indent + y.render(piece{label, dim}) + strings.Repeat(" ", whyLabel-len(label)) + y.render(piece{text: line}) + "\n")
}

// fact is something that a packet shows.
type fact struct {
	what   string
	packet document.PacketRef
}

// facts prints what packets show, each with its time and its filter.
func (y *why) facts(facts ...fact) {
	t := table{columns: []col{{head: "time"}, {head: "packet", wrap: 2}, {head: "what it shows", wrap: 1}, {head: "display filter", drop: 1}}}
	for _, f := range facts {
		if f.packet.Packet == 0 {
			t.row("", "", f.what, "")
			continue
		}
		t.row(y.when(f.packet), y.ref(f.packet), f.what, packetFilter(f.packet))
	}
	y.table(&t)
}

// when is the time of a packet.
func (y *why) when(r document.PacketRef) string {
	if r.Time == 0 {
		return ""
	}
	return time.Unix(0, r.Time).In(y.clock.zone).Format("15:04:05.000000")
}

// head says which connection this is and how to see its packets.
func (y *why) head() {
	c := y.c
	for _, line := range wrap(fmt.Sprintf("connection %d  %s", c.ID, ends(c)), y.prose) {
		y.write(y.render(piece{line, head}) + "\n")
	}
	y.say("in short", "%s", y.short())
	where := "at " + place(c.At)
	if c.At == "unknown" {
		where = "nothing tells at which end of the path"
	}
	y.say("captured", "%s; %s to %s", where, y.packets([]document.PacketRef{c.FirstPacket}, 1), strings.TrimPrefix(y.packets([]document.PacketRef{c.LastPacket}, 1), "packet "))
	y.say("time", "%s", y.clock.period(c.Start, c.End))
	y.say("community id", "%s", c.CommunityID)
	filter := connectionFilter(y.doc, c)
	y.paste("filter", filter)
	if c.FirstPacket.Capture < len(y.doc.Captures) {
		y.paste("shell", tshark(y.doc.Captures[c.FirstPacket.Capture].Path, filter))
	}
	for i := range c.WCCP {
		y.say("redirected", "%s", y.redirected(&c.WCCP[i]))
	}
	if others := y.doc.Legs(c); len(others) > 0 {
		var as []string
		for _, o := range others {
			word := fmt.Sprintf("%d at %s", o.ID, o.At)
			if o.Client != c.Client || o.Server != c.Server {
				word += ", " + ends(o)
			}
			as = append(as, word)
		}
		which := "this one stands"
		if !c.Main() {
			which = fmt.Sprintf("%d stands", c.Stands())
		}
		y.say("also seen", "as %s; %s for all of them in totals, groups and findings", strings.Join(as, "; "), which)
	}
}

// redirected says how WCCP handed packets to a device, and what of it explains
// that a connection comes to another device than before, or than its siblings.
func (y *why) redirected(r *document.Redirection) string {
	out := fmt.Sprintf("%s of the %s by WCCP, %s", count(r.Packets, "packet"), r.From, bucket(r.First))
	if r.Changed != nil {
		out += fmt.Sprintf("; changed %s, last in %s to %s: another bucket may be another device's", count(r.Changes, "time"), y.packets([]document.PacketRef{*r.Changed}, 1), bucket(r.Last))
	}
	var others []string
	for i := range y.doc.Connections {
		o := &y.doc.Connections[i]
		if o.ID == y.c.ID || o.AssocGroup.Group == nil || y.c.AssocGroup.Group == nil || *o.AssocGroup.Group != *y.c.AssocGroup.Group {
			continue
		}
		for j := range o.WCCP {
			if s := &o.WCCP[j]; s.From == r.From && s.Last != r.Last && len(others) < maxSiblings {
				others = append(others, fmt.Sprintf("connection %d by %s", o.ID, bucket(s.Last)))
			}
		}
	}
	if len(others) > 0 {
		out += "; of its group, " + strings.Join(others, ", ") + ": other buckets may be other devices'"
	}
	return out
}

// maxSiblings is how many connections of a group a line names.
const maxSiblings = 5

func bucket(r document.Redirect) string {
	service, name := "service", "bucket"
	if !r.Dynamic {
		service = "well known service"
	}
	if r.Alternate {
		name = "alternate bucket"
	}
	return fmt.Sprintf("%s %d %s %d", service, r.Service, name, r.Bucket)
}

// short is the answer in one sentence.
func (y *why) short() string {
	c := y.c
	name := y.serviceName(c)
	switch {
	case c.Escaped != nil:
		inferred := ""
		if c.Escaped.Quality != document.Exact {
			inferred = ", as inferred"
		}
		return fmt.Sprintf("%s that escaped group %d%s: %s", name, c.Escaped.Group, inferred, c.Escaped.Reason)
	case c.PossibleEscape != nil:
		return fmt.Sprintf("%s that possibly escaped group %d: %s", name, c.PossibleEscape.Group, c.PossibleEscape.Reason)
	case c.Optimizer.Verdict == "optimized":
		return fmt.Sprintf("%s that passed an optimizer pair", name)
	case c.Optimizer.Verdict == "pass_through":
		return fmt.Sprintf("%s that passed no optimizer", name)
	case c.Disposition.Quality == document.Unavailable:
		return fmt.Sprintf("%s; its path is not known: %s", name, c.Disposition.Reason)
	}
	return fmt.Sprintf("%s; the packets do not show its path, release %s would give it to accelerator %s (%s): %s",
		name, y.doc.WAAS, strings.ReplaceAll(c.Disposition.Accelerator, "_", "-"), c.Disposition.Accel, c.Disposition.Reason)
}

// events lists what happened on the connection, in order of time.
func (y *why) events() {
	var mine []*document.Event
	for i := range y.doc.Events {
		e := &y.doc.Events[i]
		if e.Connection == y.c.ID || e.Connection == y.c.Stands() && judgedEvent(e.Event) {
			mine = append(mine, e)
		}
	}
	if len(mine) == 0 {
		return
	}
	t := table{columns: []col{{head: "time"}, {head: "packet", wrap: 2}, {head: "event"}, {head: "detail", wrap: 1}, {head: "display filter", drop: 1}}}
	for i := range cutAt(&t, len(mine), "event", "mapiscope log --style jsonl") {
		e := mine[i]
		t.row(y.clock.day(e.Time), y.ref(e.Packet), strings.ReplaceAll(e.Event, "_", " "), detail(&e.Detail), packetFilter(e.Packet))
	}
	y.section("In order of time")
	y.table(&t)
}

// judgedEvent reports whether an event is one of the verdicts, which are told of
// the row that stands for a connection.
func judgedEvent(event string) bool {
	return event == "escape" || event == "possible_escape" || event == "handoff"
}

// detail prints the particulars of an event by their names in the log. Of
// lists only the length: the binds stand above in full.
func detail(d *document.Detail) string {
	var words []string
	v := reflect.ValueOf(*d)
	for i := range v.NumField() {
		f := v.Field(i)
		if f.IsZero() {
			continue
		}
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		name = strings.ReplaceAll(name, "_", " ")
		switch {
		case f.Kind() == reflect.Slice:
			words = append(words, fmt.Sprintf("%s %d", name, f.Len()))
		case f.Kind() == reflect.Pointer && (name == "assoc group" || name == "status"):
			words = append(words, fmt.Sprintf("%s 0x%08x", name, f.Elem().Uint()))
		case f.Kind() == reflect.Pointer:
			words = append(words, fmt.Sprintf("%s %v", name, f.Elem()))
		default:
			words = append(words, fmt.Sprintf("%s %v", name, f))
		}
	}
	return strings.Join(words, ", ")
}

// findings lists the findings that name the connection.
func (y *why) findings() {
	y.section("Findings that name it")
	none := true
	for i := range y.doc.Findings {
		f := &y.doc.Findings[i]
		if !slices.Contains(f.Connections, y.c.ID) && !slices.Contains(f.Connections, y.c.Stands()) {
			continue
		}
		none = false
		word := piece{text: string(f.Severity)}
		for _, s := range severities {
			if s.severity == f.Severity {
				word = s.word
			}
		}
		y.hang(findingLabel, word, fmt.Sprintf("%s (%s)", f.Title, f.Code))
		y.hang(findingLabel+2, piece{}, f.Detail)
		y.hang(findingLabel, piece{}, "Advice: "+f.Advice)
	}
	if none {
		y.printf("None.")
	}
}
