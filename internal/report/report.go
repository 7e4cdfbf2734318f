// Package report writes an account as text, JSON, JSON lines or CSV. The
// forms for machines are part of the contract with scripts: their names stay.
package report
