package simulate

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"

	"github.com/tenantwatch/tenantwatch/pipeline/event"
)

// call is one API call of a role and its weight.
type call struct {
	source, name string
	weight       float64
	write        bool
}

// cloudCalls is what each role does in the cloud. Administration happens
// without any attack: administrators make roles and keys now and then,
// engineers deploy functions, machines start instances.
var cloudCalls = map[string][]call{
	"engineering": {{"ec2", "DescribeInstances", 14, false}, {"s3", "GetObject", 12, false}, {"logs", "FilterLogEvents", 10, false}, {"lambda", "ListFunctions20150331", 4, false}, {"lambda", "GetFunction20150331v2", 4, false}, {"cloudwatch", "GetMetricData", 6, false}, {"ecr", "BatchGetImage", 3, false}, {"lambda", "UpdateFunctionCode20150331v2", .05, true}, {"ec2", "StartInstances", .1, true}, {"sts", "AssumeRole", 2, false}, {"secretsmanager", "GetSecretValue", .1, false}},
	"support":     {{"s3", "GetObject", 10, false}, {"logs", "FilterLogEvents", 12, false}, {"cloudwatch", "DescribeAlarms", 6, false}, {"ec2", "DescribeInstances", 5, false}},
	"sales":       {{"s3", "GetObject", 12, false}, {"s3", "ListObjects", 6, false}, {"quicksight", "GetDashboard", 8, false}},
	"finance":     {{"ce", "GetCostAndUsage", 12, false}, {"s3", "GetObject", 6, false}, {"organizations", "ListAccounts", 2, false}},
	"admin":       {{"iam", "ListUsers", 8, false}, {"iam", "ListRoles", 8, false}, {"iam", "GetPolicy", 6, false}, {"ec2", "DescribeSecurityGroups", 6, false}, {"cloudtrail", "DescribeTrails", 3, false}, {"iam", "CreateRole", .15, true}, {"iam", "AttachRolePolicy", .2, true}, {"iam", "CreateUser", .08, true}, {"iam", "CreateAccessKey", .08, true}, {"ec2", "AuthorizeSecurityGroupIngress", .15, true}, {"sts", "AssumeRole", 3, false}},
	"service":     {{"s3", "PutObject", 20, true}, {"s3", "GetObject", 20, false}, {"sts", "AssumeRole", 6, false}, {"dynamodb", "Query", 12, false}, {"kms", "Decrypt", 8, false}},
	"ci":          {{"lambda", "UpdateFunctionCode20150331v2", 3, true}, {"ecr", "PutImage", 6, true}, {"ec2", "RunInstances", 2, true}, {"ec2", "TerminateInstances", 2, true}, {"ec2", "DescribeInstances", 10, false}, {"cloudformation", "DescribeStacks", 8, false}},
}

// CloudTrail is one of Run's events as a CloudTrail record of the same person
// at the same time, with the key "tenant" besides: a person's sign-in is a
// console log-in (nearly always with a second factor), work is calls to the
// cloud's API by role. The same event gives the same record.
func CloudTrail(e *event.Event) ([]byte, error) {
	sum := sha256.Sum256([]byte(e.ID))
	h := hex.EncodeToString(sum[:16])
	owner := sha256.Sum256([]byte(e.Tenant.String()))
	account := fmt.Sprintf("%012d", 100000000000+uint64(owner[0])<<24+uint64(owner[1])<<16+uint64(owner[2]))
	user := strings.SplitN(e.Actor, "@", 2)[0]
	role := e.Cohort
	if e.ActorType == "service" {
		role = "service"
		if strings.Contains(user, "ci") || strings.Contains(user, "crm") {
			role = "ci"
		}
	}
	rec := map[string]any{
		"eventVersion": "1.09", "eventTime": e.At().Format("2006-01-02T15:04:05Z"), "awsRegion": "eu-central-1", "recipientAccountId": account,
		"sourceIPAddress": e.SrcIP, "userAgent": e.UserAgent, "eventType": "AwsApiCall", "eventCategory": "Management",
		"eventID": h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], "tenant": e.Tenant.String(),
	}
	identity := map[string]any{"type": "IAMUser", "userName": user, "accountId": account, "arn": "arn:aws:iam::" + account + ":user/" + user, "principalId": "AIDA" + strings.ToUpper(h[:4])}
	if e.ActorType == "service" {
		identity["type"], identity["arn"] = "AssumedRole", "arn:aws:sts::"+account+":assumed-role/"+user+"/session"
		delete(identity, "userName")
	}
	rec["userIdentity"] = identity
	r := rand.New(rand.NewPCG(uint64(sum[0])<<32|uint64(sum[1])<<16|uint64(sum[2]), uint64(sum[3])<<8|uint64(sum[4])))
	if e.Class == event.ClassAuthentication {
		rec["eventSource"], rec["eventName"], rec["eventType"] = "signin.amazonaws.com", "ConsoleLogin", "AwsConsoleSignIn"
		answer := "Success"
		if e.Outcome == event.OutcomeFailure {
			answer = "Failure"
			rec["errorMessage"] = "Failed authentication"
		}
		mfa := "Yes"
		if r.Float64() < 0.002 {
			mfa = "No"
		}
		rec["responseElements"] = map[string]any{"ConsoleLogin": answer}
		rec["additionalEventData"] = map[string]any{"MFAUsed": mfa}
		rec["readOnly"] = false
		return json.Marshal(rec)
	}
	cs := cloudCalls[role]
	if cs == nil {
		cs = cloudCalls["engineering"]
	}
	x := 0.0
	for _, c := range cs {
		x += c.weight
	}
	x *= r.Float64()
	c := cs[len(cs)-1]
	for _, v := range cs {
		if x -= v.weight; x < 0 {
			c = v
			break
		}
	}
	rec["eventSource"], rec["eventName"], rec["readOnly"] = c.source+".amazonaws.com", c.name, !c.write
	if c.source == "s3" {
		rec["requestParameters"] = map[string]any{"bucketName": fmt.Sprintf("%s-%s", e.Tenant, []string{"assets", "reports", "backup"}[r.IntN(3)])}
	}
	if e.Outcome == event.OutcomeFailure {
		rec["errorCode"] = "AccessDenied"
	}
	return json.Marshal(rec)
}
