package httppush

import (
	"encoding/base64"
	"fmt"

	"github.com/tenantwatch/tenantwatch/collector"
	"github.com/tenantwatch/tenantwatch/collector/parse/mapping"
)

// mappingHeader carries a mapping that serves one request, as YAML in base64,
// for a sender who tries one out or whose collector knows none.
const mappingHeader = "X-Log-Mapping"

// mappingsOf are the mappings for a request: the one it brings along, then the
// tenant's. Whatever a mapping says, the tenant is the key's.
func (h *Handler) mappingsOf(key collector.IngestKey, source, header string) ([]*mapping.Mapping, error) {
	var all []*mapping.Mapping
	if header != "" {
		text, err := base64.StdEncoding.DecodeString(header)
		if err != nil {
			return nil, fmt.Errorf("%s: not base64: %w", mappingHeader, err)
		}
		m, err := mapping.Parse(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", mappingHeader, err)
		}
		all = append(all, m)
	}
	if h.mappings != nil {
		if source == "" {
			source = key.Name
		}
		all = append(all, h.mappings(key.Tenant, source)...)
	}
	return all, nil
}
