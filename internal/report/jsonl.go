package report

import (
	"bytes"
	"cmp"
	"io"

	"mapiscope/internal/document"
)

// Records writes JSON lines: objects, each on a line of its own and with its
// kind in front.
type Records struct {
	w   io.Writer
	buf bytes.Buffer
}

// NewRecords returns a writer of records to w.
func NewRecords(w io.Writer) *Records { return &Records{w: w} }

// Write writes v, a struct, as a record of a kind: {"record":"kind",...}.
func (r *Records) Write(kind string, v any) error {
	r.buf.Reset()
	r.buf.WriteString(`{"record":"` + kind + `"`)
	at := r.buf.Len()
	if err := encode(&r.buf, v); err != nil {
		return err
	}
	r.buf.WriteByte('\n')
	b := r.buf.Bytes()
	if b[at+1] == '}' {
		b = append(b[:at], b[at+1:]...) // v has no fields
	} else {
		b[at] = ',' // in place of the brace that opens v
	}
	_, err := r.w.Write(b)
	return err
}

// mapiRecord and epmRecord name the accelerator of a record.
type mapiRecord struct {
	Name string `json:"name"`
	document.MAPIAccelerator
}

type epmRecord struct {
	Name string `json:"name"`
	document.EPMAccelerator
}

// totalsRecord is the last line: everything that is neither a list nor an
// accelerator.
type totalsRecord struct {
	Schema string `json:"schema"`
	WAAS   string `json:"waas"`
	document.Totals
	Assessment document.Assessment `json:"assessment"`
	Ledger     document.Ledger     `json:"ledger"`
	Limits     document.Limits     `json:"limits"`
}

// WriteJSONL writes the document as records: capture, endpoint, connection,
// association_group, accelerator, kerberos_error, policy_rule, what a
// comparison adds, finding and at the end totals, which carries the ledger and
// the limits too.
func WriteJSONL(w io.Writer, d *document.Document) error {
	r := NewRecords(w)
	for _, err := range []error{
		each(r, "capture", d.Captures),
		each(r, "endpoint", d.Endpoints),
		each(r, "connection", d.Connections),
		each(r, "association_group", d.AssociationGroups),
		r.accelerators(d),
		each(r, "kerberos_error", d.Kerberos),
		each(r, "policy_rule", d.PolicyRules),
		comparisonRecords(r, d.Comparison),
		each(r, "finding", d.Findings),
		r.totals(d),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Records) accelerators(d *document.Document) error {
	return cmp.Or(r.Write("accelerator", mapiRecord{"mapi", d.Accelerators.MAPI}), r.Write("accelerator", epmRecord{"epm", d.Accelerators.EPM}))
}

func (r *Records) totals(d *document.Document) error {
	return r.Write("totals", totalsRecord{d.Schema, d.WAAS, d.Totals, d.Assessment, d.Ledger, d.Limits})
}

// Summary writes the records that stand for a whole job and are in no list
// that grows: captures, accelerators, policy rules and totals.
func (r *Records) Summary(d *document.Document) error {
	return cmp.Or(each(r, "capture", d.Captures), r.accelerators(d), each(r, "policy_rule", d.PolicyRules), r.totals(d))
}

// comparisonRecord is what a comparison says beside its lists.
type comparisonRecord struct {
	Near      string                    `json:"near"`
	Far       string                    `json:"far"`
	Clock     document.ClockDifference  `json:"clock"`
	WANClock  *document.ClockDifference `json:"wan_clock"`
	Calls     document.PairedCalls      `json:"calls"`
	ReadAhead document.ReadAhead        `json:"read_ahead"`
	Totals    document.ComparisonTotals `json:"totals"`
}

// comparisonRecords writes a comparison, if there is one: pairs, unpaired
// connections, groups, and last what holds for all of them.
func comparisonRecords(r *Records, c *document.Comparison) error {
	if c == nil {
		return nil
	}
	for _, err := range []error{
		each(r, "connection_pair", c.Pairs),
		each(r, "unpaired_connection", c.Unpaired),
		each(r, "group_pair", c.Groups),
		r.Write("comparison", comparisonRecord{c.Near, c.Far, c.Clock, c.WANClock, c.Calls, c.ReadAhead, c.Totals}),
	} {
		if err != nil {
			return err
		}
	}
	return nil
}

// WriteEvents writes what happened as records of the kind event, in order.
func WriteEvents(w io.Writer, events []document.Event) error {
	return each(NewRecords(w), "event", events)
}

func each[T any](r *Records, kind string, items []T) error {
	for i := range items {
		if err := r.Write(kind, &items[i]); err != nil {
			return err
		}
	}
	return nil
}
