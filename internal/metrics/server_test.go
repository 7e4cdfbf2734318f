package metrics

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mapiscope/internal/live"
)

func TestHealth(t *testing.T) {
	up := live.Status{Interfaces: []live.Interface{{Name: "eth1", At: "edge"}}}
	full, disk := status(), up
	disk.Log.Failing = "no space left on device"
	const eth1 = `"interfaces":[{"interface":"eth1","at":"edge","up":true}]`
	tests := []struct {
		name   string
		status *live.Status
		pass   time.Duration // since the view, or since one minute after the start
		code   int
		body   string
	}{
		{"well", &up, 2500 * time.Millisecond, 200,
			`{"status":"ok","problems":[],"view_age_seconds":2.5,` + eth1 + `,"log_failing":false}`},
		{"at the limit", &up, 30 * time.Second, 200,
			`{"status":"ok","problems":[],"view_age_seconds":30,` + eth1 + `,"log_failing":false}`},
		{"stalled", &up, 31 * time.Second, 503,
			`{"status":"failing","problems":["the analysis has said nothing for 31s"],"view_age_seconds":31,` + eth1 + `,"log_failing":false}`},
		{"the clock went back", &up, -time.Hour, 200,
			`{"status":"ok","problems":[],"view_age_seconds":0,` + eth1 + `,"log_failing":false}`},
		{"no view yet", nil, -40 * time.Second, 200,
			`{"status":"starting","problems":[],"view_age_seconds":null,"interfaces":[],"log_failing":false}`},
		{"never a view", nil, 0, 503,
			`{"status":"failing","problems":["the analysis has said nothing for 1m0s"],"view_age_seconds":null,"interfaces":[],"log_failing":false}`},
		{"no log", &disk, 0, 503,
			`{"status":"failing","problems":["log: no space left on device"],"view_age_seconds":0,` + eth1 + `,"log_failing":true}`},
		{"one interface ended, and no log", &full, 0, 503,
			`{"status":"failing","problems":["interface eth2: the interface went down","log: no space left on device"],"view_age_seconds":0,` +
				`"interfaces":[{"interface":"eth1","at":"edge","up":true},{"interface":"eth2","at":"wan","up":false}],"log_failing":true}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, clock := options()
			s := &Server{collector: newCollector(o)}
			if tt.status != nil {
				s.Set(live.View{Status: *tt.status})
			}
			clock.now = clock.now.Add(tt.pass)
			w := httptest.NewRecorder()
			s.handler(defaultLimits).ServeHTTP(w, httptest.NewRequest("GET", "/healthz", nil))
			if d := cmp.Diff(tt.body+"\n", w.Body.String()); w.Code != tt.code || d != "" {
				t.Errorf("status %d, want %d; body (-want +got):\n%s", w.Code, tt.code, d)
			}
		})
	}
}

// serve starts a server on a free port of the loopback and closes it at the
// end of the test.
func serve(t *testing.T, l limits) *Server {
	t.Helper()
	o, _ := options()
	s, err := listen("127.0.0.1:0", o, l)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close(t.Context()) })
	return s
}

func TestPaths(t *testing.T) {
	s := serve(t, defaultLimits)
	tests := []struct {
		method, path string
		code         int
		has          string
	}{
		{"GET", "/", 200, "/healthz"},
		{"GET", "/metrics", 200, "mapiscope_build_info"},
		{"HEAD", "/metrics", 200, ""},
		{"GET", "/healthz", 503, "failing"},
		{"POST", "/metrics", 405, ""},
		{"GET", "/else", 404, ""},
		{"GET", "/metrics/../../etc", 404, ""},
	}
	for _, tt := range tests {
		t.Run(tt.method+" "+tt.path, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://"+s.Addr()+tt.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil {
				t.Fatal(err)
			}
			if resp.StatusCode != tt.code || !strings.Contains(string(body), tt.has) {
				t.Errorf("status %d, want %d; body:\n%s", resp.StatusCode, tt.code, body)
			}
		})
	}
}

func TestAddresses(t *testing.T) {
	taken := serve(t, defaultLimits)
	tests := []struct{ name, addr, host, err string }{
		{"no host", ":0", "127.0.0.1", ""},
		{"loopback", "127.0.0.1:0", "127.0.0.1", ""},
		{"all", "0.0.0.0:0", "", ""},
		{"no port", "127.0.0.1", "", `address "127.0.0.1": want host:port or :port`},
		{"a port alone", "9090", "", `address "9090": want host:port or :port`},
		{"taken", taken.Addr(), "", "listen tcp " + taken.Addr() + ": bind: address already in use"},
		{"port too high", ":70000", "", "listen tcp: address 70000: invalid port"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, _ := options()
			s, err := Listen(tt.addr, o)
			if err != nil || tt.err != "" {
				if tt.err == "" || err == nil || err.Error() != tt.err {
					t.Fatalf("error %v, want %q", err, tt.err)
				}
				return
			}
			host, _, err := net.SplitHostPort(s.Addr())
			if err != nil || tt.host != "" && host != tt.host {
				t.Errorf("listens on %s, want host %s (%v)", s.Addr(), tt.host, err)
			}
			if err := s.Close(t.Context()); err != nil {
				t.Errorf("Close: %v", err)
			}
			if c, err := net.Dial("tcp", s.Addr()); err == nil {
				c.Close()
				t.Error("it listens after Close")
			}
		})
	}
}

// TestSlowClients are cut: the server ends the connection, not the client.
func TestSlowClients(t *testing.T) {
	short := defaultLimits
	short.readHeader, short.read, short.idle = 20*time.Millisecond, 20*time.Millisecond, 20*time.Millisecond
	for _, tt := range []struct{ name, sent string }{
		{"says nothing", ""},
		{"half a header", "GET /metrics HTTP/1.1\r\nHost: "},
		{"idle after a request", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"},
		{"half a body", "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nx"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := net.Dial("tcp", serve(t, short).Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.sent); err != nil {
				t.Fatal(err)
			}
			// A reset is a cut, too; only a server that waits for ever fails,
			// by the deadline of the test.
			_, _ = io.Copy(io.Discard, c)
		})
	}
}

// TestLargeRequestsAreRefused sends more header than there may be.
func TestLargeRequestsAreRefused(t *testing.T) {
	c, err := net.Dial("tcp", serve(t, defaultLimits).Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	// net/http adds 4096 bytes to the bound.
	if _, err := io.WriteString(c, "GET /?"+strings.Repeat("x", defaultLimits.headerBytes+4096)); err != nil {
		t.Fatal(err)
	}
	if line, err := bufio.NewReader(c).ReadString('\n'); !strings.Contains(line, "431") {
		t.Errorf("got %q, %v", line, err)
	}
}

// TestConnectionsAreBounded opens more connections than there may be: those
// behind the bound are served when others end.
func TestConnectionsAreBounded(t *testing.T) {
	two := defaultLimits
	two.connections = 2
	s := serve(t, two)
	ask := func(c net.Conn) string {
		if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		line, err := bufio.NewReader(c).ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		return line
	}
	var open []net.Conn
	for range 3 {
		c, err := net.Dial("tcp", s.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		open = append(open, c)
	}
	ask(open[0])
	ask(open[1])
	open[0].Close()
	if got := ask(open[2]); !strings.Contains(got, "200") {
		t.Errorf("the third connection got %q", got)
	}
}

// TestScrapesWhileViewsCome is for the race detector; every answer must be
// whole.
func TestScrapesWhileViewsCome(t *testing.T) {
	s := serve(t, defaultLimits)
	whole := map[string]*regexp.Regexp{
		"/metrics": regexp.MustCompile(`(?s)^# HELP .*\n` + ageName + ` \d+\n$`),
		"/healthz": regexp.MustCompile(`^{"status":.*}\n$`),
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				for _, path := range []string{"/metrics", "/healthz"} {
					resp, err := http.Get("http://" + s.Addr() + path)
					if err != nil {
						t.Error(err)
						return
					}
					body, err := io.ReadAll(resp.Body)
					resp.Body.Close()
					if err != nil || !whole[path].Match(body) {
						t.Errorf("%s: %v, answer ends with %q", path, err, body[max(0, len(body)-100):])
						return
					}
				}
			}
		})
	}
	for range 2 {
		wg.Go(func() {
			for range 50 {
				s.Set(live.View{Status: status()})
			}
		})
	}
	wg.Wait()
}

// TestClose lets a request that is under way end, and cuts one that does not.
func TestClose(t *testing.T) {
	for _, tt := range []struct {
		name string
		ends bool
	}{{"the request ends", true}, {"the request does not end", false}} {
		t.Run(tt.name, func(t *testing.T) {
			s := serve(t, defaultLimits)
			entered, leave := make(chan bool), make(chan bool)
			s.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				entered <- true
				<-leave
				_, _ = io.WriteString(w, "done")
			})
			answer := make(chan string, 1)
			go func() {
				resp, err := http.Get("http://" + s.Addr())
				if err != nil {
					answer <- "cut"
					return
				}
				defer resp.Body.Close()
				body, _ := io.ReadAll(resp.Body)
				answer <- string(body)
			}()
			<-entered
			if tt.ends {
				close(leave)
				if err := s.Close(t.Context()); err != nil {
					t.Errorf("Close: %v", err)
				}
				if got := <-answer; got != "done" {
					t.Errorf("the request got %q", got)
				}
				return
			}
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			if err := s.Close(ctx); !errors.Is(err, context.Canceled) {
				t.Errorf("Close: %v, want that of the context", err)
			}
			if got := <-answer; got != "cut" {
				t.Errorf("the request got %q", got)
			}
			close(leave)
		})
	}
}
