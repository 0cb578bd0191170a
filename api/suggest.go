package api

import (
	"context"
	"strings"

	"github.com/tenantwatch/tenantwatch/api/internal/rest"
	"github.com/tenantwatch/tenantwatch/pipeline/query"
)

// SuggestQuery completes a query.
func (h *handlers) SuggestQuery(ctx context.Context, r rest.SuggestQueryRequestObject) (rest.SuggestQueryResponseObject, error) {
	ctx, k := callOf(ctx)
	p := r.Params
	text, at, limit := "", query.MaxLen, 12
	if p.Q != nil {
		text = *p.Q
	}
	if p.At != nil {
		at = *p.At
	}
	if p.Limit != nil {
		limit = *p.Limit
	}
	s := EventScope{}
	var err error
	if s.From, s.To, err = span(p.From, p.To); err != nil {
		return nil, err
	}
	c := query.Complete(text, at)
	if s.Query, err = query.ParseAt(c.Rest, h.s.now()); err != nil {
		s.Query = &query.Query{} // the rest is being written, too: it narrows nothing yet
	}
	out := rest.SuggestQuery200JSONResponse{Want: rest.SuggestionsWant(c.Want), Field: orNil(c.Field.Name), Start: int32(c.Start), End: int32(c.End), Items: []rest.Suggestion{}}
	add := func(kind rest.SuggestionKind, text, doc string, count uint64) {
		if len(out.Items) < limit {
			out.Items = append(out.Items, rest.Suggestion{Kind: kind, Text: text, Doc: orNil(doc), Count: orNil(int64(count))})
		}
	}
	switch c.Want {
	case query.WantField:
		suggestFields(strings.ToLower(c.Prefix), c.Start > 0, add)
	case query.WantOperator:
		for _, op := range c.Field.Operators() {
			add(rest.SuggestionKindOperator, c.Field.Name+op, operatorDoc[op], 0)
		}
	case query.WantLabel:
		keys, err := h.s.opts.Insight.LabelKeys(ctx, k.one, s, c.Prefix, limit)
		if err != nil {
			return nil, err
		}
		for _, v := range keys {
			add(rest.SuggestionKindLabel, strings.TrimPrefix(query.WriteLabel(v.Value), "label.")+":", "", v.Count)
		}
	case query.WantValue:
		if err := h.suggestValues(ctx, k, c, s, limit, add); err != nil {
			return nil, err
		}
	}
	return out, nil
}

var operatorDoc = map[string]string{":": "is, or matches with *", "=": "is exactly", "!=": "is not", ">": "is more than", ">=": "is at least", "<": "is less than", "<=": "is at most"}

type addSuggestion func(kind rest.SuggestionKind, text, doc string, count uint64)

// suggestFields offers fields by name and alias: those that begin with what is
// written first.
func suggestFields(prefix string, joins bool, add addSuggestion) {
	offered := map[string]bool{}
	offer := func(match func(s, part string) bool) {
		for _, f := range query.Fields() {
			for i, n := range append([]string{f.Name}, f.Aliases...) {
				if offered[f.Name] || !match(n, prefix) {
					continue
				}
				offered[f.Name] = true
				text, doc := f.Name+":", f.Doc
				if f.Type == query.TypeLabels {
					text = "label."
				}
				if i > 0 {
					doc += " (" + n + ")"
				}
				add(rest.SuggestionKindField, text, doc, 0)
			}
		}
	}
	offer(strings.HasPrefix)
	for _, w := range []string{"OR", "AND", "NOT"} {
		if joins && strings.HasPrefix(strings.ToLower(w), prefix) {
			add(rest.SuggestionKindKeyword, w, "", 0)
		}
	}
	offer(strings.Contains)
}

func (h *handlers) suggestValues(ctx context.Context, k *call, c query.Completion, s EventScope, limit int, add addSuggestion) error {
	f := c.Field
	if f.Type == query.TypeTime {
		for _, w := range []struct{ text, doc string }{{"today", "since midnight, UTC"}, {"yesterday", "the day before, UTC"}, {"-1h", "the last hour"}, {"-24h", "the last 24 hours"}, {"-7d", "the last 7 days"},
			{h.s.now().UTC().Format("2006-01-02"), "a day, UTC"}} {
			if strings.HasPrefix(w.text, strings.ToLower(c.Prefix)) {
				add(rest.SuggestionKindValue, w.text, w.doc, 0)
			}
		}
		return nil
	}
	for _, v := range f.Values { // words for numbers, or the few there are
		if strings.HasPrefix(v, strings.ToLower(c.Prefix)) && f.Type != query.TypeOutcome {
			add(rest.SuggestionKindValue, v, "", 0)
		}
	}
	if !f.Facet || f.Type == query.TypeNumber && len(f.Values) > 0 {
		if !f.Facet {
			add(rest.SuggestionKindValue, f.Example[strings.LastIndexAny(f.Example, ":<>=")+1:], "for example", 0)
		}
		return nil
	}
	name := f.Name
	if c.Key != "" {
		name = "label." + c.Key
	}
	values, err := h.s.opts.Insight.Values(ctx, k.one, s, name, c.Prefix, limit)
	if err != nil {
		return err
	}
	for _, v := range values {
		text := v.Value
		if f.Type != query.TypeNumber {
			text = query.Write(text)
		}
		add(rest.SuggestionKindValue, text, "", v.Count)
	}
	return nil
}

// ExplainQuery says what a query means.
func (h *handlers) ExplainQuery(_ context.Context, r rest.ExplainQueryRequestObject) (rest.ExplainQueryResponseObject, error) {
	q, err := h.parseQuery(r.Params.Q)
	if err != nil {
		return nil, err
	}
	return rest.ExplainQuery200JSONResponse{Query: q.String(), Explain: q.Explain(), Terms: int32(terms(q.Root))}, nil
}

// terms counts the terms and texts of a query.
func terms(n query.Node) (sum int) {
	switch n := n.(type) {
	case query.And:
		for _, c := range n {
			sum += terms(c)
		}
	case query.Or:
		for _, c := range n {
			sum += terms(c)
		}
	case query.Not:
		return terms(n.Node)
	case query.Term, query.Text:
		return 1
	}
	return sum
}
