package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"mapiscope/internal/document"
)

// What reads as an all-clear: words of a page, or that nothing but good
// verdicts stands on it.
var (
	allClear = regexp.MustCompile(`(?i)no EMSMDB connection (is seen to escape|escaped)|nothing (has )?escaped|none escaped|no connection escaped|No EMSMDB here`)
	verdicts = regexp.MustCompile(`(?m)^  (WHOLE|OPTIMIZED|ESCAPED|SPLIT PAIR|POSSIBLE|NOT ACCELERATED|SEEN WHOLE|UNKNOWN)  `)
)

// saysClear reports whether a text reads as an all-clear.
func saysClear(text string) bool {
	return allClear.MatchString(strings.Join(strings.Fields(text), " ")) || onlyGood(text)
}

func onlyGood(page string) bool {
	_, after, found := strings.Cut(page, "\nVerdicts\n")
	if !found {
		return false
	}
	part, _, _ := strings.Cut(after, "\nWhat stands out\n")
	words := verdicts.FindAllStringSubmatch(part, -1)
	return len(words) > 0 && !slices.ContainsFunc(words, func(w []string) bool { return w[1] != "WHOLE" && w[1] != "OPTIMIZED" })
}

// maxWhys bounds the pages about one connection that are read of one scene.
const maxWhys = 8

// agreement returns where what is said of a scene contradicts its document:
// the page, and for the same captures the logs, the list of a device and the
// pages about connections.
func agreement(s *derived, doc *document.Document, page string) []string {
	v := views{doc: doc}
	v.page(page)
	captures := withAt(s.args)
	if s.command == "compare" {
		// The other commands take the captures with --at.
		v.doc = nil
		if raw := command(append([]string{"report", "-o", "json"}, captures...)...); raw.out != "" {
			v.doc, _ = document.ReadDocument(strings.NewReader(raw.out))
		}
		if v.doc == nil {
			v.wrong("report does not take what compare takes")
			return v.found
		}
		v.page(command(append([]string{"report"}, captures...)...).out)
	}
	v.events(command(append([]string{"log", "--style", "jsonl"}, captures...)...).out)
	for _, style := range []string{"transaction", "syslog", "errorlog"} {
		v.log(style, command(append([]string{"log", "--style", style}, captures...)...).out)
	}
	list := append([]string{"show", "statistics", "connection", "optimized", "mapi"}, captures...)
	v.list(command(append(list, "-o", "json")...).out)
	v.text("the list of connections", command(list...).out)
	v.whys(captures)
	v.unknown(command(append([]string{"report", "--fail-on-unknown"}, captures...)...))
	return v.found
}

// withAt turns the flags of compare into --at.
func withAt(args []string) []string {
	var out, files []string
	flag := ""
	for i := 0; i < len(args); i++ {
		switch {
		case args[i] == "--at":
			out = append(out, args[i], args[i+1])
			i++
		case slices.Contains(placeFlags, args[i]):
			flag = strings.TrimPrefix(args[i], "--")
		case flag != "":
			out, files = append(out, "--at", flag), append(files, args[i])
		default:
			files = append(files, args[i])
		}
	}
	return append(out, files...)
}

// views holds what is said against a document.
type views struct {
	doc   *document.Document
	found []string
}

func (v *views) wrong(format string, args ...any) {
	v.found = append(v.found, fmt.Sprintf(format, args...))
}

// text holds any text against the state.
func (v *views) text(what, text string) {
	if state := v.doc.Assessment.Escape.State; state != "none" && saysClear(text) {
		v.wrong("%s reads as an all-clear, and the state is %s", what, state)
	}
}

// counted calls f for each connection that counts and escaped, or possibly
// did.
func (v *views) counted(f func(c *document.Connection, possible bool)) {
	for i := range v.doc.Connections {
		if c := &v.doc.Connections[i]; c.Main() && (c.Escaped != nil || c.PossibleEscape != nil) {
			f(c, c.Escaped == nil)
		}
	}
}

func (v *views) page(page string) {
	v.text("the page", page)
	flat := strings.Join(strings.Fields(page), " ")
	if state := v.doc.Assessment.Escape.State; state == "none" && !allClear.MatchString(flat) {
		v.wrong("the page gives no all-clear, and the state is none")
	} else if state == "possible" && !strings.Contains(flat, "possibly") {
		v.wrong("the page does not say possibly")
	}
	escaped := 0
	v.counted(func(c *document.Connection, possible bool) {
		if !possible {
			escaped++
		}
		if !regexp.MustCompile(fmt.Sprintf(`client port %d\b`, c.Client.Port)).MatchString(flat) {
			v.wrong("the page does not name connection %d, client port %d", c.ID, c.Client.Port)
		}
	})
	if escaped == 0 && (strings.Contains(page, "\n  ESCAPED  ") || strings.Contains(flat, "(ESCAPED_CONNECTION)")) {
		v.wrong("the page says ESCAPED, and nothing did")
	}
}

// events holds the log of events against the document: an event escape for
// each escaped connection, once, and each connection by the row that counts.
func (v *views) events(log string) {
	got := map[string][]int{}
	for line := range strings.Lines(log) {
		var e struct {
			Event      string `json:"event"`
			Connection int    `json:"connection"`
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			v.wrong("log: %v", err)
			return
		}
		switch e.Event {
		case "escape", "possible_escape", "connection_start":
			got[e.Event] = append(got[e.Event], e.Connection)
		}
		if c := v.doc.Connection(e.Connection); c == nil || !c.Main() {
			v.wrong("log: event %s of row %d, which does not count", e.Event, e.Connection)
		}
	}
	want := map[string][]int{}
	v.counted(func(c *document.Connection, possible bool) {
		kind := "escape"
		if possible {
			kind = "possible_escape"
		}
		want[kind] = append(want[kind], c.ID)
	})
	for _, kind := range []string{"escape", "possible_escape"} {
		slices.Sort(got[kind])
		slices.Sort(want[kind])
		if !slices.Equal(got[kind], want[kind]) {
			v.wrong("log: events %s of %v, want %v", kind, got[kind], want[kind])
		}
	}
	starts := got["connection_start"]
	slices.Sort(starts)
	if n := len(slices.Compact(slices.Clone(starts))); n != len(starts) {
		v.wrong("log: a connection starts twice: %v", starts)
	}
}

// log holds a log of the device against the document: an escaped connection is
// in no line about optimized ones, and no connection begins more often than
// its ports were used.
func (v *views) log(style, log string) {
	v.text("log "+style, log)
	if style != "transaction" {
		return
	}
	used := make(map[string]int)
	port := func(c *document.Connection) string { return strconv.Itoa(int(c.Client.Port)) }
	for i := range v.doc.Connections {
		if c := &v.doc.Connections[i]; c.Main() {
			used[port(c)]++
		}
	}
	begun := make(map[string]int)
	for line := range strings.Lines(log) {
		fields := strings.Split(strings.TrimSpace(line), " :")
		switch {
		case len(fields) > 6 && fields[6] == "OT" && fields[7] == "START":
			begun[fields[3]]++
		case len(fields) > 5 && fields[5] == "BP":
			begun[fields[2]]++
		}
	}
	for p, n := range begun {
		if n > used[p] {
			v.wrong("log transaction: port %s begins %d times, and was used %d times", p, n, used[p])
		}
	}
	v.counted(func(c *document.Connection, possible bool) {
		if !possible && used[port(c)] == 1 && strings.Contains(log, " :"+c.Client.IP+" :"+port(c)+" :"+c.Server.IP+" :"+strconv.Itoa(int(c.Server.Port))+" :OT") {
			v.wrong("log transaction: connection %d escaped, and is logged as optimized", c.ID)
		}
	})
}

// list holds the device's list of optimized connections against the document.
func (v *views) list(raw string) {
	var list struct {
		Connections []struct {
			ID int `json:"conn_id"`
		} `json:"connections"`
	}
	if err := json.Unmarshal([]byte(raw), &list); err != nil {
		v.wrong("show: %v", err)
		return
	}
	seen := make(map[int]bool)
	for _, r := range list.Connections {
		c := v.doc.Connection(r.ID)
		switch {
		case c == nil:
			v.wrong("show: no connection %d", r.ID)
			continue
		case seen[c.Stands()]:
			v.wrong("show: connection %d stands there twice", c.Stands())
		case c.Escaped != nil:
			v.wrong("show: connection %d escaped, and is listed as optimized", r.ID)
		}
		seen[c.Stands()] = true
	}
}

// whys reads the pages about escaped connections, each leg, and about others
// that carry EMSMDB.
func (v *views) whys(captures []string) {
	n := 0
	for i := range v.doc.Connections {
		c := &v.doc.Connections[i]
		if c.Escaped == nil && c.PossibleEscape == nil && (c.Service != "mapi" || !c.Main()) || n == maxWhys {
			continue
		}
		n++
		page := command(append([]string{"why", strconv.Itoa(c.ID)}, captures...)...).out
		flat := strings.Join(strings.Fields(page), " ")
		v.text(fmt.Sprintf("why %d", c.ID), page)
		switch says := strings.Contains(flat, "that escaped group"); {
		case c.Escaped != nil != says:
			v.wrong("why %d: it says that it escaped: %v, and the document: %v", c.ID, says, c.Escaped != nil)
		case c.PossibleEscape != nil != strings.Contains(flat, "that possibly escaped"):
			v.wrong("why %d: the document says that it possibly escaped: %v", c.ID, c.PossibleEscape != nil)
		}
		for _, o := range v.doc.Legs(c) {
			if !strings.Contains(flat, fmt.Sprintf("%d at %s", o.ID, o.At)) {
				v.wrong("why %d does not name %d, the same connection", c.ID, o.ID)
			}
		}
	}
}

// unknown holds the exit status of --fail-on-unknown against the document.
func (v *views) unknown(r gave) {
	want := statusDone
	switch a := &v.doc.Assessment; {
	case a.Escape.State == "possible", a.Escape.State == "not_assessable", a.Capture.State == "incomplete", a.Capture.State == "contradictory":
		want = statusFinding
	}
	if r.status != want && r.status != statusDamaged {
		v.wrong("--fail-on-unknown gives %d, want %d", r.status, want)
	}
	said := strings.Contains(r.stderr, "nothing that rests on it is judged")
	if contradicts := len(v.codes("CAPTURE_PLACE", "CAPTURES_UNRELATED")) > 0; said != contradicts {
		v.wrong("standard error tells of a contradiction: %v, and the document: %v", said, contradicts)
	}
}

func (v *views) codes(codes ...string) (found []string) {
	for i := range v.doc.Findings {
		if c := v.doc.Findings[i].Code; slices.Contains(codes, c) {
			found = append(found, c)
		}
	}
	return found
}
