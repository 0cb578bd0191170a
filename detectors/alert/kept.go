package alert

// Kept is what an alert's number was computed from, kept so that it can be
// computed again: the baselines as they stood and the inputs. Floats survive
// JSON to the last bit.
type Kept struct {
	Config   string  `json:"config"`   // of the detectors
	Critical bool    `json:"critical"` // confirmed evidence
	Grade    float64 `json:"grade"`    // the p-value the severity is measured by
	// Window holds the detectors that tested the window whose combination is
	// the alert's p-value, in the order of their table.
	Window []KeptInput `json:"window"`
	// Parts are the detectors of the alert in its order, each with its own
	// strongest window.
	Parts []KeptPart `json:"parts"`
}

// KeptInput is one detector's p-value on its way from the model to the
// combination. Mass, N and Scale are the stream's calibration as it stood; N
// is negative where none was applied.
type KeptInput struct {
	Detector    string  `json:"detector"`
	Model       float64 `json:"model"` // the model's own tail
	Mass        float64 `json:"mass,omitempty"`
	N           float64 `json:"n"`
	Scale       float64 `json:"scale,omitempty"`
	Sensitivity float64 `json:"sensitivity,omitempty"` // 0: 1
}

// KeptPart is a part of the alert.
type KeptPart struct {
	KeptInput
	Version string `json:"version"`
	// Basis are the numbers of the baseline the model's tail came from, in the
	// detector's own form.
	Basis []byte     `json:"basis"`
	Cal   [2]float64 `json:"cal"` // the calibrator's weight and scale when the revision was made
}
