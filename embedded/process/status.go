package process

import "time"

// State is where a part is in its life.
type State string

// The states of a part. Restarting means that it was ready and fell over;
// Failed means that it never came up, or that FailAfter starts in a row did
// not succeed (they go on at the capped backoff).
const (
	Starting   State = "starting"
	Ready      State = "ready"
	Restarting State = "restarting"
	Failed     State = "failed"
	Stopping   State = "stopping"
	Stopped    State = "stopped"
)

// Status is what /readyz shows of one embedded part.
type Status struct {
	Part      string    `json:"part"`
	State     State     `json:"state"`
	Since     time.Time `json:"since"`
	Restarts  int       `json:"restarts"`
	PID       int       `json:"pid,omitempty"`
	LastError string    `json:"last_error,omitempty"`
}
