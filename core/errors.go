package core

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// What the stores answer; test with errors.Is.
var (
	// ErrNotFound: there is no such thing, or not in the tenants asked for:
	// the two cannot be told apart.
	ErrNotFound = errors.New("not found")
	// ErrExists: the name or address is taken.
	ErrExists = errors.New("exists already")
	// ErrConflict: somebody else changed it since it was read.
	ErrConflict = errors.New("changed by somebody else: read it again")
	// ErrUnauthorized: no valid credential. It never says which part was wrong.
	ErrUnauthorized = errors.New("not authorized")
	// ErrSuspended: the tenant is suspended and takes no writes.
	ErrSuspended = errors.New("the tenant is suspended")
	// ErrInvalid: the input is wrong; the message says what to do.
	ErrInvalid = errors.New("invalid input")
)

// errForeignRow is the guard behind row-level security: a read looks at whose
// rows it was given, and hands none on when one is another tenant's.
var errForeignRow = errors.New("isolation violated: the answer holds a row of another tenant")

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrInvalid, fmt.Sprintf(format, args...))
}

// wrap names the operation and turns the database's answers into the errors
// above.
func wrap(err error, format string, args ...any) error {
	if err == nil {
		return nil
	}
	what := fmt.Sprintf(format, args...)
	var pg *pgconn.PgError
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	case errors.As(err, &pg) && pg.Code == "23505": // unique_violation
		return fmt.Errorf("%s: %w", what, ErrExists)
	case errors.As(err, &pg) && pg.Code == "23503": // foreign_key_violation
		return fmt.Errorf("%s: %w", what, ErrNotFound)
	}
	return fmt.Errorf("%s: %w", what, err)
}

// Secret is a credential in clear. It prints as [redacted] wherever it is
// logged, formatted or marshalled; Reveal is for showing it once.
type Secret string

// Reveal gives the secret itself.
func (s Secret) Reveal() string { return string(s) }

// String implements fmt.Stringer.
func (Secret) String() string { return "[redacted]" }

// GoString implements fmt.GoStringer.
func (Secret) GoString() string { return "[redacted]" }

// LogValue implements slog.LogValuer.
func (Secret) LogValue() slog.Value { return slog.StringValue("[redacted]") }

// MarshalText keeps a secret out of JSON.
func (Secret) MarshalText() ([]byte, error) { return []byte("[redacted]"), nil }
