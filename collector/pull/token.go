package pull

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Bearer authenticates with a fixed token.
func Bearer(scheme, token string) func(context.Context, *http.Request) error {
	return func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", scheme+" "+token)
		return nil
	}
}

// TokenSource gets OAuth 2.0 access tokens and keeps one until shortly before
// it ends.
type TokenSource struct {
	HTTP *http.Client
	URL  string
	Form func(now time.Time) (url.Values, error) // of the token request

	mu    sync.Mutex
	token string
	until time.Time
}

// Auth adds the token to a request.
func (s *TokenSource) Auth(ctx context.Context, r *http.Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if s.token == "" || now.After(s.until) {
		form, err := s.Form(now)
		if err != nil {
			return err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL, strings.NewReader(form.Encode()))
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		b, _, err := send(s.HTTP, req)
		if err != nil {
			return fmt.Errorf("access token: %w", err)
		}
		var t struct {
			AccessToken string `json:"access_token"`
			ExpiresIn   int64  `json:"expires_in"`
		}
		if err := json.Unmarshal(b, &t); err != nil || t.AccessToken == "" {
			return errors.New("access token: the answer holds none")
		}
		s.token, s.until = t.AccessToken, now.Add(time.Duration(t.ExpiresIn)*time.Second*9/10)
	}
	r.Header.Set("Authorization", "Bearer "+s.token)
	return nil
}

// ServiceAccount is the part of a Google service account's key file that is
// needed.
type ServiceAccount struct {
	Email    string `json:"client_email"`
	Key      string `json:"private_key"`
	TokenURI string `json:"token_uri"`
}

// Assertion makes the form of a token request by a signed JWT (RFC 7523), for
// the account acting as subject.
func (a ServiceAccount) Assertion(subject, scope string) (func(time.Time) (url.Values, error), error) {
	block, _ := pem.Decode([]byte(a.Key))
	if block == nil {
		return nil, errors.New("the service account's private_key is no PEM")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("private_key: %w", err)
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, errors.New("private_key is no RSA key")
	}
	return func(now time.Time) (url.Values, error) {
		part := func(v any) string {
			b, _ := json.Marshal(v) //nolint:errcheck // maps of text and numbers
			return base64.RawURLEncoding.EncodeToString(b)
		}
		text := part(map[string]any{"alg": "RS256", "typ": "JWT"}) + "." + part(map[string]any{
			"iss": a.Email, "sub": subject, "scope": scope, "aud": a.TokenURI, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
		sum := sha256.Sum256([]byte(text))
		sig, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
		if err != nil {
			return nil, err
		}
		return url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {text + "." + base64.RawURLEncoding.EncodeToString(sig)}}, nil
	}, nil
}
