package app

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tenantwatch/tenantwatch/core"
)

// Operator is the credential that `up` leaves in the data directory for the
// commands: where the running instance answers, and an operator's token.
type Operator struct {
	API       string `json:"api"`
	Collector string `json:"collector"`
	Email     string `json:"email"`
	Password  string `json:"password,omitempty"` // the first one; absent once it was changed elsewhere
	TokenID   string `json:"token_id"`
	Token     string `json:"token"`
}

// OperatorPath is the credential's file.
func OperatorPath(dataDir string) string { return filepath.Join(dataDir, "operator.json") }

// ReadOperator reads the credential.
func ReadOperator(dataDir string) (o Operator, err error) {
	b, err := os.ReadFile(OperatorPath(dataDir))
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return o, fmt.Errorf("%s: %w", OperatorPath(dataDir), err)
	}
	return o, nil
}

const adminEmail = "admin@tenantwatch.example"

// operator makes the first administrator and the credential, once.
func (a *App) operator(ctx context.Context, c *core.Core, info *Info) error {
	path := OperatorPath(a.opts.Config.DataDir)
	op, err := ReadOperator(a.opts.Config.DataDir)
	switch {
	case err == nil && op.Token != "":
		if _, err := c.Keys.ResolveToken(ctx, op.Token); errors.Is(err, core.ErrUnauthorized) {
			op.Token = "" // revoked or of another database: make a new one
		} else if err != nil {
			return err
		}
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	if op.Token == "" {
		r, err := c.Bootstrap(ctx, adminEmail, "", "command line on this machine")
		if err != nil {
			return fmt.Errorf("first administrator: %w", err)
		}
		op.Email, op.TokenID, op.Token = r.Admin.Email, r.TokenID, r.Token.Reveal()
		if p := r.Password.Reveal(); p != "" {
			op.Password = p
		}
	}
	op.API, op.Collector = info.API, info.Collector
	b, err := json.MarshalIndent(op, "", "  ") // #nosec G117 -- a credential file, mode 0600, is what it is for
	if err != nil {
		return err
	}
	if err := writeFile(path, append(b, '\n')); err != nil {
		return err
	}
	info.Token = path
	info.Logins = append(info.Logins, Login{Role: "platform_admin", Email: op.Email, Password: op.Password})
	return nil
}
