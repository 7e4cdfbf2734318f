package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// expand finds the command that args name, each of its words perhaps
// shortened to a prefix, and returns args with the full words in front and
// everything else behind them in its order. A command has either further
// words or arguments, never both, so no capture is taken for a word.
func expand(root *cobra.Command, args []string) ([]string, error) {
	completing := len(args) > 1 && strings.HasPrefix(args[0], cobra.ShellCompRequestCmd)
	if completing {
		// The last argument is what the shell completes; before it an
		// unknown word is cobra's to judge.
		last := len(args) - 1
		path, rest, err := resolve(root, args[1:last])
		if err != nil {
			return args, nil
		}
		return append(append(append([]string{args[0]}, path...), rest...), args[last]), nil
	}
	path, rest, err := resolve(root, args)
	if err != nil {
		return nil, err
	}
	return append(path, rest...), nil
}

// resolve splits args into the full words of a command and the rest.
func resolve(root *cobra.Command, args []string) (path, rest []string, err error) {
	cmd := root
	for i := 0; i < len(args); i++ {
		switch arg := args[i]; {
		case !cmd.HasSubCommands() || arg == "--":
			return path, append(rest, args[i:]...), nil
		case strings.HasPrefix(arg, "-") && arg != "-":
			rest = append(rest, arg)
			if takesNext(root, arg) && i+1 < len(args) {
				i++
				rest = append(rest, args[i])
			}
		default:
			next, err := child(cmd, arg)
			if err != nil {
				return nil, nil, err
			}
			cmd = next
			path = append(path, cmd.Name())
		}
	}
	return path, rest, nil
}

// child returns the subcommand that word names.
func child(cmd *cobra.Command, word string) (*cobra.Command, error) {
	var found []*cobra.Command
	var names []string
	for _, c := range cmd.Commands() {
		switch {
		case c.Name() == word:
			return c, nil
		case strings.HasPrefix(c.Name(), word) && word != "" && !c.Hidden:
			found = append(found, c)
			names = append(names, c.Name())
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return nil, unknownWord(cmd, word)
	}
	return nil, usageError("ambiguous command %q: it may be %s", spell(cmd, word), list(names))
}

func unknownWord(cmd *cobra.Command, word string) error {
	cmd.SuggestionsMinimumDistance = 2
	if near := cmd.SuggestionsFor(word); len(near) > 0 {
		return usageError("unknown command %q: did you mean %s?", spell(cmd, word), list(near))
	}
	if _, err := os.Stat(word); !cmd.HasParent() && (err == nil || word == "-") {
		return usageError("unknown command %q: to read a capture type \"mapiscope report %s\"", word, word)
	}
	if !cmd.HasParent() {
		return usageError("unknown command %q: see \"mapiscope help\"", word)
	}
	return usageError("unknown command %q: the next word is %s", spell(cmd, word), list(wordsAfter(cmd)))
}

// incomplete is what a command says that needs another word.
func incomplete(cmd *cobra.Command, _ []string) error {
	if !cmd.HasParent() {
		return usageError("no command given: see \"mapiscope help\"")
	}
	return usageError("incomplete command %q: the next word is %s", spell(cmd, ""), list(wordsAfter(cmd)))
}

func wordsAfter(cmd *cobra.Command) []string {
	var names []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() {
			names = append(names, c.Name())
		}
	}
	return names
}

// spell writes a command without the program's name.
func spell(cmd *cobra.Command, word string) string {
	_, path, _ := strings.Cut(cmd.CommandPath(), " ")
	return strings.TrimSpace(path + " " + word)
}

// takesNext reports whether a flag has its value in the next argument. A flag
// that stands before the words may be one of any command. One that nobody
// knows takes none; the command refuses it then.
func takesNext(root *cobra.Command, arg string) bool {
	if strings.Contains(arg, "=") {
		return false
	}
	var find func(*pflag.FlagSet) *pflag.Flag
	if name, long := strings.CutPrefix(arg, "--"); long {
		find = func(s *pflag.FlagSet) *pflag.Flag { return s.Lookup(name) }
	} else if len(arg) == 2 {
		find = func(s *pflag.FlagSet) *pflag.Flag { return s.ShorthandLookup(arg[1:]) }
	} else {
		return false // "-ojson"
	}
	var walk func(*cobra.Command) bool
	walk = func(cmd *cobra.Command) bool {
		for _, s := range []*pflag.FlagSet{cmd.PersistentFlags(), cmd.Flags()} {
			if f := find(s); f != nil {
				return f.NoOptDefVal == ""
			}
		}
		for _, c := range cmd.Commands() {
			if walk(c) {
				return true
			}
		}
		return false
	}
	return walk(root)
}

// keyword takes an optional word off the front of a command's arguments, as
// in "mapi [detail] CAPTURE...". An argument is the word when it is a prefix
// of it and others follow; a file of a shortened name is the file.
func keyword(args []string, word string) (bool, []string) {
	if len(args) == 0 || args[0] == "" || !strings.HasPrefix(word, args[0]) {
		return false, args
	}
	if _, err := os.Stat(args[0]); err == nil && (args[0] != word || len(args) == 1) {
		return false, args
	}
	return true, args[1:]
}
