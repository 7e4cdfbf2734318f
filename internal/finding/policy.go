package finding

import (
	"mapiscope/assoc"
	"mapiscope/dcerpc/epm"
	"mapiscope/emsmdb"
	"mapiscope/flows"
	"mapiscope/internal/wire"
)

// policyMap is the default map of the device: the interfaces that it has a
// rule for.
var policyMap = map[wire.UUID]bool{
	emsmdb.MDB:  true,
	emsmdb.RFR:  true,
	emsmdb.NSPI: true,
	wire.MustUUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2"): true, // ms-ad-replication
	wire.MustUUID("f5cc59b4-4264-101a-8c59-08002b2f8426"): true, // ms-frs
	wire.MustUUID("3f99b900-4d87-101b-99b7-aa0004007f07"): true, // ms-sql-rpc
}

// PolicyRule is a dynamic match rule that an endpoint mapper answer would
// create on the device (`show policy-engine application dynamic`): one for each
// server, port and interface.
type PolicyRule struct {
	Row  *assoc.Learned
	Hits int64     // connections that it matches
	Last wire.Mark // first packet of the latest of them
	Live int64     // of them, at the end of the capture
}

func policyRules(dir *assoc.Directory) []PolicyRule {
	var rules []PolicyRule
	for _, row := range dir.Rows() {
		if row.From != epm.FromMap {
			continue
		}
		r := PolicyRule{Row: row}
		for _, c := range row.Conns {
			if c.Flow.First.Before(row.Mark) {
				continue
			}
			r.Hits++
			r.Last = c.Flow.First
			if s := c.Flow.State(); s == flows.Open || s == flows.HalfClosed {
				r.Live++
			}
		}
		rules = append(rules, r)
	}
	return rules
}
