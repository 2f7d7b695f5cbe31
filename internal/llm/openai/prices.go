package openai

import "regexp"

// Price is what a million tokens cost, in USD.
type Price struct {
	Input  float64 `json:"input" yaml:"input"`
	Output float64 `json:"output" yaml:"output"`
}

// of is the cost of a call. It is an upper bound: the discount on cached input is not counted.
func (p Price) of(input, output int64) float64 {
	return (float64(input)*p.Input + float64(output)*p.Output) / 1e6
}

// listPrice knows OpenAI's standard prices of November 2026. Models that it does not know cost 0 unless the
// configuration says otherwise.
func listPrice(model string) (Price, bool) {
	p, ok := map[string]Price{
		"gpt-6-luna":   {0.10, 0.50},
		"gpt-6.1-sol":  {2, 10},
		"gpt-6-sol":    {2, 10},
		"gpt-6-astra":  {10, 50},
		"gpt-5.6-luna": {0.20, 1.20},
		"gpt-5.6-sol":  {4, 20},
		"gpt-5.5":      {5, 30},
		"gpt-5.4":      {2.50, 15},
		"gpt-5.4-mini": {0.75, 4.50},
		"gpt-5.4-nano": {0.20, 1.25},
		"gpt-5.2":      {1.75, 14},
		"gpt-5.1":      {1.25, 10},
		"gpt-5":        {1.25, 10},
		"gpt-5-mini":   {0.25, 2},
		"gpt-5-nano":   {0.05, 0.40},
		"gpt-4.1":      {2, 8},
		"gpt-4.1-mini": {0.40, 1.60},
		"gpt-4o":       {2.50, 10},
		"gpt-4o-mini":  {0.15, 0.60},

		"gpt-6.1-terra": {1, 5},
		"gpt-5.6-terra": {2, 12},

		"text-embedding-3-small": {Input: 0.02},
		"text-embedding-3-large": {Input: 0.13},
		"text-embedding-ada-002": {Input: 0.10},
	}[model]
	return p, ok
}

var dated = regexp.MustCompile(`-\d{4}-\d{2}-\d{2}$`)

// price is that of the first of the names that is known, with or without a date at its end.
func (x connection) price(names ...string) Price {
	for _, name := range names {
		for _, n := range []string{name, dated.ReplaceAllString(name, "")} {
			if p, ok := x.prices[n]; ok {
				return p
			}
			if p, ok := listPrice(n); ok {
				return p
			}
		}
	}
	return Price{}
}
