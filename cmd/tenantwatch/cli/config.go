package cli

import (
	"fmt"
	"os"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
)

func (a *cmdline) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show or check the configuration"}
	print := &cobra.Command{
		Use: "print", Short: "Print every setting, its value and where it came from", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, origins, err := config.Load(a.configPath, os.Environ(), c.Flags())
			w := tabwriter.NewWriter(a.Out, 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "SETTING\tVALUE\tFROM\tENVIRONMENT")
			for _, row := range config.Values(&cfg) {
				fmt.Fprintf(w, "%s\t%v\t%s\t%s\n", row.Name, row.Value, origins[row.Name], row.Env)
			}
			for i, src := range cfg.Sources {
				fmt.Fprintf(w, "sources[%d]\t%v\t%s\t\n", i, src, config.FromFile)
			}
			if ferr := w.Flush(); ferr != nil {
				return ferr
			}
			if err != nil {
				return usageError("the configuration has problems:\n%w", err)
			}
			return nil
		},
	}
	validate := &cobra.Command{
		Use: "validate", Short: "Check the configuration and report every problem", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			if _, err := a.load(c); err != nil {
				return err
			}
			_, err := fmt.Fprintln(a.Out, "the configuration is valid")
			return err
		},
	}
	config.Flags(print.Flags())
	config.Flags(validate.Flags())
	cmd.AddCommand(print, validate)
	return cmd
}
