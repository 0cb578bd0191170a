package cli

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

var userColumns = []column{{"EMAIL", "email"}, {"ROLE", "role"}, {"TENANT", "tenant_id"}, {"GRANTED", "tenants"}, {"DISABLED", "disabled"}, {"2ND FACTOR", "second_factor"}, {"LAST SIGN-IN", "last_sign_in_at"}, {"ID", "id"}}

// members gives a column list for an answer that holds the user in a member.
func members(cols []column) []column {
	out := make([]column, len(cols))
	for i, c := range cols {
		out[i] = column{c.head, "user." + c.path}
	}
	return out
}

func (a *cmdline) userCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "user", Short: "Add people, change what they may do, reset and remove them",
		Long: `People of a tenant are named with --tenant; without it the command is about the
operator's own people, who see the tenants granted to them.

A person is named by e-mail address or id.`}
	var ten, role, name string
	var granted []string
	var passwordStdin, factor bool
	create := sub("create EMAIL", "Add somebody; without --password-stdin a one-time password is made and shown this once", exactArgs(1, "an e-mail address"), func(c *cobra.Command, args []string) error {
		if role == "" {
			return usageError("--role is needed: tenant_admin or tenant_auditor with --tenant, else platform_admin, soc_analyst or soc_reader")
		}
		body := map[string]any{"email": args[0], "role": role}
		if ten != "" {
			body["tenant_id"] = ten
		}
		if name != "" {
			body["name"] = name
		}
		if len(granted) > 0 {
			body["tenants"] = granted
		}
		if passwordStdin {
			b, err := io.ReadAll(io.LimitReader(a.In, 4096))
			if err != nil {
				return fmt.Errorf("read the password: %w", err)
			}
			body["password"] = strings.TrimRight(string(b), "\r\n")
		}
		return a.write(c, http.MethodPost, "/api/v1/users", body, append(members(userColumns), column{"ONE-TIME PASSWORD (shown once)", "once_password"})...)
	})
	create.Flags().StringVar(&role, "role", "", "the role")
	create.Flags().StringVar(&name, "name", "", "name for people (default: the address)")
	create.Flags().StringSliceVar(&granted, "grant", nil, "tenants that one of the operator's people sees")
	create.Flags().BoolVar(&passwordStdin, "password-stdin", false, "read the password from standard input")
	list := sub("list", "List people", noArgs, func(c *cobra.Command, _ []string) error {
		return a.list(c, "/api/v1/users", ofTenant(ten), 0, userColumns...)
	})
	change := func(use, short string, body func() map[string]any) *cobra.Command {
		return sub(use, short, exactArgs(1, "a person: e-mail address or id"), func(c *cobra.Command, args []string) error {
			return a.patchUser(c, ten, args[0], func(row) (map[string]any, error) { return body(), nil })
		})
	}
	disable := change("disable USER", "Bar somebody and end their sessions", func() map[string]any { return map[string]any{"disabled": true} })
	enable := change("enable USER", "Let somebody in again", func() map[string]any { return map[string]any{"disabled": false} })
	var newRole string
	setRole := change("role USER", "Give somebody another role", func() map[string]any { return map[string]any{"role": newRole} })
	setRole.Flags().StringVar(&newRole, "role", "", "the new role")
	_ = setRole.MarkFlagRequired("role") // the flag is there
	reset := sub("reset USER", "Give somebody a one-time password, shown this once", exactArgs(1, "a person: e-mail address or id"), func(c *cobra.Command, args []string) error {
		u, err := a.findUser(c, ten, args[0])
		if err != nil {
			return err
		}
		body := map[string]any{"second_factor": factor}
		if ten != "" {
			body["tenant_id"] = ten
		}
		return a.write(c, http.MethodPost, "/api/v1/users/"+url.PathEscape(at(u, "id"))+"/reset", body,
			column{"EMAIL", "user.email"}, column{"ONE-TIME PASSWORD (shown once)", "once_password"})
	})
	reset.Flags().BoolVar(&factor, "second-factor", false, "remove the second factor, too")
	del := sub("delete USER", "Remove somebody with sessions and tokens", exactArgs(1, "a person: e-mail address or id"), func(c *cobra.Command, args []string) error {
		u, err := a.findUser(c, ten, args[0])
		if err != nil {
			return err
		}
		return a.write(c, http.MethodDelete, "/api/v1/users/"+url.PathEscape(at(u, "id"))+"?"+ofTenant(ten).Encode(), nil)
	})
	for _, c := range []*cobra.Command{create, list, disable, enable, setRole, reset, del} {
		c.Flags().StringVar(&ten, "tenant", "", "the tenant whose people it is about (default: the operator's own)")
	}
	grants := func(use, short string, set func(have, named []string) []string) *cobra.Command {
		return sub(use, short, minArgs(2, "a person and one or more tenants"), func(c *cobra.Command, args []string) error {
			return a.patchUser(c, "", args[0], func(u row) (map[string]any, error) {
				var have []string
				list, _ := u["tenants"].([]any)
				for _, v := range list {
					if s, ok := v.(string); ok {
						have = append(have, s)
					}
				}
				return map[string]any{"tenants": set(have, args[1:])}, nil
			})
		})
	}
	grant := grants("grant USER TENANT…", "Let one of the operator's people see more tenants", func(have, named []string) []string {
		for _, n := range named {
			if !slices.Contains(have, n) {
				have = append(have, n)
			}
		}
		return have
	})
	revoke := grants("revoke USER TENANT…", "Take tenants away from one of the operator's people", func(have, named []string) []string {
		return slices.DeleteFunc(append([]string{}, have...), func(s string) bool { return slices.Contains(named, s) })
	})
	cmd.AddCommand(create, list, setRole, disable, enable, reset, del, grant, revoke)
	return cmd
}

// findUser finds somebody by address or id.
func (a *cmdline) findUser(c *cobra.Command, ten, who string) (row, error) {
	r, err := a.remote(c)
	if err != nil {
		return nil, err
	}
	q := ofTenant(ten)
	q.Set("limit", "500")
	for {
		page := struct {
			Items []row
			Next  *string
		}{}
		if err := r.call(c.Context(), http.MethodGet, "/api/v1/users?"+q.Encode(), nil, &page); err != nil {
			return nil, err
		}
		for _, u := range page.Items {
			if at(u, "id") == who || strings.EqualFold(at(u, "email"), who) {
				return u, nil
			}
		}
		if page.Next == nil {
			return nil, &exitError{exitNotFound, fmt.Errorf("there is nobody %q here: see `tenantwatch user list`", who)}
		}
		q.Set("after", *page.Next)
	}
}

// patchUser changes somebody.
func (a *cmdline) patchUser(c *cobra.Command, ten, who string, body func(row) (map[string]any, error)) error {
	u, err := a.findUser(c, ten, who)
	if err != nil {
		return err
	}
	b, err := body(u)
	if err != nil {
		return err
	}
	if ten != "" {
		b["tenant_id"] = ten
	}
	return a.write(c, http.MethodPatch, "/api/v1/users/"+url.PathEscape(at(u, "id")), b, userColumns...)
}

// usageCmd shows what a tenant used.
func (a *cmdline) usageCmd() *cobra.Command {
	var ten string
	c := sub("usage", "Show what a tenant used, by day", noArgs, func(c *cobra.Command, _ []string) error {
		form, err := output(c)
		if err != nil {
			return err
		}
		r, err := a.remote(c)
		if err != nil {
			return err
		}
		var got struct {
			Days  []row
			Total row
		}
		if err := r.call(c.Context(), http.MethodGet, "/api/v1/usage?"+ofTenant(ten).Encode(), nil, &got); err != nil {
			return err
		}
		p := a.printer(form, column{"DAY", "day"}, column{"EVENTS", "counts.events"}, column{"BYTES", "counts.bytes"}, column{"QUERIES", "counts.queries"}, column{"REFUSED", "counts.refused"})
		for _, d := range got.Days {
			if err := p.item(d); err != nil {
				return err
			}
		}
		if form == "table" {
			if err := p.item(row{"day": "together", "counts": got.Total}); err != nil {
				return err
			}
		}
		return p.done()
	})
	c.Flags().StringVar(&ten, "tenant", "", "the tenant (a token of one tenant needs none)")
	return c
}

// trailCmd shows what people and keys did.
func (a *cmdline) trailCmd() *cobra.Command {
	var ten string
	var limit int
	c := sub("trail", "Show what people and keys did to a tenant, or to the installation, newest first", noArgs, func(c *cobra.Command, _ []string) error {
		return a.list(c, "/api/v1/audit/trail", ofTenant(ten), limit, column{"TIME", "time"}, column{"ACTOR", "actor.name"}, column{"ACTION", "action"}, column{"TARGET", "target"}, column{"DETAIL", "detail"})
	})
	c.Flags().StringVar(&ten, "tenant", "", "the tenant (default: what concerns no one tenant)")
	c.Flags().IntVar(&limit, "limit", 100, "how many; 0: all")
	return c
}
