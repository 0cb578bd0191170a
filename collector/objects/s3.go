package objects

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/tenantwatch/tenantwatch/collector/source"
)

// S3Options are the settings of a bucket.
type S3Options struct {
	Endpoint  string        `yaml:"endpoint" doc:"https://HOST of the store; default https://s3.amazonaws.com"`
	Region    string        `yaml:"region" doc:"region of the bucket; default us-east-1"`
	Bucket    string        `yaml:"bucket" doc:"name of the bucket"`
	Prefix    string        `yaml:"prefix" doc:"beginning of the keys, such as AWSLogs/111122223333/CloudTrail/"`
	Match     string        `yaml:"match" doc:"pattern of the last part of the keys; default *.json.gz"`
	KeyFile   string        `yaml:"access_key_file" doc:"file with the access key's id; default: AWS_* of the environment, then the machine's role"`
	Secret    string        `yaml:"secret_key_file" doc:"file with the secret access key"`
	PathStyle bool          `yaml:"path_style" doc:"the bucket is a part of the path, as many other stores want it"`
	Poll      time.Duration `yaml:"poll" doc:"how often to look; default 1m"`
}

// S3Kind is the line in the table of sources.
func S3Kind() source.Kind {
	return source.Define(source.Kind{
		Type: "s3", Title: "Objects in an S3-compatible bucket, such as CloudTrail's .json.gz", Promise: source.Acknowledging,
		Example: "bucket: my-trail\nprefix: AWSLogs/111122223333/CloudTrail/\nregion: eu-central-1\n",
	}, checkS3, newS3)
}

func checkS3(o *S3Options) error {
	if o.Endpoint == "" {
		o.Endpoint = "https://s3.amazonaws.com"
	}
	u, err := url.Parse(o.Endpoint)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Path != "" {
		return fmt.Errorf("endpoint %q: want https://HOST", o.Endpoint)
	}
	if o.Bucket == "" {
		return errors.New("bucket is missing")
	}
	if (o.KeyFile == "") != (o.Secret == "") {
		return errors.New("access_key_file and secret_key_file go together")
	}
	if o.Region == "" {
		o.Region = "us-east-1"
	}
	return common(&o.Match, &o.Poll)
}

func newS3(e source.Env, o S3Options) (source.Source, error) {
	u, err := url.Parse(o.Endpoint)
	if err != nil {
		return nil, err
	}
	creds := credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.IAM{}})
	if o.KeyFile != "" {
		id, err := source.Secret("access_key_file", o.KeyFile)
		if err != nil {
			return nil, err
		}
		secret, err := source.Secret("secret_key_file", o.Secret)
		if err != nil {
			return nil, err
		}
		creds = credentials.NewStaticV4(id, secret, "")
	}
	lookup := minio.BucketLookupAuto
	if o.PathStyle {
		lookup = minio.BucketLookupPath
	}
	c, err := minio.New(u.Host, &minio.Options{Creds: creds, Secure: u.Scheme == "https", Region: o.Region, BucketLookup: lookup, MaxRetries: 2})
	if err != nil {
		return nil, fmt.Errorf("endpoint %q: %w", o.Endpoint, err)
	}
	return &reader{env: e, store: &bucket{c, o}, match: o.Match, poll: o.Poll, window: keep}, nil
}

type bucket struct {
	c *minio.Client
	o S3Options
}

func (b *bucket) place() string { return "s3://" + b.o.Bucket }

func (b *bucket) list(ctx context.Context, fn func(object)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends the client's goroutine when we stop early
	for o := range b.c.ListObjects(ctx, b.o.Bucket, minio.ListObjectsOptions{Prefix: b.o.Prefix, Recursive: true}) {
		if o.Err != nil {
			return o.Err
		}
		fn(object{o.Key, o.ETag, o.LastModified})
	}
	return ctx.Err()
}

func (b *bucket) open(ctx context.Context, key string) (io.ReadCloser, error) {
	return b.c.GetObject(ctx, b.o.Bucket, key, minio.GetObjectOptions{})
}
