package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestRecordsAreTheDocument: JSON lines are the objects of the document, each
// with its kind in front.
func TestRecordsAreTheDocument(t *testing.T) {
	paths, _ := contractCaptures(t)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			doc := object(t, output(t, "-o", "json", path))
			have := map[string][]any{}
			for line := range bytes.Lines(output(t, "-o", "jsonl", path)) {
				if !bytes.HasPrefix(line, []byte(`{"record":"`)) {
					t.Fatalf("record %s", line)
				}
				r := object(t, line)
				kind := r["record"].(string)
				delete(r, "record")
				have[kind] = append(have[kind], r)
			}
			want := map[string][]any{}
			for kind, field := range map[string]string{
				"capture": "captures", "endpoint": "endpoints", "connection": "connections", "association_group": "association_groups",
				"finding": "findings", "kerberos_error": "kerberos_errors", "policy_rule": "policy_rules",
			} {
				if list := doc[field].([]any); len(list) > 0 {
					want[kind] = list
				}
			}
			for _, name := range []string{"mapi", "epm"} {
				a := doc["accelerators"].(map[string]any)[name].(map[string]any)
				a["name"] = name
				want["accelerator"] = append(want["accelerator"], a)
			}
			totals := doc["totals"].(map[string]any)
			for _, field := range []string{"schema", "waas", "assessment", "ledger", "limits"} {
				totals[field] = doc[field]
			}
			want["totals"] = []any{totals}
			if diff := cmp.Diff(want, have); diff != "" {
				t.Errorf("records (-document +records):\n%s", diff)
			}
		})
	}
}

// TestTableIsTheDocument: the CSV list has one row for each connection, with
// the figures of the document.
func TestTableIsTheDocument(t *testing.T) {
	paths, _ := contractCaptures(t)
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			doc := object(t, output(t, "-o", "json", "--all-connections", path))
			rows, err := csv.NewReader(bytes.NewReader(output(t, "-o", "csv", "--all-connections", path))).ReadAll()
			if err != nil {
				t.Fatal(err)
			}
			conns := doc["connections"].([]any)
			if len(rows) != len(conns)+1 {
				t.Fatalf("%d rows for %d connections", len(rows), len(conns))
			}
			for i, v := range conns {
				have := map[string]string{}
				for j, name := range rows[0] {
					have[name] = rows[i+1][j]
				}
				c := v.(map[string]any)
				for name, path := range map[string]string{
					"id": "id", "community_id": "community_id", "client_ip": "client.ip", "client_port": "client.port", "server_ip": "server.ip",
					"server_port": "server.port", "start": "start", "end": "end", "state": "state", "rtt_us": "rtt_us", "bytes_client": "bytes.client",
					"bytes_server": "bytes.server", "service": "service", "assoc_group_granted": "assoc_group.granted", "requests": "calls.requests",
					"responses": "calls.responses", "optimizer_verdict": "optimizer.verdict", "accel": "disposition.accel", "escaped_reason": "escaped.reason",
					"client_version": "mapi.client_version", "sessions": "mapi.sessions", "encrypted": "encrypted",
				} {
					want := ""
					visit(t, c, path, path, func(v any) {
						if v != nil {
							want = fmt.Sprint(v)
						}
					})
					if got, ok := have[name]; !ok || got != want {
						t.Errorf("connection %v: %s is %q, want %q", c["id"], name, got, want)
					}
				}
			}
		})
	}
}
