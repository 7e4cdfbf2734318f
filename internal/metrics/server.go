// Package metrics tells a monitoring system how a live job is doing: it
// serves Prometheus metrics, and whether the job is in good health, over
// HTTP. It shows the latest view that it was given and works nothing out of
// packets.
package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/net/netutil"

	"mapiscope/internal/live"
)

// Options is what a Server needs to know of its job.
type Options struct {
	Now   func() time.Time // the clock
	Start time.Time        // of the job
	// StaleAfter is the time without a view after which the analysis counts
	// as stalled; several times the interval at which views come.
	StaleAfter time.Duration
	// Of the build; empty where not known.
	Version, Revision, GoVersion string
}

// limits bound what one client can cost.
type limits struct {
	connections   int // further ones wait in the queue of the kernel
	headerBytes   int // of a request
	readHeader    time.Duration
	read          time.Duration // of a whole request
	write         time.Duration // of the answer, from the end of the header
	idle          time.Duration // between two requests
	scrapesAtOnce int           // further ones get 503
}

var defaultLimits = limits{
	connections: 64, headerBytes: 8 << 10, scrapesAtOnce: 8,
	readHeader: 5 * time.Second, read: 10 * time.Second, write: 30 * time.Second, idle: 2 * time.Minute,
}

// Server serves /metrics and /healthz until it is closed.
type Server struct {
	collector *collector
	http      *http.Server
	addr      string
	ended     chan struct{} // closed when err stands
	err       error
}

// Listen starts a server on an address, host:port. Without a host it listens
// on 127.0.0.1 alone: who else may ask has to be said. Port 0 takes any free
// one, which Addr tells.
func Listen(addr string, o Options) (*Server, error) { return listen(addr, o, defaultLimits) }

func listen(addr string, o Options, l limits) (*Server, error) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("address %q: want host:port or :port", addr)
	}
	if host == "" {
		host = "127.0.0.1"
	}
	ln, err := net.Listen("tcp", net.JoinHostPort(host, port))
	if err != nil {
		return nil, err
	}
	s := &Server{collector: newCollector(o), addr: ln.Addr().String(), ended: make(chan struct{})}
	s.http = &http.Server{
		Handler:           s.handler(l),
		ReadHeaderTimeout: l.readHeader,
		ReadTimeout:       l.read,
		WriteTimeout:      l.write,
		IdleTimeout:       l.idle,
		MaxHeaderBytes:    l.headerBytes,
		// What net/http would log is about clients that went away.
		ErrorLog: log.New(io.Discard, "", 0),
	}
	go func() {
		s.err = s.http.Serve(netutil.LimitListener(ln, l.connections))
		close(s.ended)
	}()
	return s, nil
}

func (s *Server) handler(l limits) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(s.collector)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: l.scrapesAtOnce}))
	mux.HandleFunc("GET /healthz", s.collector.serveHealth)
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = io.WriteString(w, "mapiscope\n\n/metrics  for Prometheus\n/healthz  200 while all is well, else 503 and the reason\n")
	})
	return mux
}

// Set makes a view the one that is shown. The server keeps figures of it and
// its response times, not the document. It may be called at any time and from any goroutine.
func (s *Server) Set(v live.View) { s.collector.set(&v.Status) }

// Addr returns the address that the server listens on, host:port.
func (s *Server) Addr() string { return s.addr }

// Close takes no further requests, waits for those that are under way until
// ctx ends, and cuts the rest. Its error is what ended the server early, or
// that of ctx when requests were cut.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		_ = s.http.Close()
	}
	<-s.ended
	if !errors.Is(s.err, http.ErrServerClosed) {
		return s.err
	}
	return err
}
