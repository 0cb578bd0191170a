package privilege

import "testing"

func TestClassify(t *testing.T) {
	for action, want := range map[string]int{
		"iam:CreateAccessKey": credential, "apikey.create": credential, "user.password.reset": credential, "iam:UpdateLoginProfile": credential,
		"iam:CreateLoginProfile": credential, "rolesanywhere:CreateTrustAnchor": credential, "personal_access_token.create": credential,
		"role.grant": grant, "iam:AttachUserPolicy": grant, "iam:AttachRolePolicy": grant, "iam:UpdateAssumeRolePolicy": grant, "org.update_member_role": grant,
		"Add member to role": grant, "group.user_membership.add": grant, "user.account.privilege.grant": grant, "iam:CreateRole": grant,
		"mfa.disable": factor, "user.mfa.factor.deactivate": factor, "iam:DeactivateMFADevice": factor, "org.disable_two_factor_requirement": factor,
		"auditlog.disable": tamper, "cloudtrail:StopLogging": tamper, "cloudtrail:DeleteTrail": tamper, "cloudtrail:PutEventSelectors": tamper,
		"route53resolver:DeleteResolverQueryLogConfig": tamper, "ec2:DeleteFlowLogs": tamper, "guardduty:DeleteDetector": tamper,
		"ec2:ModifySnapshotAttribute": exposure, "ec2:ModifyImageAttribute": exposure, "ec2:AuthorizeSecurityGroupIngress": exposure, "s3:PutBucketPolicy": exposure,
		"user.create": account, "iam:CreateUser": account, "org.add_member": account, "Add user": account,
		"lambda:UpdateFunctionCode20150331v2": compute, "lambda:UpdateFunctionConfiguration20150331v2": compute, "ec2:RunInstances": compute,
		"ec2-instance-connect:SendSSHPublicKey": compute, "ec2:ModifyInstanceAttribute": compute, "ssm:SendCommand": compute,
		"ec2:GetPasswordData": secret, "secretsmanager:GetSecretValue": secret, "ec2:DescribeInstanceAttribute": secret, "secret.read": secret,
		"s3:DeleteBucket": destroy, "kms:ScheduleKeyDeletion": destroy, "backup:DeleteRecoveryPoint": destroy,
		// what everybody does all day
		"login": -1, "user.view": -1, "file.download": -1, "ticket.update": -1, "contact.view": -1, "settings.view": -1, "repo.push": -1, "logout": -1,
		"s3:GetObject": -1, "ec2:DescribeInstances": -1, "logs:DescribeLogGroups": -1, "iam:ListRoles": -1, "invoice.update": -1, "report.export": -1, "mfa.challenge": -1,
		"sts:AssumeRole": -1, "user.update": -1, "blog.delete": -1, "catalog.update": -1, "": -1,
	} {
		if got := classify(action); got != want {
			t.Errorf("%q is of kind %d, want %d (%v)", action, got, want, words(action))
		}
	}
	for action, want := range map[string]bool{"user.delete": true, "iam:DeleteUser": true, "user.lifecycle.deactivate": true, "Disable account": true, "iam:DeleteAccessKey": false, "file.delete": false} {
		if offboards(action) != want {
			t.Errorf("%q ends an account: %v", action, !want)
		}
	}
}
