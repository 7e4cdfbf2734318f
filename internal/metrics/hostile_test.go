package metrics

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode"

	"mapiscope/internal/live"
	"mapiscope/internal/pcaptest"
)

// TestHostileNames: the name of an interface adds no line to a scrape, and
// neither that nor the name of a file does anything on a terminal.
func TestHostileNames(t *testing.T) {
	look := func(t *testing.T, name string) (scrape, health string) {
		o, _ := options()
		s := &Server{collector: newCollector(o)}
		st := status()
		st.Interfaces[0].Name, st.Interfaces[1].Name = name, name
		st.Interfaces[1].Err, st.Log.Failing = name, "/log/"+name+": file exists"
		s.Set(live.View{Status: st})
		scrape = exposition(t, s.collector)
		w := httptest.NewRecorder()
		s.handler(defaultLimits).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
		return scrape, w.Body.String()
	}
	usual, _ := look(t, "eth1")
	for _, h := range pcaptest.HostileNames() {
		t.Run(h.What, func(t *testing.T) {
			scrape, health := look(t, h.Text)
			if got, want := strings.Count(scrape, "\n"), strings.Count(usual, "\n"); got != want {
				t.Errorf("%d lines, want %d:\n%s", got, want, scrape)
			}
			for line := range strings.Lines(scrape) {
				if !strings.HasPrefix(line, "mapiscope_") && !strings.HasPrefix(line, "# ") {
					t.Errorf("the line %q", line)
				}
			}
			if !json.Valid([]byte(health)) {
				t.Errorf("no JSON: %q", health)
			}
			for _, text := range []string{scrape, health} {
				for _, r := range text {
					if r != '\n' && unicode.Is(unicode.C, r) || r == '\ufffd' && text == scrape {
						t.Errorf("%U in %q", r, text)
						break
					}
				}
			}
		})
	}
}
