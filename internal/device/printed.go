package device

import (
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"mapiscope/internal/document"
)

// MaxPrinted bounds the text of a device that is read, bytes.
const MaxPrinted = 8 << 20

// Printed is what a device printed, as far as it was recognised. One text may
// hold the output of several commands; of a block that comes twice the latest
// counts.
type Printed struct {
	Head        []Reading // head block of the connection list
	Connections []PrintedRow
	Details     []PrintedDetail
	MAPI, EPM   []Reading // counters of the accelerators
	Rules       []PrintedRule
	// Transactions are lines of the transaction log, each for itself.
	Transactions []Transaction
}

// Reading is one line of a listing: the device's label and what stands there.
type Reading struct{ Label, Text string }

// PrintedRow is one row of the connection list. PeerID has leading zeros; Accel
// is "PT" for a connection that passed through; the texts are empty where the
// device says nothing.
type PrintedRow struct {
	ConnID            int64
	Source, Dest      document.Host
	PeerID, Accel, RR string
}

// PrintedDetail is the detail block of one connection.
type PrintedDetail struct {
	ConnID       int64
	Source, Dest document.Host
	Fields       []Reading // of the connection itself
	Policy       []Reading
	Accelerator  []Reading
	Read         [2]string // original, optimized
	Written      [2]string
	RR           string
	MAPI         []Reading
}

// PrintedRule is one dynamic match rule.
type PrintedRule struct {
	Dst                     document.Host
	MapName                 string
	Remaining, Hits, Flowed string
}

// errNothing says that a text holds none of the outputs that ParsePrinted
// knows.
var errNothing = errors.New("no output of a show command of the device is in it")

// section is the block whose lines are being read.
type section uint8

const (
	nowhere section = iota
	inHead
	inDetail
	inPolicy
	inAccelerator
	inConnectionMAPI
	inMAPI
	inEPM
	inRule
)

// labels are all that ParsePrinted looks for, lower case, each with the
// spelling of the device; longer ones first where one begins another.
var labels = func() map[string][]string {
	all := []string{
		headOptimized, headPlus, headOnly, headSingle, headPreposition, headDiscovery, headReserved, headPass, headHistorical,
		labelID, labelPeer, labelType, labelStart, labelSource, labelSourcePort, labelDest, labelDestPort,
		labelApp, labelClassifier, labelMap, labelDirected, labelPreposed, labelTotalRatio,
		"Policy Details", "Accelerator Details", "Configured", "Derived", "Peer", "Negotiated", "Applied", "Hist",
		"Bytes Read", "Bytes Written", "Total Bytes Read", "Total Bytes Written", "MAPI", "EPM",
		"Number", "Type", "User Id", "Src", "Dst", "Flags", "Seconds", "Remaining", "DM Index", "Hits", "Flows", "Cookie",
		"Allocated", "In Use", "Max In Use", "Allocations", "Policy Engine Statistics", "DRE",
	}
	empty := &Views{doc: &document.Document{}}
	for _, a := range [...]*Accelerator{empty.MAPI(false), empty.EPM(false)} {
		for _, f := range a.Fields {
			all = append(all, f.Label)
		}
	}
	byWord := make(map[string][]string)
	for _, l := range all {
		word, _, _ := strings.Cut(strings.ToLower(l), " ")
		if !slices.Contains(byWord[word], l) {
			byWord[word] = append(byWord[word], l)
		}
	}
	for _, ls := range byWord {
		slices.SortStableFunc(ls, func(a, b string) int { return len(b) - len(a) })
	}
	return byWord
}()

// item is a label that was found with the text up to the next one.
type item struct{ label, text string }

// ParsePrinted reads what a device printed. Only labels and words count: the
// widths of columns, blank lines and line breaks do not, nor does what stands
// around the blocks (prompts, other commands).
func ParsePrinted(text []byte) (*Printed, error) {
	if len(text) > MaxPrinted {
		return nil, errors.New("it is larger than 8 MiB: that is no output of a device")
	}
	p := new(Printed)
	words := strings.Fields(p.transactions(strings.Map(visible, string(text))))
	p.rows(words)
	r := reader{p: p}
	for _, it := range itemsOf(words) {
		r.take(it)
	}
	r.settle()
	if len(p.Head)+len(p.Connections)+len(p.Details)+len(p.MAPI)+len(p.EPM)+len(p.Rules)+len(p.Transactions) == 0 {
		return nil, errNothing
	}
	return p, nil
}

// visible lets words and the space between them pass; what a terminal could
// act on becomes a question mark.
func visible(r rune) rune {
	if r == utf8.RuneError || (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) && !unicode.IsSpace(r) {
		return '?'
	}
	return r
}

// itemsOf finds the labels among words. A label is its words in order with a
// colon behind the last, perhaps after a space, perhaps with the value right
// behind it; a bracket may stand before the first.
func itemsOf(words []string) []item {
	var items []item
	from := 0 // first word behind the colon of the latest label
	rest := ""
	flush := func(to int) {
		if n := len(items); n > 0 {
			parts := words[from:to]
			if rest != "" {
				parts = append([]string{rest}, parts...)
			}
			items[n-1].text = strings.Join(parts, " ")
		}
	}
	for i := 0; i < len(words); i++ {
		label, n, value := labelAt(words[i:])
		if n == 0 {
			continue
		}
		flush(i)
		items = append(items, item{label: label})
		from, rest = i+n, value
		i += n - 1
	}
	flush(len(words))
	return items
}

// labelAt returns the longest label that begins at words[0], how many words it
// takes with its colon, and what stands behind the colon in the same word.
func labelAt(words []string) (label string, n int, value string) {
	first := strings.ToLower(strings.TrimLeft(words[0], "["))
	if cut := strings.IndexByte(first, ':'); cut >= 0 {
		first = first[:cut]
	}
	for _, l := range labels[first] {
		if n, value, ok := matches(words, l); ok {
			return l, n, value
		}
	}
	return "", 0, ""
}

func matches(words []string, label string) (n int, value string, ok bool) {
	for part := range strings.SplitSeq(label, " ") {
		if n == len(words) || n > 0 && strings.Contains(words[n-1], ":") {
			return 0, "", false
		}
		w := words[n]
		if n == 0 {
			w = strings.TrimLeft(w, "[")
		}
		if before, after, colon := strings.Cut(w, ":"); colon {
			w, value = before, after
		}
		if !strings.EqualFold(w, part) {
			return 0, "", false
		}
		n++
	}
	if strings.Contains(words[n-1], ":") {
		return n, value, true
	}
	if n < len(words) && strings.HasPrefix(words[n], ":") {
		return n + 1, words[n][1:], true
	}
	return 0, "", false
}

// reader follows the blocks of a text.
type reader struct {
	p     *Printed
	at    section
	loose []Reading // counters of an accelerator whose heading is missing
}

func (r *reader) take(it item) {
	first := firstWord(it.text)
	switch it.label {
	case headOptimized, headPlus, headOnly, headSingle, headPreposition, headDiscovery, headReserved, headPass, headHistorical:
		r.at = inHead
		set(&r.p.Head, it.label, first)
		return
	case labelID:
		r.at = inDetail
		id, _ := integer(first)
		r.p.Details = append(r.p.Details, PrintedDetail{ConnID: id})
		return
	case "Policy Engine Statistics", "DRE":
		if r.at != inConnectionMAPI && r.at != inDetail && r.at != inAccelerator {
			r.at = nowhere
		}
		return
	case "MAPI":
		r.at = inMAPI
		if _, ok := integer(first); ok && len(r.p.Details) > 0 {
			r.at = inConnectionMAPI
		}
		return
	case "EPM":
		r.at = inEPM
		return
	case "Number":
		if _, ok := integer(first); ok {
			r.at = inRule
			r.p.Rules = append(r.p.Rules, PrintedRule{})
		}
		return
	}
	switch r.at {
	case inDetail, inPolicy, inAccelerator, inConnectionMAPI:
		r.detail(it, first)
	case inRule:
		r.rule(it, first)
	case inMAPI:
		r.counter(&r.p.MAPI, it, first)
	case inEPM:
		r.counter(&r.p.EPM, it, first)
	default:
		r.counter(&r.loose, it, first)
	}
}

// counter takes a line of an accelerator; labels of other blocks are not its.
func (r *reader) counter(to *[]Reading, it item, first string) {
	switch it.label {
	case labelStarted, labelReset:
		first = timeText(it.text)
	default:
		if _, ok := integer(first); !ok {
			first = ""
		}
	}
	if isCounter(it.label) {
		set(to, it.label, first)
	}
}

// isCounter reports whether a label stands in the listing of an accelerator.
func isCounter(label string) bool {
	for _, start := range [...]string{
		"Time ", "Total ", "Current ", "Maximum ", "Minimum ", "Average ", "Number of ", "Local ", "Remote ", "Secured ", "Lower ", "Higher ",
	} {
		if strings.HasPrefix(label, start) {
			return true
		}
	}
	return false
}

func (r *reader) detail(it item, first string) {
	d := &r.p.Details[len(r.p.Details)-1]
	text := known(it.text)
	switch it.label {
	case "Policy Details":
		r.at = inPolicy
	case "Accelerator Details":
		r.at = inAccelerator
	case "Bytes Read":
		d.Read = twoWords(it.text)
	case "Bytes Written":
		d.Written = twoWords(it.text)
	case labelTotalRatio:
		d.RR = known(strings.TrimRight(first, "]"))
	case labelSource:
		d.Source.IP = addrText(first)
	case labelDest:
		d.Dest.IP = addrText(first)
	case labelSourcePort:
		d.Source.Port = portOf(first)
	case labelDestPort:
		d.Dest.Port = portOf(first)
	case labelPeer:
		set(&d.Fields, it.label, macText(first))
	case labelStart:
		set(&d.Fields, it.label, timeText(it.text))
	case labelType:
		set(&d.Fields, it.label, strings.ToUpper(firstWords(text, 2)))
	case labelClassifier:
		set(&d.Fields, it.label, firstWords(text, 2))
	case labelApp, labelMap, labelDirected, labelPreposed:
		set(&d.Fields, it.label, known(first))
	case "Configured", "Derived", "Peer", "Negotiated", "Applied", "Hist":
		if r.at == inPolicy {
			set(&d.Policy, it.label, text)
		} else if r.at == inAccelerator {
			set(&d.Accelerator, it.label, known(first))
		}
	default:
		if r.at == inConnectionMAPI {
			r.counter(&d.MAPI, it, first)
		}
	}
}

func (r *reader) rule(it item, first string) {
	u := &r.p.Rules[len(r.p.Rules)-1]
	switch it.label {
	case "Dst":
		if at, err := netip.ParseAddrPort(first); err == nil {
			u.Dst = document.Host{IP: at.Addr().Unmap().String(), Port: at.Port()}
		}
	case labelMap:
		u.MapName = strings.ToLower(first)
	case "Remaining":
		u.Remaining = known(first)
	case "Hits":
		u.Hits = known(first)
	case "Flows":
		u.Flowed = known(first)
	}
}

// settle gives counters without a heading to the accelerator that has them,
// and drops blocks that name no connection.
func (r *reader) settle() {
	p := r.p
	if len(r.loose) > 0 {
		to := &p.MAPI
		if slices.ContainsFunc(r.loose, func(x Reading) bool { return strings.HasPrefix(x.Label, "Total Re") }) {
			to = &p.EPM
		}
		for _, x := range r.loose {
			set(to, x.Label, x.Text)
		}
	}
	p.Details = slices.DeleteFunc(p.Details, func(d PrintedDetail) bool { return d.Source.IP == "" || d.Dest.IP == "" })
	p.Rules = slices.DeleteFunc(p.Rules, func(u PrintedRule) bool { return u.Dst.IP == "" })
}

// passed begins what a list with pass-through connections says of them.
const passed = "PT"

// rows finds the rows of the connection list: a number and two addresses, then
// the peer, the letters and the ratio as far as they stand there.
func (p *Printed) rows(words []string) {
	for i := 0; i+2 < len(words); i++ {
		id, ok := integer(words[i])
		if !ok {
			continue
		}
		source, err := netip.ParseAddrPort(words[i+1])
		if err != nil {
			continue
		}
		dest, err := netip.ParseAddrPort(words[i+2])
		if err != nil {
			continue
		}
		row := PrintedRow{ConnID: id,
			Source: document.Host{IP: source.Addr().Unmap().String(), Port: source.Port()},
			Dest:   document.Host{IP: dest.Addr().Unmap().String(), Port: dest.Port()},
		}
		i += 3
		if i < len(words) && (macText(words[i]) != "" || known(words[i]) == "") {
			row.PeerID = macText(words[i])
			i++
		}
		if i < len(words) {
			if word := strings.ToUpper(words[i]); word == passed || strings.HasPrefix(word, passed+"_") {
				row.Accel = passed // the reason behind it is the device's own
				i++
			} else if set, ok := ParseLetters(word); ok {
				row.Accel = set.String()
				i++
			} else if known(words[i]) == "" {
				i++
			}
		}
		if i < len(words) && strings.HasSuffix(words[i], "%") {
			row.RR = words[i]
			i++
		}
		i--
		p.Connections = append(p.Connections, row)
	}
}

// set enters a reading; of a label that comes again the latest counts.
func set(to *[]Reading, label, text string) {
	text = known(text)
	for i := range *to {
		if (*to)[i].Label == label {
			(*to)[i].Text = text
			return
		}
	}
	*to = append(*to, Reading{label, text})
}

// known returns a text, or nothing where it says that nothing is known.
func known(s string) string {
	switch strings.ToLower(s) {
	case "n/a", "-", "- na -", "na", "none.":
		return ""
	}
	return s
}

func firstWord(s string) string { return firstWords(s, 1) }

// firstWords returns the first n words of a text whose words one space parts.
func firstWords(s string, n int) string {
	at := 0
	for range n {
		next := strings.IndexByte(s[at:], ' ')
		if next < 0 {
			return s
		}
		at += next + 1
	}
	return s[:at-1]
}

func twoWords(s string) [2]string {
	first, rest, _ := strings.Cut(s, " ")
	return [2]string{known(first), known(firstWord(rest))}
}

// integer reads a number; a comma that ends or groups it is left out.
func integer(s string) (int64, bool) {
	n, err := strconv.ParseInt(strings.ReplaceAll(s, ",", ""), 10, 64)
	return n, err == nil
}

func portOf(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func addrText(s string) string {
	a, err := netip.ParseAddr(s)
	if err != nil {
		return ""
	}
	return a.Unmap().String()
}

// timeText returns a text's asctime time in the device's own spelling, ""
// when it begins with none.
func timeText(s string) string {
	words := firstWords(s, 5)
	if t, err := time.Parse("Mon Jan 2 15:04:05 2006", words); err == nil {
		return t.Format(time.ANSIC)
	}
	return ""
}

// macText returns a device id with leading zeros and lower case, "" when s is
// none. Bytes may lack their leading zero and be parted by colons or hyphens,
// or stand in three groups parted by dots.
func macText(s string) string {
	if groups := strings.Split(s, "."); len(groups) == 3 {
		hex := strings.Join(groups, "")
		if len(hex) == 12 && len(groups[0]) == 4 && len(groups[1]) == 4 {
			s = hex[:2] + ":" + hex[2:4] + ":" + hex[4:6] + ":" + hex[6:8] + ":" + hex[8:10] + ":" + hex[10:]
		}
	}
	parts := strings.FieldsFunc(s, func(r rune) bool { return r == ':' || r == '-' })
	if len(parts) != 6 {
		return ""
	}
	for _, p := range parts {
		if _, err := strconv.ParseUint(p, 16, 8); err != nil || len(p) > 2 {
			return ""
		}
	}
	return peerID(strings.Join(parts, ":"), true)
}
