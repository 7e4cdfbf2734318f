package metrics

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"mapiscope/internal/escape"
)

// health is what /healthz answers.
type health struct {
	Status string `json:"status"` // "ok", "starting" before the first view, "failing"
	// Problems says in words what is wrong; it is empty unless the status is
	// "failing".
	Problems   []string          `json:"problems"`
	ViewAge    *float64          `json:"view_age_seconds"` // null before the first view
	Interfaces []interfaceHealth `json:"interfaces"`
	LogFailing bool              `json:"log_failing"`
}

type interfaceHealth struct {
	Interface string `json:"interface"`
	At        string `json:"at"`
	Up        bool   `json:"up"`
}

// health judges the latest view.
func (c *collector) health() health {
	h := health{Status: "ok", Problems: []string{}, Interfaces: []interfaceHealth{}}
	st := c.latest.Load()
	age := c.age(st)
	if age > c.o.StaleAfter {
		h.Problems = append(h.Problems, fmt.Sprintf("the analysis has said nothing for %s", age.Round(100*time.Millisecond)))
	}
	if st == nil {
		h.Status = "starting"
	} else {
		h.ViewAge = new(age.Seconds())
		for _, in := range st.interfaces {
			h.Interfaces = append(h.Interfaces, interfaceHealth{in.Name, in.At, in.Err == ""})
			if in.Err != "" {
				h.Problems = append(h.Problems, fmt.Sprintf("interface %s: %s", in.Name, in.Err))
			}
		}
		if h.LogFailing = st.failing != ""; h.LogFailing {
			h.Problems = append(h.Problems, "log: "+st.failing)
		}
	}
	if len(h.Problems) > 0 {
		h.Status = "failing"
	}
	return h
}

// serveHealth answers 200, or 503 when something is wrong.
func (c *collector) serveHealth(w http.ResponseWriter, _ *http.Request) {
	h := c.health()
	body, err := json.Marshal(h)
	if err != nil {
		panic(err) // a struct of words
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if h.Status == "failing" {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// A client that is gone is no error of the server.
	_, _ = w.Write(append(escape.JSON(body), '\n'))
}
