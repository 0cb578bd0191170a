package cli

import (
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/tenantwatch/tenantwatch/cmd/tenantwatch/config"
)

func (a *cmdline) configCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "config", Short: "Show or check the configuration"}
	print := &cobra.Command{
		Use: "print", Short: "Print every setting, its value and where it came from", Args: noArgs,
		RunE: func(c *cobra.Command, _ []string) error {
			form, err := output(c)
			if err != nil {
				return err
			}
			cfg, origins, err := config.Load(a.configPath, os.Environ(), c.Flags())
			p := a.printer(form, column{"SETTING", "setting"}, column{"VALUE", "value"}, column{"FROM", "from"}, column{"ENVIRONMENT", "environment"})
			for _, v := range config.Values(&cfg) {
				// As text, which is how a secret prints as [redacted].
				if perr := p.item(row{"setting": v.Name, "value": fmt.Sprint(v.Value), "from": fmt.Sprint(origins[v.Name]), "environment": v.Env}); perr != nil {
					return perr
				}
			}
			for i, src := range cfg.Sources {
				if perr := p.item(row{"setting": fmt.Sprintf("sources[%d]", i), "value": fmt.Sprint(src), "from": fmt.Sprint(config.FromFile)}); perr != nil {
					return perr
				}
			}
			if perr := p.done(); perr != nil {
				return perr
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
	outputFlag(print)
	config.Flags(validate.Flags())
	cmd.AddCommand(print, validate)
	return cmd
}
