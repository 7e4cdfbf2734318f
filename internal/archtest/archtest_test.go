package archtest

import (
	"os"
	"testing"
)

// longest is how many lines a source file has at most.
const longest = 600

func TestProject(t *testing.T) {
	tree, err := Load(os.DirFS("../.."), "mapiscope")
	if err != nil {
		t.Fatal(err)
	}
	for name, problems := range map[string][]Problem{
		"layers":           CheckLayers(tree, layers),
		"reserved":         CheckReserved(tree, reserved),
		"uses":             CheckUses(tree, uses),
		"variables":        CheckVariables(tree, variables),
		"assignments":      CheckAssignments(tree, assignments),
		"package comments": CheckPackageComments(tree),
		"length":           CheckLength(tree, longest),
		"documented":       CheckDocumented(tree),
	} {
		t.Run(name, func(t *testing.T) {
			for _, p := range problems {
				t.Error(p)
			}
		})
	}
}
