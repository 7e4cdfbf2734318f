package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// newHelp explains a command; its words may be shortened as everywhere.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:         "help [COMMAND]",
		Short:       "Explain a command",
		Annotations: bare(),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			cmd, err := find(root, args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return wordsAfter(cmd), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, err := find(root, args)
			if err != nil {
				return err
			}
			return cmd.Help()
		},
	}
}

// find returns the command that words name.
func find(root *cobra.Command, words []string) (*cobra.Command, error) {
	cmd := root
	for _, word := range words {
		next, err := child(cmd, word)
		if err != nil {
			return nil, err
		}
		cmd = next
	}
	return cmd, nil
}

// bare marks commands that read no captures: their help leaves the common
// flags out.
func bare() map[string]string { return map[string]string{"bare": "yes"} }

// helpWidth is the width of help in columns.
const helpWidth = 90

// explain writes the help of a command, which is a result. An error of the
// output is told at the end, since cobra expects none from here.
func (a *app) explain(cmd *cobra.Command) {
	if err := a.write(func(w io.Writer) error { return writeHelp(w, cmd) }); err != nil {
		a.say("%v", err)
		a.status = statusOf(err)
	}
}

func writeHelp(w io.Writer, cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString(strings.TrimSpace(cmp.Or(cmd.Long, cmd.Short)) + "\n")
	line := cmd.CommandPath() + " COMMAND"
	if !cmd.HasSubCommands() {
		_, args, _ := strings.Cut(cmd.Use, " ")
		line = strings.TrimSpace(cmd.CommandPath() + " " + args)
	}
	b.WriteString("\nUsage:\n  " + line + "\n")
	if cmd.HasExample() {
		b.WriteString("\nExamples:\n" + cmd.Example + "\n")
	}
	if cmd.HasSubCommands() {
		b.WriteString("\nCommands:\n")
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() || c.Name() == "help" {
				fmt.Fprintf(&b, "  %-*s  %s\n", cmd.Commands()[0].NamePadding(), c.Name(), c.Short)
			}
		}
	}
	root := cmd.Root()
	for _, list := range []struct {
		title string
		flags *pflag.FlagSet
		show  bool
	}{
		{"Flags", ownFlags(cmd), true},
		{"Common flags", root.PersistentFlags(), cmd.Annotations["bare"] == ""},
	} {
		if list.show && list.flags.HasAvailableFlags() {
			fmt.Fprintf(&b, "\n%s:\n%s", list.title, list.flags.FlagUsagesWrapped(helpWidth))
		}
	}
	if cmd == root {
		b.WriteString(exitStatus)
	}
	if cmd.HasSubCommands() {
		fmt.Fprintf(&b, "\n\"%s COMMAND --help\" tells more about a command.\n", cmd.CommandPath())
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// ownFlags are the flags of a command and of the words before it, without
// those that every command has.
func ownFlags(cmd *cobra.Command) *pflag.FlagSet {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	own.SortFlags = false
	add := func(f *pflag.Flag) {
		if f.Name != "help" && f.Name != "version" && own.Lookup(f.Name) == nil {
			own.AddFlag(f)
		}
	}
	root := cmd.Root()
	for c := cmd; c != root; c = c.Parent() {
		set := c.PersistentFlags()
		if c == cmd {
			set = c.LocalFlags()
		}
		set.SortFlags = false
		set.VisitAll(add)
	}
	return own
}
