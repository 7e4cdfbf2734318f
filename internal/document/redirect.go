package document

import (
	"mapiscope/assoc"
	"mapiscope/flows"
)

// WCCPMessages counts messages by which devices and routers agree on what is
// redirected.
type WCCPMessages struct {
	Message string `json:"message"` // "here I am", "I see you", "redirect assign", "removal query"
	Packets int64  `json:"packets"`
	First   int64  `json:"first"` // number of the first of them
}

// Redirection is how WCCP handed the packets of one side of a connection to a
// device.
type Redirection struct {
	From    string     `json:"from"` // "client", "server"
	Packets int64      `json:"packets"`
	First   Redirect   `json:"first"`
	Last    Redirect   `json:"last"`
	Changes int64      `json:"changes"` // how often it changed
	Changed *PacketRef `json:"changed"` // the latest of them
}

// Redirect is what a redirect header of WCCP says.
type Redirect struct {
	Service   uint8 `json:"service"`
	Dynamic   bool  `json:"dynamic"` // else the service is a well known one
	Bucket    uint8 `json:"bucket"`
	Alternate bool  `json:"alternate"` // the bucket is the alternate one
}

func redirections(c *assoc.Conn) []Redirection {
	out := []Redirection{}
	all := c.Flow.Redirections
	if root := c.Flow.Root; root != nil {
		all = root.Redirections
	}
	if all == nil {
		return out
	}
	for i := range all {
		r := &all[i]
		if r.Packets == 0 {
			continue
		}
		d := Redirection{From: "server", Packets: r.Packets, First: redirect(r.First), Last: redirect(r.Last), Changes: r.Changes}
		if r.From == c.Client() {
			d.From = "client"
		}
		if r.Changes > 0 {
			d.Changed = ptr(ref(r.Changed))
		}
		out = append(out, d)
	}
	return out
}

func redirect(r flows.Redirect) Redirect {
	d := Redirect{Service: r.Service, Dynamic: r.Dynamic, Bucket: r.Bucket, Alternate: r.Alternate}
	if r.Alternate {
		d.Bucket = r.AltBucket
	}
	return d
}
