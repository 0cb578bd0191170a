package scenario

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScenarios(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d scenarios, %v", len(files), err)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".txt"), func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			res, err := Run(f)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range res.Failures {
				t.Error(s)
			}
			if t.Failed() {
				for _, a := range res.Alerts {
					t.Logf("%s %s:%s %s %.1f p=%.3g count %d %v: %s", a.RaisedAt.Format("Mon 02 15:04"), a.Entity.Type, a.Entity.ID,
						a.Severity, float64(a.Score)/1000, a.PValue, a.Count, a.Technique, a.Reason)
				}
			}
		})
	}
}

// The language says where it is not understood, and a failed eval is told.
func TestLanguage(t *testing.T) {
	bad := func(text, want string) {
		t.Helper()
		if _, err := Run(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
	bad("launch 5", "line 1")
	bad("\nload 5 over soon at 1h: actor=a", "line 2")
	bad("load 5 over 1h at 1h: colour=red", "colour")
	bad("eval 1 alert: weather=fine", "weather")
	bad("load every 0s from 1h to 2h on all days for 1d: actor=a", "never end")
	res, err := Run(strings.NewReader("load 3 over 1m at 1h: actor=u{1..2}\neval 2 alerts"))
	if err != nil || res.Events != 3 || len(res.Failures) != 1 {
		t.Errorf("%+v, %v", res, err)
	}
}
