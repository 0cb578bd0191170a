package cloudtrail

import (
	"strings"
	"testing"

	"github.com/tenantwatch/tenantwatch/collector/parse/record/recordtest"
)

func TestParse(t *testing.T) {
	p := New()
	// f reads a record made of the common members and rest.
	f := func(rest, want string) {
		t.Helper()
		in := `{"eventVersion":"1.08","eventTime":"2026-03-01T09:15:02Z","eventID":"e-1",` + rest + `}`
		got := strings.Replace(recordtest.Show(t, p, recordtest.Env(), in), `{"id":"e-1","time":"2026-03-01T09:15:02Z","class_uid":`, "", 1)
		if got != want {
			t.Fatalf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	f(`"eventSource":"iam.amazonaws.com","eventName":"AttachUserPolicy","awsRegion":"eu-west-1","sourceIPAddress":"203.0.113.7","userAgent":"aws-cli",`+
		`"userIdentity":{"type":"IAMUser","principalId":"AIDA","arn":"arn:aws:iam::1:user/alice","accountId":"1","accessKeyId":"AKIA","userName":"alice"},`+
		`"requestParameters":{"userName":"bob","policyArn":"arn:aws:iam::aws:policy/AdministratorAccess"},"responseElements":null,"readOnly":false`,
		`3001,"activity":7,"action":"iam:AttachUserPolicy","outcome":"success","actor":"arn:aws:iam::1:user/alice","actor_type":"user","session":"AKIA",`+
			`"src_ip":"203.0.113.7","user_agent":"aws-cli","resource":"bob","resource_type":"user","labels":{"region":"eu-west-1","account":"1","identity_type":"IAMUser",`+
			`"principal":"AIDA","request.userName":"bob","request.policyArn":"arn:aws:iam::aws:policy/AdministratorAccess","read_only":"false"}}`)
	// A console log-in says in its answer that it failed, and whether MFA was used.
	f(`"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","sourceIPAddress":"225.01.00.16","userIdentity":{"type":"Root","arn":"arn:aws:iam::1:root"},`+
		`"errorMessage":"Failed authentication","responseElements":{"ConsoleLogin":"Failure"},"additionalEventData":{"MFAUsed":"No"}`,
		`3002,"activity":1,"action":"signin:ConsoleLogin","outcome":"failure","actor":"arn:aws:iam::1:root","actor_type":"user","labels":{"invalid.src_ip":"225.01.00.16",`+
			`"identity_type":"Root","error_message":"Failed authentication","mfa":"false"},"flags":["invalid_field"]}`)
	f(`"eventSource":"signin.amazonaws.com","eventName":"ConsoleLogin","userIdentity":{"type":"IAMUser","userName":"alice"},"responseElements":{"ConsoleLogin":"Failure"}`,
		`3002,"activity":1,"action":"signin:ConsoleLogin","outcome":"failure","actor":"alice","actor_type":"user","labels":{"identity_type":"IAMUser"}}`)
	// An error code is a failure; a service's name is no invalid address.
	f(`"eventSource":"s3.amazonaws.com","eventName":"GetObject","errorCode":"AccessDenied","sourceIPAddress":"cloudformation.amazonaws.com",`+
		`"userIdentity":{"type":"AWSService","invokedBy":"cloudformation.amazonaws.com"},"requestParameters":{"bucketName":"b","key":"k/1"}`,
		`6003,"activity":2,"action":"s3:GetObject","outcome":"failure","actor":"cloudformation.amazonaws.com","actor_type":"service","resource":"b/k/1","resource_type":"object",`+
			`"labels":{"src_service":"cloudformation.amazonaws.com","identity_type":"AWSService","invoked_by":"cloudformation.amazonaws.com","request.bucketName":"b","request.key":"k/1","error_code":"AccessDenied"}}`)
	// An assumed role: the role is the cohort; a mail address as session name is a person.
	f(`"eventSource":"ec2.amazonaws.com","eventName":"StartInstances","userIdentity":{"type":"AssumedRole","arn":"arn:aws:sts::1:assumed-role/Admin/alice@acme.example",`+
		`"sessionContext":{"sessionIssuer":{"userName":"Admin"},"attributes":{"mfaAuthenticated":"true"}}},"requestParameters":{"instancesSet":{"items":[{"instanceId":"i-1"},{"instanceId":"i-2"}]}}`,
		`6003,"activity":1,"action":"ec2:StartInstances","outcome":"success","actor":"arn:aws:sts::1:assumed-role/Admin/alice@acme.example","actor_type":"user","cohort":"Admin",`+
			`"resource":"i-1","resource_type":"instance","labels":{"mfa":"true","identity_type":"AssumedRole"}}`)
	// No request parameter names it: the record's resources do.
	f(`"eventSource":"kms.amazonaws.com","eventName":"Decrypt","readOnly":true,"userIdentity":{"type":"IAMUser","arn":"a"},"resources":[{"ARN":"arn:aws:kms:key/1","type":"AWS::KMS::Key"}]`,
		`6003,"activity":2,"action":"kms:Decrypt","outcome":"success","actor":"a","actor_type":"user","resource":"arn:aws:kms:key/1","resource_type":"AWS::KMS::Key",`+
			`"labels":{"identity_type":"IAMUser","read_only":"true"}}`)
	// Nobody is named: the caller's address, else the service.
	f(`"eventSource":"x.amazonaws.com","eventName":"Y"`, `6003,"activity":99,"action":"x:Y","outcome":"success","actor":"x.amazonaws.com","actor_type":"service"}`)
	// Odd shapes are skipped over.
	f(`"eventSource":"x.amazonaws.com","eventName":"Y","userIdentity":"alice","requestParameters":[1],"resources":[1,null],"additionalEventData":7,"sourceIPAddress":null`,
		`6003,"activity":99,"action":"x:Y","outcome":"success","actor":"x.amazonaws.com","actor_type":"service"}`)
}

func TestWrapped(t *testing.T) {
	const one = `{"eventTime":"2026-03-01T09:15:02Z","eventID":"e-1","eventSource":"x.amazonaws.com","eventName":"Y"}`
	const want = `{"id":"e-1","time":"2026-03-01T09:15:02Z","class_uid":6003,"activity":99,"action":"x:Y","outcome":"success","actor":"x.amazonaws.com","actor_type":"service"}`
	f := func(in, want string) {
		t.Helper()
		got := recordtest.Show(t, New(), recordtest.Env(), in)
		if got != want && (!strings.HasPrefix(want, "error") || !strings.HasPrefix(got, want)) {
			t.Fatalf("%s\n got %s\nwant %s", in, got, want)
		}
	}
	f(`{"x":1,"Records":[`+one+`,`+one+`]}`, want+"\n"+want)
	f(`{"version":"0","detail-type":"AWS API Call via CloudTrail","detail":`+one+`}`, want)
	// One bad record keeps the whole replayable.
	f(`{"Records":[`+one+`,{"eventName":"Z"}]}`, "error: CloudTrail record without")
	f(`{"Records":[1]}`, "error: CloudTrail Records hold")
	f(`{"Records":[{"Records":[]}]}`, "error: CloudTrail Records within")
	f(`{"eventName":"Y","eventSource":"x"}`, "error: CloudTrail record without eventTime")
	f(`{"eventTime":"2026-03-01T09:15:02Z"}`, "error: CloudTrail record without eventName")
}
