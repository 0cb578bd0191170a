// Package dashboards hands out the built web application, embedded in the
// binary.
//
// Invariant: Web always answers with a file system that has an index.html: the
// application when it was built, else a plain page that says how to build it,
// so that Go builds and tests need no Node. The package must not import
// anything of this module.
package dashboards

import (
	"embed"
	"io/fs"
)

//go:embed all:web/dist
var dist embed.FS

// unbuilt is what a binary made without the web application serves.
//
//go:embed web/unbuilt/index.html
var unbuilt embed.FS

// Web is the root of the application's files: index.html, and under assets/
// files whose names hold a hash of their content and so may be cached forever.
// Every path that is no file belongs to the application's own router: serve
// index.html for it, uncached.
func Web() fs.FS {
	if sub, err := fs.Sub(dist, "web/dist"); err == nil {
		if _, err := fs.Stat(sub, "index.html"); err == nil {
			return sub
		}
	}
	sub, err := fs.Sub(unbuilt, "web/unbuilt")
	if err != nil {
		return unbuilt // cannot happen: the path is a constant and valid
	}
	return sub
}
