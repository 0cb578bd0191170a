package postgres

import (
	"fmt"
	"regexp"
	"strconv"
)

// MinMajor is the oldest major version that tenantwatch runs on.
const MinMajor = 15

// Version of a PostgreSQL, such as 15.20.
type Version struct{ Major, Minor int }

func (v Version) String() string { return fmt.Sprintf("%d.%d", v.Major, v.Minor) }

// Less orders versions.
func (v Version) Less(o Version) bool {
	return v.Major < o.Major || v.Major == o.Major && v.Minor < o.Minor
}

var versionRE = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// parseVersion reads the output of "postgres --version", for example
// "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)". A beta has minor 0.
func parseVersion(out string) (Version, error) {
	m := versionRE.FindStringSubmatch(out)
	if m == nil {
		return Version{}, fmt.Errorf("cannot read a PostgreSQL version from %q", out)
	}
	major, err := strconv.Atoi(m[1])
	if err != nil {
		return Version{}, fmt.Errorf("cannot read a PostgreSQL version from %q: %w", out, err)
	}
	minor := 0
	if m[2] != "" {
		if minor, err = strconv.Atoi(m[2]); err != nil {
			return Version{}, fmt.Errorf("cannot read a PostgreSQL version from %q: %w", out, err)
		}
	}
	return Version{major, minor}, nil
}

// safeMinors is, for each major version, the first minor release in which row
// security holds against INSERT … ON CONFLICT. The releases of all lines come
// out on the same day: 15.18, 16.14, 17.10 and 18.4 did, so 15.20 is level with
// the others below. Later majors were never without the fix.
var safeMinors = map[int]int{15: 20, 16: 16, 17: 12, 18: 6}

// SecurityWarning says, in one line for the operator, why v should be upgraded;
// it is empty when there is no known reason.
func SecurityWarning(v Version) string {
	safe, ok := safeMinors[v.Major]
	switch {
	case v.Major < MinMajor:
		return fmt.Sprintf("PostgreSQL %s is older than %d, the oldest supported version: upgrade it", v, MinMajor)
	case !ok || v.Minor >= safe:
		return ""
	default:
		return fmt.Sprintf("PostgreSQL %s has known holes: row-level security leaks through INSERT … ON CONFLICT below %d.%d, "+
			"so one tenant may learn of another's rows; upgrade to %d.%d or later (Debian: apt-get update && apt-get install postgresql-%d)",
			v, v.Major, safe, v.Major, safe, v.Major)
	}
}
