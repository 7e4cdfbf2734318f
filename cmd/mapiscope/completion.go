package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that cobra writes completions for.
var shells = []string{"bash", "zsh", "fish", "powershell"}

func newCompletion(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "completion SHELL",
		Short: "Write a completion script for bash, zsh, fish or powershell",
		Long: `completion writes a script that lets the shell complete the words, flags and
captures of a command line.`,
		Example: `  source <(mapiscope completion bash)
  mapiscope completion zsh > "${fpath[1]}/_mapiscope"
  mapiscope completion fish > ~/.config/fish/completions/mapiscope.fish
  mapiscope completion powershell | Out-String | Invoke-Expression`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return fmt.Errorf("name one shell: %s", list(shells))
			}
			return nil
		},
		ValidArgs:   shells,
		Annotations: bare(),
		RunE: func(cmd *cobra.Command, args []string) error {
			shell, err := pick(args[0], shells)
			if err != nil {
				return err
			}
			return a.write(func(w io.Writer) error {
				switch root := cmd.Root(); shell {
				case "bash":
					return root.GenBashCompletionV2(w, true)
				case "zsh":
					return root.GenZshCompletion(w)
				case "fish":
					return root.GenFishCompletion(w, true)
				default:
					return root.GenPowerShellCompletionWithDesc(w)
				}
			})
		},
	}
}

// pick returns the one of words that a prefix names.
func pick(prefix string, words []string) (string, error) {
	var found []string
	for _, w := range words {
		if w == prefix {
			return w, nil
		}
		if strings.HasPrefix(w, prefix) && prefix != "" {
			found = append(found, w)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", usageError("unknown word %q: it must be %s", prefix, list(words))
	}
	return "", usageError("ambiguous word %q: it may be %s", prefix, list(found))
}
