package generic

import "strings"

// vocabulary holds the words keys of audit logs are made of. It serves to take
// keys apart that were written without separators ("sourceipaddress",
// "createdat"); what a word means is said where roles are weighed.
var vocabulary = func() map[string]bool {
	m := make(map[string]bool)
	for _, w := range strings.Fields(`
	access account action active activity actor added addr address admin administrator affected agent alert alias allow allowed alternate api app
	application arn asn assignee at attempt audit auth authentication author authorized auto
	begin billing body browser bucket by bytes
	call caller category change changed channel city class client clock cloud code command completed context correlation count country created
	creation creator customer
	data database date datetime decision deleted denied description dest destination detail details detected device disposition display
	document domain dst duration
	effective email employee end entity environment epoch error event executed expires external
	factor failed failure file first flow forwarded
	generated geo global granted group
	happened hash header host hostname http
	id identifier identity impersonator index info ingested initiated initiator insert instance internal invoked ip item
	kind
	label last lat latitude level link local location lock log logged login logon lon longitude
	mail mailbox member message meta metadata method mfa model modified
	name new number
	object observed occurred old op operation operator org organization origin original os outcome output owner
	page parameter parameters params parent parsed path peer performed performer permission person platform policy port post pre previous principal
	private processed product profile project properties protocol public published
	query
	raised reason received recipient record recorded ref referer region remote repo repository request requested requester requestor
	resource response result role rule run
	scope sender sent server service session severity source src ssh stage start started state status string sub subject subscription succeeded
	success successful system
	target team tenant time timestamp title tls token total trace triggered ts type
	ua uid unique update updated uri url user username utc uuid
	value vault verb verdict version
	when workspace zone`) {
		m[w] = true
	}
	return m
}()

// words splits a key into lower-case words: at what is no letter or digit,
// where a capital follows a small letter or ends a run of capitals
// ("sourceIPAddress": source, ip, address), and, for words that are not known,
// into known ones. At most 12.
func words(key string) []string {
	var out []string
	start := -1
	flush := func(end int) {
		if start >= 0 && len(out) < 12 {
			out = split(out, strings.ToLower(key[start:end]))
		}
		start = -1
	}
	upper := func(i int) bool { return i >= 0 && i < len(key) && key[i] >= 'A' && key[i] <= 'Z' }
	lower := func(i int) bool { return i >= 0 && i < len(key) && key[i] >= 'a' && key[i] <= 'z' }
	for i := range len(key) {
		c := key[i]
		word := lower(i) || upper(i) || c >= '0' && c <= '9' || c >= 0x80
		switch {
		case !word:
			flush(i)
			continue
		case start < 0:
			start = i
		case upper(i) && (lower(i-1) || upper(i-1) && lower(i+1) && i-start > 1 && !(key[i:] == "Ps" || key[i:] == "Ds")):
			flush(i)
			start = i
		}
	}
	flush(len(key))
	return out
}

// split takes a word apart into words of the vocabulary if it is made of two
// to four of them.
func split(dst []string, w string) []string {
	if len(dst) >= 12 {
		return dst
	}
	if vocabulary[w] || len(w) < 4 || len(w) > 40 {
		return append(dst, singular(w))
	}
	// from[i] is where the word ending at i begins, preferring few long words.
	var from, parts [41]int
	for end := 2; end <= len(w); end++ {
		for begin := 0; begin <= end-2; begin++ {
			if begin != 0 && parts[begin] == 0 || !vocabulary[w[begin:end]] {
				continue
			}
			if n := parts[begin] + 1; n <= 4 && (parts[end] == 0 || n < parts[end]) {
				parts[end], from[end] = n, begin
			}
		}
	}
	if parts[len(w)] == 0 {
		return append(dst, singular(w))
	}
	var rev [4]string
	n := 0
	for end := len(w); end > 0; end = from[end] {
		rev[n] = w[from[end]:end]
		n++
	}
	for n--; n >= 0; n-- {
		dst = append(dst, rev[n])
	}
	return dst
}

func singular(w string) string {
	if len(w) > 3 && w[len(w)-1] == 's' && vocabulary[w[:len(w)-1]] && !vocabulary[w] {
		return w[:len(w)-1]
	}
	return w
}

// set is a set of words.
type set map[string]int

// weigh makes a set: each word has the weight given before it, until the next
// number.
func weigh(w int, list string) set { return set{}.and(w, list) }

func (s set) and(w int, list string) set {
	for _, f := range strings.Fields(list) {
		s[f] = w
	}
	return s
}

// best is the greatest weight of any of the words, 0 if none has one.
func (s set) best(words []string) (w int) {
	for _, x := range words {
		w = max(w, s[x])
	}
	return w
}

func (s set) any(words []string) bool {
	for _, x := range words {
		if _, ok := s[x]; ok {
			return true
		}
	}
	return false
}
