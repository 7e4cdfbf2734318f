package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/klauspost/compress/zstd"
	"github.com/rogpeppe/go-internal/testscript"

	"mapiscope/pcaps"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"mapiscope": main})
}

// TestScripts runs the command as its users do. Beside the commands of
// testscript the scripts know:
//
//	capture KIND FILE          writes a capture of scenes_test.go
//	cut FILE N                 keeps the first N bytes of a file, or all but the last -N
//	compress gzip|zstd FILE    writes FILE.gz or FILE.zst
//	status N mapiscope ARG...  runs the command, which must end with status N
//	value FILE PATH JSON       the value at a dotted path of a JSON file, as JSON
//	records FILE KIND=N...     the records of a file of JSON lines, counted by kind
//	messages                   every line of standard error begins with our name
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           "testdata/script",
		UpdateScripts: *update,
		Setup: func(env *testscript.Env) error {
			env.Setenv("NO_COLOR", "")
			return nil
		},
		Condition: func(cond string) (bool, error) {
			if cond == "bpf" {
				return pcaps.HaveBPF, nil
			}
			return false, fmt.Errorf("unknown condition %q", cond)
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"capture": scriptCapture, "cut": scriptCut, "compress": scriptCompress, "status": scriptStatus,
			"value": scriptValue, "records": scriptRecords, "messages": scriptMessages,
		},
	})
}

func scriptCapture(ts *testscript.TestScript, _ bool, args []string) {
	scene := scenes[args[0]]
	if scene == nil {
		ts.Fatalf("no capture %q", args[0])
	}
	data := scene().Pcap
	if strings.HasSuffix(args[1], ".pcapng") {
		data = scene().Pcapng
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), data(), 0o666))
}

func scriptCut(ts *testscript.TestScript, _ bool, args []string) {
	path := ts.MkAbs(args[0])
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	if n < 0 {
		n += len(ts.ReadFile(args[0]))
	}
	ts.Check(os.Truncate(path, int64(n)))
}

func scriptCompress(ts *testscript.TestScript, _ bool, args []string) {
	data, path := ts.ReadFile(args[1]), ts.MkAbs(args[1])
	var b bytes.Buffer
	if args[0] == "gzip" {
		w := gzip.NewWriter(&b)
		fmt.Fprint(w, data)
		ts.Check(w.Close())
		ts.Check(os.WriteFile(path+".gz", b.Bytes(), 0o666))
		return
	}
	w, err := zstd.NewWriter(&b)
	ts.Check(err)
	fmt.Fprint(w, data)
	ts.Check(w.Close())
	ts.Check(os.WriteFile(path+".zst", b.Bytes(), 0o666))
}

func scriptStatus(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	switch err := ts.Exec(args[1], args[2:]...); {
	case errors.As(err, &exit):
		got = exit.ExitCode()
	case err != nil:
		ts.Fatalf("%v", err)
	}
	if got != want {
		ts.Fatalf("exit status %d, want %d", got, want)
	}
	scriptMessages(ts, false, nil)
}

func scriptMessages(ts *testscript.TestScript, _ bool, _ []string) {
	for line := range strings.Lines(ts.ReadFile("stderr")) {
		if !strings.HasPrefix(line, "mapiscope: ") || !strings.HasSuffix(line, "\n") {
			ts.Fatalf("standard error has the line %q", line)
		}
	}
}

func scriptValue(ts *testscript.TestScript, neg bool, args []string) {
	var have, want any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &have))
	ts.Check(json.Unmarshal([]byte(args[2]), &want))
	for _, key := range strings.Split(args[1], ".") {
		switch v := have.(type) {
		case map[string]any:
			inner, ok := v[key]
			if !ok {
				ts.Fatalf("%s: no field %q", args[1], key)
			}
			have = inner
		case []any:
			if key == "len" {
				have = float64(len(v))
				break
			}
			i, err := strconv.Atoi(key)
			ts.Check(err)
			if i >= len(v) {
				ts.Fatalf("%s: only %d elements", args[1], len(v))
			}
			have = v[i]
		default:
			ts.Fatalf("%s: nothing below %v", args[1], have)
		}
	}
	if diff := cmp.Diff(want, have); (diff == "") == neg {
		ts.Fatalf("%s (-want +have):\n%s", args[1], diff)
	}
}

func scriptRecords(ts *testscript.TestScript, _ bool, args []string) {
	have := map[string]int{}
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		var r struct{ Record string }
		ts.Check(json.Unmarshal([]byte(line), &r))
		have[r.Record]++
	}
	want := map[string]int{}
	for _, arg := range args[1:] {
		kind, count, _ := strings.Cut(arg, "=")
		n, err := strconv.Atoi(count)
		ts.Check(err)
		want[kind] = n
	}
	if diff := cmp.Diff(want, have); diff != "" {
		ts.Fatalf("records (-want +have):\n%s", diff)
	}
}
