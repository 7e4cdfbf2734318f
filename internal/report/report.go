// Package report writes a document as a page for people, and as JSON, JSON
// lines or CSV for machines. The forms for machines are part of the contract
// with scripts: their names stay. The page never prints a string of the wire
// as it came.
package report
