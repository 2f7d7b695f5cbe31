package store_test

import (
	"testing"

	"github.com/switchyard-ai/switchyard/internal/store"
)

func TestNamesThatAreSpeltInSeveralWaysAreOne(t *testing.T) {
	t.Parallel()
	for want, names := range map[string][]string{
		"dorothy":        {"Dorothy", " dorothy ", "DOROTHY", "Dorothy's", "Dorothy’s", "“Dorothy”", "Dorothy."},
		"new york":       {"New York", "new-york", "New  York", "New_York", "The New York", "New\u00a0York"},
		"ibm":            {"IBM", "I.B.M.", "I.B.M"},
		"cafe muller":    {"Café Müller", "Cafe\u0301 Mu\u0308ller", "cafe muller", "a café, Müller"},
		"obrien":         {"O'Brien", "O’Brien", "OBrien"},
		"johnson and co": {"Johnson & Co.", "Johnson and Co"},
		"strasse":        {"Straße", "strasse"},
		"wizard of oz":   {"The Wizard of Oz", "Wizard of Oz", "wizard of Oz's"},
		"the":            {"The"},
		"c#":             {"C#"},
		"c++":            {"C++"},
		"c":              {"C", "C."},
		"3.5":            {"3.5"},
		"35":             {"35"},
		"!!!":            {"!!!"},
		"st john":        {"St. John", "St John"},
		"がんの話":           {"がんの話"},
		"かんの話":           {"かんの話"},
		"йод":            {"Йод"},
		"иод":            {"Иод"},
	} {
		for _, name := range names {
			if got := store.NormalName(name); got != want {
				t.Errorf("%q is %q, want %q", name, got, want)
			}
		}
	}
}

func FuzzNormalName(f *testing.F) {
	f.Add("The New-York Café's")
	f.Add("I.B.M.")
	f.Fuzz(func(t *testing.T, name string) {
		once := store.NormalName(name)
		if again := store.NormalName(once); again != store.NormalName(again) {
			t.Errorf("%q is %q, then %q", name, once, again)
		}
		if once != store.NormalName(name) {
			t.Errorf("%q has two names", name)
		}
	})
}
