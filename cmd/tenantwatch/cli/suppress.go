package cli

import (
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"
)

func (a *cmdline) suppressCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "suppress", Short: "Keep alerts of a scope from being raised, with an owner, a reason and an end"}
	var ten, detector, entityType, entity, action, network, label, owner, reason, override string
	var lasts time.Duration
	var preview bool
	create := sub("create", "Suppress a scope; shows what it would have hidden in the last 90 days", noArgs, func(c *cobra.Command, _ []string) error {
		if ten == "" {
			return usageError("--tenant is needed: whose alerts are hidden?")
		}
		if (entity == "") != (entityType == "") {
			return usageError("--entity and --entity-type go together: --entity-type address --entity 203.0.113.7")
		}
		scope := map[string]string{}
		for k, v := range map[string]string{"detector": detector, "entity_type": entityType, "entity_id": entity, "action": action, "network": network, "label": label} {
			if v != "" {
				scope[k] = v
			}
		}
		body := map[string]any{"tenant_id": ten, "scope": scope}
		if preview {
			return a.write(c, http.MethodPost, "/api/v1/suppressions/preview", body, column{"WOULD HIDE", "hidden"}, column{"OF", "scanned"},
				column{"CONFIRMED AMONG THEM", "confirmed"}, column{"FROM", "from"}, column{"TO", "to"})
		}
		if owner == "" || reason == "" || lasts <= 0 {
			return usageError("--owner, --reason and --for are needed: who answers for it, why, and until when?")
		}
		body["owner"], body["reason"], body["until"] = owner, reason, time.Now().Add(lasts).UTC().Format(time.RFC3339)
		if override != "" {
			body["override"] = override
		}
		return a.write(c, http.MethodPost, "/api/v1/suppressions", body, column{"ID", "suppression.id"}, column{"UNTIL", "suppression.until"},
			column{"WOULD HAVE HIDDEN", "preview.hidden"}, column{"OF", "preview.scanned"})
	})
	f := create.Flags()
	f.StringVar(&ten, "tenant", "", "tenant whose alerts are hidden")
	f.StringVar(&detector, "detector", "", "only alerts this detector contributed most to")
	f.StringVar(&entityType, "entity-type", "", "user, service, address, device, session, resource, source or tenant")
	f.StringVar(&entity, "entity", "", "the entity, verbatim")
	f.StringVar(&action, "action", "", "the event's action, verbatim or with one * at the end")
	f.StringVar(&network, "network", "", "the event's source network, such as 203.0.113.0/24")
	f.StringVar(&label, "label", "", "key=value of the event's labels")
	f.StringVar(&owner, "owner", "", "who answers for it")
	f.StringVar(&reason, "reason", "", "why")
	f.DurationVar(&lasts, "for", 0, "how long, such as 720h")
	f.StringVar(&override, "override", "", "why it is right although it hides a confirmed true positive")
	f.BoolVar(&preview, "preview", false, "only show what it would have hidden")

	list := sub("list", "List suppressions with what they hid, newest first", noArgs, func(c *cobra.Command, _ []string) error {
		return a.list(c, "/api/v1/suppressions", ofTenant(ten), 0, column{"ID", "id"}, column{"TENANT", "tenant_id"}, column{"SCOPE", "scope"}, column{"OWNER", "owner"},
			column{"REASON", "reason"}, column{"UNTIL", "until"}, column{"IN FORCE", "in_force"}, column{"HID", "hits"})
	})
	list.Flags().StringVar(&ten, "tenant", "", "only this tenant's")
	end := sub("delete ID", "End a suppression at once; it stays listed", exactArgs(1, "the suppression's id"), func(c *cobra.Command, args []string) error {
		return a.write(c, http.MethodDelete, "/api/v1/suppressions/"+url.PathEscape(args[0])+"?"+ofTenant(ten).Encode(), nil)
	})
	end.Flags().StringVar(&ten, "tenant", "", "tenant it belongs to")
	cmd.AddCommand(create, list, end)
	return cmd
}
