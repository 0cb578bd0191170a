package cloudtrail

import (
	"strings"

	"github.com/tenantwatch/tenantwatch/collector/parse/record"
	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// resourceKeys are the request parameters that name what was acted upon, the
// most specific first, with the resource's type.
var resourceKeys = []struct{ key, kind string }{
	{"bucketName", "bucket"}, {"instanceId", "instance"}, {"functionName", "function"}, {"secretId", "secret"},
	{"userName", "user"}, {"roleName", "role"}, {"groupName", "group"}, {"roleArn", "role"}, {"keyId", "key"},
	{"snapshotId", "snapshot"}, {"imageId", "image"}, {"volumeId", "volume"}, {"groupId", "security_group"},
	{"dBInstanceIdentifier", "database"}, {"dBSnapshotIdentifier", "snapshot"}, {"dBClusterIdentifier", "database"},
	{"tableName", "table"}, {"queueUrl", "queue"}, {"topicArn", "topic"}, {"repositoryName", "repository"},
	{"clusterName", "cluster"}, {"layerName", "layer"}, {"stackName", "stack"}, {"trailName", "trail"},
	{"detectorId", "detector"}, {"resolverQueryLogConfigId", "query_log"}, {"hostedZoneId", "zone"},
	{"policyArn", "policy"}, {"policyName", "policy"}, {"loadBalancerArn", "load_balancer"}, {"webACLArn", "web_acl"},
	{"resourceArn", "resource"}, {"resourceId", "resource"}, {"logGroupName", "log_group"}, {"vpcId", "vpc"},
	{"identityStoreId", "directory"}, {"accountId", "account"}, {"name", "resource"}, {"id", "resource"},
}

// resource picks what was acted upon from the request, else from the record's
// resources; the other plain request parameters become labels "request.<key>".
func (p *Parser) resource(t *top) {
	b := &p.b
	best := len(resourceKeys)
	object := ""
	if t.request.Kind == record.Object {
		_ = record.Each(t.request.Text, func(key string, v record.Value) error {
			s, scalar := v.Scalar()
			switch {
			case scalar && s != "":
				for i := range best {
					if resourceKeys[i].key == key {
						best, b.Resource, b.ResourceType = i, s, resourceKeys[i].kind
						break
					}
				}
				if key == "key" {
					object = s
				}
				if len(s) <= 1024 {
					b.AddLabel("request."+key, s)
				}
			case key == "instancesSet" && best > 1: // EC2 lists what it is asked about
				if id := firstItem(v, "instanceId"); id != "" {
					best, b.Resource, b.ResourceType = 1, id, "instance"
				}
			}
			return nil
		})
	}
	if b.ResourceType == "bucket" && object != "" {
		b.Resource, b.ResourceType = b.Resource+"/"+object, "object"
	}
	if b.Resource == "" && t.resources.Kind == record.Array {
		_ = record.EachElement(t.resources.Text, func(v record.Value) error {
			if v.Kind != record.Object || b.Resource != "" {
				return nil
			}
			for _, key := range [...]string{"ARN", "arn", "resourceName"} {
				if m, ok := record.Member(v.Text, key); ok && m.String() != "" {
					b.Resource = m.String()
					break
				}
			}
			if m, ok := record.Member(v.Text, "type"); ok {
				b.ResourceType = m.String()
			}
			return nil
		})
	}
}

// firstItem is items[0].<key> of {"items":[{…}]}.
func firstItem(v record.Value, key string) (out string) {
	items, ok := record.Member(v.Text, "items")
	if !ok || items.Kind != record.Array {
		return ""
	}
	_ = record.EachElement(items.Text, func(v record.Value) error {
		if m, ok := record.Member(v.Text, key); ok && out == "" {
			out = m.String()
		}
		return nil
	})
	return out
}

// accountChanges are the IAM calls that change an account, with OCSF's
// activity_id of Account Change.
var accountChanges = map[string]uint8{
	"CreateUser": 1, "CreateLoginProfile": 1, "CreateAccessKey": 1, "CreateServiceLinkedRole": 1, "CreateRole": 1,
	"ChangePassword": 3, "UpdateLoginProfile": 4, "DeleteUser": 6, "DeleteLoginProfile": 6, "DeleteRole": 6,
	"AttachUserPolicy": 7, "AttachRolePolicy": 7, "AttachGroupPolicy": 7, "PutUserPolicy": 7, "PutRolePolicy": 7,
	"PutGroupPolicy": 7, "AddUserToGroup": 7, "UpdateAssumeRolePolicy": 7,
	"DetachUserPolicy": 8, "DetachRolePolicy": 8, "DetachGroupPolicy": 8, "DeleteUserPolicy": 8, "DeleteRolePolicy": 8,
	"DeleteGroupPolicy": 8, "RemoveUserFromGroup": 8,
	"EnableMFADevice": 10, "CreateVirtualMFADevice": 10, "DeactivateMFADevice": 11, "DeleteVirtualMFADevice": 11,
	"UpdateUser": 99, "UpdateAccessKey": 99, "DeleteAccessKey": 99, "CreateGroup": 99, "DeleteGroup": 99,
}

// classify gives the OCSF class of a call.
func classify(service, name, readOnly string) (event.Class, uint8) {
	switch service {
	case "signin":
		switch name {
		case "ConsoleLogin", "CheckMfa", "CredentialChallenge", "CredentialVerification", "UserAuthentication", "SwitchRole",
			"RenewRole", "ExitRole", "GetSigninToken":
			return event.ClassAuthentication, 1
		case "Logout":
			return event.ClassAuthentication, 2
		}
	case "iam":
		if a, ok := accountChanges[name]; ok {
			return event.ClassAccountChange, a
		}
	}
	if readOnly == "true" {
		return event.ClassAPIActivity, 2
	}
	for _, v := range [...]struct {
		verb     string
		activity uint8
	}{
		{"Get", 2}, {"List", 2}, {"Describe", 2}, {"Head", 2}, {"Lookup", 2}, {"Search", 2}, {"Query", 2}, {"Scan", 2},
		{"Create", 1}, {"Run", 1}, {"Add", 1}, {"Import", 1}, {"Start", 1}, {"Publish", 1}, {"Register", 1},
		{"Delete", 4}, {"Remove", 4}, {"Terminate", 4}, {"Deregister", 4},
		{"Update", 3}, {"Put", 3}, {"Modify", 3}, {"Set", 3}, {"Attach", 3}, {"Detach", 3}, {"Enable", 3}, {"Disable", 3},
		{"Authorize", 3}, {"Revoke", 3}, {"Associate", 3}, {"Disassociate", 3}, {"Stop", 3}, {"Replace", 3},
	} {
		if strings.HasPrefix(name, v.verb) {
			return event.ClassAPIActivity, v.activity
		}
	}
	return event.ClassAPIActivity, 99
}

// Sniff says how much a JSON object looks like a CloudTrail record, 0 to 1.
func Sniff(raw string) float64 {
	var n float64
	_ = record.Each(raw, func(key string, v record.Value) error {
		switch key {
		case "eventName", "eventSource":
			n += 0.3
		case "eventTime", "userIdentity", "eventVersion", "awsRegion":
			n += 0.15
		case "Records":
			if v.Kind == record.Array {
				n += 0.6
			}
		case "detail":
			if v.Kind == record.Object {
				n = max(n, 0.9*Sniff(v.Text))
			}
		}
		return nil
	})
	return min(n, 1)
}
