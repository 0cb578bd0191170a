package client_test

import (
	"context"
	"fmt"
	"os"

	"github.com/tenantwatch/tenantwatch/api/client"
)

// Search a tenant's events. The end-to-end tests run the same lines against a
// running instance.
func ExampleNew() {
	c, err := client.New(os.Getenv("TENANTWATCH_URL"), os.Getenv("TENANTWATCH_TOKEN"))
	if err != nil {
		fmt.Println(err)
		return
	}
	query := "action:login outcome:failure time:-24h"
	found, err := c.SearchEventsWithResponse(context.Background(), &client.SearchEventsParams{Q: &query})
	if err != nil || found.JSON200 == nil {
		fmt.Println(err)
		return
	}
	for _, e := range found.JSON200.Items {
		fmt.Println(e.Time, e.Action)
	}
}
