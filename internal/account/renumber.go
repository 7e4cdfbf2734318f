package account

// Renumbered returns a copy in which connections and association groups have
// other numbers, for a log that many documents of one live job go into: there
// a number has to mean the same connection for as long as the job lasts. conn
// and group are asked for the new number of each that the document lists. The
// copy shares everything else with the document, and its connections no longer
// stand at the place that their number tells.
func (d *Document) Renumbered(conn, group func(id int) int) *Document {
	out := *d
	out.Connections = copyOf(d.Connections, func(c *Connection) {
		c.ID = conn(c.ID)
		c.AssocGroup.Group = other(c.AssocGroup.Group, group)
		if c.Escaped != nil {
			c.Escaped = &Escaped{Reason: c.Escaped.Reason, Group: group(c.Escaped.Group)}
		}
	})
	out.AssociationGroups = copyOf(d.AssociationGroups, func(g *AssociationGroup) {
		g.ID = group(g.ID)
		g.Connections, g.Inferred, g.Escaped = others(g.Connections, conn), others(g.Inferred, conn), others(g.Escaped, conn)
		g.OptimizerPairs = copyOf(g.OptimizerPairs, func(p *OptimizerPair) { p.Connections = others(p.Connections, conn) })
	})
	out.Endpoints = copyOf(d.Endpoints, func(e *Endpoint) { e.Flows = others(e.Flows, conn) })
	out.Encryption = copyOf(d.Encryption, func(e *Encryption) {
		e.Connections = others(e.Connections, conn)
		e.Changes = copyOf(e.Changes, func(c *EncryptionChange) { c.Connection = conn(c.Connection) })
	})
	out.Kerberos = copyOf(d.Kerberos, func(k *KerberosError) { k.Connection = other(k.Connection, conn) })
	out.Findings = copyOf(d.Findings, func(f *Finding) {
		f.Connections, f.Groups = others(f.Connections, conn), others(f.Groups, group)
	})
	out.Events = copyOf(d.Events, func(e *Event) {
		e.Connection = conn(e.Connection)
		e.Group = other(e.Group, group)
	})
	return &out
}

// copyOf copies a list and changes each element of the copy.
func copyOf[T any](list []T, change func(*T)) []T {
	if list == nil {
		return nil
	}
	out := make([]T, len(list))
	copy(out, list)
	for i := range out {
		change(&out[i])
	}
	return out
}

// others copies a list of numbers and changes each.
func others(ids []int, number func(int) int) []int {
	return copyOf(ids, func(id *int) { *id = number(*id) })
}

func other(id *int, number func(int) int) *int {
	if id == nil {
		return nil
	}
	return new(number(*id))
}
