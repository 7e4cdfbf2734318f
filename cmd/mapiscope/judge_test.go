package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"mapiscope/internal/document"
)

// derived is one line of SCENES.tsv: a capture derived from one of the lab,
// with the truth. scenes.py, beside the corpus, says what the columns mean.
type derived struct {
	name, command, kind, must, why string
	args                           []string
	escaped, optimized, passed     string // client ports, or -
	emsmdb                         string
}

// TestScenes holds the judgement against scenes whose truth is known, and
// every output against the document: a few scenes of each kind, or with
// MAPISCOPE_SCENES=all every one. MAPISCOPE_SCENES may also name a folder of
// scenes that are there.
func TestScenes(t *testing.T) {
	scenes := deriveScenes(t)
	if os.Getenv("MAPISCOPE_SCENES") == "" {
		scenes = sampled(scenes)
	}
	type outcome struct {
		faults   map[string]string
		disagree []string
	}
	results := make([]outcome, len(scenes))
	var wg sync.WaitGroup
	next := make(chan int)
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for i := range next {
				results[i].faults, results[i].disagree = judgeScene(&scenes[i])
			}
		})
	}
	for i := range scenes {
		next <- i
	}
	close(next)
	wg.Wait()
	kinds := make(map[string]*score)
	for i, r := range results {
		s := &scenes[i]
		k := kinds[s.kind]
		if k == nil {
			k = &score{faults: make(map[string]int)}
			kinds[s.kind] = k
		}
		k.scenes++
		if len(r.faults) == 0 {
			k.right++
		}
		for _, f := range slices.Sorted(maps.Keys(r.faults)) {
			k.faults[f]++
			t.Errorf("%s: %s: %s (%s %s; must be %s: %s)", s.name, f, r.faults[f], s.command, strings.Join(s.args, " "), s.must, s.why)
		}
		for _, d := range r.disagree {
			t.Errorf("%s: %s (%s %s)", s.name, d, s.command, strings.Join(s.args, " "))
		}
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		t.Logf("%-34s %s", kind, kinds[kind])
	}
}

// score counts the scenes of one kind.
type score struct {
	scenes, right int
	faults        map[string]int
}

func (s *score) String() string {
	out := fmt.Sprintf("%d of %d right", s.right, s.scenes)
	for _, f := range slices.Sorted(maps.Keys(s.faults)) {
		out += fmt.Sprintf(", %s %d", f, s.faults[f])
	}
	return out
}

// deriveScenes makes the scenes in a folder of their own, which becomes the
// current one, and reads what they are.
func deriveScenes(t *testing.T) []derived {
	t.Helper()
	folder := os.Getenv("MAPISCOPE_SCENES")
	if folder == "" || folder == "all" {
		root := os.Getenv("MAPISCOPE_CORPUS")
		if root == "" {
			root = filepath.Join("..", "..", "..", "shared", "captures")
		}
		script := filepath.Join(root, "..", "tools", "scenes.py")
		if _, err := os.Stat(script); err != nil {
			t.Skipf("what derives the scenes is not here (%v); set MAPISCOPE_CORPUS to the corpus beside tools/scenes.py", err)
		}
		python, err := exec.LookPath("python3")
		if err != nil {
			t.Skipf("the scenes are derived by python3: %v", err)
		}
		folder = t.TempDir()
		if out, err := exec.Command(python, script, filepath.Join(root, "lab"), folder).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", script, err, out)
		}
	}
	t.Chdir(folder)
	f, err := os.Open("SCENES.tsv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := csv.NewReader(f)
	r.Comma, r.LazyQuotes = '\t', true
	rows, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	at := make(map[string]int)
	for i, name := range rows[0] {
		at[name] = i
	}
	var scenes []derived
	for _, row := range rows[1:] {
		cell := func(name string) string { return row[at[name]] }
		scenes = append(scenes, derived{
			name: cell("name"), command: cell("command"), args: strings.Fields(cell("arguments")), kind: cell("kind"), must: cell("must"), why: cell("why"),
			escaped: cell("escaped"), optimized: cell("optimized"), passed: cell("passed"), emsmdb: cell("emsmdb"),
		})
	}
	return scenes
}

// sampled picks the first, the middle and the last scene of each kind.
func sampled(all []derived) []derived {
	byKind := make(map[string][]derived)
	var order []string
	for _, s := range all {
		if byKind[s.kind] == nil {
			order = append(order, s.kind)
		}
		byKind[s.kind] = append(byKind[s.kind], s)
	}
	var out []derived
	for _, k := range order {
		of := byKind[k]
		picked := []int{0, len(of) / 2, len(of) - 1}
		for _, i := range slices.Compact(picked) {
			out = append(out, of[i])
		}
	}
	return out
}

// gave is what one run of the command gave.
type gave struct {
	status      int
	out, stderr string
}

func command(args ...string) gave {
	var out, stderr bytes.Buffer
	status := run(args, strings.NewReader(""), &out, &stderr)
	return gave{status, out.String(), stderr.String()}
}

// judgeScene returns the faults of one scene by name, and where its outputs
// contradict its document.
func judgeScene(s *derived) (faults map[string]string, disagree []string) {
	faults = make(map[string]string)
	args := append([]string{s.command}, s.args...)
	raw := command(append(args, "-o", "json")...)
	doc, err := document.ReadDocument(strings.NewReader(raw.out))
	if err != nil {
		s.refused(raw, faults)
		return faults, nil
	}
	s.judge(doc, faults)
	return faults, agreement(s, doc, command(args...).out)
}

// refused judges a run without a document: a refusal with a reason counts as
// "cannot be told".
func (s *derived) refused(r gave, faults map[string]string) {
	said := strings.TrimSpace(r.stderr)
	switch {
	case r.status < statusUsage || said == "":
		faults["broken"] = fmt.Sprintf("exit status %d: %s", r.status, said)
	case s.must == "escaped":
		faults["missed"] = "refused: " + said
	case s.must == "clear":
		faults["unsaid"] = "refused: " + said
	}
}

// portsOf reads a list of client ports without their marks, which are returned
// apart.
func portsOf(list string) map[int]string {
	ports := make(map[int]string)
	if list == "-" {
		return ports
	}
	for p := range strings.SplitSeq(list, ",") {
		n := strings.TrimRight(p, "?~")
		if port, err := strconv.Atoi(n); err == nil {
			ports[port] = p[len(n):]
		}
	}
	return ports
}

// judge holds a document against the truth of a scene.
func (s *derived) judge(doc *document.Document, faults map[string]string) {
	escaped, found := portsOf(s.escaped), claimed(doc)
	if s.must == "any" {
		return
	}
	for _, p := range slices.Sorted(maps.Keys(found)) {
		if _, true := escaped[p]; !true {
			faults["false"] += fmt.Sprintf("%d called escaped; ", p)
		}
	}
	may := inFindings(doc, "POSSIBLE_ESCAPE")
	missing := false
	for _, p := range slices.Sorted(maps.Keys(escaped)) {
		if mark := escaped[p]; mark != "?" && !found[p] && !(mark == "~" && may[p]) {
			missing = true
		}
	}
	state := doc.Assessment.Escape.State
	clear := state == "none"
	switch {
	case len(escaped) > 0 && clear:
		faults["missed!"] = "escaped: " + s.escaped + ", and the state is none"
	case missing:
		faults["missed"] = "escaped: " + s.escaped + ", and the state is " + state
	}
	if s.must == "unknown" && clear {
		faults["unproven"] = "the state is none"
	}
	if s.must == "clear" && !clear {
		faults["unsaid"] = "the state is " + state
	}
	if wrong := s.wronglyExact(doc, escaped); wrong != "" {
		faults["exact"] = wrong
	}
	if n := doc.Totals.MAPIConnections; s.emsmdb != "-" && strconv.FormatInt(n, 10) != s.emsmdb {
		faults["count"] = fmt.Sprintf("%d EMSMDB connections, want %s", n, s.emsmdb)
	}
}

// claimed returns the client ports of what a document calls escaped.
func claimed(doc *document.Document) map[int]bool {
	found := make(map[int]bool)
	if doc.Assessment.Escape.State != "escaped" {
		return found
	}
	enter := func(ids []int) {
		for _, id := range ids {
			if c := doc.Connection(id); c != nil {
				found[int(c.Client.Port)] = true
			}
		}
	}
	for i := range doc.Connections {
		if c := &doc.Connections[i]; c.Escaped != nil {
			enter([]int{c.ID})
		}
	}
	for i := range doc.AssociationGroups {
		enter(doc.AssociationGroups[i].Escaped)
	}
	if doc.Comparison != nil {
		for i := range doc.Comparison.Groups {
			enter(doc.Comparison.Groups[i].Escaped)
		}
		for i := range doc.Comparison.Pairs {
			if p := &doc.Comparison.Pairs[i]; p.Escaped {
				found[int(p.Client.Port)] = true
			}
		}
	}
	return found
}

// inFindings returns the client ports of the connections that findings of a code
// name.
func inFindings(doc *document.Document, code string) map[int]bool {
	found := make(map[int]bool)
	for i := range doc.Findings {
		if doc.Findings[i].Code != code {
			continue
		}
		for _, id := range doc.Findings[i].Connections {
			if c := doc.Connection(id); c != nil {
				found[int(c.Client.Port)] = true
			}
		}
	}
	return found
}

// wronglyExact names the pairs that a comparison judges with quality exact,
// and wrongly. No accelerator of the lab answers calls.
func (s *derived) wronglyExact(doc *document.Document, escaped map[int]string) string {
	if doc.Comparison == nil {
		return ""
	}
	through, past := portsOf(s.optimized), portsOf(s.passed)
	maps.Copy(past, escaped)
	var wrong []string
	for i := range doc.Comparison.Pairs {
		p := &doc.Comparison.Pairs[i]
		port := int(p.Client.Port)
		_, isThrough := through[port]
		_, isPast := past[port]
		if p.Quality == document.Exact && (isPast && p.Verdict == "optimized" || isThrough && p.Verdict == "pass_through" || (isThrough || isPast) && p.Accelerator == "mapi") {
			wrong = append(wrong, fmt.Sprintf("%d is %s, accelerator %s", port, p.Verdict, p.Accelerator))
		}
	}
	return strings.Join(wrong, "; ")
}
